"""A mesh from the depth images of a scene, for RGB-D captures that come without one."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from neuraltex.core.errors import DataError
from neuraltex.core.runtime import logger, progress
from neuraltex.geometry import tsdf
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.geometry.scene import Scene, View

INVALID_DEPTH = 65535
"""Value of a 16 bit depth image that 7-Scenes gives to pixels without a measurement (others use 0)."""


@dataclass(frozen=True)
class FusionOptions:
    """How depth images become a mesh."""

    voxel_size: float = 0.01
    """Edge of a voxel [world]; details smaller than two voxels are lost."""
    max_depth: float = 4.0
    """Measurements farther away are ignored [world]; depth sensors lose accuracy with the square of distance."""
    min_observations: float = 1.0
    """Number of frames that must have seen a piece of surface; more frames allow a higher value and less noise."""
    max_slope: float = 0.04
    """Relative depth step between neighbors above which a pixel is a silhouette and ignored; 0 keeps all."""
    min_component: float = 0.01
    """Pieces with fewer faces than this share of the largest one are dropped."""
    target_faces: int = 300_000
    """Number of faces after decimation; 0 keeps all."""


def fuse_scene(scene: Scene, options: FusionOptions | None = None) -> Mesh:
    """Fuse the depth images of a scene into a mesh without texture coordinates.

    Raises:
        DataError: if no view has depth or nothing is found.
        MissingDependency: without Open3D or one of its system libraries.
    """
    options = options or FusionOptions()
    views = [view for view in scene.views if view.depth is not None]
    if not views:
        raise DataError(f"no view of {scene.name} has a depth image", hint="Give a mesh with --mesh")
    tsdf.import_open3d()  # fail before reading anything
    mesh = tsdf.fuse(
        _frames(views, options),
        voxel_size=options.voxel_size,
        max_depth=options.max_depth,
        min_observations=options.min_observations,
    )
    logger.info("fused %d depth images to %d faces", len(views), mesh.num_faces)
    mesh = tsdf.keep_large_components(mesh, min_share=options.min_component)
    return tsdf.decimate(mesh, target_faces=options.target_faces) if options.target_faces else mesh


def read_depth(path: Path, scale: float) -> Float[np.ndarray, "H W"]:
    """Read a 16 bit depth image as float32 z-depth [world]; 0 where nothing was measured.

    Args:
        path: Image of one channel.
        scale: Units of the image per [world].

    Raises:
        DataError: if the file is unreadable or has several channels.
    """
    from PIL import Image  # noqa: PLC0415

    try:
        with Image.open(path) as file:
            values = np.asarray(file, np.float32)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a depth image ({error})", hint="Restore the file") from error
    if values.ndim != 2:
        raise DataError(f"{path} has {values.shape[2]} channels", hint="Depth images have one channel of 16 bit")
    return np.where(values == INVALID_DEPTH, 0, values / np.float32(scale))


def drop_silhouettes(depth: Float[np.ndarray, "H W"], max_slope: float) -> Float[np.ndarray, "H W"]:
    """Set pixels to 0 whose depth steps by more than ``max_slope`` of itself: sensors mix two surfaces there."""
    step = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        a, b = (np.moveaxis(depth, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
        jump = (a > 0) & (b > 0) & (np.abs(a - b) > max_slope * np.minimum(a, b))
        flat = np.moveaxis(step, axis, 0)
        flat[:-1] |= jump
        flat[1:] |= jump
    return np.where(step, 0, depth)


def _frames(views: list[View], options: FusionOptions) -> Iterator[tuple[np.ndarray, Camera]]:
    for view in progress(views, label="fusing depth", unit="image"):
        assert view.depth is not None
        depth, camera = read_depth(view.depth, view.depth_scale), view.depth_camera or view.camera
        if depth.shape != (camera.height, camera.width):
            camera = camera.scaled(depth.shape[1], depth.shape[0])
        depth = drop_silhouettes(depth, options.max_slope) if options.max_slope > 0 else depth
        yield tsdf.resample_to_pinhole(depth, camera)
