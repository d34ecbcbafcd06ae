"""Seam equations: both sides of a cut edge show the same color."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from neuraltex.core.compiled import kernel
from neuraltex.core.conventions import texel_from_uv
from neuraltex.geometry.mesh import Mesh
from neuraltex.geometry.seams import sample_cut_edges


@dataclass(frozen=True, eq=False)
class SeamRows:
    """Rows of a sparse matrix J: the color on one side of an edge minus that on the other.

    Args:
        texels: The eight texels of each row, as indices into [Ht * Wt].
        weights: Bilinear weights of the first four, minus those of the other four.
        strength: Weight of each row.
        width: Wt.
    """

    texels: Int[np.ndarray, "R 8"]
    weights: Float[np.ndarray, "R 8"]
    strength: Float[np.ndarray, " R"]
    width: int

    def __len__(self) -> int:
        return len(self.weights)

    @cached_property
    def used(self) -> Int[np.ndarray, " S"]:
        """Texels that occur, ascending."""
        ordered = np.sort(self.texels, axis=None)  # a tenth of the time of np.unique, which hashes
        return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)]]

    def times(self, factor: float) -> "SeamRows":
        """Return the rows with other strengths; none for a factor of 0."""
        count = len(self) if factor > 0 else 0
        strength = self.strength[:count] * np.float32(factor)
        return SeamRows(self.texels[:count], self.weights[:count], strength, self.width)


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


@kernel
def subtract_normal(texels, weights, strength, colors, right):  # type: ignore[no-untyped-def]
    """Subtract ``J' diag(strength) J colors`` from the right-hand side.

    ``texels`` [R, 8] index ``colors`` [T, C >= 3] and ``right`` [T, 3]; ``weights`` [R, 8] are J.
    """
    for row in range(len(texels)):
        r = g = b = np.float32(0)
        for k in range(8):
            weight, texel = weights[row, k], texels[row, k]
            r += weight * colors[texel, 0]
            g += weight * colors[texel, 1]
            b += weight * colors[texel, 2]
        for k in range(8):
            weight, texel = weights[row, k] * strength[row], texels[row, k]
            right[texel, 0] -= weight * r
            right[texel, 1] -= weight * g
            right[texel, 2] -= weight * b
