"""Compiled loops over pixels (numba, without the GIL).

Geometry is given in camera axes relative to the camera center, so a pixel with normalized coordinates (x, y) sees the
points ``t * (x, y, 1)``. With corners A, B, C the three volumes ``(x, y, 1) . (B x C)``, ``. (C x A)``, ``. (A x B)``
are proportional to the perspective-correct barycentric coordinates (homogeneous edge functions; Olano and Greer,
"Triangle scan conversion using 2D homogeneous coordinates", 1997), and their gradients are the edge normals.
Each loop has a readable twin in torch that the tests compare it with.
"""

import numpy as np
from numba import njit

from neuraltex.core.compiled import kernel

# ruff: noqa: PLR0913, PLR0917 - compiled loops take plain arrays


@kernel
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


@njit(cache=True, nogil=True)
def rotate_about(points: np.ndarray, center: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Return ``rotation @ (point - center)``; a matrix product of three columns is no work for a threaded BLAS."""
    out = np.empty_like(points)
    for index in range(len(points)):
        x, y, z = points[index, 0] - center[0], points[index, 1] - center[1], points[index, 2] - center[2]
        for k in range(3):
            out[index, k] = rotation[k, 0] * x + rotation[k, 1] * y + rotation[k, 2] * z
    return out


@njit(cache=True, nogil=True, inline="always")
def corners_of(vertices: np.ndarray, faces: np.ndarray, face: int) -> tuple:
    """Three corners as numbers: a row of an array is an object whose references threads would count in turns."""
    i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
    return (
        (vertices[i, 0], vertices[i, 1], vertices[i, 2]),
        (vertices[j, 0], vertices[j, 1], vertices[j, 2]),
        (vertices[k, 0], vertices[k, 1], vertices[k, 2]),
    )


@njit(cache=True, nogil=True, inline="always")
def edge_normals(a: tuple, b: tuple, c: tuple) -> tuple:
    """Cross products B x C, C x A, A x B."""
    return (
        (b[1] * c[2] - b[2] * c[1], b[2] * c[0] - b[0] * c[2], b[0] * c[1] - b[1] * c[0]),
        (c[1] * a[2] - c[2] * a[1], c[2] * a[0] - c[0] * a[2], c[0] * a[1] - c[1] * a[0]),
        (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]),
    )


@kernel
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
            face = hits[i, j]
            x, y = grid[i, j, 0], grid[i, j, 1]
            face_idx[i, j], depth[i, j], mask[i, j] = -1, 0.0, False
            bary[i, j, 0] = bary[i, j, 1] = bary[i, j, 2] = 0.0
            if face < 0 or face >= len(faces) or not np.isfinite(x):
                continue
            a, b, c = corners_of(vertices, faces, face)
            na, nb, nc = edge_normals(a, b, c)
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


@kernel
def face_depth(
    grid: np.ndarray, face_idx: np.ndarray, vertices: np.ndarray, faces: np.ndarray, depth: np.ndarray
) -> None:
    """Write the z-depth at which each ray meets its face, zero where there is none."""
    for i in range(face_idx.shape[0]):
        for j in range(face_idx.shape[1]):
            face = face_idx[i, j]
            depth[i, j] = 0.0
            if face < 0:
                continue
            a, b, c = corners_of(vertices, faces, face)
            na, nb, nc = edge_normals(a, b, c)
            x, y = grid[i, j, 0], grid[i, j, 1]
            wa = na[0] * x + na[1] * y + na[2]
            wb = nb[0] * x + nb[1] * y + nb[2]
            wc = nc[0] * x + nc[1] * y + nc[2]
            sign = 1.0 if wa + wb + wc >= 0 else -1.0
            total = max(sign * wa, 0.0) + max(sign * wb, 0.0) + max(sign * wc, 0.0)  # clamped to the face
            if total > 0.0:
                depth[i, j] = abs(a[0] * na[0] + a[1] * na[1] + a[2] * na[2]) / total


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


@kernel
def count_faces(face_idx: np.ndarray, mask: np.ndarray, count: np.ndarray) -> None:
    """Add the number of marked pixels that see each face."""
    for i in range(face_idx.shape[0]):
        for j in range(face_idx.shape[1]):
            if mask[i, j]:
                count[face_idx[i, j]] += 1


@kernel
def measure_surface(
    begin: int,
    end: int,
    grid: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    corner_uvs: np.ndarray,
    pixel_area: float,
    texture_size: float,
    face_idx: np.ndarray,
    uv: np.ndarray,
    depth: np.ndarray,
    cosine: np.ndarray,
    footprint: np.ndarray,
) -> None:
    """Write uv, depth [world], cosine and footprint [texel] of rows ``begin`` to ``end``; zero where there is no face.

    ``pixel_area`` is the area of a pixel on the plane z = 1; NaN if it must be measured in ``grid``.
    """
    last, scale = -1, 0.0
    for i in range(begin, end):
        for j in range(face_idx.shape[1]):
            face = face_idx[i, j]
            uv[i, j, 0] = uv[i, j, 1] = depth[i, j] = cosine[i, j] = footprint[i, j] = 0.0
            if face < 0:
                continue
            if face != last:
                last, corners = face, corner_uvs[face]
                a, b, c = corners_of(vertices, faces, face)
                na, nb, nc = edge_normals(a, b, c)
                nx, ny, nz = na[0] + nb[0] + nc[0], na[1] + nb[1] + nc[1], na[2] + nb[2] + nc[2]
                volume = a[0] * na[0] + a[1] * na[1] + a[2] * na[2]
                norm = nx * nx + ny * ny + nz * nz
                area = (corners[1, 0] - corners[0, 0]) * (corners[2, 1] - corners[0, 1])
                area -= (corners[2, 0] - corners[0, 0]) * (corners[1, 1] - corners[0, 1])
                # d(uv)/d(x, y) of a homography: its determinant is det(H) / w^3
                scale = abs(area) * volume * volume * texture_size * texture_size
            x, y = grid[i, j, 0], grid[i, j, 1]
            total = nx * x + ny * y + nz
            if total == 0.0 or norm == 0.0:
                continue
            sign = 1.0 if total > 0 else -1.0
            wa = max(sign * (na[0] * x + na[1] * y + na[2]), 0.0)  # clamped, as the caster may name the neighbor
            wb = max(sign * (nb[0] * x + nb[1] * y + nb[2]), 0.0)
            wc = max(sign * (nc[0] * x + nc[1] * y + nc[2]), 0.0)
            weight = 1.0 / (wa + wb + wc)
            uv[i, j, 0] = (wa * corners[0, 0] + wb * corners[1, 0] + wc * corners[2, 0]) * weight
            uv[i, j, 1] = (wa * corners[0, 1] + wb * corners[1, 1] + wc * corners[2, 1]) * weight
            depth[i, j] = abs(volume) * weight
            total = abs(total)
            cosine[i, j] = total / np.sqrt(norm * (x * x + y * y + 1.0))
            lens = pixel_area
            if np.isnan(lens):
                lens = _slope(grid, i, j, 0, 1, 0) * _slope(grid, i, j, 1, 0, 1)
                lens = abs(lens - _slope(grid, i, j, 1, 0, 0) * _slope(grid, i, j, 0, 1, 1))
            footprint[i, j] = np.sqrt(scale * lens / (total * total * total))


@njit(cache=True, nogil=True, inline="always")
def _depth_error(x: float, y: float, expected: float, measured: np.ndarray) -> float:
    """Relative difference at pixel (x, y) of the sensor; NaN if it saw nothing there."""
    if not (expected > 0.0 and 0.0 <= x < measured.shape[1] and 0.0 <= y < measured.shape[0]):
        return np.nan
    found = measured[int(y), int(x)]
    return abs(found - expected) / expected if found > 0.0 else np.nan


@kernel
def compare_depth_rows(
    grid: np.ndarray, depth: np.ndarray, pose: np.ndarray, k: np.ndarray, measured: np.ndarray, error: np.ndarray
) -> None:
    """Write the relative depth error of every pixel; ``pose`` leads from the view to a sensor with intrinsics ``k``."""
    for i in range(depth.shape[0]):
        for j in range(depth.shape[1]):
            error[i, j] = np.nan
            if depth[i, j] > 0.0:
                a, b, c = depth[i, j] * grid[i, j, 0], depth[i, j] * grid[i, j, 1], depth[i, j]
                x = pose[0, 0] * a + pose[0, 1] * b + pose[0, 2] * c + pose[0, 3]
                y = pose[1, 0] * a + pose[1, 1] * b + pose[1, 2] * c + pose[1, 3]
                z = pose[2, 0] * a + pose[2, 1] * b + pose[2, 2] * c + pose[2, 3]
                if z > 0.0:
                    column = (k[0, 0] * x + k[0, 1] * y) / z + k[0, 2]
                    error[i, j] = _depth_error(column, k[1, 1] * y / z + k[1, 2], z, measured)


@kernel
def compare_depths(
    pixels: np.ndarray, expected: np.ndarray, depth: np.ndarray, measured: np.ndarray, error: np.ndarray
) -> None:
    """Write the relative depth error of points at known pixels of a sensor; NaN where ``depth`` is 0."""
    for index in range(len(depth)):
        found = depth[index] > 0.0
        x, y = pixels[index, 0], pixels[index, 1]
        error[index] = _depth_error(x, y, expected[index], measured) if found else np.nan
