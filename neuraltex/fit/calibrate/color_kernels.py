"""CPU kernels behind :mod:`neuraltex.fit.calibrate.color_fit`.

Everywhere ``model`` is (slope [N, 3], offset [N, 3], in_log, scale): colors, or with ``in_log`` their logarithms, of a
photograph are slope * texture + offset; ``scale`` is that of the robust weights, infinite where all count in full.
``samples`` is (photograph [S], place of ``texture`` [S], color [S, 3], weight [S]); those from ``begin`` to ``end`` are
looked at.
"""

import math

import numpy as np
from numba import njit

from neuraltex.core.compiled import kernel


@kernel
def mean_cells(color, weight, pixel_cell, radius2, out):  # type: ignore[no-untyped-def]
    """Add weighted colors, weights and squared radii of pixels to ``out`` [cells, 5]."""
    for p in range(len(pixel_cell)):
        w = weight[p]
        for c in range(3):
            out[pixel_cell[p], c] += w * color[p, c]
        out[pixel_cell[p], 3] += w
        out[pixel_cell[p], 4] += w * radius2[p]


@kernel
def texture_step(samples, texture, model, out, begin, end):  # type: ignore[no-untyped-def]
    """Add the normal equations of every cell to ``out`` [cells, 3, 2]: sum of a w (y - b), sum of a a w."""
    view, cell, photo, weight = samples
    slope, offset, in_log, scale = model
    for s in range(begin, end):
        v, k = view[s], cell[s]
        w = weight[s] * _robust(photo[s], texture[k], slope[v], offset[v], in_log, scale)
        for c in range(3):
            a = slope[v, c]
            wc = w * _delta(photo[s, c], in_log)
            out[k, c, 0] += wc * a * (photo[s, c] - offset[v, c])
            out[k, c, 1] += wc * a * a


@kernel
def solve_cells(sums, texture):  # type: ignore[no-untyped-def]
    """Put the solutions of what :func:`texture_step` sums into ``texture`` [cells, 3]; 0 where there is nothing."""
    for k in range(len(sums)):
        for c in range(3):
            texture[k, c] = sums[k, c, 0] / max(sums[k, c, 1], 1e-12)


@kernel
def view_step(samples, texture, model, out, begin, end):  # type: ignore[no-untyped-def]
    """Add the moments of every photograph and channel to ``out`` [N, 3, 5]: w, w x, w y, w x x, w x y."""
    view, cell, photo, weight = samples
    slope, offset, in_log, scale = model
    for s in range(begin, end):
        v, k = view[s], cell[s]
        w = weight[s] * _robust(photo[s], texture[k], slope[v], offset[v], in_log, scale)
        for c in range(3):
            x, y = np.float64(texture[k, c]), np.float64(photo[s, c])
            wc = w * _delta(photo[s, c], in_log)
            out[v, c, 0] += wc
            out[v, c, 1] += wc * x
            out[v, c, 2] += wc * y
            out[v, c, 3] += wc * x * x
            out[v, c, 4] += wc * x * y


@kernel
def vignette_step(samples, texture, model, basis, camera, out, begin, end):  # type: ignore[no-untyped-def]
    """Add normal equations of log(photo / prediction) in ``basis`` [S, 3] to ``out`` [cameras, 3, 4]."""
    view, cell, photo, weight = samples
    slope, offset, in_log, scale = model
    for s in range(begin, end):
        v, k = view[s], cell[s]
        w = weight[s] * _robust(photo[s], texture[k], slope[v], offset[v], in_log, scale)
        for c in range(3):
            prediction = slope[v, c] * texture[k, c] + offset[v, c]
            y = photo[s, c]
            if not in_log:
                prediction, y = math.log(max(prediction, 0.01)), math.log(max(y, 0.01))
            wc = w * math.exp(2 * y)
            for i in range(3):
                for j in range(3):
                    out[camera[v], i, j] += wc * basis[s, i] * basis[s, j]
                out[camera[v], i, 3] += wc * basis[s, i] * (y - prediction)


@njit(nogil=True, cache=True, inline="always")
def _delta(value, in_log):  # type: ignore[no-untyped-def]
    """Squared slope of color over value: makes least squares of logarithms those of colors."""
    return math.exp(2 * value) if in_log else 1.0


@njit(nogil=True, cache=True, inline="always")
def _robust(photo, seen, slope, offset, in_log, scale):  # type: ignore[no-untyped-def]
    """Weight of a Cauchy penalty of the color difference, the same for all channels."""
    total = 0.0
    for c in range(3):
        prediction = slope[c] * seen[c] + offset[c]
        if in_log:
            total += abs(math.exp(prediction) - math.exp(photo[c]))
        else:
            total += abs(prediction - photo[c])
    return 1 / (1 + (total / (3 * scale)) ** 2)
