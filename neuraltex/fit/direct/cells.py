"""What a texel is to the solver, in one byte.

0: no unknown. Else bit :data:`KNOT`; bits :data:`RIGHT` and :data:`DOWN` where smoothness links it with that neighbor;
from bit :data:`COUNT_SHIFT` on the number of finer texels it stands for.
"""

import numpy as np
from numba import njit

from neuraltex.core.compiled import kernel

KNOT, RIGHT, DOWN = 1, 2, 4
COUNT_SHIFT = 4


@njit(nogil=True, cache=True)
def coarsen_cells(cells):  # type: ignore[no-untyped-def]
    """Return the cells of the next coarser level: unknown, linked and counted as the texels they stand for."""
    height, width = cells.shape
    out = np.zeros(((height + 1) // 2, (width + 1) // 2), np.uint8)
    for i in range(height):
        for j in range(width):
            if cells[i, j]:
                p, q = i // 2, j // 2
                out[p, q] = (out[p, q] | KNOT) + (1 << COUNT_SHIFT)
    for i in range(height):
        for j in range(width):
            if i % 2 == 1 and cells[i, j] & DOWN:
                out[i // 2, j // 2] |= DOWN
            if j % 2 == 1 and cells[i, j] & RIGHT:
                out[i // 2, j // 2] |= RIGHT
    return out


@kernel
def clear_outside(cells, x):  # type: ignore[no-untyped-def]
    """Set texels without unknowns to zero, without touching those that are."""
    for i in range(cells.shape[0]):
        for j in range(cells.shape[1]):
            if cells[i, j] == 0 and (x[i, j, 0] != 0 or x[i, j, 1] != 0 or x[i, j, 2] != 0):
                x[i, j] = 0


@njit(nogil=True, cache=True)
def link_cells(label):  # type: ignore[no-untyped-def]
    """Return the cells of the finest level from the chart of every texel (0: none)."""
    height, width = label.shape
    out = np.zeros((height, width), np.uint8)
    for i in range(height):
        for j in range(width):
            if label[i, j]:
                out[i, j] = KNOT
                if j + 1 < width and label[i, j + 1] == label[i, j]:
                    out[i, j] |= RIGHT
                if i + 1 < height and label[i + 1, j] == label[i, j]:
                    out[i, j] |= DOWN
    return out
