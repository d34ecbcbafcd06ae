"""Compiled loops behind :mod:`neuraltex.texture.fill`.

None depends on the number of threads: loops over rows write only the rows they are given.
"""

import numpy as np

from neuraltex.core.compiled import kernel

UNKNOWN, KNOWN, QUEUED = 0, 1, 2
"""States of a texel while rings grow; the first two are those of a mask."""


@kernel
def mark_triangles(corners, value, inside, begin, end):  # type: ignore[no-untyped-def]
    """Write the value of a triangle to all texels of ``inside[begin:end]`` whose center it covers, borders included.

    The last triangle has its way. ``corners`` [F, 3, 2] are in texels; parts beyond the texture are cut off.
    """
    width = inside.shape[1]
    for f in range(len(corners)):
        ax, ay, bx, by = corners[f, 0, 0], corners[f, 0, 1], corners[f, 1, 0], corners[f, 1, 1]
        cx, cy = corners[f, 2, 0], corners[f, 2, 1]
        if not np.isfinite(ax + ay + bx + by + cx + cy):
            continue
        first, last = max(0, int(np.ceil(min(ax, bx, cx)))), min(width - 1, int(np.floor(max(ax, bx, cx))))
        top, bottom = max(begin, int(np.ceil(min(ay, by, cy)))), min(end - 1, int(np.floor(max(ay, by, cy))))
        x0, y0, dx0, dy0 = _edge(ax, ay, bx, by)
        x1, y1, dx1, dy1 = _edge(bx, by, cx, cy)
        x2, y2, dx2, dy2 = _edge(cx, cy, ax, ay)
        for y in range(top, bottom + 1):
            rise0, rise1, rise2 = dx0 * (y - y0), dx1 * (y - y1), dx2 * (y - y2)
            for x in range(first, last + 1):
                e0, e1, e2 = rise0 - dy0 * (x - x0), rise1 - dy1 * (x - x1), rise2 - dy2 * (x - x2)
                if (e0 >= 0 and e1 >= 0 and e2 >= 0) or (e0 <= 0 and e1 <= 0 and e2 <= 0):
                    inside[y, x] = value[f]


@kernel
def _edge(ax, ay, bx, by):  # type: ignore[no-untyped-def]
    """Return a point and the direction of an edge: the same, but for the sign, for edge (b, a)."""
    if (ax, ay) <= (bx, by):
        return ax, ay, bx - ax, by - ay
    return bx, by, -(ax - bx), -(ay - by)


@kernel
def queue_border(state, begin, end, queue):  # type: ignore[no-untyped-def]
    """Queue the unknown texels of some rows that have a known 8-neighbor, as flat indices; return how many."""
    width = state.shape[1]
    count = 0
    for y in range(begin, end):
        for x in range(width):
            if state[y, x] == UNKNOWN and _has_known_neighbor(state, y, x):
                state[y, x] = QUEUED
                queue[count] = y * width + x
                count += 1
    return count


@kernel
def _has_known_neighbor(state, y, x):  # type: ignore[no-untyped-def]
    height, width = state.shape
    for v in range(max(y - 1, 0), min(y + 2, height)):
        for u in range(max(x - 1, 0), min(x + 2, width)):
            if state[v, u] == KNOWN:
                return True
    return False


@kernel
def queue_neighbors(state, queue, first, last):  # type: ignore[no-untyped-def]
    """Queue the unknown 8-neighbors of the texels ``queue[first:last]`` behind them; return where the queue ends."""
    height, width = state.shape
    count = last
    for k in range(first, last):
        y = queue[k] // width
        x = queue[k] - y * width
        for v in range(max(y - 1, 0), min(y + 2, height)):
            for u in range(max(x - 1, 0), min(x + 2, width)):
                if state[v, u] == UNKNOWN:
                    state[v, u] = QUEUED
                    queue[count] = v * width + u
                    count += 1
    return count


@kernel
def average_known(texture, state, ring):  # type: ignore[no-untyped-def]
    """Set texels, given as flat indices, to the mean of their known 8-neighbors."""
    height, width = state.shape
    for k in range(len(ring)):
        y = ring[k] // width
        x = ring[k] - y * width
        count = 0
        r = g = b = np.float32(0)
        for v in range(max(y - 1, 0), min(y + 2, height)):
            for u in range(max(x - 1, 0), min(x + 2, width)):
                if state[v, u] == KNOWN:
                    count += 1
                    r += texture[v, u, 0]
                    g += texture[v, u, 1]
                    b += texture[v, u, 2]
        texture[y, x, 0], texture[y, x, 1], texture[y, x, 2] = r / count, g / count, b / count


@kernel
def pull(texture, known, coarse, coarse_known, begin, end):  # type: ignore[no-untyped-def]
    """Write rows of the level of half the size: means of the known texels of 2x2 blocks, and where there are any."""
    height, width = known.shape
    for y in range(begin, end):
        for x in range(coarse.shape[1]):
            count = 0
            r = g = b = np.float32(0)
            for v in range(2 * y, min(2 * y + 2, height)):
                for u in range(2 * x, min(2 * x + 2, width)):
                    if known[v, u]:
                        count += 1
                        r += texture[v, u, 0]
                        g += texture[v, u, 1]
                        b += texture[v, u, 2]
            coarse_known[y, x] = count > 0
            share = max(count, 1)
            coarse[y, x, 0], coarse[y, x, 1], coarse[y, x, 2] = r / share, g / share, b / share


@kernel
def count_runs(known, count, begin, end):  # type: ignore[no-untyped-def]
    """Count the runs of unknown texels in some rows."""
    for y in range(begin, end):
        runs, before = 0, True
        for x in range(known.shape[1]):
            runs += before and not known[y, x]
            before = known[y, x]
        count[y] = runs


@kernel
def list_runs(known, first, runs, begin, end):  # type: ignore[no-untyped-def]
    """Write the first column and the end of every run of unknown texels; those of row y start at ``first[y]``."""
    width = known.shape[1]
    for y in range(begin, end):
        k, before = first[y], True
        for x in range(width):
            if before != known[y, x]:
                if before:
                    runs[k, 0] = x
                else:
                    runs[k, 1] = x
                    k += 1
                before = not before
        if not before:
            runs[k, 1] = width


@kernel
def push(texture, first, runs, coarse, begin, end):  # type: ignore[no-untyped-def]
    """Give the unknown texels of some rows the bilinear sample of the coarser level at their center."""
    near, far = np.float32(0.75), np.float32(0.25)
    for y in range(begin, end):
        y0 = y // 2
        y1 = min(max(y0 + (1 if y % 2 else -1), 0), coarse.shape[0] - 1)
        for k in range(first[y], first[y + 1]):
            for x in range(runs[k, 0], runs[k, 1]):
                x0 = x // 2
                x1 = min(max(x0 + (1 if x % 2 else -1), 0), coarse.shape[1] - 1)
                for c in range(3):
                    above = near * coarse[y0, x0, c] + far * coarse[y0, x1, c]
                    texture[y, x, c] = near * above + far * (near * coarse[y1, x0, c] + far * coarse[y1, x1, c])


@kernel
def relax(texture, first, runs, begin, end, first_sweep, last_sweep):  # type: ignore[no-untyped-def]
    """Do several Gauss-Seidel sweeps in one go: each is a row behind the one before it, so rows stay in the cache.

    The earliest possible sweep, number 0, visits rows ``begin`` to ``end``, and number s those s rows above.
    """
    for row in range(begin, end):
        for sweep in range(first_sweep, last_sweep):
            if 0 <= row - sweep < len(texture):
                _relax_row(texture, first, runs, row - sweep)


@kernel
def _relax_row(texture, first, runs, y):  # type: ignore[no-untyped-def]
    """Replace the unknown texels of a row by the mean of their 4-neighbors, from left to right."""
    height, width, _ = texture.shape
    up, down, quarter = max(y - 1, 0), min(y + 1, height - 1), np.float32(0.25)
    for k in range(first[y], first[y + 1]):
        left = max(runs[k, 0] - 1, 0)
        r, g, b = texture[y, left, 0], texture[y, left, 1], texture[y, left, 2]
        for x in range(runs[k, 0], runs[k, 1]):
            right = min(x + 1, width - 1)
            r = (texture[up, x, 0] + texture[down, x, 0] + r + texture[y, right, 0]) * quarter
            g = (texture[up, x, 1] + texture[down, x, 1] + g + texture[y, right, 1]) * quarter
            b = (texture[up, x, 2] + texture[down, x, 2] + b + texture[y, right, 2]) * quarter
            texture[y, x, 0], texture[y, x, 1], texture[y, x, 2] = r, g, b
