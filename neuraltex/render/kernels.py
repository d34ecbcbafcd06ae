"""Compiled loops over pixels (numba, without the GIL).

Geometry is given in camera axes relative to the camera center, so a pixel with normalized coordinates (x, y) sees the
points ``t * (x, y, 1)``. With corners A, B, C the three volumes ``(x, y, 1) . (B x C)``, ``. (C x A)``, ``. (A x B)``
are proportional to the perspective-correct barycentric coordinates (homogeneous edge functions; Olano and Greer,
"Triangle scan conversion using 2D homogeneous coordinates", 1997), and their gradients are the edge normals.
Each loop has a readable twin in torch that the tests compare it with.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def ray_directions(grid: np.ndarray, rotation: np.ndarray, out: np.ndarray) -> None:
    """Write ``rotation @ (x, y, 1)`` into ``out [H*W, 3]``; missing rays become zero vectors, which hit nothing."""
    height, width = grid.shape[:2]
    for i in range(height):
        for j in range(width):
            x, y = grid[i, j, 0], grid[i, j, 1]
            exists = np.isfinite(x) and np.isfinite(y)
            for k in range(3):
                value = rotation[k, 0] * x + rotation[k, 1] * y + rotation[k, 2]
                out[i * width + j, k] = value if exists else 0.0


@njit(cache=True, nogil=True, inline="always")
def _edge_normals(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple:
    """Cross products B x C, C x A, A x B."""
    return (
        (b[1] * c[2] - b[2] * c[1], b[2] * c[0] - b[0] * c[2], b[0] * c[1] - b[1] * c[0]),
        (c[1] * a[2] - c[2] * a[1], c[2] * a[0] - c[0] * a[2], c[0] * a[1] - c[1] * a[0]),
        (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]),
    )


@njit(cache=True, nogil=True)
def refine_hits(
    grid: np.ndarray,
    hits: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    face_idx: np.ndarray,
    bary: np.ndarray,
    depth: np.ndarray,
    mask: np.ndarray,
) -> None:
    """Turn face numbers into fragments by meeting every ray with the plane of its face once more, in float64.

    The result is clamped to the face: a single-precision caster may report the neighbor of the true face at an edge.
    """
    height, width = grid.shape[:2]
    for i in range(height):
        for j in range(width):
            face = hits[i * width + j]
            x, y = grid[i, j, 0], grid[i, j, 1]
            face_idx[i, j], depth[i, j], mask[i, j] = -1, 0.0, False
            bary[i, j, 0] = bary[i, j, 1] = bary[i, j, 2] = 0.0
            if face < 0 or face >= len(faces) or not np.isfinite(x):
                continue
            a, b, c = vertices[faces[face, 0]], vertices[faces[face, 1]], vertices[faces[face, 2]]
            na, nb, nc = _edge_normals(a, b, c)
            wa = na[0] * x + na[1] * y + na[2]
            wb = nb[0] * x + nb[1] * y + nb[2]
            wc = nc[0] * x + nc[1] * y + nc[2]
            sign = 1.0 if wa + wb + wc >= 0 else -1.0
            wa, wb, wc = max(sign * wa, 0.0), max(sign * wb, 0.0), max(sign * wc, 0.0)
            total = wa + wb + wc
            if total <= 0.0:
                continue
            face_idx[i, j], mask[i, j] = face, True
            bary[i, j, 0], bary[i, j, 1], bary[i, j, 2] = wa / total, wb / total, wc / total
            depth[i, j] = (wa * a[2] + wb * b[2] + wc * c[2]) / total


@njit(cache=True, nogil=True)
def interpolate_uv(face_idx: np.ndarray, bary: np.ndarray, corner_uvs: np.ndarray, uv: np.ndarray) -> None:
    """Write uv ``[H, W, 2]``; zero where there is no face."""
    height, width = face_idx.shape
    for i in range(height):
        for j in range(width):
            face = face_idx[i, j]
            for k in range(2):
                uv[i, j, k] = 0.0
                if face >= 0:
                    a, b, c = corner_uvs[face, 0, k], corner_uvs[face, 1, k], corner_uvs[face, 2, k]
                    uv[i, j, k] = bary[i, j, 0] * a + bary[i, j, 1] * b + bary[i, j, 2] * c


@njit(cache=True, nogil=True, inline="always")
def _slope(grid: np.ndarray, i: int, j: int, di: int, dj: int, k: int) -> float:
    """Derivative of normalized coordinate ``k`` along one pixel axis; one-sided at borders and lens folds."""
    height, width = grid.shape[:2]
    here = grid[i, j, k]
    after = grid[i + di, j + dj, k] if i + di < height and j + dj < width else np.nan
    before = grid[i - di, j - dj, k] if i - di >= 0 and j - dj >= 0 else np.nan
    if np.isfinite(after) and np.isfinite(before):
        return 0.5 * (after - before)
    if np.isfinite(after):
        return after - here
    return here - before if np.isfinite(before) else 0.0


@njit(cache=True, nogil=True)
def surface_confidence(
    begin: int,
    end: int,
    grid: np.ndarray,
    face_idx: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    corner_uvs: np.ndarray,
    cosine: np.ndarray,
    footprint: np.ndarray,
) -> None:
    """Write cosine and footprint [uv units] of rows ``begin`` to ``end``; both are zero where there is no face."""
    for i in range(begin, end):
        for j in range(face_idx.shape[1]):
            face = face_idx[i, j]
            cosine[i, j] = footprint[i, j] = 0.0
            if face < 0:
                continue
            x, y = grid[i, j, 0], grid[i, j, 1]
            na, nb, nc = _edge_normals(vertices[faces[face, 0]], vertices[faces[face, 1]], vertices[faces[face, 2]])
            nx, ny, nz = na[0] + nb[0] + nc[0], na[1] + nb[1] + nc[1], na[2] + nb[2] + nc[2]
            volume = nx * x + ny * y + nz
            length = np.sqrt((nx * nx + ny * ny + nz * nz) * (x * x + y * y + 1))
            if volume == 0.0 or length == 0.0:
                continue
            cosine[i, j] = abs(volume) / length
            lens = _slope(grid, i, j, 0, 1, 0) * _slope(grid, i, j, 1, 0, 1)
            lens -= _slope(grid, i, j, 1, 0, 0) * _slope(grid, i, j, 0, 1, 1)
            uv = corner_uvs[face]
            area = (uv[1, 0] - uv[0, 0]) * (uv[2, 1] - uv[0, 1]) - (uv[2, 0] - uv[0, 0]) * (uv[1, 1] - uv[0, 1])
            # d(uv)/d(x, y) of a homography: its determinant is det(H) / w^3
            a = vertices[faces[face, 0]]
            det = a[0] * na[0] + a[1] * na[1] + a[2] * na[2]
            footprint[i, j] = np.sqrt(abs(area * lens * det * det / (volume * volume * volume)))
