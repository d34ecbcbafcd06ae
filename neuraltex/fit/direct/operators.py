"""CPU kernels of the multigrid solver: stencils applied, relaxed, handed to coarser levels and back.

All work on one level of images: ``matrix`` [h, w, K >= 5] holds five stencil numbers, ``right`` [h, w, 8] the
right-hand side in 5 to 7 (it is ``matrix``, where that has room, or equations of the mip chain whose colors are no
longer needed), ``cells`` [h, w] says what a texel is (see :mod:`neuraltex.fit.direct.cells`), ``x`` [h, w, C >= 3] the
colors. Blocks of rows are relaxed first at even, then at odd places: what one of them reads no other one changes, so
results do not depend on the number of threads.
"""

import numpy as np
from numba import njit

from neuraltex.core.compiled import kernel
from neuraltex.fit.direct.cells import COUNT_SHIFT, DOWN, RIGHT


@njit(nogil=True, cache=True, inline="always")
def _couple(matrix, x, i, j):  # type: ignore[no-untyped-def]
    """Return the sum over the 8 neighbors of matrix entry times color."""
    height, width = matrix.shape[0], matrix.shape[1]
    r = g = b = np.float32(0)
    for dy, dx, slot in ((0, 1, 1), (1, 0, 2), (1, 1, 3), (1, -1, 4)):
        v, u = i + dy, j + dx
        if v < height and 0 <= u < width:
            a = matrix[i, j, slot]
            r += a * x[v, u, 0]
            g += a * x[v, u, 1]
            b += a * x[v, u, 2]
        v, u = i - dy, j - dx
        if v >= 0 and 0 <= u < width:
            a = matrix[v, u, slot]
            r += a * x[v, u, 0]
            g += a * x[v, u, 1]
            b += a * x[v, u, 2]
    return r, g, b


@kernel
def relax(matrix, right, cells, x, held, begin, end, backward):  # type: ignore[no-untyped-def]
    """Gauss-Seidel over rows ``begin`` to ``end``.

    ``held`` is a triple: ``coarse`` [h / 2, w / 2, 8] holds in 5 to 7 what the equations of coarser levels add to the
    right-hand side, and ``pull`` [h / 2, w / 2, 4] in 3 their share of the diagonal; without rows there are none.
    ``damping`` is added to the diagonal: it changes how far a step goes and not where the steps lead. Where no
    photograph says anything a diagonal is the rounding of sums that cancel, and so is the residual.
    """
    coarse, pull, damping = held
    width = matrix.shape[1]
    for step in range(end - begin):
        i = end - 1 - step if backward else begin + step
        for k in range(width):
            j = width - 1 - k if backward else k
            if cells[i, j] == 0:
                continue
            r, g, b = _couple(matrix, x, i, j)
            d = matrix[i, j, 0]
            r = right[i, j, 5] - r - d * x[i, j, 0]
            g = right[i, j, 6] - g - d * x[i, j, 1]
            b = right[i, j, 7] - b - d * x[i, j, 2]
            if len(coarse):
                p, q = i // 2, j // 2
                d += pull[p, q, 3]
                r += coarse[p, q, 5]
                g += coarse[p, q, 6]
                b += coarse[p, q, 7]
            d = max(d, np.float32(0)) + damping
            if d > 0:
                x[i, j, 0] += r / d
                x[i, j, 1] += g / d
                x[i, j, 2] += b / d


@kernel
def restrict_residual(matrix, right, cells, x, coarse, below, norms, begin, end):  # type: ignore[no-untyped-def]
    """Put the sums of the residuals of 2x2 texels into ``below[..., 5:8]``, for rows of the coarser level.

    ``below`` may be ``coarse``: what is read there about a texel is not needed once it is written.
    ``norms`` [h / 2] receives the sum of squares of the residuals of two rows.
    """
    height, width = matrix.shape[0], matrix.shape[1]
    for p in range(begin, end):
        total = 0.0
        for q in range(below.shape[1]):
            sr = sg = sb = np.float32(0)
            is_unknown = False
            for i in range(2 * p, min(2 * p + 2, height)):
                for j in range(2 * q, min(2 * q + 2, width)):
                    if cells[i, j] == 0:
                        continue
                    is_unknown = True
                    r, g, b = _couple(matrix, x, i, j)
                    d = matrix[i, j, 0]
                    r = right[i, j, 5] - r - d * x[i, j, 0]
                    g = right[i, j, 6] - g - d * x[i, j, 1]
                    b = right[i, j, 7] - b - d * x[i, j, 2]
                    if len(coarse):
                        r += coarse[p, q, 5]
                        g += coarse[p, q, 6]
                        b += coarse[p, q, 7]
                    total += r * r + g * g + b * b
                    sr += r
                    sg += g
                    sb += b
            if is_unknown:
                below[p, q, 5], below[p, q, 6], below[p, q, 7] = sr, sg, sb
        norms[p] = total


@kernel
def average(cells, x, below_cells, below, begin, end):  # type: ignore[no-untyped-def]
    """Put the means of the unknowns of 2x2 texels into ``below[..., :3]``, for rows of the coarser level."""
    height, width = cells.shape
    for p in range(begin, end):
        for q in range(below.shape[1]):
            count = below_cells[p, q] >> COUNT_SHIFT
            if count == 0:
                continue
            r = g = b = np.float32(0)
            for i in range(2 * p, min(2 * p + 2, height)):
                for j in range(2 * q, min(2 * q + 2, width)):
                    if cells[i, j]:
                        r += x[i, j, 0]
                        g += x[i, j, 1]
                        b += x[i, j, 2]
            share = np.float32(1) / np.float32(count)
            below[p, q, 0], below[p, q, 1], below[p, q, 2] = r * share, g * share, b * share


@kernel
def coarse_terms(own, cells, x, coarse, begin, end):  # type: ignore[no-untyped-def]
    """Put minus the equations of a coarser level, shared among the texels below each texel, into ``own[..., 5:8]``."""
    for i in range(begin, end):
        for j in range(own.shape[1]):
            if cells[i, j] == 0:
                continue
            r, g, b = _couple(own, x, i, j)
            d = own[i, j, 0]
            r, g, b = -r - d * x[i, j, 0], -g - d * x[i, j, 1], -b - d * x[i, j, 2]
            if len(coarse):
                p, q = i // 2, j // 2
                r += coarse[p, q, 5]
                g += coarse[p, q, 6]
                b += coarse[p, q, 7]
            share = np.float32(1) / np.float32(max(cells[i, j] >> COUNT_SHIFT, 1))
            own[i, j, 5], own[i, j, 6], own[i, j, 7] = r * share, g * share, b * share


@kernel
def prolong(cells, x, below_cells, below, add, begin, end):  # type: ignore[no-untyped-def]
    """Add (or assign) the coarser level, interpolated bilinearly between texels that are linked, to rows of ``x``."""
    width = x.shape[1]
    near, far = np.float32(0.75), np.float32(0.25)
    for i in range(begin, end):
        p = i // 2
        for j in range(width):
            if cells[i, j] == 0:
                continue
            q = j // 2
            v, u = p, q
            if i % 2 == 1 and below_cells[p, q] & DOWN:
                v = p + 1
            elif i % 2 == 0 and p > 0 and below_cells[p - 1, q] & DOWN:
                v = p - 1
            if j % 2 == 1 and below_cells[p, q] & RIGHT:
                u = q + 1
            elif j % 2 == 0 and q > 0 and below_cells[p, q - 1] & RIGHT:
                u = q - 1
            vv, uu = v, u
            if below_cells[v, u] == 0:
                vv, uu = p, q
            for c in range(3):
                if add:
                    x[i, j, c] += below[p, q, c]
                    continue
                upper = near * below[p, q, c] + far * below[p, u, c]
                x[i, j, c] = near * upper + far * (near * below[v, q, c] + far * below[vv, uu, c])


@kernel
def aggregate(matrix, below, begin, end):  # type: ignore[no-untyped-def]
    """Add the equations of a level, as sums over 2x2 texels, to ``below[..., :5]`` (Galerkin, piecewise constant)."""
    height, width = matrix.shape[0], matrix.shape[1]
    for p in range(begin, end):
        for i in range(max(2 * p - 1, 0), min(2 * p + 2, height)):
            for j in range(width):
                q = j // 2
                if matrix[i, j, 0] == 0:  # also keeps memory that nothing is stored in from being committed
                    continue
                if i // 2 == p:
                    below[p, q, 0] += matrix[i, j, 0]
                _move(matrix[i, j, 1], below, i, j, i, j + 1, p)
                _move(matrix[i, j, 2], below, i, j, i + 1, j, p)
                _move(matrix[i, j, 3], below, i, j, i + 1, j + 1, p)
                _move(matrix[i, j, 4], below, i, j, i + 1, j - 1, p)


@njit(nogil=True, cache=True, inline="always")
def _move(value, below, i, j, v, u, row):  # type: ignore[no-untyped-def]
    """Add a coupling of two fine texels to that of their coarse ones, if it is stored in ``row``."""
    if value == 0 or i // 2 != row:
        return
    dy, dx, q = v // 2 - i // 2, u // 2 - j // 2, j // 2
    if dy == 0 and dx == 0:
        below[row, q, 0] += 2 * value
    elif dy == 0 and dx == 1:
        below[row, q, 1] += value
    elif dy == 0:  # a lower left neighbor in the same coarse row is a left one
        below[row, q - 1, 1] += value
    elif dx == 0:
        below[row, q, 2] += value
    elif dx == 1:
        below[row, q, 3] += value
    else:
        below[row, q, 4] += value


@kernel
def add_smoothness(matrix, cells, weight, begin, end):  # type: ignore[no-untyped-def]
    """Add ``weight`` times the squared difference of linked texels, for rows ``begin`` to ``end``."""
    for i in range(begin, end):
        for j in range(matrix.shape[1]):
            if i > 0 and cells[i - 1, j] & DOWN:
                matrix[i, j, 0] += weight
            if j > 0 and cells[i, j - 1] & RIGHT:
                matrix[i, j, 0] += weight
            if cells[i, j] & RIGHT:
                matrix[i, j, 0] += weight
                matrix[i, j, 1] -= weight
            if cells[i, j] & DOWN:
                matrix[i, j, 0] += weight
                matrix[i, j, 2] -= weight


@kernel
def fold(own, cells):  # type: ignore[no-untyped-def]
    """Let texels without unknowns take the color of the neighbor they are coupled with, and forget their equations.

    A lookup in a coarse level reads texels beyond the border of a chart. Constants still solve the equations.
    """
    height, width = cells.shape
    for i in range(height):
        for j in range(width):
            for dy, dx, slot in ((0, 1, 1), (1, 0, 2), (1, 1, 3), (1, -1, 4)):
                v, u = i + dy, j + dx
                if v >= height or u < 0 or u >= width or own[i, j, slot] == 0:
                    continue
                if cells[i, j] and not cells[v, u]:
                    own[i, j, 0] += own[i, j, slot]
                elif cells[v, u] and not cells[i, j]:
                    own[v, u, 0] += own[i, j, slot]
                if not (cells[i, j] and cells[v, u]):
                    own[i, j, slot] = 0
            if cells[i, j] == 0 and own[i, j, 0] != 0:
                own[i, j] = 0


@kernel
def pull_of(own, cells, coarse_pull, pull, begin, end):  # type: ignore[no-untyped-def]
    """Put the row sums of a level and of coarser ones, per texel below each texel, into rows of ``pull[..., 3]``."""
    height, width = cells.shape
    for i in range(begin, end):
        for j in range(width):
            if cells[i, j] == 0:
                continue
            total = own[i, j, 0]
            for dy, dx, slot in ((0, 1, 1), (1, 0, 2), (1, 1, 3), (1, -1, 4)):
                if i + dy < height and 0 <= j + dx < width:
                    total += own[i, j, slot]
                if i - dy >= 0 and 0 <= j - dx < width:
                    total += own[i - dy, j - dx, slot]
            if len(coarse_pull):
                total += coarse_pull[i // 2, j // 2, 3]
            pull[i, j, 3] = total / max(cells[i, j] >> COUNT_SHIFT, 1)


@kernel
def share_colors(own, cells, coarse, begin, end):  # type: ignore[no-untyped-def]
    """Turn right-hand sides of rows into shares of the texels below, after adding those of the coarser level."""
    for i in range(begin, end):
        for j in range(cells.shape[1]):
            share = np.float32(1) / np.float32(max(cells[i, j] >> COUNT_SHIFT, 1))
            for c in range(5, 8):
                if len(coarse):
                    own[i, j, c] += coarse[i // 2, j // 2, c]
                own[i, j, c] *= share


@kernel
def add_shares(right, cells, coarse, begin, end):  # type: ignore[no-untyped-def]
    """Add the shares of the coarser level to the right-hand sides of unknowns in rows; no rows of it add nothing."""
    for i in range(begin, end):
        for j in range(cells.shape[1]):
            if len(coarse) and cells[i, j]:
                for c in range(5, 8):
                    right[i, j, c] += coarse[i // 2, j // 2, c]


@kernel
def add_squares(right, sums, begin, end):  # type: ignore[no-untyped-def]
    """Put the sum of the squares of the right-hand sides of each row into ``sums`` [h]."""
    for i in range(begin, end):
        total = 0.0
        for j in range(right.shape[1]):
            for c in range(5, 8):
                value = np.float64(right[i, j, c])
                total += value * value
        sums[i] = total
