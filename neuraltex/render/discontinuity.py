"""Depth discontinuities of a view, and the distance of every pixel to them."""

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from numba import njit
from numpy.typing import DTypeLike

from neuraltex.core.compiled import kernel
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.render.fragments import vertices_in_camera
from neuraltex.render.kernels import corners_of
from neuraltex.render.parallel import for_row_blocks
from neuraltex.render.rays import ray_planes

JUMP = 4.0
"""A step in depth counts as a discontinuity from this many pixel widths (at that depth) on."""

MAX_DISTANCE = 255


def find_discontinuities(
    face_idx: Int[np.ndarray, "H W"], depth: Float[np.ndarray, "H W"], mesh: Mesh, camera: Camera
) -> Bool[np.ndarray, "H W"]:
    """Mark the pixels on both sides of every occlusion edge and silhouette.

    Two neighbors are on one surface if the plane of *either* predicts the depth of the other within :data:`JUMP` pixel
    widths; so neither slanted surfaces nor creases count. The border of the image does not count.

    Args:
        face_idx: Face behind every pixel, -1 for none.
        depth: Its z-depth [world].
        mesh: The surface.
        camera: The view.
    """
    edges = np.zeros(face_idx.shape, np.bool_)
    x, y = ray_planes(camera)
    planes = np.empty((mesh.num_faces, 4))
    _face_planes(vertices_in_camera(mesh, camera), mesh.faces, planes)
    tolerance = JUMP / np.sqrt(abs(camera.fx * camera.fy))

    def mark(begin: int, end: int) -> None:
        _mark_rows(begin, end, x, y, face_idx, depth, planes, tolerance, edges)

    for_row_blocks(mark, len(edges))
    return edges


def distance_to(edges: Bool[np.ndarray, "H W"], dtype: DTypeLike = np.float32) -> Num[np.ndarray, "H W"]:
    """Return the Euclidean distance of every pixel to the nearest marked one [px], capped at :data:`MAX_DISTANCE`.

    Exact, in two passes (Felzenszwalb and Huttenlocher, "Distance transforms of sampled functions", 2012).

    Args:
        edges: Marked pixels.
        dtype: Of the result; integers are rounded down.
    """
    height, width = edges.shape
    column = np.empty((height, width), np.uint8)
    distance = np.empty((height, width), dtype)
    for_row_blocks(lambda begin, end: _column_distances(edges[:, begin:end], column[:, begin:end]), width)
    for_row_blocks(lambda begin, end: _row_envelopes(column[begin:end], distance[begin:end]), height)
    return distance


@kernel
def _face_planes(vertices: np.ndarray, faces: np.ndarray, planes: np.ndarray) -> None:
    """Write the normal and the distance to the origin, both times twice the area, of every face ``[F, 4]``."""
    for face in range(len(faces)):
        a, b, c = corners_of(vertices, faces, face)
        ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        vx, vy, vz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        planes[face, 0], planes[face, 1], planes[face, 2] = nx, ny, nz
        planes[face, 3] = nx * a[0] + ny * a[1] + nz * a[2]


@njit(cache=True, nogil=True, inline="always")
def _predict(planes: np.ndarray, face: int, x: float, y: float) -> float:
    """Depth at which the ray (x, y, 1) meets the plane of a face; infinite if it does not."""
    slope = planes[face, 0] * x + planes[face, 1] * y + planes[face, 2]
    return planes[face, 3] / slope if slope != 0.0 else np.inf


@kernel
def _mark_rows(
    begin: int,
    end: int,
    x_of: np.ndarray,
    y_of: np.ndarray,
    face_idx: np.ndarray,
    depth: np.ndarray,
    planes: np.ndarray,
    tolerance: float,
    edges: np.ndarray,
) -> None:
    """Mark rows ``begin`` to ``end``; pairs with the row above ``begin`` are looked at by both blocks of rows."""
    height, width = face_idx.shape
    for i in range(max(begin - 1, 0), end):
        for j in range(width):
            face = face_idx[i, j]
            for di, dj in ((0, 1), (1, 0)):
                k, m = i + di, j + dj
                if k >= height or m >= width or face_idx[k, m] == face:
                    continue
                other = face_idx[k, m]
                if face >= 0 and other >= 0:
                    allowed = tolerance * max(depth[i, j], depth[k, m])
                    if abs(_predict(planes, face, x_of[k, m], y_of[k, m]) - depth[k, m]) <= allowed:
                        continue
                    if abs(_predict(planes, other, x_of[i, j], y_of[i, j]) - depth[i, j]) <= allowed:
                        continue
                if face >= 0 and i >= begin:
                    edges[i, j] = True
                if other >= 0 and k < end and k >= begin:
                    edges[k, m] = True


@kernel
def _column_distances(edges: np.ndarray, out: np.ndarray) -> None:
    height, width = edges.shape
    for j in range(width):
        out[0, j] = 0 if edges[0, j] else MAX_DISTANCE
    for i in range(1, height):
        for j in range(width):
            out[i, j] = 0 if edges[i, j] else min(out[i - 1, j] + 1, MAX_DISTANCE)
    for i in range(height - 2, -1, -1):
        for j in range(width):
            out[i, j] = min(out[i, j], out[i + 1, j] + 1)


@njit(cache=True, nogil=True)
def _row_envelopes(column: np.ndarray, out: np.ndarray) -> None:
    """Lower envelope of the parabolas ``column[q]^2 + (x - q)^2`` of every row."""
    height, width = column.shape
    apex, start = np.empty(width, np.int64), np.empty(width + 1, np.float64)
    for i in range(height):
        count = 0
        for q in range(width):
            if column[i, q] == MAX_DISTANCE:
                continue  # its parabola is nowhere below the cap
            value = float(column[i, q]) ** 2 + q * q
            crossing = -np.inf
            while count > 0:
                p = apex[count - 1]
                crossing = (value - (float(column[i, p]) ** 2 + p * p)) / (2.0 * (q - p))
                if crossing > start[count - 1]:
                    break
                count -= 1
                crossing = -np.inf
            apex[count], start[count] = q, crossing
            count += 1
        if count == 0:
            out[i] = MAX_DISTANCE
            continue
        start[count] = np.inf
        current = 0
        for q in range(width):
            while start[current + 1] < q:
                current += 1
            p = apex[current]
            out[i, q] = min(np.sqrt(float(column[i, p]) ** 2 + (q - p) * (q - p)), float(MAX_DISTANCE))
