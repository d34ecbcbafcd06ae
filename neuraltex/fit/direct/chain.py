"""The texture at hand while photographs are added: a mip chain in 16 bits, which pixels are compared with.

Weights of outliers do not need more, and the floats of the solver are freed meanwhile.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int16, UInt8
from numba import njit

from neuraltex.fit.direct import operators
from neuraltex.fit.direct.cells import coarsen_cells
from neuraltex.fit.direct.layout import MipLayout, lookup_cell
from neuraltex.fit.direct.vectors import mix_rows
from neuraltex.texture.fill import dilate

STEP = 2.0**-13
"""Difference of two values that are kept apart [color in 0 to 1]; colors from -4 to 4 can be kept."""
BLOCK = 256  # rows converted at a time


class ColorChain:
    """A mip chain of colors.

    Args:
        layout: Where the levels lie.
    """

    def __init__(self, layout: MipLayout) -> None:
        self.layout = layout
        self.rows: Int16[np.ndarray, "R+1 3"] = np.zeros((int(layout.offsets[-1]) + 1, 3), np.int16)
        """All levels, and one row more, as :func:`~neuraltex.fit.direct.vectors.mix_rows` asks for."""

    def fill(self, texture: Float[np.ndarray, "Ht Wt 3"], cells: UInt8[np.ndarray, "Ht Wt"]) -> None:
        """Take over a texture and the means of its unknowns, as :func:`mean_levels` says."""
        levels = self.layout.views(self.rows[:-1])
        _store(texture, levels[0])
        for level, (_, means) in zip(levels[1:], mean_levels(texture, cells, len(levels)), strict=True):
            _store(means, level)

    def level(self, index: int) -> Float[np.ndarray, "h w 3"]:
        """Return a level as float32."""
        values = self.layout.views(self.rows[:-1])[index]
        out = np.empty(values.shape, np.float32)
        for start in range(0, len(out), BLOCK):
            np.multiply(values[start : start + BLOCK], np.float32(STEP), out=out[start : start + BLOCK])
        return out


def mean_levels(
    texture: Float[np.ndarray, "Ht Wt 3"], cells: UInt8[np.ndarray, "Ht Wt"], num_levels: int
) -> Iterator[tuple[UInt8[np.ndarray, "h w"], Float[np.ndarray, "h w 3"]]]:
    """Yield cells and colors of the coarser levels: means of the unknowns, and one ring of texels for lookups."""
    for _ in range(num_levels - 1):
        below = coarsen_cells(cells)
        means = np.zeros((*below.shape, 3), np.float32)
        operators.average(cells, texture, below, means, 0, len(means))
        texture, cells = means, below
        yield cells, dilate(means, cells > 0, 1, copy=False)[0]


def _store(values: Float[np.ndarray, "h w 3"], out: Int16[np.ndarray, "h w 3"]) -> None:
    for start in range(0, len(values), BLOCK):
        scaled = values[start : start + BLOCK] / np.float32(STEP)
        out[start : start + BLOCK] = np.rint(scaled).clip(-(1 << 15), (1 << 15) - 1)


@njit(nogil=True, cache=True, inline="always")
def sample_nearest_level(rows, table, x, y, level):  # type: ignore[no-untyped-def]
    """Return the color of the rows of a :class:`ColorChain`, bilinear on the level nearest to ``level``.

    ``x`` and ``y`` are texel coordinates of the finest level, ``table`` is that of the layout. Colors between two
    levels would cost twice as much and change no weight that matters.
    """
    nearest = np.int64(level + np.float32(0.5))
    half, one, shrink = np.float32(0.5), np.float32(1), np.float32(1) / np.float32(1 << nearest)
    height, width = table[nearest, 1], table[nearest, 2]
    x0, wx = lookup_cell((x + half) * shrink - half, width)
    y0, wy = lookup_cell((y + half) * shrink - half, height)
    i = table[nearest, 0] + y0 * width + x0
    right = min(x0 + 1, width - 1) - x0
    k = i + (min(y0 + 1, height - 1) - y0) * width
    upper, lower = (one - wy) * np.float32(STEP), wy * np.float32(STEP)
    weights = ((one - wx) * upper, wx * upper, (one - wx) * lower, wx * lower)
    return mix_rows(rows, (i, i + right, k, k + right), weights)
