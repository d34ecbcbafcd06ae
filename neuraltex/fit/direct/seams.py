"""Seam equations: both sides of a cut edge show the same color."""

import numpy as np
from jaxtyping import Float, Int
from numba import njit

from neuraltex.core.conventions import texel_from_uv
from neuraltex.geometry.mesh import Mesh
from neuraltex.geometry.seams import sample_cut_edges


class SeamRows:
    """Rows of a sparse matrix J on one level: the color on one side of an edge minus that on the other.

    They join the stencils as a majorizer: ``w J'J x = m x - (m - w J'J) x`` with m the row sums of ``w |J|'|J|``. The
    first part goes onto the diagonal once (:meth:`stiffen`), the second onto the right-hand side whenever the colors
    changed (:meth:`refresh`).

    Args:
        texels: The eight texels of each row, as indices into [Ht * Wt].
        weights: Bilinear weights of the first four, minus those of the other four.
        strength: Weight of each row.
        width: Wt.
    """

    def __init__(
        self,
        texels: Int[np.ndarray, "R 8"],
        weights: Float[np.ndarray, "R 8"],
        strength: Float[np.ndarray, " R"],
        width: int,
    ) -> None:
        self.weights, self.strength, self.width = weights, strength, width
        used, local = np.unique(texels, return_inverse=True)
        self._used = used.astype(np.int32)
        self._local = local.reshape(-1, 8).astype(np.int32)
        magnitude = np.abs(weights)
        sums = (strength * magnitude.sum(1))[:, None] * magnitude
        self._row_sums = np.bincount(self._local.ravel(), sums.ravel(), len(used)).astype(np.float32)
        self._base = np.zeros((len(used), 3), np.float32)

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def texels(self) -> Int[np.ndarray, "R 8"]:
        """The eight texels of each row."""
        return self._used[self._local]

    @property
    def used(self) -> Int[np.ndarray, " S"]:
        """Texels that occur, as indices into [Ht * Wt]."""
        return self._used

    def times(self, factor: float) -> "SeamRows":
        """Return the rows with other strengths; none for a factor of 0."""
        count = len(self) if factor > 0 else 0
        strength = self.strength[:count] * np.float32(factor)
        return SeamRows(self.texels[:count], self.weights[:count], strength, self.width)

    def stiffen(self, matrix: Float[np.ndarray, "h w K"]) -> None:
        """Add the row sums to the diagonal."""
        _add_diagonal(self._used, self._row_sums, np.float32(1), matrix.reshape(-1, matrix.shape[2]))

    def loosen(self, matrix: Float[np.ndarray, "h w K"]) -> None:
        """Undo :meth:`stiffen`."""
        _add_diagonal(self._used, self._row_sums, np.float32(-1), matrix.reshape(-1, matrix.shape[2]))

    def hold(self, right: Float[np.ndarray, "h w 8"]) -> None:
        """Remember the right-hand side without seams."""
        _remember(self._used, right.reshape(-1, 8), self._base)

    def refresh(self, right: Float[np.ndarray, "h w 8"], x: Float[np.ndarray, "h w C"]) -> None:
        """Bring the right-hand side up to date with the colors ``x``."""
        flat, colors = right.reshape(-1, 8), x.reshape(-1, x.shape[2])
        _restore(self._used, self._row_sums, self._base, colors, flat)
        _subtract_normal(self._local, self._used, self.weights, self.strength, colors, flat)

    def coarser(self, shape: tuple[int, ...]) -> "SeamRows":
        """Return the rows on the level of half the size; those that now read the same texels become one."""
        y, x = np.divmod(self.texels, shape[1])
        width = (shape[1] + 1) // 2
        texels = y // 2 * width + x // 2
        if not len(self):
            return SeamRows(texels, self.weights, self.strength, width)
        mixed = np.random.default_rng(0).integers(1, 1 << 62, 8, dtype=np.int64)  # distinct rows get distinct sums
        _, first, group = np.unique(texels @ mixed, return_index=True, return_inverse=True)
        strength = np.bincount(group, self.strength)
        weights = [np.bincount(group, self.strength * column) / strength for column in self.weights.T]
        return SeamRows(texels[first], np.stack(weights, 1).astype(np.float32), strength.astype(np.float32), width)


def seam_equations(mesh: Mesh, size: tuple[int, int]) -> SeamRows:
    """Return equations for every cut edge, about one per texel of its length, each of strength 1 per texel.

    Args:
        mesh: Mesh with uvs.
        size: (Ht, Wt).

    Raises:
        DataError: if the mesh has no uvs.
    """
    samples = sample_cut_edges(mesh, size)
    texels, weights = zip(*(bilinear_cell(uv, size) for uv in (samples.here, samples.there)), strict=True)
    signed = np.concatenate([weights[0], -weights[1]], 1).astype(np.float32)
    return SeamRows(np.concatenate(texels, 1).astype(np.int32), signed, samples.length.astype(np.float32), size[1])


def bilinear_cell(uv: Float[np.ndarray, "P 2"], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the four texels [P, 4] that a lookup reads, as indices into [Ht * Wt], and their weights [P, 4]."""
    height, width = size
    x, y = texel_from_uv(uv, width, height)
    x, y = x.clip(0, width - 1), y.clip(0, height - 1)
    x0, y0 = x.astype(np.int64), y.astype(np.int64)
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    wx, wy = x - x0, y - y0
    texels = np.stack([y0 * width + x0, y0 * width + x1, y1 * width + x0, y1 * width + x1], 1)
    return texels, np.stack([(1 - wx) * (1 - wy), wx * (1 - wy), (1 - wx) * wy, wx * wy], 1)


@njit(nogil=True, cache=True)
def _add_diagonal(used, row_sums, factor, matrix):  # type: ignore[no-untyped-def]
    for place in range(len(used)):
        matrix[used[place], 0] += factor * row_sums[place]


@njit(nogil=True, cache=True)
def _remember(used, right, base):  # type: ignore[no-untyped-def]
    for place in range(len(used)):
        base[place] = right[used[place], 5:]


@njit(nogil=True, cache=True)
def _restore(used, row_sums, base, colors, right):  # type: ignore[no-untyped-def]
    """Set the right-hand side of texels to what it is without seams, plus row sums times colors."""
    for place in range(len(used)):
        texel = used[place]
        for c in range(3):
            right[texel, 5 + c] = base[place, c] + colors[texel, c] * row_sums[place]


@njit(nogil=True, cache=True)
def _subtract_normal(local, used, weights, strength, colors, right):  # type: ignore[no-untyped-def]
    """Subtract ``J' diag(strength) J colors`` from the right-hand side."""
    for row in range(len(local)):
        for c in range(3):
            difference = np.float32(0)
            for k in range(8):
                difference += weights[row, k] * colors[used[local[row, k]], c]
            difference *= strength[row]
            for k in range(8):
                right[used[local[row, k]], 5 + c] -= weights[row, k] * difference
