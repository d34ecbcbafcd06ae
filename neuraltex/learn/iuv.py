"""Partial textures from a photograph and its DensePose IUV map: no camera, no posed mesh.

DensePose tells for every pixel which point of the body it shows; a table (:mod:`neuraltex.learn.iuv_table`) leads from
there to the texture. Where the texels lie in the photograph is interpolated within each chart. The mirror image of the
body gives a second texture that fills what the first leaves open (B. AlBahar et al. 2021, "Pose with style").
"""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from neuraltex.config.partial import PartialConfig
from neuraltex.core.errors import DataError
from neuraltex.geometry.mesh import Mesh
from neuraltex.io.images import read_rgb
from neuraltex.learn.chart_scatter import (
    ChartFinder,
    erode_charts,
    interpolate,
    lay_out,
    read_in_chart,
    splat_density,
    spread,
)
from neuraltex.learn.extract import make_partial
from neuraltex.learn.gather import LEAST_CONFIDENCE
from neuraltex.learn.iuv_map import IuvMap, Order
from neuraltex.learn.iuv_order import read_channels
from neuraltex.learn.iuv_table import Table
from neuraltex.learn.partial import Partial
from neuraltex.render.discontinuity import distance_to
from neuraltex.texture.atlas import make_atlas
from neuraltex.texture.fill import number_charts
from neuraltex.texture.layout import layout_of
from neuraltex.texture.mirror import Observed

LOSSY = (".jpg", ".jpeg", ".webp")
_MIN_IN_CHARTS = 0.5  # of the pixels that the table knows, must lie in charts of the mesh


def read_iuv(path: Path) -> UInt8[np.ndarray, "H W 3"]:
    """Read an IUV image as it is stored, whatever its channels hold.

    Raises:
        DataError: if it is missing, broken, or of a format that loses information.
    """
    if path.suffix.lower() in LOSSY:
        raise DataError(
            f"{path} is in a format that changes values, but an IUV map holds numbers",
            hint="Pass the PNG that DensePose wrote",
        )
    return read_rgb(path)


def partial_from_iuv(
    image: UInt8[np.ndarray, "H W 3"],
    iuv: UInt8[np.ndarray, "H W 3"],
    table: Table,
    mesh: Mesh,
    config: PartialConfig,
    *,
    order: Order = "auto",
    matte: Bool[np.ndarray, "H W"] | None = None,
    source: str = "IUV map",
) -> Partial:
    """Read a partial texture off a photograph.

    A texel is *direct* if a pixel falls on it or on a neighbor in its chart. Its confidence is the number of pixels per
    texel around it, at most 1: what the photograph shows small or at a grazing angle counts little. Colors are read
    bilinearly from pixels of the same chart, so that neither the background nor another limb shines through.

    Args:
        image: Photograph.
        iuv: Its IUV map, bytes as DensePose writes them.
        table: Table from IUV to the texture of ``mesh``.
        mesh: Mesh with the uvs of the texture, in any pose; gives normals and positions.
        config: ``size``, ``mirror``, ``mirror_confidence``, ``matte_erosion``, and ``margin``: pixels this near to the
            border of a chart in the photograph are mixed with what is beside it and not used.
        order: What the channels of ``iuv`` hold.
        matte: Pixels that show the person, where more is known than the map says.
        source: Where the map is from, for errors.

    Raises:
        DataError: if the sizes differ, the map is none or in another order, nothing of the person is usable, or the
            table is for another texture.
    """
    _check_sizes(image, iuv, matte, source)
    channels = read_channels(iuv, table, mesh, order, source)
    if matte is not None:
        kept = matte & (distance_to(~matte) > config.matte_erosion)
        channels = IuvMap(np.where(kept, channels.part, 0).astype(np.uint8), channels.u, channels.v)
    finder, charts = ChartFinder(mesh), number_charts(mesh, (config.size, config.size))

    def read(seen: IuvMap) -> Observed:
        uv = seen.on_texture(table)
        chart = erode_charts(_find_charts(finder, uv, source), seen.part > 0, int(config.margin))
        return _read_off(image, uv, chart, charts)

    direct = read(channels)
    if not direct.direct.any():
        raise DataError(
            "no pixel of the person is left",
            source=source,
            hint="Pass a matte that shows the person, a larger photograph, or a smaller --margin or --matte-erosion",
        )
    if config.mirror:
        direct = _complete(direct, read(channels.mirrored()), config.mirror_confidence)
    return make_partial(direct, make_atlas(mesh, config.size), mesh, layout_of(mesh))


def _check_sizes(image: np.ndarray, iuv: np.ndarray, matte: np.ndarray | None, source: str) -> None:
    if image.ndim != 3 or iuv.ndim != 3 or image.shape[2] != 3 or iuv.shape[2] != 3 or iuv.dtype != np.uint8:
        raise DataError(
            f"the map is {iuv.dtype} {list(iuv.shape)}, the photograph {list(image.shape)}; both need three channels",
            source=source,
            hint="Pass 8 bit images",
        )
    for name, other in (("map", iuv), ("matte", matte)):
        if other is not None and other.shape[:2] != image.shape[:2]:
            raise DataError(
                f"the {name} is {other.shape[1]}x{other.shape[0]}, the photograph {image.shape[1]}x{image.shape[0]}",
                source=source,
                hint="Pass the one that was made from this photograph, as it was made",
            )


def _find_charts(finder: ChartFinder, uv: Float[np.ndarray, "H W 2"], source: str) -> Int[np.ndarray, "H W"]:
    chart = finder.find(uv)
    found, expected = np.count_nonzero(chart), np.count_nonzero(np.isfinite(uv[..., 0]))
    if found < _MIN_IN_CHARTS * expected:
        raise DataError(
            f"only {found} of {expected} pixels lie in a chart of the mesh",
            source=source,
            hint="Pass a table that was built for this mesh's uv layout",
        )
    return chart


def _read_off(
    image: np.ndarray, uv: Float[np.ndarray, "H W 2"], chart: Int[np.ndarray, "H W"], charts: Int[np.ndarray, "S S"]
) -> Observed:
    hit, density = spread(splat_density(lay_out(uv, chart, len(charts)), charts), charts)
    pixel = interpolate(uv, chart, charts, hit)
    color, known = np.zeros((*charts.shape, 3), np.float32), np.zeros_like(hit)
    color[hit], known[hit] = read_in_chart(image / np.float32(255), chart, pixel[hit], charts[hit])
    place = (pixel / (image.shape[1], image.shape[0])).astype(np.float32)
    return Observed(
        color=color,
        direct=known,
        mirrored=np.zeros_like(known),
        confidence=np.where(known, np.clip(density, LEAST_CONFIDENCE, 1), 0).astype(np.float32),
        source=np.where(known[..., None], place, np.float32(np.nan)),
    )


def _complete(direct: Observed, other: Observed, confidence: float) -> Observed:
    """Fill what is open with what the flipped map shows: ``xy M + xy_m M_m (1 - M)``."""
    mirrored = other.direct & ~direct.direct
    return Observed(
        color=np.where(mirrored[..., None], other.color, direct.color),
        direct=direct.direct,
        mirrored=mirrored,
        confidence=np.where(mirrored, other.confidence * np.float32(confidence), direct.confidence),
        source=np.where(mirrored[..., None], other.source, direct.source),
    )
