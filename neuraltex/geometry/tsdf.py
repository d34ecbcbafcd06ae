"""Truncated signed distance fusion of depth images to a mesh (Curless and Levoy 1996), by Open3D's voxel block grid."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Float

from neuraltex.core.errors import DataError, MissingDependency
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh

Depth = Float[np.ndarray, "H W"]

BLOCK_RESOLUTION = 16
BLOCK_COUNT = 20_000
"""Blocks reserved at first; the grid grows when it needs more."""

SYSTEM_PACKAGES = {"libusb": "libusb-1.0-0", "libGL": "libgl1", "libgomp": "libgomp1", "libX11": "libx11-6"}


def fuse(
    frames: Iterable[tuple[Depth, Camera]],
    *,
    voxel_size: float,
    max_depth: float,
    truncation: float = 5.0,
    min_observations: float = 2.0,
) -> Mesh:
    """Fuse depth images into one triangle mesh.

    Args:
        frames: z-depth [world], 0 where nothing was measured, and the pinhole camera that saw it.
        voxel_size: Edge of a voxel [world].
        max_depth: Depth beyond which measurements are ignored [world].
        truncation: Distance at which the signed distance is cut off [voxel].
        min_observations: Number of frames that must have seen a voxel.

    Raises:
        DataError: if a camera is no pinhole camera, or nothing was measured at all.
        MissingDependency: without Open3D or one of its system libraries.
    """
    open3d = import_open3d()
    core = open3d.core
    grid = open3d.t.geometry.VoxelBlockGrid(
        attr_names=("tsdf", "weight"),
        attr_dtypes=(core.float32, core.float32),
        attr_channels=((1,), (1,)),
        voxel_size=voxel_size,
        block_resolution=BLOCK_RESOLUTION,
        block_count=BLOCK_COUNT,
    )
    empty = True
    for depth, camera in frames:
        if ((depth > 0) & (depth < max_depth)).any():
            image = open3d.t.geometry.Image(core.Tensor(np.ascontiguousarray(depth[..., None], np.float32)))
            view = (core.Tensor(_intrinsics(camera)), core.Tensor(camera.cam_from_world), 1.0, max_depth, truncation)
            grid.integrate(grid.compute_unique_block_coordinates(image, *view), image, *view)
            empty = False
    if empty:
        raise DataError(
            f"no depth image has a value between 0 and {max_depth:g}", hint="Check depth scale and --max-depth"
        )
    return _to_mesh(grid.extract_triangle_mesh(weight_threshold=min_observations))


def keep_large_components(mesh: Mesh, *, min_share: float) -> Mesh:
    """Drop connected pieces with fewer faces than ``min_share`` of the largest one.

    Raises:
        MissingDependency: without Open3D.
    """
    legacy = _to_legacy(import_open3d(), mesh)
    labels, counts, _ = legacy.cluster_connected_triangles()
    counts = np.asarray(counts)
    return compact(mesh.select_faces(counts[np.asarray(labels)] >= min_share * counts.max()))


def decimate(mesh: Mesh, *, target_faces: int) -> Mesh:
    """Simplify to about ``target_faces`` by quadric error (Garland and Heckbert 1997); smaller meshes stay as they are.

    Raises:
        MissingDependency: without Open3D.
    """
    if mesh.num_faces <= target_faces:
        return mesh
    simplified = _to_legacy(import_open3d(), mesh).simplify_quadric_decimation(target_faces)
    return Mesh(np.asarray(simplified.vertices), np.asarray(simplified.triangles))


def compact(mesh: Mesh) -> Mesh:
    """Drop vertices that no face uses; texture coordinates are dropped too."""
    used, faces = np.unique(mesh.faces, return_inverse=True)
    return Mesh(mesh.vertices[used], faces.reshape(-1, 3))


def resample_to_pinhole(depth: Depth, camera: Camera) -> tuple[Depth, Camera]:
    """Return a depth image without lens distortion, by nearest neighbor; z-depth does not change with the pixel."""
    pinhole = Camera(
        camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy, camera.cam_from_world, camera.skew
    )
    if camera.lens == "pinhole":
        return depth, camera
    points = pinhole.directions().reshape(-1, 3) @ camera.world_from_cam[:3, :3].T + camera.center
    pixels = np.floor(np.nan_to_num(camera.project(points)[0], nan=-1)).astype(int)
    inside = ((pixels >= 0) & (pixels < (camera.width, camera.height))).all(1)
    x, y = np.where(inside[:, None], pixels, 0).T
    return np.where(inside, depth[y, x], 0).reshape(depth.shape), pinhole


def import_open3d() -> Any:
    """Import Open3D, which may be absent or lack a library of the system.

    Raises:
        MissingDependency: with the command that mends it.
    """
    try:
        import open3d
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"depth fusion needs Open3D ({error})",
            hint="Run: pip install open3d, or give a mesh with --mesh",
        ) from error
    except (ImportError, OSError) as error:
        known = (package for library, package in SYSTEM_PACKAGES.items() if library in str(error))
        package = next(known, None)
        hint = f"Run: apt-get install {package}" if package else "Install that system library"
        raise MissingDependency(
            f"Open3D is installed but a system library is missing ({error})", hint=f"{hint}, or give a mesh with --mesh"
        ) from error
    return open3d


def _intrinsics(camera: Camera) -> np.ndarray:
    """Return K as Open3D wants it.

    The voxel block grid truncates projected coordinates to find a pixel, so a pixel reaches from i to i + 1: that
    is our convention, not the integer centers of the rest of Open3D (shifting moved a fused sphere by half a pixel).
    """
    if camera.lens != "pinhole" or camera.skew:
        raise DataError(f"depth camera with lens {camera.lens!r}", hint="Resample depth to a pinhole camera first")
    return camera.K


def _to_mesh(mesh: Any) -> Mesh:
    if mesh.is_empty() or "indices" not in mesh.triangle or len(mesh.triangle.indices) == 0:
        raise DataError("fusion found no surface", hint="Use a larger voxel size or fewer required observations")
    return Mesh(mesh.vertex.positions.numpy(), mesh.triangle.indices.numpy())


def _to_legacy(open3d: Any, mesh: Mesh) -> Any:
    vertices, faces = open3d.utility.Vector3dVector(mesh.vertices), open3d.utility.Vector3iVector(mesh.faces)
    return open3d.geometry.TriangleMesh(vertices, faces)
