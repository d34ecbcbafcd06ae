"""One block of memory for all levels of a mip chain."""

from dataclasses import dataclass

import numpy as np
from numba import njit

SHRINK = np.float32(0.5) ** np.arange(16, dtype=np.float32)
"""Size of each level relative to the finest; looked up, since kernels would divide for every pixel."""


@dataclass(frozen=True)
class MipLayout:
    """Where the levels of a mip chain lie in one array of rows, finest first.

    Args:
        sizes: (height, width) of every level.
    """

    sizes: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, size: tuple[int, int], levels: int) -> "MipLayout":
        """Halve ``size`` (Ht, Wt) up to ``levels - 1`` times; ends at an odd size, as the mip chain of a texture does.

        The two rules agree so that texels of all levels cover whole texels of the finest.
        """
        sizes = [size]
        while len(sizes) < levels and sizes[-1][0] % 2 == 0 and sizes[-1][1] % 2 == 0:
            sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
        return cls(tuple(sizes))

    @property
    def offsets(self) -> np.ndarray:
        """First row of every level, and the number of rows in the end."""
        return np.cumsum([0, *(height * width for height, width in self.sizes)])

    @property
    def table(self) -> np.ndarray:
        """Offset, height and width of every level as int64 [L, 3], for kernels."""
        return np.column_stack([self.offsets[:-1], np.array(self.sizes)]).astype(np.int64)

    def views(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return the levels of such an array as images [h, w, channels] that share its memory."""
        ends = self.offsets
        return [rows[ends[i] : ends[i + 1]].reshape(*size, -1) for i, size in enumerate(self.sizes)]


@njit(nogil=True, cache=True, inline="always")
def lookup_cell(coordinate, size):  # type: ignore[no-untyped-def]
    """Return the first of the two texels around a coordinate, clamped to the border, and the weight of the second."""
    limit = np.float32(size - 1)
    if not coordinate > 0:  # also catches NaN, which must not become an index
        coordinate = np.float32(0)
    elif coordinate > limit:
        coordinate = limit
    first = np.int64(coordinate)
    return first, coordinate - np.float32(first)
