"""CPU kernels behind :mod:`neuraltex.fit.pixels` and :mod:`neuraltex.fit.sharpness`; they release the GIL."""

import math

import numpy as np
from numba import njit

from neuraltex.core.compiled import kernel


@kernel
def spread(uv_bits, uv, bits, stored, image, allowed, tables, limits, frame):  # type: ignore[no-untyped-def]
    """Spread packed pixels over a frame and multiply what the tables say about each; see ``pixels.weigh``.

    ``allowed`` and the stored depth error may be empty, the table of footprints may have one entry.
    """
    cosine, footprint, distance, depth = stored
    of_cosine, of_distance, of_depth, of_footprint = tables
    bright, dark, saturated = limits
    out_uv, out_weight, out_footprint = frame
    next_uv, next_pixel = 0, 0
    for i in range(len(out_weight)):
        has_uv = (uv_bits[i >> 3] >> (7 - (i & 7))) & 1
        weight = np.float32(0)
        out_uv[i, 0] = out_uv[i, 1] = 0
        out_footprint[i] = 0
        if has_uv:
            out_uv[i, 0], out_uv[i, 1] = uv[next_uv, 0], uv[next_uv, 1]
            next_uv += 1
        if (bits[i >> 3] >> (7 - (i & 7))) & 1:
            k = next_pixel
            next_pixel += 1
            out_footprint[i] = footprint[k]
            if has_uv and (len(allowed) == 0 or allowed[i]):
                weight = of_cosine[cosine[k]] * of_distance[distance[k]]
                if len(depth):
                    weight *= of_depth[depth[k]]
                if len(of_footprint) > 1:
                    weight *= of_footprint[footprint[k]]
                if saturated < 1 and _is_saturated(image[i], bright, dark):
                    weight *= saturated
        out_weight[i] = min(255, math.ceil(weight * np.float32(255)))


@njit(nogil=True, cache=True, inline="always")
def _is_saturated(color, bright, dark):  # type: ignore[no-untyped-def]
    over = color[0] > bright or color[1] > bright or color[2] > bright
    return over or (color[0] < dark and color[1] < dark and color[2] < dark)


@kernel
def detail(image, uv, weight, stride, near, far, out):  # type: ignore[no-untyped-def]
    """Add squared differences of brightness over two distances to the cells of the texture; see ``sharpness``.

    ``out`` is [2, cells, cells]: over ``near`` pixels, over ``far`` pixels; cells are counted along u and v.
    """
    height, width, _ = image.shape
    cells = out.shape[1]
    for y in range(0, height - far, stride):
        for x in range(0, width - far, stride):
            if not (weight[y, x] and weight[y + far, x] and weight[y, x + far]):
                continue
            row = min(max(int(uv[y, x, 1] * cells), 0), cells - 1)
            column = min(max(int(uv[y, x, 0] * cells), 0), cells - 1)
            here = _brightness(image[y, x])
            for step, layer in ((near, 0), (far, 1)):
                down = _brightness(image[y + step, x]) - here
                right = _brightness(image[y, x + step]) - here
                out[layer, row, column] += np.float32(down * down + right * right) * np.float32(weight[y, x])


@njit(nogil=True, cache=True, inline="always")
def _brightness(color):  # type: ignore[no-untyped-def]
    return np.int64(color[0]) + 2 * np.int64(color[1]) + np.int64(color[2])
