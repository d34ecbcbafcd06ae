"""CPU kernels of the accumulation: from the pixels of a photograph to sums at the texels.

Two steps per piece of a photograph: *prepare* turns every pixel into texel coordinates, mip level, color of the texture
and weight; *scatter* adds what it says to its texels. In the scatter each thread owns whole blocks of rows of every
level, hence a texel always sums its pixels in their given order, whatever the number of threads.
"""

import numpy as np
from numba import njit

from neuraltex.fit.direct.penalty import weight_of

ROWS_PER_BLOCK = 32  # rows a thread owns in a run; small enough to balance, large enough to stay in cache


@njit(nogil=True, cache=True, inline="always")
def _cell(coordinate, size):  # type: ignore[no-untyped-def]
    """Return the first of the two texels around a coordinate, clamped to the border, and the weight of the second."""
    limit = np.float32(size - 1)
    if not coordinate > 0:  # also catches NaN, which must not become an index
        coordinate = np.float32(0)
    elif coordinate > limit:
        coordinate = limit
    first = int(coordinate)
    return first, coordinate - np.float32(first)


@njit(nogil=True, cache=True, inline="always")
def _sample(rows, table, level, x, y):  # type: ignore[no-untyped-def]
    """Return the color of a level at texel coordinates of the finest level."""
    half, shrink = np.float32(0.5), np.float32(1) / np.float32(1 << level)
    offset, height, width = table[level, 0], table[level, 1], table[level, 2]
    x0, wx = _cell((x + half) * shrink - half, width)
    y0, wy = _cell((y + half) * shrink - half, height)
    i = offset + y0 * width + x0
    j = i + (min(x0 + 1, width - 1) - x0)
    down = (min(y0 + 1, height - 1) - y0) * width
    vx, vy = np.float32(1) - wx, np.float32(1) - wy
    a, b, c, d = vx * vy, wx * vy, vx * wy, wx * wy
    k, m = i + down, j + down
    return (
        a * rows[i, 0] + b * rows[j, 0] + c * rows[k, 0] + d * rows[m, 0],
        a * rows[i, 1] + b * rows[j, 1] + c * rows[k, 1] + d * rows[m, 1],
        a * rows[i, 2] + b * rows[j, 2] + c * rows[k, 2] + d * rows[m, 2],
    )


@njit(nogil=True, cache=True)
def sample_trilinear(rows, table, x, y, level):  # type: ignore[no-untyped-def]
    """Return the color between the two levels around ``level``."""
    lower = int(level)
    part = level - np.float32(lower)
    r, g, b = _sample(rows, table, lower, x, y)
    if part > 0:
        r1, g1, b1 = _sample(rows, table, lower + 1, x, y)
        r, g, b = r + (r1 - r) * part, g + (g1 - g) * part, b + (b1 - b) * part
    return r, g, b


@njit(nogil=True, cache=True)
def prepare(photo, lookup, size, outlier, out, bounds):  # type: ignore[no-untyped-def]
    """Fill ``out`` [P, 7] (x, y, level, weight, r, g, b) for the pixels from the first of ``bounds`` to the second.

    Args:
        photo: image [P, 3] uint8, uv [P, 2] float32, weight [P] uint8, bits of the float16 footprint [P], and what a
            vignette leaves of the light [P], without rows where there is none.
        lookup: Color of the texture for a value of each channel [K, 3] (values above 255 occur where a vignette is
            undone); level of the mip chain for the bits of a footprint [65536].
        size: (Ht, Wt).
        outlier: Mip chain of the texture that outliers are measured against (without rows there are none), its layout,
            number and scale of the penalty.
        out: Results; weight 0 for pixels without any.
        bounds: First pixel, and the one behind the last.
    """
    image, uv, weight, footprint, falloff = photo
    colors, levels = lookup
    previous, table, penalty, scale = outlier
    half, one = np.float32(0.5), np.float32(1)
    height, width = np.float32(size[0]), np.float32(size[1])
    for p in range(bounds[0], bounds[1]):
        out[p, 3] = 0
        if weight[p] == 0:
            continue
        x, y = uv[p, 0] * width - half, (one - uv[p, 1]) * height - half
        level, w = levels[footprint[p]], np.float32(weight[p]) / np.float32(255)
        for c in range(3):
            value = np.float32(image[p, c])
            if len(falloff):
                value = min(value / falloff[p], np.float32(len(colors) - 2))
            first = int(value)
            color = colors[first, c]
            if value > first:
                color += (colors[first + 1, c] - color) * (value - np.float32(first))
            out[p, 4 + c] = color
        if len(previous):
            r, g, b = sample_trilinear(previous, table, x, y, level)
            r, g, b = out[p, 4] - r, out[p, 5] - g, out[p, 6] - b
            w *= np.float32(weight_of(penalty, (r * r + g * g + b * b) / np.float32(3), scale))
        out[p, 0], out[p, 1], out[p, 2], out[p, 3] = x, y, level, w


@njit(nogil=True, cache=True)
def scatter(pixels, rows, table, thread, threads):  # type: ignore[no-untyped-def]
    """Add the pixels that :func:`prepare` made to the equations ``rows`` [N, 8], in the rows this thread owns."""
    half = np.float32(0.5)
    for p in range(len(pixels)):
        weight = pixels[p, 3]
        if weight == 0:
            continue
        level = int(pixels[p, 2])
        part = pixels[p, 2] - np.float32(level)
        shrink, color = np.float32(1) / np.float32(1 << level), (pixels[p, 4], pixels[p, 5], pixels[p, 6])
        x, y = (pixels[p, 0] + half) * shrink - half, (pixels[p, 1] + half) * shrink - half
        _add(rows, table[level], x, y, weight * (1 - part), color, thread, threads)
        if part > 0:
            x, y = (x + half) * half - half, (y + half) * half - half
            _add(rows, table[level + 1], x, y, weight * part, color, thread, threads)


@njit(nogil=True, cache=True, inline="always")
def _add(rows, place, x, y, w, color, thread, threads):  # type: ignore[no-untyped-def]
    """Add the outer product of four bilinear weights, and their products with the color, to one level.

    A texel keeps its own entry and those of its right, lower, lower right and lower left neighbor: the matrix is
    symmetric. Where the lookup is clamped to the border, the weight of the missing texel is zero.
    """
    offset, height, width = place
    red, green, blue = color
    y0, wy = _cell(y, height)
    upper = threads == 1 or (y0 // ROWS_PER_BLOCK) % threads == thread
    lower = threads == 1 or ((y0 + 1) // ROWS_PER_BLOCK) % threads == thread
    if not (upper or lower):
        return
    x0, wx = _cell(x, width)
    vx, vy = np.float32(1) - wx, np.float32(1) - wy
    a, b, c, d = vx * vy, wx * vy, vx * wy, wx * wy
    i = offset + y0 * width + x0
    if upper:
        v = w * a
        rows[i, 0] += v * a
        rows[i, 1] += v * b
        rows[i, 2] += v * c
        rows[i, 3] += v * d
        rows[i, 5] += v * red
        rows[i, 6] += v * green
        rows[i, 7] += v * blue
        if b > 0:
            v = w * b
            rows[i + 1, 0] += v * b
            rows[i + 1, 2] += v * d
            rows[i + 1, 4] += v * c
            rows[i + 1, 5] += v * red
            rows[i + 1, 6] += v * green
            rows[i + 1, 7] += v * blue
    if lower and wy > 0:
        i += width
        v = w * c
        rows[i, 0] += v * c
        rows[i, 1] += v * d
        rows[i, 5] += v * red
        rows[i, 6] += v * green
        rows[i, 7] += v * blue
        if d > 0:
            v = w * d
            rows[i + 1, 0] += v * d
            rows[i + 1, 5] += v * red
            rows[i + 1, 6] += v * green
            rows[i + 1, 7] += v * blue


@njit(nogil=True, cache=True)
def row_sums(image, coarser):  # type: ignore[no-untyped-def]
    """Return the row sums of the matrix of a level plus a quarter of ``coarser`` [h / 2, w / 2] where it has rows."""
    height, width = image.shape[0], image.shape[1]
    out = np.zeros((height, width), np.float32)
    for i in range(height):
        for j in range(width):
            total = image[i, j, 0]
            if total > 0:
                for dy, dx, slot in ((0, 1, 1), (1, 0, 2), (1, 1, 3), (1, -1, 4)):
                    if i + dy < height and 0 <= j + dx < width:
                        total += image[i, j, slot]
                    if i - dy >= 0 and 0 <= j - dx < width:
                        total += image[i - dy, j - dx, slot]
            if len(coarser):
                total += coarser[i // 2, j // 2] * np.float32(0.25)
            out[i, j] = total
    return out
