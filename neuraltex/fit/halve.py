"""Photographs of half the size with their uv maps: what a rough look at all of them needs, at a quarter of the cost."""

import numpy as np
from jaxtyping import Float, UInt8

from neuraltex.core.compiled import kernel
from neuraltex.fit.footprints import footprint_of_bits
from neuraltex.render.parallel import for_row_blocks

REACH = 4.0
"""Pixels whose texels lie further apart than so many footprints are not of one piece of surface."""

Arrays = tuple[
    UInt8[np.ndarray, "H W 3"], Float[np.ndarray, "H W 2"], UInt8[np.ndarray, "H W"], Float[np.ndarray, "H W"]
]


def halve(image: np.ndarray, uv: np.ndarray, weight: np.ndarray, footprint: np.ndarray, texture_size: int) -> Arrays:
    """Take the mean over squares of 2x2 pixels.

    Only pixels with a weight count, and only those near the first of them on the texture: a square may lie across the
    border of a chart. A last row or column without partner is left out.

    Args:
        image: 8 bit colors [H, W, 3].
        uv: Where pixels lie on the texture, float32 [H, W, 2].
        weight: Their weights [1/255], uint8 [H, W].
        footprint: Square root of their area, float16 [H, W] [texel].
        texture_size: Side of that texture [texel].

    Returns:
        The same for [H // 2, W // 2]; footprints are in texels of a texture of half the size, which leaves the numbers
        as they are.
    """
    height, width = weight.shape[0] // 2, weight.shape[1] // 2
    small = np.empty((height, width, 3), np.uint8), np.zeros((height, width, 2), np.float32)
    rest = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint16)
    photo, out = (image, uv, weight, footprint.view(np.uint16)), (*small, *rest)
    reach = np.maximum(footprint_of_bits(), 1) * np.float32(REACH / texture_size)
    for_row_blocks(lambda first, last: _halve(photo, reach, out, first, last), height)
    return (*small, rest[0], rest[1].view(np.float16))


@kernel
def _halve(photo, reach, out, first, last):  # type: ignore[no-untyped-def]
    image, uv, weight, footprint = photo
    small, place, trust, size = out
    for i in range(first, last):
        for j in range(trust.shape[1]):
            count, total = 0, 0
            r = g = b = 0
            u0 = v0 = near = u = v = np.float32(0)
            for k in range(4):
                y, x = 2 * i + k // 2, 2 * j + k % 2
                if weight[y, x] == 0:
                    continue
                if count == 0:
                    u0, v0, near = uv[y, x, 0], uv[y, x, 1], reach[footprint[y, x]]
                    size[i, j] = footprint[y, x]
                elif abs(uv[y, x, 0] - u0) > near or abs(uv[y, x, 1] - v0) > near:
                    continue
                count += 1
                total += weight[y, x]
                u += uv[y, x, 0] - u0
                v += uv[y, x, 1] - v0
                r += image[y, x, 0]
                g += image[y, x, 1]
                b += image[y, x, 2]
            if count:
                part = np.float32(1) / np.float32(count)
                place[i, j, 0], place[i, j, 1] = u0 + u * part, v0 + v * part
                trust[i, j] = (total + 3) // 4
                small[i, j, 0] = (r + count // 2) // count
                small[i, j, 1] = (g + count // 2) // count
                small[i, j, 2] = (b + count // 2) // count
