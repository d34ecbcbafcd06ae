"""CPU kernels of the accumulation: from the pixels of a photograph to sums at the texels.

Two steps per piece of a photograph: *prepare* turns every pixel into texel coordinates, mip level, color of the texture
and weight; *scatter* adds what it says to its texels. A thread owns whole blocks of rows of every level, hence a texel
always sums its pixels in their given order, whatever the number of threads. All go through the whole photograph and
leave out what belongs to others: handing prepared pixels from one core to another takes longer than preparing them.

A photograph is walked through in squares of pixels: what two neighboring rows of it share on the texture is then still
in cache. Texels are asked for some pixels ahead, since memory is what both steps wait for.
"""

import numpy as np
from jaxtyping import UInt8
from numba import njit

from neuraltex.core.compiled import kernel
from neuraltex.fit.direct.chain import sample_nearest_level
from neuraltex.fit.direct.layout import SHRINK, lookup_cell
from neuraltex.fit.direct.penalty import weight_of
from neuraltex.fit.direct.vectors import add_to_row, prefetch

BLOCK_BITS = 6
"""Two to this power rows of the finest level belong to one thread in a run, with all that lies below them: most pixels
touch rows of one thread only."""
MOST_LEVELS = BLOCK_BITS - 2
"""With more, a pixel of the last level would touch three blocks."""
SQUARE = 16
"""Side of the squares that a photograph is walked through in [px]."""
AHEAD = 32  # pixels between asking for texels and adding to them


def owners_of(height: int, threads: int) -> UInt8[np.ndarray, " B"]:
    """Return the thread that owns each block of rows of the finest level; nothing if a single one owns them all."""
    if threads == 1:
        return np.zeros(0, np.uint8)
    return (np.arange((height >> BLOCK_BITS) + 1) % threads).astype(np.uint8)


@kernel
def num_squares(height: int, width: int) -> int:
    """Number of squares of a photograph; those at its right and lower border may be smaller."""
    return -(-height // SQUARE) * -(-width // SQUARE)


@kernel
def add_photo(photo, lookup, outlier, rows, table, memory, owners, thread):  # type: ignore[no-untyped-def]
    """Add a photograph to the equations ``rows`` [N, 8], in the rows this thread owns.

    Args:
        photo: See :func:`prepare`; ``lookup`` and ``outlier`` likewise.
        lookup: See ``photo``.
        outlier: See ``photo``.
        rows: Equations.
        table: Their layout.
        memory: Room for the pixels of some squares [P, 7].
        owners: :func:`owners_of` the rows.
        thread: Number of this thread; all of them must be run.
    """
    squares, piece = num_squares(photo[2].shape[0], photo[2].shape[1]), len(memory) // (SQUARE * SQUARE)
    for first in range(0, squares, piece):
        bounds = (first, min(first + piece, squares))
        count = prepare(photo, lookup, table, outlier, memory, bounds, owners, thread)
        scatter(memory[:count], rows, table, owners, thread)


@kernel
def prepare(photo, lookup, table, outlier, out, bounds, owners, thread):  # type: ignore[no-untyped-def]
    """Fill ``out`` [P, 7] (x, y, level, weight, r, g, b) with the pixels of some squares that have any weight.

    Args:
        photo: image [H, W, 3] uint8, uv [H, W, 2] float32, weight [H, W] uint8, bits of the float16 footprint [H, W],
            what a vignette leaves of the light [H, W], and the factor of the weight for squares of 2x2 pixels
            [H // 2, W // 2]; the last two without rows where there is none.
        lookup: Color of the texture for a value of each channel [K, 3] (values above 255 occur where a vignette is
            undone); level of the mip chain, and factor of the weight, for the bits of a footprint [65536].
        table: Layout of the texture.
        outlier: Mip chain of the texture that outliers are measured against (without rows there are none), its layout,
            number and scale of the penalty.
        out: Results, from the first row on.
        bounds: First square, and the one behind the last; they are counted row by row.
        owners: :func:`owners_of` the rows.
        thread: Pixels that touch no row of this thread are left out.

    Returns:
        Number of pixels.
    """
    image, uv, weight, footprint, falloff, trust = photo
    colors, levels, factors = lookup
    half, one = np.float32(0.5), np.float32(1)
    height, width = np.float32(table[0, 1]), np.float32(table[0, 2])
    columns, count = (weight.shape[1] + SQUARE - 1) // SQUARE, 0
    for square in range(bounds[0], bounds[1]):
        top, left, first = square // columns * SQUARE, square % columns * SQUARE, count
        for i in range(top, min(top + SQUARE, weight.shape[0])):
            for j in range(left, min(left + SQUARE, weight.shape[1])):
                if weight[i, j] == 0:
                    continue
                out[count, 0], out[count, 1] = uv[i, j, 0] * width - half, (one - uv[i, j, 1]) * height - half
                out[count, 2] = levels[footprint[i, j]]
                if not _reaches(out[count, 1], out[count, 2], table[0, 1], owners, thread):
                    continue
                out[count, 3] = np.float32(weight[i, j]) * factors[footprint[i, j]]
                if trust.size > 0:
                    out[count, 3] *= trust[min(i // 2, len(trust) - 1), min(j // 2, trust.shape[1] - 1)]
                for c in range(3):
                    out[count, 4 + c] = _color(colors, image, falloff, i, j, c)
                count += 1
        if len(outlier[0]):
            _weigh(out[first:count], outlier)
    return count


@njit(nogil=True, cache=True, inline="always")
def _color(colors, image, falloff, i, j, c):  # type: ignore[no-untyped-def]
    """Return the color of the texture that a pixel stands for."""
    if len(falloff) == 0:
        return colors[image[i, j, c], c]
    value = min(np.float32(image[i, j, c]) / falloff[i, j], np.float32(len(colors) - 2))
    lower = np.int64(value)
    color = colors[lower, c]
    if value > lower:
        color += (colors[lower + 1, c] - color) * (value - np.float32(lower))
    return color


@kernel
def weigh_pixels(photo, lookup, outlier, trust, bounds):  # type: ignore[no-untyped-def]
    """Fill ``trust`` [H, W] with the factors that pixels in some rows lose by differing from a texture.

    The arguments are those of :func:`prepare`; ``bounds`` are rows.
    """
    image, uv, weight, footprint, falloff, _ = photo
    colors, levels, _ = lookup
    half, one, chain, table = np.float32(0.5), np.float32(1), outlier[0], outlier[1]
    height, width = np.float32(table[0, 1]), np.float32(table[0, 2])
    for i in range(bounds[0], bounds[1]):
        for j in range(weight.shape[1]):
            k = min(j + AHEAD, weight.shape[1] - 1)
            if weight[i, k]:
                x, y = uv[i, k, 0] * width - half, (one - uv[i, k, 1]) * height - half
                _ask_for(chain, table, np.int64(levels[footprint[i, k]] + half), x, y)
            trust[i, j] = one
            if weight[i, j] == 0:
                continue
            x, y = uv[i, j, 0] * width - half, (one - uv[i, j, 1]) * height - half
            r = _color(colors, image, falloff, i, j, 0)
            g = _color(colors, image, falloff, i, j, 1)
            b = _color(colors, image, falloff, i, j, 2)
            trust[i, j] = _agreement(outlier, x, y, levels[footprint[i, j]], (r, g, b))


@kernel
def _weigh(pixels, outlier):  # type: ignore[no-untyped-def]
    """Take weight from pixels whose color differs from that of a texture."""
    chain, table, half = outlier[0], outlier[1], np.float32(0.5)
    for p in range(len(pixels)):
        q = min(p + AHEAD, len(pixels) - 1)
        _ask_for(chain, table, np.int64(pixels[q, 2] + half), pixels[q, 0], pixels[q, 1])
        color = (pixels[p, 4], pixels[p, 5], pixels[p, 6])
        pixels[p, 3] *= _agreement(outlier, pixels[p, 0], pixels[p, 1], pixels[p, 2], color)


@njit(nogil=True, cache=True, inline="always")
def _agreement(outlier, x, y, level, color):  # type: ignore[no-untyped-def]
    """Return the weight that the difference of a color from that of a texture leaves."""
    chain, table, penalty, scale = outlier
    r, g, b = sample_nearest_level(chain, table, x, y, level)
    r, g, b = color[0] - r, color[1] - g, color[2] - b
    return np.float32(weight_of(penalty, (r * r + g * g + b * b) * np.float32(1 / 3), np.float32(scale)))


@njit(nogil=True, cache=True, inline="always")
def _ask_for(rows, table, level, x, y):  # type: ignore[no-untyped-def]
    """Prefetch the texels of a level around texel coordinates of the finest."""
    half, shrink, width = np.float32(0.5), SHRINK[level], table[level, 2]
    i, _ = lookup_cell((y + half) * shrink - half, table[level, 1])
    j, _ = lookup_cell((x + half) * shrink - half, width)
    place = table[level, 0] + i * width + j
    prefetch(rows, place)
    prefetch(rows, place + width)


@kernel
def scatter(pixels, rows, table, owners, thread):  # type: ignore[no-untyped-def]
    """Add the pixels that :func:`prepare` made to the equations ``rows`` [N, 8], in the rows this thread owns."""
    half, one = np.float32(0.5), np.float32(1)
    for p in range(len(pixels)):
        q = min(p + AHEAD, len(pixels) - 1)
        level = np.int64(pixels[q, 2])
        _ask_for(rows, table, level, pixels[q, 0], pixels[q, 1])
        _ask_for(rows, table, min(level + 1, len(table) - 1), pixels[q, 0], pixels[q, 1])
        weight, level = pixels[p, 3], np.int64(pixels[p, 2])
        part = pixels[p, 2] - np.float32(level)
        shrink, color = SHRINK[level], (pixels[p, 4], pixels[p, 5], pixels[p, 6])
        x, y = (pixels[p, 0] + half) * shrink - half, (pixels[p, 1] + half) * shrink - half
        _add(rows, table, level, x, y, weight * (one - part), color, owners, thread)
        if part > 0:
            x, y = (x + half) * half - half, (y + half) * half - half
            _add(rows, table, level + 1, x, y, weight * part, color, owners, thread)


@njit(nogil=True, cache=True, inline="always")
def _reaches(y, level, height, owners, thread):  # type: ignore[no-untyped-def]
    """Return whether a pixel at row ``y`` of the finest level may touch rows of a thread on any level."""
    if len(owners) == 0:
        return True
    row, _ = lookup_cell(y, height)
    reach = 4 << np.int64(level)  # of the coarser of two levels, in rows of the finest; less than a block
    first, last = max(row - reach, 0) >> BLOCK_BITS, min(row + reach, height - 1) >> BLOCK_BITS
    return owners[first] == thread or owners[last] == thread


@njit(nogil=True, cache=True, inline="always")
def _add(rows, table, level, x, y, w, color, owners, thread):  # type: ignore[no-untyped-def]
    """Add the outer product of four bilinear weights, and their products with the color, to one level.

    A texel keeps its own entry and those of its right, lower, lower right and lower left neighbor: the matrix is
    symmetric. Where the lookup is clamped to the border, the weight of the missing texel is zero.
    """
    offset, width = table[level, 0], table[level, 2]
    red, green, blue = color
    y0, wy = lookup_cell(y, table[level, 1])
    alone = len(owners) == 0
    upper = alone or owners[y0 << level >> BLOCK_BITS] == thread
    lower = alone or owners[min((y0 + 1) << level, table[0, 1] - 1) >> BLOCK_BITS] == thread
    if not (upper or lower):
        return
    x0, wx = lookup_cell(x, width)
    o, vx, vy = np.float32(0), np.float32(1) - wx, np.float32(1) - wy
    a, b, c, d = vx * vy, wx * vy, vx * wy, wx * wy
    i = offset + y0 * width + x0
    if upper:
        add_to_row(rows, i, w * a, (a, b, c, d, o, red, green, blue))
        if wx > 0:
            add_to_row(rows, i + 1, w * b, (b, o, d, o, c, red, green, blue))
    if lower and wy > 0:
        add_to_row(rows, i + width, w * c, (c, d, o, o, o, red, green, blue))
        if wx > 0:
            add_to_row(rows, i + width + 1, w * d, (d, o, o, o, o, red, green, blue))


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
