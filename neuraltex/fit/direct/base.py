"""Two bands: colors in the large from all photographs alike, details from those that agree.

Shadows that move, highlights and glare make whole regions differ between photographs. None of them is wrong, and their
plain mean, in which a photograph does not count more because it is near, predicts a new photograph best; robust weights
would pick one of them, and a near photograph would outvote the others by its number of pixels. Details are the other
way round. So the two are fitted separately and joined (P. Burt and E. Adelson, "A multiresolution spline with
application to image mosaics", 1983).
"""

import numpy as np
from jaxtyping import Bool, Float, UInt8

from neuraltex.core.compiled import kernel
from neuraltex.texture.fill import dilate

RINGS = 2
"""Squares that the change of the base reaches into what photographs do not determine."""


def replace_base(
    texture: Float[np.ndarray, "Ht Wt 3"],
    coarse: Float[np.ndarray, "h w 3"],
    base: Float[np.ndarray, "h w 3"],
    cells: UInt8[np.ndarray, "Ht Wt"],
    level: int,
) -> None:
    """Give a texture another base, in place.

    Args:
        texture: Float32; only unknowns change.
        coarse: Its means over squares of ``2 ** level`` texels, unknowns only, known one square beyond them.
        base: What they shall be.
        cells: Unknowns of the texture are not 0.
        level: Level of the mip chain.
    """
    _add_upsampled(texture, base - coarse, cells, np.float32(2.0**-level))


def base_where_seen(
    base: Float[np.ndarray, "h w 3"],
    coarse: Float[np.ndarray, "h w 3"],
    cells: UInt8[np.ndarray, "Ht Wt"],
    open_texels: Bool[np.ndarray, "Ht Wt"],
) -> Float[np.ndarray, "h w 3"]:
    """Return the base where photographs determine a texture, and what the texture has itself elsewhere.

    The mean of a square that holds open texels says nothing about the others, so such squares take the change of
    squares that hold none, up to two squares away: what texels are interpolated from.

    Args:
        base: What colors in the large shall be.
        coarse: What they are.
        cells: Unknowns of the texture are not 0.
        open_texels: Texels whose colors come from elsewhere.
    """
    height, width = base.shape[:2]
    split = (height, cells.shape[0] // height, width, cells.shape[1] // width)
    shut = np.reshape((cells > 0) & ~open_texels, split).any((1, 3))
    mixed = np.reshape(open_texels, split).any((1, 3))
    change, reached = dilate(base - coarse, np.asarray(shut & ~mixed), RINGS, copy=False)
    return coarse + np.where(reached[..., None], change, np.float32(0))


@kernel
def _add_upsampled(texture, change, cells, shrink):  # type: ignore[no-untyped-def]
    """Add a coarse image, interpolated bilinearly, where ``cells`` is not 0."""
    half = np.float32(0.5)
    rows, columns = change.shape[:2]
    for y in range(texture.shape[0]):
        v = min(max((y + half) * shrink - half, np.float32(0)), np.float32(rows - 1))
        j = int(v)
        k, b = min(j + 1, rows - 1), v - np.float32(j)
        for x in range(texture.shape[1]):
            if cells[y, x] == 0:
                continue
            u = min(max((x + half) * shrink - half, np.float32(0)), np.float32(columns - 1))
            i = int(u)
            m, a = min(i + 1, columns - 1), u - np.float32(i)
            for c in range(3):
                upper = change[j, i, c] + (change[j, m, c] - change[j, i, c]) * a
                lower = change[k, i, c] + (change[k, m, c] - change[k, i, c]) * a
                texture[y, x, c] += upper + (lower - upper) * b
