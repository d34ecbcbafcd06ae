"""How sharp each photograph is beside the others that show the same parts of the texture."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, UInt8

from neuraltex.fit import pixel_kernels

CELLS = 32
"""Cells along a side of the texture within which photographs are compared."""
NEAR, FAR = 1, 8
"""Distances over which differences of brightness are taken [px]."""
SAMPLES = 200_000
"""Pixels of a photograph that are looked at, about."""


def detail(
    image: UInt8[np.ndarray, "H W 3"], uv: Float[np.ndarray, "H W 2"], weight: UInt8[np.ndarray, "H W"]
) -> Float[np.ndarray, "2 cells cells"]:
    """Return the sums of squared brightness differences over near and far pixels in every cell of the texture."""
    stride = max(1, int((weight.size / SAMPLES) ** 0.5))
    out = np.zeros((2, CELLS, CELLS), np.float32)
    pixel_kernels.detail(image, uv, weight, stride, NEAR, FAR, out)
    return out


def relative_sharpness(details: Iterable[Float[np.ndarray, "2 cells cells"]]) -> Float[np.ndarray, " N"]:
    """Return the sharpness of every photograph relative to the others in the cells it shares with them.

    Images of nature have as much contrast in every octave (D. Field, "Relations between the statistics of natural
    images and the response properties of cortical cells", JOSA A 1987). The ratio of near to far differences therefore
    hardly depends on distance or exposure; blur lowers it. What a cell shows does matter, so the near differences are
    compared with those that the other photographs' ratio in the same cell predicts.

    Returns:
        About 1 for a usual photograph, below for a blurred one; 1 where it shares nothing with others.
    """
    stack = np.stack(list(details)).astype(np.float64)
    near, far = stack[:, 0], stack[:, 1]
    total_near, total_far = near.sum(0), far.sum(0)
    result = np.ones(len(stack))
    for index in range(len(stack)):
        others_far = total_far - far[index]
        shared = others_far > 1e-3 * total_far
        expected = (far[index] * (total_near - near[index]) / np.where(shared, others_far, 1))[shared].sum()
        if expected > 0:
            result[index] = np.sqrt(near[index][shared].sum() / expected)
    return result
