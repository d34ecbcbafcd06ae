"""Compiled loops that compare the depth of a surface with what a sensor measured (numba, without the GIL)."""

import numpy as np
from numba import njit

from neuraltex.core.compiled import kernel


@njit(cache=True, nogil=True, inline="always")
def _depth_error(x: float, y: float, expected: float, measured: np.ndarray) -> float:
    """Relative difference at pixel (x, y) of the sensor; NaN if it saw nothing there."""
    if not (expected > 0.0 and 0.0 <= x < measured.shape[1] and 0.0 <= y < measured.shape[0]):
        return np.nan
    found = measured[int(y), int(x)]
    return abs(found - expected) / expected if found > 0.0 else np.nan


@kernel
def compare_depth_rows(
    x_of: np.ndarray,
    y_of: np.ndarray,
    depth: np.ndarray,
    pose: np.ndarray,
    k: np.ndarray,
    measured: np.ndarray,
    error: np.ndarray,
) -> None:
    """Write the relative depth error of every pixel; ``pose`` leads from the view to a sensor with intrinsics ``k``."""
    for i in range(depth.shape[0]):
        for j in range(depth.shape[1]):
            error[i, j] = np.nan
            if depth[i, j] > 0.0:
                a, b, c = depth[i, j] * x_of[i, j], depth[i, j] * y_of[i, j], depth[i, j]
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
