"""Seam equations as the solver needs them: one linear map per level, applied to the colors at hand.

The map is ``S = J' diag(strength) J`` with J the seam equations. It joins the stencils as a majorizer:
``S x = m x - (m - S) x`` with m the row sums of ``|S|``.
"""

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from neuraltex.core.compiled import kernel
from neuraltex.core.runtime import cpu_threads
from neuraltex.core.threads import run_threads
from neuraltex.fit.direct.seams import SeamRows, subtract_normal

ROWS_PER_THREAD = 10_000


class LevelSeams(ABC):
    """What the seams of one level say, in whatever form it is stored.

    Args:
        texels: Texels that occur, as ascending indices into [Ht * Wt].
        majorant: m at these texels.
    """

    def __init__(self, texels: Int[np.ndarray, " S"], majorant: Float[np.ndarray, " S"]) -> None:
        self._texels, self._majorant = texels.astype(np.int32), majorant
        self._base = np.zeros((len(texels), 3), np.float32)

    def stiffen(self, matrix: Float[np.ndarray, "h w K"]) -> None:
        """Add m to the diagonal."""
        matrix.reshape(-1, matrix.shape[2])[self._texels, 0] += self._majorant

    def loosen(self, matrix: Float[np.ndarray, "h w K"]) -> None:
        """Undo :meth:`stiffen`."""
        matrix.reshape(-1, matrix.shape[2])[self._texels, 0] -= self._majorant

    def hold(self, right: Float[np.ndarray, "h w 8"]) -> None:
        """Remember the right-hand side without seams."""
        self._base[:] = right.reshape(-1, 8)[self._texels, 5:]

    @abstractmethod
    def refresh(self, right: Float[np.ndarray, "h w 8"], x: Float[np.ndarray, "h w C"]) -> None:
        """Set the right-hand side to what it is without seams, plus ``(m - S) x``."""

    @abstractmethod
    def coarser(self) -> "LevelSeams":
        """Return the seams of the level of half the size, where a texel stands for 2x2 (Galerkin)."""


class SeamMatrix(LevelSeams):
    """S as a sparse matrix.

    Args:
        texels: Texels that occur, as ascending indices into [Ht * Wt].
        matrix: S, symmetric [len(texels), len(texels)].
        width: Wt.
    """

    def __init__(self, texels: Int[np.ndarray, " S"], matrix: sparse.csr_matrix, width: int) -> None:
        super().__init__(texels, _row_sums(matrix))
        self._starts, self._columns = matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32)
        self._values, self._width = matrix.data.astype(np.float32), width

    def refresh(self, right: Float[np.ndarray, "h w 8"], x: Float[np.ndarray, "h w C"]) -> None:
        """Set the right-hand side to what it is without seams, plus ``(m - S) x``."""
        count, flat, colors = len(self._texels), right.reshape(-1, 8), x.reshape(-1, x.shape[2])
        system = (self._texels, self._starts, self._columns, self._values, self._majorant)
        threads = max(1, min(cpu_threads(), count // ROWS_PER_THREAD))

        def work(index: int) -> None:
            first, last = count * index // threads, count * (index + 1) // threads
            _refresh(system, self._base, colors, flat, first, last)

        run_threads(work, threads)

    def coarser(self) -> LevelSeams:
        """Return the seams of the level of half the size, where a texel stands for 2x2 (Galerkin)."""
        count = len(self._texels)
        matrix = sparse.csr_matrix((self._values, self._columns, self._starts), shape=(count, count))
        return coarsened(self._texels, matrix, self._width)


class FinestSeams(LevelSeams):
    """S kept as J: a sixth of the memory where there is most of it.

    Its m is made of the row sums of ``|J|' diag(strength) |J|``, which are not less than those of ``|S|``.

    Args:
        rows: Seam equations.
    """

    def __init__(self, rows: SeamRows) -> None:
        used = rows.used
        local, size = np.searchsorted(used, rows.texels).ravel(), np.abs(rows.weights)
        majorant = np.bincount(local, (size * (rows.strength * size.sum(1))[:, None]).ravel(), len(used))
        super().__init__(used, majorant.astype(np.float32))
        coarse, place, half = _halved(used, rows.width)
        starts, shape = np.arange(0, local.size + 1, 8), (len(rows), len(coarse))
        jacobian = sparse.csr_matrix((rows.weights.flatten(), place[local], starts), shape=shape)  # of its own: sorted
        jacobian.sum_duplicates()
        matrix = (jacobian.T @ sparse.diags(rows.strength) @ jacobian).tocsr()
        self._rows, self._coarser = rows, SeamMatrix(coarse, matrix, half)

    def refresh(self, right: Float[np.ndarray, "h w 8"], x: Float[np.ndarray, "h w C"]) -> None:
        """Set the right-hand side to what it is without seams, plus ``(m - S) x``."""
        flat, colors = right.reshape(-1, 8), x.reshape(-1, x.shape[2])
        flat[self._texels, 5:] = self._base + self._majorant[:, None] * colors[self._texels, :3]
        subtract_normal(self._rows.texels, self._rows.weights, self._rows.strength, colors, flat[:, 5:])

    def coarser(self) -> LevelSeams:
        """Return the seams of the level of half the size, where a texel stands for 2x2 (Galerkin)."""
        return self._coarser


def coarsened(texels: Int[np.ndarray, " S"], matrix: sparse.csr_matrix, width: int) -> SeamMatrix:
    """Sum a matrix over 2x2 texels."""
    coarse, place, half = _halved(texels, width)
    ones, starts = np.ones(len(place), np.float32), np.arange(len(place) + 1)
    sums = sparse.csr_matrix((ones, place, starts), shape=(len(place), len(coarse)))
    return SeamMatrix(coarse, (sums.T @ matrix @ sums).tocsr(), half)


def _halved(texels: Int[np.ndarray, " S"], width: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the texels of half the size that occur, which of them each texel lies in, and the width of that level."""
    y, x = np.divmod(texels, width)
    half = (width + 1) // 2
    coarse, place = np.unique(y // 2 * half + x // 2, return_inverse=True)
    return coarse, place, half


def _row_sums(matrix: sparse.csr_matrix) -> Float[np.ndarray, " S"]:
    return np.asarray(abs(matrix).sum(1), np.float32).reshape(-1)


@kernel
def _refresh(system, base, colors, right, first, last):  # type: ignore[no-untyped-def]
    """Do what :meth:`SeamMatrix.refresh` says for some rows."""
    texels, starts, columns, values, majorant = system
    for row in range(first, last):
        texel, m = texels[row], majorant[row]
        r, g, b = m * colors[texel, 0], m * colors[texel, 1], m * colors[texel, 2]
        for k in range(starts[row], starts[row + 1]):
            other, value = texels[columns[k]], values[k]
            r -= value * colors[other, 0]
            g -= value * colors[other, 1]
            b -= value * colors[other, 2]
        right[texel, 5], right[texel, 6], right[texel, 7] = base[row, 0] + r, base[row, 1] + g, base[row, 2] + b
