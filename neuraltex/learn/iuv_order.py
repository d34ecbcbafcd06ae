"""Which channel of an IUV image holds the part, u and v, and which way v counts; found from the image itself.

DensePose writes its images with OpenCV, so that other programs read the channels as V, U, I; later tools store I first.
Models trained with faulty mirrored annotations (detectron2, issues 513 and 522) return v the other way around on the
torso. A wrong reading maps neighbors of the photograph far apart, turns the surface inside out, or leaves the parts.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from neuraltex.core.errors import DataError
from neuraltex.core.runtime import logger
from neuraltex.geometry.charts import signed_areas
from neuraltex.geometry.mesh import Mesh
from neuraltex.io.densepose import NUM_PARTS
from neuraltex.learn.iuv_map import FLIPS, ORDERS, Flip, IuvMap, Order, arrange
from neuraltex.learn.iuv_table import Table
from neuraltex.texture.atlas import canonical_positions, make_atlas

_LOOKS = 96  # pixels looked at along the longer side of the person
_MARGIN = 1.1  # how much better than others a reading must be
_LEAST = 0.2  # agreement below which an image is taken for something else
_MIN_PIXELS = 64  # smallest person
_NEAR = 0.1  # neighbors are at most this far apart in the canonical box, whose half side is 1


class _Reading(NamedTuple):
    agreement: float
    order: Order
    flip: Flip


def read_channels(
    iuv: UInt8[np.ndarray, "H W 3"], table: Table, mesh: Mesh, order: Order = "auto", source: str = "IUV map"
) -> IuvMap:
    """Find out how an IUV image is stored and take its channels apart.

    Args:
        iuv: The image; bytes as DensePose writes them.
        table: Table to the texture of ``mesh``.
        mesh: The textured mesh; tells which side of charts is outside.
        order: What the channels hold; a given one is only checked.
        source: Where the image is from, for errors.

    Raises:
        DataError: if it is no IUV image, shows nobody, or its order cannot be told or is not the given one.
    """
    candidates = [name for name in ORDERS if _may_hold_parts(iuv[..., name.index("i")])]
    _require_parts(iuv, candidates, order, source)
    ranked = _rank(iuv, candidates, _Judge(table, mesh))
    if ranked[0].agreement < _LEAST:
        raise DataError(
            f"the image agrees with the body in {ranked[0].agreement:.0%} of its pixels at best",
            source=source,
            hint="Pass an IUV image of DensePose (not a colored or resized one) and the table of this mesh's uv layout",
        )
    found = _choose(ranked, source) if order == "auto" else _confirm(ranked, order, source)
    logger.info("%s: channels %s, %.0f%% agree with the body", source, found.order, 100 * found.agreement)
    if found.flip != "none":
        where = "the torso" if found.flip == "torso" else "every part"
        logger.warning("%s: v counts the other way on %s; turned", source, where)
    return arrange(iuv, found.order, found.flip)


def _choose(ranked: list[_Reading], source: str) -> _Reading:
    """Return the best reading if no other order comes near."""
    best, *others = ranked
    if others and others[0].agreement * _MARGIN > best.agreement:
        raise DataError(
            f"the order of its channels cannot be told: {best.order} fits {best.agreement:.0%}, "
            f"{others[0].order} {others[0].agreement:.0%}",
            source=source,
            hint=f"Say which it is: order {best.order} or {others[0].order}",
        )
    return best


def _confirm(ranked: list[_Reading], order: Order, source: str) -> _Reading:
    """Return the reading in a given order if no other one is clearly better."""
    best, own = ranked[0], next(item for item in ranked if item.order == order)
    if own.agreement * _MARGIN < best.agreement:
        raise DataError(
            f"the channels are {best.order}, not {order}: {best.agreement:.0%} of the pixels agree with the body, "
            f"as {order} {own.agreement:.0%}",
            source=source,
            hint=f"Pass order {best.order} or auto",
        )
    return own


def _may_hold_parts(channel: UInt8[np.ndarray, "H W"]) -> bool:
    """Whether values are part numbers, most of them the same as their neighbors'."""
    if channel.max(initial=0) > NUM_PARTS:
        return False
    pairs = (channel[:, 1:] > 0) & (channel[:, :-1] > 0)
    return bool((channel[:, 1:] == channel[:, :-1])[pairs].mean() > 0.5) if pairs.any() else False


def _require_parts(iuv: np.ndarray, candidates: list[Order], order: Order, source: str) -> None:
    hint = "Pass the image DensePose wrote (lossless, not resized); order auto finds its channels"
    if order != "auto" and order not in ORDERS:
        raise DataError(f"order {order!r} is unknown", source=source, hint=f"Use auto or one of {', '.join(ORDERS)}")
    if not iuv.any():
        raise DataError("it shows nobody: all of it is 0", source=source, hint="Leave the photograph out")
    largest = iuv.reshape(-1, 3).max(0)
    if order != "auto" and order not in candidates:
        what = f"channel {order.index('i')}, where order {order} has the parts, goes up to {largest[order.index('i')]}"
        raise DataError(f"{what}; parts end at {NUM_PARTS} and cover regions", source=source, hint=hint)
    if not candidates:
        raise DataError(
            f"no channel holds part numbers: they go up to {', '.join(map(str, largest))}, parts end at {NUM_PARTS}",
            source=source,
            hint=hint,
        )
    if max(np.count_nonzero(iuv[..., name.index("i")]) for name in candidates) < _MIN_PIXELS:
        raise DataError(f"it shows nobody: fewer than {_MIN_PIXELS} pixels", source=source, hint="Leave it out")


def _rank(iuv: np.ndarray, candidates: list[Order], judge: "_Judge") -> list[_Reading]:
    """Return one reading per order, the best first; a flip of v must clearly beat none."""
    ranked: list[_Reading] = []
    for order in candidates:
        best = _Reading(-1.0, order, "none")
        for flip in FLIPS:
            agreement = judge.agreement(arrange(iuv, order, flip))
            if agreement > best.agreement * _MARGIN:
                best = _Reading(agreement, order, flip)
        ranked.append(best)
    return sorted(ranked, key=lambda item: -item.agreement)


class _Judge:
    """Tells how well an arrangement of channels agrees with the surface of a mesh."""

    def __init__(self, table: Table, mesh: Mesh, size: int = 512) -> None:
        self._table = table
        atlas = make_atlas(mesh, size)
        self._inside = atlas.inside
        self._points = canonical_positions(atlas.positions(mesh), atlas.inside)
        self._side = np.concatenate([np.sign(signed_areas(mesh.corner_uvs)), [0]])[atlas.face_idx]

    def agreement(self, channels: IuvMap) -> float:
        """Return the product of three shares, in [0, 1].

        Pixels that lie in their parts; places where the outside of the surface is seen; and borders between parts
        across which the surface continues, which occlusions may interrupt.
        """
        channels = _thin(channels)
        part, uv = channels.part, channels.on_texture(self._table)
        known = np.isfinite(uv[..., 0])
        place = np.clip(np.nan_to_num(uv) * len(self._inside), 0, len(self._inside) - 1).astype(np.int64)
        texel = (len(self._inside) - 1 - place[..., 1], place[..., 0])
        known &= self._inside[texel]
        points = np.where(known[..., None], self._points[texel], np.nan)
        covered = np.count_nonzero(known) / np.count_nonzero(part)
        return float(covered * _outside(part, uv, self._side[texel]) * (0.2 + 0.8 * _continued(part, points)))


def _thin(channels: IuvMap) -> IuvMap:
    """Return the person only, as few pixels as are looked at."""
    rows, columns = (np.flatnonzero(channels.part.any(axis)) for axis in (1, 0))
    step = max(1, max(np.ptp(rows), np.ptp(columns)) // _LOOKS)
    box = (slice(rows[0], rows[-1] + 1, step), slice(columns[0], columns[-1] + 1, step))
    return IuvMap(channels.part[box], channels.u[box], channels.v[box])


def _outside(part: UInt8[np.ndarray, "H W"], uv: Float[np.ndarray, "H W 2"], side: Float[np.ndarray, "H W"]) -> float:
    """Share of places where right and down of the image turn against each other as on the surface seen from outside."""
    right, down = uv[:-1, 1:] - uv[:-1, :-1], uv[1:, :-1] - uv[:-1, :-1]
    turn = (right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0]) * side[:-1, :-1]
    clear = (part[:-1, 1:] == part[:-1, :-1]) & (part[1:, :-1] == part[:-1, :-1]) & (np.nan_to_num(turn) != 0)
    return float((turn[clear] < 0).mean()) if clear.any() else 0.0


def _continued(part: UInt8[np.ndarray, "H W"], points: Float[np.ndarray, "H W 3"]) -> float:
    """Share of the neighbors in different parts that lie side by side on the surface, too."""
    near = []
    for axis in (0, 1):
        parts, places = np.moveaxis(part, axis, 0), np.moveaxis(points, axis, 0)
        gap = np.linalg.norm(places[1:] - places[:-1], axis=-1)
        near.append(gap[(parts[1:] != parts[:-1]) & (parts[1:] > 0) & (parts[:-1] > 0)] <= _NEAR)  # NaN is not near
    found = np.concatenate(near)
    return float(found.mean()) if len(found) else 1.0
