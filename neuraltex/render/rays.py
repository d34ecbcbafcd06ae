"""Rays through pixel centers, computed once per set of intrinsics."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float

from neuraltex.geometry.camera import Camera


def normalized_grid(camera: Camera) -> Float[np.ndarray, "H W 2"]:
    """Return the ideal (undistorted) normalized coordinates of all pixel centers, read-only.

    The ray of a pixel is ``(x, y, 1)`` in camera axes, so its parameter is the z-depth. Pixels that no ray reaches
    (beyond the fold of a lens model) are NaN. The last two sets of intrinsics are kept, because inverting a lens costs
    more than casting the rays and most scenes have one camera.
    """
    if camera.warp is not None:
        grid = camera.directions()[..., :2]
        grid.setflags(write=False)
        return grid
    return _grid(
        *(camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy),
        *(camera.skew, camera.lens, camera.distortion),
    )


def ray_planes(camera: Camera) -> tuple[Float[np.ndarray, "H W"], Float[np.ndarray, "H W"]]:
    """Return x and y of :func:`normalized_grid`, read-only; without a lens nearly no memory stands behind them."""
    if camera.warp is None and camera.lens == "pinhole" and camera.skew == 0:
        shape, middle = (camera.height, camera.width), np.float64(0.5)
        columns, rows = np.arange(camera.width) + middle, np.arange(camera.height) + middle
        x = camera.directions(np.stack([columns, np.full_like(columns, middle)], -1))[:, 0]
        y = camera.directions(np.stack([np.full_like(rows, middle), rows], -1))[:, 1]
        return np.broadcast_to(x, shape), np.broadcast_to(y[:, None], shape)
    grid = normalized_grid(camera)
    return grid[..., 0], grid[..., 1]


@lru_cache(maxsize=2)
def _grid(
    width: int, height: int, fx: float, fy: float, cx: float, cy: float, skew: float, lens: str, distortion: tuple
) -> np.ndarray:
    camera = Camera(width, height, fx, fy, cx, cy, np.eye(4), skew, lens, distortion)
    grid = np.empty((height, width, 2))
    for begin in range(0, height, 256):  # bounds the temporaries of the lens inversion
        x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(begin, min(begin + 256, height)) + 0.5)
        grid[begin : begin + 256] = camera.directions(np.stack([x, y], -1))[..., :2]
    grid.setflags(write=False)
    return grid
