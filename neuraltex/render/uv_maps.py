"""Uv maps and per-pixel confidence of a view."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from neuraltex.core.errors import DataError
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.io.packed import PackedPixels
from neuraltex.io.prepared import Confidence, UvMap, encode_cosine, encode_footprint
from neuraltex.render import depth_kernels, kernels
from neuraltex.render.bent_rays import is_bent
from neuraltex.render.discontinuity import distance_to, find_discontinuities
from neuraltex.render.fragments import Rasterizer, vertices_in_camera
from neuraltex.render.parallel import for_row_blocks
from neuraltex.render.rays import ray_planes

BLOCK_PIXELS = 1 << 16
"""Pixels that are packed at a time; what is computed of them stays in the cache."""


@dataclass(frozen=True, eq=False)
class ViewMaps:
    """All that the geometry says about the pixels of a view.

    Args:
        face_idx: Face behind each pixel, int32, -1 for none.
        depth: Z-depth [world], float32, 0 for none.
        uv_map: Texture coordinates.
        confidence: How far each pixel can be trusted.
    """

    face_idx: Int[np.ndarray, "H W"]
    depth: Float[np.ndarray, "H W"]
    uv_map: UvMap
    confidence: Confidence


def render_maps(rasterizer: Rasterizer, mesh: Mesh, camera: Camera, texture_size: int) -> ViewMaps:
    """Render the uv map of a view and how far each pixel can be trusted; needs no torch.

    The compiled twin of :mod:`neuraltex.render.interpolate`.

    Args:
        rasterizer: Made for ``mesh``.
        mesh: Surface with uvs.
        camera: The view.
        texture_size: Side of the texture [texel], in which footprints are given.

    Raises:
        DataError: if the mesh has no uvs.
    """
    surface = _surface(mesh, camera, texture_size)
    face_idx = rasterizer.visible_faces(camera)
    rays, pixel_area = ray_planes(camera), _pixel_area(camera)
    uv = np.empty((*face_idx.shape, 2), np.float32)
    depth, cosine, footprint = (np.empty(face_idx.shape, np.float32) for _ in range(3))

    def fill(begin: int, end: int) -> None:
        kernels.measure_surface(begin, end, *rays, surface, pixel_area, face_idx, uv, depth, cosine, footprint)

    for_row_blocks(fill, len(face_idx))
    mask = face_idx >= 0
    distance = distance_to(find_discontinuities(face_idx, depth, mesh, camera))
    distance[~mask] = 0
    return ViewMaps(face_idx, depth, UvMap(uv, mask), Confidence(cosine, footprint, distance))


@dataclass(frozen=True, eq=False)
class PackedMaps:
    """What ``prepare`` keeps of a view, as it is stored.

    Args:
        pixels: Uv map and confidence, without a depth error.
        depth: Z-depth [world], float32, 0 for none.
        seen: Pixels with a confidence.
        hits: Number of pixels that see each face, int64.
    """

    pixels: PackedPixels
    depth: Float[np.ndarray, "H W"]
    seen: Bool[np.ndarray, "H W"]
    hits: Int[np.ndarray, " F"]


def render_packed(rasterizer: Rasterizer, mesh: Mesh, camera: Camera, texture_size: int) -> PackedMaps:
    """Render what :func:`render_maps` does, but pixel by pixel as it is stored: a third of the memory, on one thread.

    Views are best rendered several at a time, and memory touched for the first time costs more than the arithmetic.
    Takes and raises what :func:`render_maps` does.
    """
    surface = _surface(mesh, camera, texture_size)
    face_idx = rasterizer.visible_faces(camera)
    hits = np.zeros(mesh.num_faces, np.int64)
    kernels.count_faces(face_idx, hits)
    total, (height, width) = int(hits.sum()), face_idx.shape
    depth, seen = np.empty(face_idx.shape, np.float32), np.empty(face_idx.shape, np.bool_)
    uv = np.empty((total, 2), np.float32)
    cosine, footprint = np.empty(total, np.uint8), np.empty(total, np.float16)
    step = max(1, BLOCK_PIXELS // width)
    exact = np.empty((2, step * width), np.float32)
    inputs = (*ray_planes(camera), surface, _pixel_area(camera), face_idx, depth, seen)
    first, begin = 0, 0
    for row in range(0, height, step):
        with_uv, count = kernels.pack_surface(row, min(row + step, height), *inputs, uv[first:], *exact)
        cosine[begin : begin + count] = encode_cosine(exact[0, :count])
        footprint[begin : begin + count] = encode_footprint(exact[1, :count])
        first, begin = first + with_uv, begin + count
    distance = distance_to(find_discontinuities(face_idx, depth, mesh, camera), np.uint8)[seen]
    bits = np.packbits(face_idx >= 0), np.packbits(seen)
    pixels = PackedPixels((height, width), bits[0], uv, bits[1], cosine[:begin], footprint[:begin], distance, None)
    return PackedMaps(pixels, depth, seen, hits)


def _surface(
    mesh: Mesh, camera: Camera, texture_size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Return the mesh as the kernels take it, its vertices in camera axes."""
    if mesh.uvs is None or mesh.uv_faces is None:
        raise DataError("the mesh has no texture coordinates", hint="Unwrap it first: neuraltex prepare does")
    return vertices_in_camera(mesh, camera), mesh.faces, mesh.uvs, mesh.uv_faces, float(texture_size)


def _pixel_area(camera: Camera) -> float:
    """Area of a pixel on the plane z = 1, which is the same everywhere unless rays are bent; NaN then."""
    return float("nan") if is_bent(camera) else 1 / abs(camera.fx * camera.fy)


def depth_error(
    depth: Float[np.ndarray, "H W"], camera: Camera, measured: Float[np.ndarray, "h w"], sensor: Camera
) -> Float[np.ndarray, "H W"]:
    """Compare the depth of the surface with what a depth sensor beside the camera measured.

    Args:
        depth: Z-depth of the surface in ``camera`` [world], 0 for none.
        camera: The view.
        measured: Z-depth in ``sensor`` [world], 0 where nothing was measured.
        sensor: Camera of the depth image, of its size.

    Returns:
        Absolute difference as a share of the depth of the surface seen from the sensor, float32; NaN where the sensor
        measured nothing or did not look.

    Raises:
        DataError: if ``measured`` does not have the size of ``sensor``.
    """
    if measured.shape != (sensor.height, sensor.width):
        raise DataError(
            f"a depth image is {measured.shape[1]}x{measured.shape[0]}, its camera {sensor.width}x{sensor.height}",
            hint="Restore the depth images of the capture",
        )
    (x, y), error = ray_planes(camera), np.empty(depth.shape, np.float32)
    sensor_from_cam = sensor.cam_from_world @ camera.world_from_cam
    if is_bent(sensor):
        rays = np.stack([x, y, np.ones(depth.shape)], -1)
        world = (depth[..., None] * rays).reshape(-1, 3) @ camera.cam_from_world[:3, :3] + camera.center
        pixels, expected = sensor.project(world)
        depth_kernels.compare_depths(pixels, expected, depth.reshape(-1), measured, error.reshape(-1))
        return error

    def fill(begin: int, end: int) -> None:
        rows = slice(begin, end)
        depth_kernels.compare_depth_rows(
            x[rows], y[rows], depth[rows], sensor_from_cam, sensor.K, measured, error[rows]
        )

    for_row_blocks(fill, len(error))
    return error
