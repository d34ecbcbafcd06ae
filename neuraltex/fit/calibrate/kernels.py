"""Compiled loops of camera refinement: photometric residuals and their normal equations.

A photograph ``I`` shows a surface point at pixel ``p``; the texture, seen in the photograph's colors, says ``T`` there.
With ``r = I(p) - T`` and columns ``C = dp / dparameters`` the row of the Jacobian is ``grad I(p) . C``. All three
channels share one robust weight (Geman and McClure): ``1 / (1 + |r|^2 / scale^2)^2``.
"""

import numpy as np
from numba import njit

from neuraltex.core.compiled import kernel


@njit(cache=True, nogil=True, inline="always")
def _bilinear(image: np.ndarray, x: float, y: float, c: int) -> float:
    """Sample at a pixel position (first center at 0.5, 0.5), borders repeated."""
    height, width = image.shape[:2]
    x = min(max(x - 0.5, 0.0), width - 1.0)
    y = min(max(y - 0.5, 0.0), height - 1.0)
    i, j = min(int(x), width - 2), min(int(y), height - 2)
    a, b = x - i, y - j
    upper = image[j, i, c] * (1 - a) + image[j, i + 1, c] * a
    lower = image[j + 1, i, c] * (1 - a) + image[j + 1, i + 1, c] * a
    return upper * (1 - b) + lower * b


@njit(cache=True, nogil=True, inline="always")
def _inside(image: np.ndarray, x: float, y: float) -> bool:
    return x >= 1.0 and y >= 1.0 and x <= image.shape[1] - 1.0 and y <= image.shape[0] - 1.0  # False for NaN


@kernel
def robust_cost(
    image: np.ndarray, pixels: np.ndarray, target: np.ndarray, weight: np.ndarray, scale: float
) -> tuple[float, float]:
    """Return the sum of weighted penalties ``s^2 |r|^2 / (s^2 + |r|^2)`` and of weights over pixels in the image."""
    total, weights = 0.0, 0.0
    for p in range(len(pixels)):
        x, y = pixels[p, 0], pixels[p, 1]
        if weight[p] <= 0 or not _inside(image, x, y):
            continue
        square = 0.0
        for c in range(3):
            residual = _bilinear(image, x, y, c) - target[p, c]
            square += residual * residual
        total += weight[p] * square / (1 + square / (scale * scale))
        weights += weight[p]
    return total, weights


@njit(cache=True, nogil=True)
def normal_equations(
    image: np.ndarray,
    pixels: np.ndarray,
    columns: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    scale: float,
    matrix: np.ndarray,
    gradient: np.ndarray,
) -> float:
    """Add ``sum w J'J`` to ``matrix [K, K]`` and ``sum w J'r`` to ``gradient [K]``; ``columns`` is ``[P, 2, K]``.

    Returns the sum of the weights of the pixels that took part.
    """
    size = columns.shape[2]
    row = np.empty(size)
    weights = 0.0
    for p in range(len(pixels)):
        x, y = pixels[p, 0], pixels[p, 1]
        if weight[p] <= 0 or not _inside(image, x, y):
            continue
        square = 0.0
        for c in range(3):
            residual = _bilinear(image, x, y, c) - target[p, c]
            square += residual * residual
        share = 1 / (1 + square / (scale * scale))
        w = weight[p] * share * share
        weights += weight[p]
        for c in range(3):
            residual = _bilinear(image, x, y, c) - target[p, c]
            gx = _bilinear(image, x + 0.5, y, c) - _bilinear(image, x - 0.5, y, c)
            gy = _bilinear(image, x, y + 0.5, c) - _bilinear(image, x, y - 0.5, c)
            for k in range(size):
                row[k] = gx * columns[p, 0, k] + gy * columns[p, 1, k]
            for k in range(size):
                gradient[k] += w * row[k] * residual
                for m in range(k + 1):
                    matrix[k, m] += w * row[k] * row[m]
    for k in range(size):
        for m in range(k):
            matrix[m, k] = matrix[k, m]
    return weights


@njit(cache=True, nogil=True)
def cell_equations(
    image: np.ndarray,
    pixels: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    scale: float,
    matrix: np.ndarray,
    gradient: np.ndarray,
) -> None:
    """Add the equations of a bilinear displacement grid, cell by cell.

    A displacement ``d`` of the pixel changes the residual by ``grad I . d``. In a cell with corners 0..3 (upper left,
    upper right, lower left, lower right) the unknowns are ``(x_0, y_0, ..., x_3, y_3)``; ``matrix`` is
    ``[h-1, w-1, 8, 8]`` and ``gradient`` ``[h-1, w-1, 8]`` for a grid of h x w control points from corner to corner of
    the image.
    """
    rows, columns = matrix.shape[:2]
    height, width = image.shape[:2]
    row = np.empty(8)
    for p in range(len(pixels)):
        x, y = pixels[p, 0], pixels[p, 1]
        if weight[p] <= 0 or not _inside(image, x, y):
            continue
        u, v = x / width * columns, y / height * rows
        i, j = min(int(u), columns - 1), min(int(v), rows - 1)
        a, b = u - i, v - j
        square = 0.0
        for c in range(3):
            residual = _bilinear(image, x, y, c) - target[p, c]
            square += residual * residual
        share = 1 / (1 + square / (scale * scale))
        w = weight[p] * share * share
        for c in range(3):
            residual = _bilinear(image, x, y, c) - target[p, c]
            gx = _bilinear(image, x + 0.5, y, c) - _bilinear(image, x - 0.5, y, c)
            gy = _bilinear(image, x, y + 0.5, c) - _bilinear(image, x, y - 0.5, c)
            for k in range(4):
                corner = (a if k % 2 else 1 - a) * (b if k >= 2 else 1 - b)
                row[2 * k], row[2 * k + 1] = gx * corner, gy * corner
            for k in range(8):
                gradient[j, i, k] += w * row[k] * residual
                for m in range(8):
                    matrix[j, i, k, m] += w * row[k] * row[m]


@kernel
def sample_rows(
    image: np.ndarray, pixels: np.ndarray, columns: np.ndarray, color: np.ndarray, rows: np.ndarray
) -> None:
    """Write the colors at pixels into ``color [P, 3]`` and ``grad I . columns`` into ``rows [P, 3, S]``.

    Pixels outside of the image get NaN.
    """
    for p in range(len(pixels)):
        x, y = pixels[p, 0], pixels[p, 1]
        inside = _inside(image, x, y)
        for c in range(3):
            color[p, c] = _bilinear(image, x, y, c) if inside else np.nan
            if columns.shape[2] == 0:
                continue
            gx = _bilinear(image, x + 0.5, y, c) - _bilinear(image, x - 0.5, y, c) if inside else np.nan
            gy = _bilinear(image, x, y + 0.5, c) - _bilinear(image, x, y - 0.5, c) if inside else np.nan
            for k in range(columns.shape[2]):
                rows[p, c, k] = gx * columns[p, 0, k] + gy * columns[p, 1, k]


@kernel
def add_rows(rows: np.ndarray, place: np.ndarray, out: np.ndarray) -> None:
    """Add ``rows [P, K]`` to the rows of ``out [Q, K]`` that ``place [P]`` names."""
    for p in range(len(rows)):
        for k in range(rows.shape[1]):
            out[place[p], k] += rows[p, k]


@njit(cache=True, nogil=True)
def _robust_mean(color: np.ndarray, weight: np.ndarray, scale: float, mean: np.ndarray, share: np.ndarray) -> float:
    """Write the mean of ``color [n, 3]`` after two re-weightings and the weights it was taken with; returns their sum.

    The weights are Geman and McClure's of the distances from the mean before.
    """
    total = 0.0
    for step in range(3):
        before = mean.copy()
        total = 0.0
        mean[:] = 0
        for n in range(len(color)):
            square = 0.0
            for c in range(3):
                square += (color[n, c] - before[c]) ** 2
            fall = 1 / (1 + square / (scale * scale)) if step else 1.0
            share[n] = weight[n] * fall * fall
            total += share[n]
            for c in range(3):
                mean[c] += share[n] * color[n, c]
        mean /= total
    return total


@njit(cache=True, nogil=True)
def coupled_equations(
    start: np.ndarray, view: np.ndarray, sums: np.ndarray, scale: float, matrix: np.ndarray, gradient: np.ndarray
) -> None:
    """Add the equations of all poses, the color of every square of the texture being the mean of what is seen there.

    With the color of a square eliminated (Schur complement), photographs ``i`` and ``j`` that see it with weights
    ``w`` and Jacobians ``J`` have the block ``(i == j) w_i J_i'J_i - w_i w_j / sum(w) J_i'J_j``. Only blocks
    ``j <= i`` are written.

    Args:
        start: First row of each square, and the number of rows at the end.
        view: Photograph of each row, ascending within a square.
        sums: Rows ``[O, 4 + 3 K]``: weight, weight times color, weight times the derivatives of the three channels.
        scale: Residual at which a row has a quarter of its weight.
        matrix: ``[N K, N K]`` to add to.
        gradient: ``[N K]`` to add to.
    """
    size = (sums.shape[1] - 4) // 3
    mean = np.zeros(3)
    for square in range(len(start) - 1):
        first, end = start[square], start[square + 1]
        if end - first < 2:
            continue
        rows = sums[first:end, 1:] / sums[first:end, :1]
        share = np.empty(end - first)
        total = _robust_mean(rows[:, :3], sums[first:end, 0], scale, mean, share)
        for n in range(end - first):
            i = view[first + n] * size
            for p in range(size):
                for c in range(3):
                    gradient[i + p] += share[n] * rows[n, 3 + c * size + p] * (rows[n, c] - mean[c])
            for m in range(n + 1):
                j, factor = view[first + m] * size, -share[n] * share[m] / total
                if m == n:
                    factor += share[n]
                for p in range(size):
                    for q in range(size):
                        both = 0.0
                        for c in range(3):
                            both += rows[n, 3 + c * size + p] * rows[m, 3 + c * size + q]
                        matrix[i + p, j + q] += factor * both
