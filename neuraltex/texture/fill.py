"""Texels that no photograph shows: which lie in a chart, the gutter around charts, and filling the rest.

Works on NumPy arrays on the host; row 0 of every array is v = 1.
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from numba import njit

from neuraltex.core.compiled import kernel
from neuraltex.core.conventions import texel_from_uv
from neuraltex.core.errors import ShapeError
from neuraltex.geometry.charts import chart_components
from neuraltex.geometry.mesh import Mesh

_SMOOTHING_SWEEPS = 8  # relaxation steps per pyramid level; enough to hide the grid of the level below


def rasterize_charts(mesh: Mesh, size: int | tuple[int, int]) -> Bool[np.ndarray, "Ht Wt"]:
    """Return which texels have their center in a chart, borders included, whatever the orientation of the face.

    The sign of an edge is evaluated identically for both of its faces, so neighbors leave no gap.

    Args:
        mesh: Mesh with uvs; parts outside [0, 1] are cut off.
        size: Side of a square texture or (Ht, Wt).

    Raises:
        DataError: if the mesh has no uvs.
    """
    height, width = (size, size) if isinstance(size, int) else size
    inside = np.zeros((height, width), np.bool_)
    _mark_triangles(_texel_corners(mesh, height, width), np.ones(mesh.num_faces, np.bool_), inside)
    return inside


def number_charts(mesh: Mesh, size: tuple[int, int]) -> Int[np.ndarray, "Ht Wt"]:
    """Return the number of the chart that the center of each texel lies in, from 1; 0 where there is none (int32).

    Args:
        mesh: Mesh with uvs.
        size: (Ht, Wt).

    Raises:
        DataError: if the mesh has no uvs.
    """
    corners = _texel_corners(mesh, *size)
    assert mesh.uv_faces is not None
    assert mesh.uvs is not None
    number = np.zeros(size, np.int32)
    _mark_triangles(corners, chart_components(mesh.uv_faces, len(mesh.uvs)).astype(np.int32) + 1, number)
    return number


def _texel_corners(mesh: Mesh, height: int, width: int) -> Float[np.ndarray, "F 3 2"]:
    return np.stack(texel_from_uv(mesh.corner_uvs, width, height), -1)


def dilate(
    texture: Float[np.ndarray, "Ht Wt C"], known: Bool[np.ndarray, "Ht Wt"], gutter_px: int, *, copy: bool = True
) -> tuple[Float[np.ndarray, "Ht Wt C"], Bool[np.ndarray, "Ht Wt"]]:
    """Grow the known texels by ``gutter_px`` rings, each new texel the mean of its known 8-neighbors.

    Bilinear and mip-mapped viewers read beyond the border of a chart; the gutter is what they find there.
    ``copy=False`` works in place where it can.

    Returns:
        The texture with the gutter, and the known texels including it. Known texels keep their values exactly.
    """
    texture, known = _prepare(texture, copy), np.array(known, np.bool_, order="C")
    _check(texture, known)
    if gutter_px > 0:
        _grow(texture, known, gutter_px)
    return texture, known


def push_pull(
    texture: Float[np.ndarray, "Ht Wt C"], known: Bool[np.ndarray, "Ht Wt"], *, copy: bool = True
) -> Float[np.ndarray, "Ht Wt C"]:
    """Fill all unknown texels smoothly from the known ones, which keep their values exactly.

    Averages known texels into ever coarser levels and hands them back down (S. Gortler et al., "The Lumigraph",
    SIGGRAPH 1996), relaxing every level towards the membrane through the known texels, so that no grid shows.
    Without any known texel the texture is returned as it is. ``copy=False`` works in place where it can.
    """
    texture, known = _prepare(texture, copy), np.ascontiguousarray(known, np.bool_)
    _check(texture, known)
    if known.any() and not known.all():
        _fill(texture, known)
    return texture


def _prepare(texture: np.ndarray, copy: bool) -> np.ndarray:
    return np.array(texture, np.float32, order="C") if copy else np.ascontiguousarray(texture, np.float32)


def _check(texture: np.ndarray, known: np.ndarray) -> None:
    if texture.ndim != 3 or texture.shape[:2] != known.shape:
        raise ShapeError(f"texture has shape {texture.shape} but its mask {known.shape}")


def _fill(texture: np.ndarray, known: np.ndarray) -> None:
    """Fill the unknown texels of one level in place, after all coarser ones."""
    if max(known.shape) > 1 and not known.all():
        coarse, coarse_known = _pull(texture, known)
        _fill(coarse, coarse_known)
        _push(texture, known, coarse)
        _relax(texture, known, _SMOOTHING_SWEEPS)


@kernel
def _edge(ax, ay, bx, by, px, py):  # type: ignore[no-untyped-def]
    """Return twice the signed area of (a, b, p), computed the same way (but for the sign) for edge (b, a)."""
    if (ax, ay) <= (bx, by):
        return (bx - ax) * (py - ay) - (by - ay) * (px - ax)
    return -((ax - bx) * (py - by) - (ay - by) * (px - bx))


@kernel
def _mark_triangles(corners, value, inside):  # type: ignore[no-untyped-def]
    height, width = inside.shape
    for f in range(len(corners)):
        ax, ay, bx, by = corners[f, 0, 0], corners[f, 0, 1], corners[f, 1, 0], corners[f, 1, 1]
        cx, cy = corners[f, 2, 0], corners[f, 2, 1]
        if not np.isfinite(ax + ay + bx + by + cx + cy):
            continue
        first, last = max(0, int(np.ceil(min(ax, bx, cx)))), min(width - 1, int(np.floor(max(ax, bx, cx))))
        top, bottom = max(0, int(np.ceil(min(ay, by, cy)))), min(height - 1, int(np.floor(max(ay, by, cy))))
        for y in range(top, bottom + 1):
            for x in range(first, last + 1):
                e0, e1, e2 = _edge(ax, ay, bx, by, x, y), _edge(bx, by, cx, cy, x, y), _edge(cx, cy, ax, ay, x, y)
                if (e0 >= 0 and e1 >= 0 and e2 >= 0) or (e0 <= 0 and e1 <= 0 and e2 <= 0):
                    inside[y, x] = value[f]


@njit(nogil=True, cache=True)
def _grow(texture, known, rings):  # type: ignore[no-untyped-def]
    """Add rings of texels; one ring is averaged from the texels known before it, so order does not matter."""
    height, width = known.shape
    queued = known.copy()
    ring = [(0, 0) for _ in range(0)]  # an empty list whose type numba can tell
    for y in range(height):
        for x in range(width):
            if known[y, x]:
                _queue_neighbors(queued, y, x, ring)
    for _ in range(rings):
        for y, x in ring:
            _average_known(texture, known, y, x)
        following = [(0, 0) for _ in range(0)]
        for y, x in ring:
            known[y, x] = True
            _queue_neighbors(queued, y, x, following)
        ring = following


@njit(nogil=True, cache=True)
def _queue_neighbors(queued, y, x, ring):  # type: ignore[no-untyped-def]
    height, width = queued.shape
    for v in range(max(y - 1, 0), min(y + 2, height)):
        for u in range(max(x - 1, 0), min(x + 2, width)):
            if not queued[v, u]:
                queued[v, u] = True
                ring.append((v, u))


@kernel
def _average_known(texture, known, y, x):  # type: ignore[no-untyped-def]
    """Set a texel to the mean of its known 8-neighbors."""
    height, width, channels = texture.shape
    for c in range(channels):
        total, count = np.float32(0), 0
        for v in range(max(y - 1, 0), min(y + 2, height)):
            for u in range(max(x - 1, 0), min(x + 2, width)):
                if known[v, u]:
                    total += texture[v, u, c]
                    count += 1
        texture[y, x, c] = total / count


@njit(nogil=True, cache=True)
def _pull(texture, known):  # type: ignore[no-untyped-def]
    """Return the level of half the size: means of the known texels of every 2x2 block, and where there are any."""
    height, width, channels = texture.shape
    coarse = np.zeros(((height + 1) // 2, (width + 1) // 2, channels), np.float32)
    coarse_known = np.zeros(coarse.shape[:2], np.bool_)
    for y in range(coarse.shape[0]):
        for x in range(coarse.shape[1]):
            count = 0
            for v in range(2 * y, min(2 * y + 2, height)):
                for u in range(2 * x, min(2 * x + 2, width)):
                    if known[v, u]:
                        count += 1
                        for c in range(channels):
                            coarse[y, x, c] += texture[v, u, c]
            if count:
                coarse_known[y, x] = True
                for c in range(channels):
                    coarse[y, x, c] /= count
    return coarse, coarse_known


@kernel
def _push(texture, known, coarse):  # type: ignore[no-untyped-def]
    """Give unknown texels the bilinear sample of the coarser level at their center."""
    height, width, channels = texture.shape
    near, far = np.float32(0.75), np.float32(0.25)
    for y in range(height):
        y0 = y // 2
        y1 = min(max(y0 + (1 if y % 2 else -1), 0), coarse.shape[0] - 1)
        for x in range(width):
            if not known[y, x]:
                x0 = x // 2
                x1 = min(max(x0 + (1 if x % 2 else -1), 0), coarse.shape[1] - 1)
                for c in range(channels):
                    above = near * coarse[y0, x0, c] + far * coarse[y0, x1, c]
                    texture[y, x, c] = near * above + far * (near * coarse[y1, x0, c] + far * coarse[y1, x1, c])


@kernel
def _relax(texture, known, sweeps):  # type: ignore[no-untyped-def]
    """Replace unknown texels by the mean of their 4-neighbors, in place (Gauss-Seidel)."""
    height, width, channels = texture.shape
    for _ in range(sweeps):
        for y in range(height):
            for x in range(width):
                if not known[y, x]:
                    up, down, left, right = max(y - 1, 0), min(y + 1, height - 1), max(x - 1, 0), min(x + 1, width - 1)
                    for c in range(channels):
                        vertical = texture[up, x, c] + texture[down, x, c]
                        texture[y, x, c] = (vertical + texture[y, left, c] + texture[y, right, c]) * np.float32(0.25)
