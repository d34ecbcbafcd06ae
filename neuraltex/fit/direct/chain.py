"""The texture at hand while photographs are added: a packed mip chain, which pixels are compared with.

A color takes eight bytes instead of twelve, and the floats of the solver are freed meanwhile.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int64, UInt8
from numba import njit

from neuraltex.core.compiled import kernel
from neuraltex.fit.direct import operators
from neuraltex.fit.direct.cells import coarsen_cells
from neuraltex.fit.direct.layout import SHRINK, MipLayout, lookup_cell
from neuraltex.fit.direct.vectors import CHANNEL_BITS, mix_packed
from neuraltex.texture.fill import dilate

LOWEST, STEP = -1.0, 2.0**-19
"""Smallest value that is kept, and the difference of two that are kept apart [color in 0 to 1]; the largest is 3. The
step is near the rounding of floats, so that processes which sum in another order come to the same weights."""
HIGHEST = (1 << CHANNEL_BITS) - 1


class ColorChain:
    """A mip chain of colors.

    Args:
        layout: Where the levels lie.
    """

    def __init__(self, layout: MipLayout) -> None:
        self.layout = layout
        self.rows: Int64[np.ndarray, " R"] = np.zeros(int(layout.offsets[-1]), np.int64)
        """All levels, as :func:`~neuraltex.fit.direct.vectors.mix_packed` reads them."""

    def fill(self, texture: Float[np.ndarray, "Ht Wt 3"], cells: UInt8[np.ndarray, "Ht Wt"]) -> None:
        """Take over a texture and the means of its unknowns, as :func:`mean_levels` says."""
        levels = self.layout.views(self.rows)
        _pack(texture, levels[0][..., 0])
        for level, (_, means) in zip(levels[1:], mean_levels(texture, cells, len(levels)), strict=True):
            _pack(means, level[..., 0])

    def level(self, index: int) -> Float[np.ndarray, "h w 3"]:
        """Return a level as float32."""
        packed = self.layout.views(self.rows)[index][..., 0]
        out = np.empty((*packed.shape, 3), np.float32)
        _unpack(packed, out)
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


@kernel
def _pack(values, out):  # type: ignore[no-untyped-def]
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            packed = np.int64(0)
            for c in range(3):
                number = np.rint((np.float64(values[i, j, c]) - LOWEST) / STEP)
                packed |= np.int64(min(max(number, 0.0), HIGHEST)) << (c * CHANNEL_BITS)
            out[i, j] = packed


@kernel
def _unpack(packed, out):  # type: ignore[no-untyped-def]
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            for c in range(3):
                out[i, j, c] = ((packed[i, j] >> (c * CHANNEL_BITS)) & HIGHEST) * STEP + LOWEST


@njit(nogil=True, cache=True, inline="always")
def sample_nearest_level(rows, table, x, y, level):  # type: ignore[no-untyped-def]
    """Return the color of the rows of a :class:`ColorChain`, bilinear on the level nearest to ``level``.

    ``x`` and ``y`` are texel coordinates of the finest level, ``table`` is that of the layout. Colors between two
    levels would cost twice as much and change no weight that matters.
    """
    nearest = np.int64(level + np.float32(0.5))
    half, one, shrink = np.float32(0.5), np.float32(1), SHRINK[nearest]
    height, width = table[nearest, 1], table[nearest, 2]
    x0, wx = lookup_cell((x + half) * shrink - half, width)
    y0, wy = lookup_cell((y + half) * shrink - half, height)
    i = table[nearest, 0] + y0 * width + x0
    right = min(x0 + 1, width - 1) - x0
    k = i + (min(y0 + 1, height - 1) - y0) * width
    weights = ((one - wx) * (one - wy), wx * (one - wy), (one - wx) * wy, wx * wy)
    r, g, b = mix_packed(rows, (i, i + right, k, k + right), weights)
    step, lowest = np.float32(STEP), np.float32(LOWEST)
    return r * step + lowest, g * step + lowest, b * step + lowest
