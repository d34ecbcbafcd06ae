"""Where a texture differs from the photographs, gathered on the texture."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, UInt8

from neuraltex.core.conventions import texel_from_uv
from neuraltex.io.prepared import PreparedView

FULL_SCALE = 64 / 255
"""Mean absolute difference shown in the brightest color."""
_ANCHORS = np.array([[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]], float)
_UNSEEN = 90


def error_texture(
    texture: Float[np.ndarray, "Ht Wt 3"], views: Iterable[PreparedView], size: int = 1024
) -> UInt8[np.ndarray, "size size 3"]:
    """Return the mean absolute difference between a texture and photographs per texel, as a color map.

    Black is none, pale yellow :data:`FULL_SCALE` or more, grey was not seen. Every valid pixel is taken once, at the
    texel it falls into; that is coarse, but shows where a texture is wrong.

    Args:
        texture: Color in [0, 1].
        views: Prepared views with uv maps of that texture.
        size: Side of the result [texel].
    """
    sums, counts = np.zeros(size * size), np.zeros(size * size)
    for view in views:
        valid = view.load_valid()
        uv = view.load_uv().uv[valid]
        colors = view.load_image()[valid] / 255
        difference = np.abs(texture[_nearest(uv, texture.shape[1], texture.shape[0])] - colors).mean(1)
        row, column = _nearest(uv, size, size)
        sums += np.bincount(row * size + column, difference, size * size)
        counts += np.bincount(row * size + column, minlength=size * size)
    levels = np.clip(sums / np.maximum(counts, 1) / FULL_SCALE, 0, 1)
    colored = np.stack([np.interp(levels, np.linspace(0, 1, len(_ANCHORS)), _ANCHORS[:, c]) for c in range(3)], axis=1)
    colored[counts == 0] = _UNSEEN
    return np.round(colored).astype(np.uint8).reshape(size, size, 3)


def _nearest(uv: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the texel that holds each uv."""
    x, y = texel_from_uv(uv.astype(np.float64), width, height)
    return np.round(y).astype(np.int64).clip(0, height - 1), np.round(x).astype(np.int64).clip(0, width - 1)
