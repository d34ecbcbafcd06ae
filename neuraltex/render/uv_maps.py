"""Uv maps and per-pixel confidence of a view."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from neuraltex.core.errors import DataError
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.io.prepared import Confidence, UvMap
from neuraltex.render import kernels
from neuraltex.render.bent_rays import is_bent
from neuraltex.render.discontinuity import distance_to, find_discontinuities
from neuraltex.render.fragments import Rasterizer, vertices_in_camera
from neuraltex.render.parallel import for_row_blocks
from neuraltex.render.rays import normalized_grid


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
    corner_uvs = mesh.corner_uvs
    face_idx = rasterizer.visible_faces(camera)
    grid, vertices = normalized_grid(camera), vertices_in_camera(mesh, camera)
    uv = np.empty((*face_idx.shape, 2), np.float32)
    depth, cosine, footprint = (np.empty(face_idx.shape, np.float32) for _ in range(3))
    # The area of a pixel on the plane z = 1 is the same everywhere unless rays are bent.
    pixel_area = np.nan if is_bent(camera) else 1 / abs(camera.fx * camera.fy)
    inputs = (grid, vertices, mesh.faces, corner_uvs, pixel_area, float(texture_size))

    def fill(begin: int, end: int) -> None:
        kernels.measure_surface(begin, end, *inputs, face_idx, uv, depth, cosine, footprint)

    for_row_blocks(fill, len(face_idx))
    mask = face_idx >= 0
    distance = distance_to(find_discontinuities(face_idx, depth, mesh, camera))
    distance[~mask] = 0
    return ViewMaps(face_idx, depth, UvMap(uv, mask), Confidence(cosine, footprint, distance))


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
    grid, error = normalized_grid(camera), np.empty(depth.shape, np.float32)
    sensor_from_cam = sensor.cam_from_world @ camera.world_from_cam
    if is_bent(sensor):
        rays = np.concatenate([grid, np.ones((*depth.shape, 1))], -1)
        world = (depth[..., None] * rays).reshape(-1, 3) @ camera.cam_from_world[:3, :3] + camera.center
        pixels, expected = sensor.project(world)
        kernels.compare_depths(pixels, expected, depth.reshape(-1), measured, error.reshape(-1))
        return error

    def fill(begin: int, end: int) -> None:
        rows = slice(begin, end)
        kernels.compare_depth_rows(grid[rows], depth[rows], sensor_from_cam, sensor.K, measured, error[rows])

    for_row_blocks(fill, len(error))
    return error
