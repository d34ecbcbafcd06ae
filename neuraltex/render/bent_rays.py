"""The z-buffer for views whose rays do not lie on a regular grid: distorted lenses, warps.

Every pixel ``p`` sees the ray of an ideal pinhole pixel ``q = p + d(p)``. Faces are straight-edged in ideal pixels, so
they are tested there, at the exact ``q`` of every pixel near them. Which pixels are near follows from the Lipschitz
constant L of ``d``: if ``p0`` is where the center ``c`` of a face's box is seen, ``|p - p0| <= |q - c| / (1 - L)``.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from numba import njit

from neuraltex.core.compiled import kernel
from neuraltex.geometry.camera import Camera
from neuraltex.render.rays import normalized_grid

MAX_SLOPE = 0.6
"""Lenses that bend more than this cover too many pixels for nothing; they are left to ray casting."""
SEARCH_STEPS = 2


@dataclass(frozen=True, eq=False)
class IdealPixels:
    """Where an ideal pinhole camera would see what each pixel sees.

    Args:
        points: Ideal pixel coordinates of every pixel center [px].
        reach: Largest displacement [px].
        slope: Lipschitz constant of the displacement, largest coordinate by largest coordinate.
    """

    points: Float[np.ndarray, "H W 2"]
    reach: float
    slope: float


def is_bent(camera: Camera) -> bool:
    """Whether rays may lie anywhere but on a regular grid (a fisheye does that without any distortion)."""
    return camera.warp is not None or camera.lens != "pinhole"


def ideal_pixels(camera: Camera) -> IdealPixels | None:
    """Return the ideal pixel of every pixel, or None where the lens bends too much or some pixels have no ray."""
    grid = normalized_grid(camera)
    if camera.warp is not None:
        return _measure(grid, camera.K)
    return _cached(_Key(grid), tuple(camera.K.reshape(-1)))


@dataclass(frozen=True, eq=False)
class _Key:
    """A grid hashed by identity: the grids of lenses are kept and handed out again (render/rays.py)."""

    grid: np.ndarray

    def __hash__(self) -> int:
        return id(self.grid)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.grid is other.grid


@lru_cache(maxsize=2)
def _cached(key: _Key, intrinsics: tuple[float, ...]) -> IdealPixels | None:
    return _measure(key.grid, np.array(intrinsics).reshape(3, 3))


def _measure(grid: np.ndarray, intrinsics: np.ndarray) -> IdealPixels | None:
    points = np.empty(grid.shape)
    reach, slope = _to_ideal(grid, intrinsics, points)
    return IdealPixels(points, reach, slope) if slope <= MAX_SLOPE else None


@njit(cache=True, nogil=True)
def _to_ideal(grid: np.ndarray, intrinsics: np.ndarray, points: np.ndarray) -> tuple:
    """Write ideal pixels; return the largest displacement and its slope, infinite if a ray is missing."""
    height, width = grid.shape[:2]
    reach, along, across = 0.0, np.zeros(2), np.zeros(2)
    for i in range(height):
        for j in range(width):
            x, y = grid[i, j, 0], grid[i, j, 1]
            if not (np.isfinite(x) and np.isfinite(y)):
                return np.inf, np.inf
            points[i, j, 0] = intrinsics[0, 0] * x + intrinsics[0, 1] * y + intrinsics[0, 2]
            points[i, j, 1] = intrinsics[1, 1] * y + intrinsics[1, 2]
            reach = max(reach, abs(points[i, j, 0] - j - 0.5), abs(points[i, j, 1] - i - 0.5))
            for k in range(2):
                if j > 0:
                    along[k] = max(along[k], abs(points[i, j, k] - points[i, j - 1, k] - (1 - k)))
                if i > 0:
                    across[k] = max(across[k], abs(points[i, j, k] - points[i - 1, j, k] - k))
    return reach, max(along[0] + across[0], along[1] + across[1])


@njit(cache=True, nogil=True, inline="always")
def _displacement(points: np.ndarray, x: float, y: float) -> tuple:
    """Displacement at the pixel that holds (x, y), or at the nearest one."""
    column = min(max(int(x), 0), points.shape[1] - 1)
    row = min(max(int(y), 0), points.shape[0] - 1)
    return points[row, column, 0] - column - 0.5, points[row, column, 1] - row - 0.5


@njit(cache=True, nogil=True, inline="always")
def _find_pixel(points: np.ndarray, x: float, y: float, slope: float) -> tuple:
    """Place that sees about the ideal pixel (x, y), and by how much it misses it at most."""
    dx, dy = _displacement(points, x, y)
    for _ in range(SEARCH_STEPS):
        px, py = x - dx, y - dy
        dx, dy = _displacement(points, px, py)
    # Displacements belong to pixel centers, half a pixel away; beyond the border they continue as constants.
    return px, py, max(abs(px + dx - x), abs(py + dy - y)) + 0.5 * slope


@kernel
def bent_bounds(
    points: np.ndarray, reach: float, slope: float, box: tuple, begin: int, end: int
) -> tuple[int, int, int, int]:
    """Columns and rows of the pixels that may see a box (left, right, top, bottom) of ideal pixels."""
    height, width = points.shape[:2]
    left, right, top, bottom = box
    if right < -reach or bottom < begin - reach or left > width + reach or top > end + reach or left > right:
        return 0, 0, 0, 0
    x, y, missed = _find_pixel(points, 0.5 * (left + right), 0.5 * (top + bottom), slope)
    # Displacements at two pixels differ by at most ``slope`` times their distance along the longer axis.
    far = (0.5 * max(right - left, bottom - top) + missed) / (1.0 - slope)
    wide, high = 1e-6 + 0.5 * (right - left) + missed + slope * far, 1e-6 + 0.5 * (bottom - top) + missed + slope * far
    # The box of the face itself, moved by any displacement there is, bounds long faces better.
    low_x, high_x = max(x - wide, left - reach), min(x + wide, right + reach)
    low_y, high_y = max(y - high, top - reach), min(y + high, bottom + reach)
    return (
        max(int(np.ceil(max(low_x, 0.0) - 0.5)), 0),
        min(int(np.floor(min(high_x, width) + 0.5)), width),
        max(int(np.ceil(max(low_y, 0.0) - 0.5)), begin),
        min(int(np.floor(min(high_y, height) + 0.5)), end),
    )
