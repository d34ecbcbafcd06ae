"""Compiled loops of the comparison renderer (numba, without the GIL); v points *down* here, as rows of an image do."""

import numpy as np
from numba import njit

from neuraltex.core.compiled import kernel

# ruff: noqa: PLR0913, PLR0917 - compiled loops take plain arrays


@kernel
def add_texture(
    face_idx: np.ndarray,
    bary: np.ndarray,
    corner_uvs: np.ndarray,
    samples: int,
    color: np.ndarray,
    covered: np.ndarray,
    wanted: np.ndarray,
    texture: np.ndarray,
    begin: int,
    end: int,
) -> None:
    """Add the bilinear lookups of all samples on ``wanted`` faces to pixel rows ``begin`` to ``end``.

    ``color [h, w, 3]`` sums texture values (0..255) and ``covered [h, w]`` counts samples; ``face_idx`` and ``bary``
    have ``samples`` times as many rows and columns.
    """
    for fine_y in range(begin * samples, end * samples):
        for fine_x in range(face_idx.shape[1]):
            face = face_idx[fine_y, fine_x]
            if face < 0 or not wanted[face]:
                continue
            row, column = fine_y // samples, fine_x // samples
            u, v = 0.0, 0.0
            for corner in range(3):
                u += bary[fine_y, fine_x, corner] * corner_uvs[face, corner, 0]
                v += bary[fine_y, fine_x, corner] * corner_uvs[face, corner, 1]
            if _add_bilinear(texture, _repeat(u), _repeat(v), color[row, column]):
                covered[row, column] += 1


@kernel
def add_vertex_colors(
    face_idx: np.ndarray,
    bary: np.ndarray,
    corner_colors: np.ndarray,
    samples: int,
    color: np.ndarray,
    covered: np.ndarray,
    begin: int,
    end: int,
) -> None:
    """Add interpolated corner colors (0..255) instead; otherwise as :func:`add_texture`."""
    for fine_y in range(begin * samples, end * samples):
        for fine_x in range(face_idx.shape[1]):
            face = face_idx[fine_y, fine_x]
            if face < 0:
                continue
            row, column = fine_y // samples, fine_x // samples
            for corner in range(3):
                for channel in range(3):
                    color[row, column, channel] += bary[fine_y, fine_x, corner] * corner_colors[face, corner, channel]
            covered[row, column] += 1


@njit(cache=True, nogil=True, inline="always")
def _repeat(coordinate: float) -> float:
    """Wrap into [0, 1]; rounding errors at the border do not count as outside."""
    outside = coordinate < -1e-4 or coordinate > 1 + 1e-4
    return coordinate - np.floor(coordinate) if outside else coordinate


@kernel
def _add_bilinear(texture: np.ndarray, u: float, v: float, out: np.ndarray) -> bool:
    """Add the color at (u right, v down) to ``out``; in a hole of the alpha channel do nothing and say so."""
    height, width, channels = texture.shape
    x = min(max(u * width - 0.5, 0.0), width - 1.0)
    y = min(max(v * height - 0.5, 0.0), height - 1.0)
    x0, y0 = int(x), int(y)
    x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
    a, b = x - x0, y - y0
    w00, w01, w10, w11 = (1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b
    if channels == 4:
        alpha = (
            w00 * texture[y0, x0, 3] + w01 * texture[y0, x1, 3] + w10 * texture[y1, x0, 3] + w11 * texture[y1, x1, 3]
        )
        if alpha <= 127:
            return False
    for c in range(3):
        out[c] += (
            w00 * texture[y0, x0, c] + w01 * texture[y0, x1, c] + w10 * texture[y1, x0, c] + w11 * texture[y1, x1, c]
        )
    return True
