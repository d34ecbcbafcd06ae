"""CPU kernels behind :mod:`neuraltex.texture.sample`: gather and scatter of four texels per pixel.

``torch.nn.functional.grid_sample`` spreads its CPU work over the batch axis only, so that one texture seen through one
list of pixels runs on one core. These kernels use every core, and their results do not depend on how many there are:
in the scatter each thread owns whole rows of the texture, hence a texel always sums its pixels in their given order.
The readable twin is ``sample_bilinear_reference``.
"""

import numpy as np
import torch
from jaxtyping import Float
from numba import njit

from neuraltex.core.compiled import kernel
from neuraltex.core.threads import run_threads

_ROWS_PER_BLOCK = 32  # rows a thread owns in a run; small enough to balance, large enough to stay in cache
_MIN_PIXELS_PER_THREAD = 20_000  # below this, starting a thread costs more than it saves
_MAX_THREADS = 8  # every thread of a scatter reads all coordinates, which stops paying off


def gather(texture: Float[np.ndarray, "Ht Wt C"], uv: Float[np.ndarray, "P 2"]) -> Float[np.ndarray, "P C"]:
    """Return the bilinear samples of a float32 texture at float32 uv; both contiguous."""
    out = np.empty((len(uv), texture.shape[2]), np.float32)
    threads = _num_threads(len(uv))
    bounds = [len(uv) * index // threads for index in range(threads + 1)]
    run_threads(lambda index: _gather(texture, uv, out, bounds[index], bounds[index + 1]), threads)
    return out


def scatter(
    values: Float[np.ndarray, "P C"], uv: Float[np.ndarray, "P 2"], size: tuple[int, int]
) -> Float[np.ndarray, "Ht Wt C"]:
    """Return the transpose of :func:`gather` applied to float32 values; ``size`` is (Ht, Wt)."""
    return scatter_into(values, uv, np.zeros((*size, values.shape[1]), np.float32))


def scatter_into(
    values: Float[np.ndarray, "P C"], uv: Float[np.ndarray, "P 2"], out: Float[np.ndarray, "Ht Wt C"]
) -> Float[np.ndarray, "Ht Wt C"]:
    """Add :func:`scatter` to an existing array and return it."""
    threads = _num_threads(len(uv))
    run_threads(lambda index: _scatter(values, uv, out, index, threads), threads)
    return out


def _num_threads(num_pixels: int) -> int:
    return max(1, min(torch.get_num_threads(), num_pixels // _MIN_PIXELS_PER_THREAD, _MAX_THREADS))


@njit(nogil=True, cache=True, inline="always")
def _cell(coordinate, size):  # type: ignore[no-untyped-def]
    """Return the two texels around a texel coordinate, clamped to the border, and the weight of the second."""
    limit = np.float32(size - 1)
    if not coordinate > 0:  # also catches NaN, which must not become an index
        coordinate = np.float32(0)
    elif coordinate > limit:
        coordinate = limit
    first = int(coordinate)
    return first, min(first + 1, size - 1), coordinate - np.float32(first)


@kernel
def _gather(texture, uv, out, start, stop):  # type: ignore[no-untyped-def]
    height, width, channels = texture.shape
    half, one = np.float32(0.5), np.float32(1)
    for p in range(start, stop):
        x0, x1, wx = _cell(uv[p, 0] * np.float32(width) - half, width)
        y0, y1, wy = _cell((one - uv[p, 1]) * np.float32(height) - half, height)
        for c in range(channels):
            top = texture[y0, x0, c] + (texture[y0, x1, c] - texture[y0, x0, c]) * wx
            bottom = texture[y1, x0, c] + (texture[y1, x1, c] - texture[y1, x0, c]) * wx
            out[p, c] = top + (bottom - top) * wy


@kernel
def _scatter(values, uv, out, thread, threads):  # type: ignore[no-untyped-def]
    height, width, channels = out.shape
    half, one = np.float32(0.5), np.float32(1)
    for p in range(len(uv)):
        y0, y1, wy = _cell((one - uv[p, 1]) * np.float32(height) - half, height)
        owns0 = (y0 // _ROWS_PER_BLOCK) % threads == thread
        owns1 = (y1 // _ROWS_PER_BLOCK) % threads == thread
        if not (owns0 or owns1):
            continue
        x0, x1, wx = _cell(uv[p, 0] * np.float32(width) - half, width)
        for c in range(channels):
            right = values[p, c] * wx
            left = values[p, c] - right
            if owns0:
                out[y0, x0, c] += left * (one - wy)
                out[y0, x1, c] += right * (one - wy)
            if owns1:
                out[y1, x0, c] += left * wy
                out[y1, x1, c] += right * wy
