"""Seam equations as the solver needs them: one sparse matrix per level, applied to the colors at hand."""

import numpy as np
from jaxtyping import Float
from numba import njit
from scipy import sparse

from neuraltex.core.runtime import cpu_threads
from neuraltex.fit.direct.equations import run_threads
from neuraltex.fit.direct.seams import SeamRows

ROWS_PER_THREAD = 10_000


class SeamMatrix:
    """The matrix ``S = J' diag(strength) J`` of seam equations J on the texels that occur in them.

    It joins the stencils as a majorizer: ``S x = m x - (m - S) x`` with m the row sums of ``|S|``. The first part goes
    onto the diagonal once (:meth:`stiffen`), the second onto the right-hand side whenever colors changed
    (:meth:`refresh`).

    Args:
        texels: Those texels, as ascending indices into [Ht * Wt].
        matrix: S, symmetric [len(texels), len(texels)].
        width: Wt.
    """

    def __init__(self, texels: np.ndarray, matrix: sparse.csr_matrix, width: int) -> None:
        self._texels, self._width = texels.astype(np.int32), width
        self._starts, self._columns = matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32)
        self._values = matrix.data.astype(np.float32)
        self._majorant = np.asarray(abs(matrix).sum(1), np.float32).reshape(-1)
        self._base = np.zeros((len(texels), 3), np.float32)

    def coarser(self) -> "SeamMatrix":
        """Return the matrix on the level of half the size, where a texel stands for 2x2 (Galerkin)."""
        y, x = np.divmod(self._texels, self._width)
        width = (self._width + 1) // 2
        texels, place = np.unique(y // 2 * width + x // 2, return_inverse=True)
        count = len(place)
        ones = np.ones(count, np.float32)
        sums = sparse.csr_matrix((ones, place, np.arange(count + 1)), shape=(count, len(texels)))
        matrix = sparse.csr_matrix((self._values, self._columns, self._starts), shape=(count, count))
        return SeamMatrix(texels, (sums.T @ matrix @ sums).tocsr(), width)

    def stiffen(self, matrix: Float[np.ndarray, "h w K"]) -> None:
        """Add the row sums to the diagonal."""
        matrix.reshape(-1, matrix.shape[2])[self._texels, 0] += self._majorant

    def loosen(self, matrix: Float[np.ndarray, "h w K"]) -> None:
        """Undo :meth:`stiffen`."""
        matrix.reshape(-1, matrix.shape[2])[self._texels, 0] -= self._majorant

    def hold(self, right: Float[np.ndarray, "h w 8"]) -> None:
        """Remember the right-hand side without seams."""
        self._base[:] = right.reshape(-1, 8)[self._texels, 5:]

    def refresh(self, right: Float[np.ndarray, "h w 8"], x: Float[np.ndarray, "h w C"]) -> None:
        """Bring the right-hand side up to date with the colors ``x``."""
        count, flat, colors = len(self._texels), right.reshape(-1, 8), x.reshape(-1, x.shape[2])
        system = (self._texels, self._starts, self._columns, self._values, self._majorant)
        threads = max(1, min(cpu_threads(), count // ROWS_PER_THREAD))

        def work(index: int) -> None:
            first, last = count * index // threads, count * (index + 1) // threads
            _refresh(system, self._base, colors, flat, first, last)

        run_threads(work, threads)


class FinestSeams(SeamMatrix):
    """The matrix on the finest level, kept as J: a sixth of the memory.

    Args:
        rows: Seam equations.
    """

    def __init__(self, rows: SeamRows) -> None:
        used = rows.used
        self._rows, local = rows, np.searchsorted(used, rows.texels).astype(np.int32)
        starts, shape = np.arange(0, local.size + 1, 8), (len(rows), len(used))
        jacobian = sparse.csr_matrix((rows.weights.ravel(), local.ravel(), starts), shape=shape)
        super().__init__(used, (jacobian.T @ sparse.diags(rows.strength) @ jacobian).tocsr(), rows.width)
        self._next = super().coarser()
        self._starts = self._columns = self._values = np.empty(0)

    def coarser(self) -> SeamMatrix:
        """Return the matrix on the level of half the size."""
        return self._next

    def refresh(self, right: Float[np.ndarray, "h w 8"], x: Float[np.ndarray, "h w C"]) -> None:
        """Bring the right-hand side up to date with the colors ``x``."""
        flat, colors = right.reshape(-1, 8), x.reshape(-1, x.shape[2])
        _restore(self._texels, self._majorant, self._base, colors, flat)
        _subtract_normal(self._rows.texels, self._rows.weights, self._rows.strength, colors, flat)


@njit(nogil=True, cache=True)
def _restore(texels, majorant, base, colors, right):  # type: ignore[no-untyped-def]
    """Set the right-hand side to what it is without seams, plus ``m colors``."""
    for place in range(len(texels)):
        texel = texels[place]
        for c in range(3):
            right[texel, 5 + c] = base[place, c] + colors[texel, c] * majorant[place]


@njit(nogil=True, cache=True)
def _subtract_normal(texels, weights, strength, colors, right):  # type: ignore[no-untyped-def]
    """Subtract ``J' diag(strength) J colors`` from the right-hand side."""
    for row in range(len(texels)):
        r = g = b = np.float32(0)
        for k in range(8):
            weight, texel = weights[row, k], texels[row, k]
            r += weight * colors[texel, 0]
            g += weight * colors[texel, 1]
            b += weight * colors[texel, 2]
        for k in range(8):
            weight, texel = weights[row, k] * strength[row], texels[row, k]
            right[texel, 5] -= weight * r
            right[texel, 6] -= weight * g
            right[texel, 7] -= weight * b


@njit(nogil=True, cache=True)
def _refresh(system, base, colors, right, first, last):  # type: ignore[no-untyped-def]
    """Set the right-hand side to what it is without seams, plus ``(m - S) colors``."""
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
