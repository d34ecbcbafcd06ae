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
    x_of: np.ndarray,
    y_of: np.ndarray,
    face_idx: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    depth: np.ndarray,
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
            x, y = x_of[i, j], y_of[i, j]
            wa = na[0] * x + na[1] * y + na[2]
            wb = nb[0] * x + nb[1] * y + nb[2]
            wc = nc[0] * x + nc[1] * y + nc[2]
            sign = 1.0 if wa + wb + wc >= 0 else -1.0
            total = max(sign * wa, 0.0) + max(sign * wb, 0.0) + max(sign * wc, 0.0)  # clamped to the face
            if total > 0.0:
                depth[i, j] = abs(a[0] * na[0] + a[1] * na[1] + a[2] * na[2]) / total


@njit(cache=True, nogil=True, inline="always")
def _slope(plane: np.ndarray, i: int, j: int, di: int, dj: int) -> float:
    """Derivative of a normalized coordinate along one pixel axis; one-sided at borders and lens folds."""
    height, width = plane.shape
    here = plane[i, j]
    after = plane[i + di, j + dj] if i + di < height and j + dj < width else np.nan
    before = plane[i - di, j - dj] if i - di >= 0 and j - dj >= 0 else np.nan
    if np.isfinite(after) and np.isfinite(before):
        return 0.5 * (after - before)
    if np.isfinite(after):
        return after - here
    return here - before if np.isfinite(before) else 0.0


@njit(cache=True, nogil=True, inline="always")
def _pixel_area(x_of: np.ndarray, y_of: np.ndarray, i: int, j: int) -> float:
    """Area of a pixel on the plane z = 1."""
    area = _slope(x_of, i, j, 0, 1) * _slope(y_of, i, j, 1, 0)
    return abs(area - _slope(x_of, i, j, 1, 0) * _slope(y_of, i, j, 0, 1))


@kernel
def count_faces(face_idx: np.ndarray, count: np.ndarray) -> None:
    """Add the number of pixels that see each face."""
    for i in range(face_idx.shape[0]):
        for j in range(face_idx.shape[1]):
            if face_idx[i, j] >= 0:
                count[face_idx[i, j]] += 1


@njit(cache=True, nogil=True, inline="always")
def _face_terms(
    vertices: np.ndarray, faces: np.ndarray, uvs: np.ndarray, uv_faces: np.ndarray, texture_size: float, face: int
) -> tuple:
    """What :func:`_surface_at` needs to know of a face: edge normals, normal, uvs of its corners, scale of its uvs."""
    a, b, c = corners_of(vertices, faces, face)
    na, nb, nc = edge_normals(a, b, c)
    normal = (na[0] + nb[0] + nc[0], na[1] + nb[1] + nc[1], na[2] + nb[2] + nc[2])
    volume = a[0] * na[0] + a[1] * na[1] + a[2] * na[2]
    norm = normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2]
    i, j, k = uv_faces[face, 0], uv_faces[face, 1], uv_faces[face, 2]
    u, v = (uvs[i, 0], uvs[j, 0], uvs[k, 0]), (uvs[i, 1], uvs[j, 1], uvs[k, 1])
    area = (u[1] - u[0]) * (v[2] - v[0])
    area -= (u[2] - u[0]) * (v[1] - v[0])
    # d(uv)/d(x, y) of a homography: its determinant is det(H) / w^3
    scale = abs(area) * volume * volume * texture_size * texture_size
    return na, nb, nc, normal, norm, volume, scale, u, v


@njit(cache=True, nogil=True, inline="always")
def _surface_at(terms: tuple, x: float, y: float, lens: float) -> tuple:
    """u, v, depth, cosine and footprint where a ray meets the plane of a face; zeros where it does not.

    ``lens`` is the area of the pixel on the plane z = 1.
    """
    na, nb, nc, normal, norm, volume, scale, u, v = terms
    total = normal[0] * x + normal[1] * y + normal[2]
    if total == 0.0 or norm == 0.0:
        return 0.0, 0.0, 0.0, 0.0, 0.0
    sign = 1.0 if total > 0 else -1.0
    wa = max(sign * (na[0] * x + na[1] * y + na[2]), 0.0)  # clamped, as the caster may name the neighbor
    wb = max(sign * (nb[0] * x + nb[1] * y + nb[2]), 0.0)
    wc = max(sign * (nc[0] * x + nc[1] * y + nc[2]), 0.0)
    weight = 1.0 / (wa + wb + wc)
    total = abs(total)
    return (
        (wa * u[0] + wb * u[1] + wc * u[2]) * weight,
        (wa * v[0] + wb * v[1] + wc * v[2]) * weight,
        abs(volume) * weight,
        total / np.sqrt(norm * (x * x + y * y + 1.0)),
        np.sqrt(scale * lens / (total * total * total)),
    )


@kernel
def measure_surface(
    begin: int,
    end: int,
    x_of: np.ndarray,
    y_of: np.ndarray,
    surface: tuple,
    pixel_area: float,
    face_idx: np.ndarray,
    uv: np.ndarray,
    depth: np.ndarray,
    cosine: np.ndarray,
    footprint: np.ndarray,
) -> None:
    """Write uv, depth [world], cosine and footprint [texel] of rows ``begin`` to ``end``; zero where there is no face.

    ``surface`` is what :func:`_face_terms` takes before the face. ``pixel_area`` is the area of a pixel on the plane
    z = 1; NaN if it must be measured.
    """
    vertices, faces, uvs, uv_faces, texture_size = surface
    last = -1
    for i in range(begin, end):
        for j in range(face_idx.shape[1]):
            face = face_idx[i, j]
            uv[i, j, 0] = uv[i, j, 1] = depth[i, j] = cosine[i, j] = footprint[i, j] = 0.0
            if face < 0:
                continue
            if face != last:
                last, terms = face, _face_terms(vertices, faces, uvs, uv_faces, texture_size, face)
            lens = _pixel_area(x_of, y_of, i, j) if np.isnan(pixel_area) else pixel_area
            found = _surface_at(terms, x_of[i, j], y_of[i, j], lens)
            uv[i, j, 0], uv[i, j, 1] = found[0], found[1]
            depth[i, j], cosine[i, j], footprint[i, j] = found[2], found[3], found[4]


@kernel
def pack_surface(
    begin: int,
    end: int,
    x_of: np.ndarray,
    y_of: np.ndarray,
    surface: tuple,
    pixel_area: float,
    face_idx: np.ndarray,
    depth: np.ndarray,
    seen: np.ndarray,
    uv: np.ndarray,
    cosine: np.ndarray,
    footprint: np.ndarray,
) -> tuple[int, int]:
    """As :func:`measure_surface`, but write only pixels with a face, one after the other, except for depth.

    Cosine and footprint are written where there is a footprint, which ``seen [H, W]`` marks.

    Returns:
        How many pixels have a face, and how many a footprint.
    """
    vertices, faces, uvs, uv_faces, texture_size = surface
    last, with_face, with_footprint = -1, 0, 0
    for i in range(begin, end):
        for j in range(face_idx.shape[1]):
            face = face_idx[i, j]
            depth[i, j], seen[i, j] = 0.0, False
            if face < 0:
                continue
            if face != last:
                last, terms = face, _face_terms(vertices, faces, uvs, uv_faces, texture_size, face)
            lens = _pixel_area(x_of, y_of, i, j) if np.isnan(pixel_area) else pixel_area
            found = _surface_at(terms, x_of[i, j], y_of[i, j], lens)
            uv[with_face, 0], uv[with_face, 1] = found[0], found[1]
            depth[i, j] = found[2]
            with_face += 1
            if np.float32(found[4]) > 0.0:
                cosine[with_footprint], footprint[with_footprint] = found[3], found[4]
                seen[i, j] = True
                with_footprint += 1
    return with_face, with_footprint
