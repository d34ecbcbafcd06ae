"""A prior as equations of the finest level: texels toward its colors, neighbors toward its color differences.

Smoothness, which wants neighbors to be equal, wants them to differ as the prior does where nothing is seen.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from neuraltex.config.prior import PriorConfig
from neuraltex.core.compiled import kernel
from neuraltex.fit.direct.cells import DOWN, RIGHT
from neuraltex.fit.prior import Leaning, Prior
from neuraltex.fit.surface import Surface


@dataclass(frozen=True, eq=False)
class PriorRows:
    """Equations of a prior, per texel; those of a pair take the lesser value of its two texels.

    Args:
        target: Colors of the prior.
        weight: Weight of a texel's color.
        slope: Weight of the color differences to its neighbors.
        openness: Share of the smoothness that follows the prior: what photographs leave open.
    """

    target: Float[np.ndarray, "Ht Wt 3"]
    weight: Float[np.ndarray, "Ht Wt"]
    slope: Float[np.ndarray, "Ht Wt"]
    openness: Float[np.ndarray, "Ht Wt"]

    @classmethod
    def of(
        cls,
        prior: Prior,
        weights: Float[np.ndarray, "Ht Wt"],
        surface: Surface,
        config: PriorConfig,
    ) -> "PriorRows | None":
        """Weigh a prior by what photographs leave open; ``None`` if that is nothing.

        Args:
            prior: What is predicted.
            weights: Sum of the weights of the pixels that say something about each texel.
            surface: Charts and the area that each texel covers.
            config: Weights.
        """
        leaning = Leaning.of(weights, surface, config)
        weight = leaning.weight(prior.confidence) * leaning.unit
        if not weight.any():
            return None
        return cls(
            np.ascontiguousarray(prior.texture, np.float32),
            weight * np.float32(config.weight),
            weight * np.float32(config.gradient_weight),
            leaning.openness(prior.confidence),
        )

    @property
    def unseen(self) -> Bool[np.ndarray, "Ht Wt"]:
        """Texels that are the prior's alone."""
        return self.openness >= 1

    def add_to(
        self,
        matrix: Float[np.ndarray, "h w 8"],
        cells: UInt8[np.ndarray, "h w"],
        smoothness: np.float32,
        begin: int,
        end: int,
    ) -> None:
        """Add the equations to rows ``begin`` to ``end`` of the finest level."""
        _add(matrix, cells, (self.target, self.weight, self.slope, self.openness), smoothness, begin, end)


@kernel
def _add(matrix, cells, prior, smoothness, begin, end):  # type: ignore[no-untyped-def]
    """Add to texels of rows what they are in: their own equation and those of up to four pairs."""
    target, weight, slope, openness = prior
    height, width = cells.shape
    for i in range(begin, end):
        for j in range(width):
            if cells[i, j] == 0 or openness[i, j] <= 0:
                continue
            matrix[i, j, 0] += weight[i, j]
            for c in range(3):
                matrix[i, j, 5 + c] += weight[i, j] * target[i, j, c]
            for v, u in ((i, j + 1), (i + 1, j), (i, j - 1), (i - 1, j)):
                if v < 0 or v >= height or u < 0 or u >= width:
                    continue
                first, mark = cells[min(i, v), min(j, u)], RIGHT if v == i else DOWN
                if first & mark == 0 or openness[v, u] <= 0:
                    continue
                stiffness = min(slope[i, j], slope[v, u])
                pull = stiffness + smoothness * min(openness[i, j], openness[v, u])
                matrix[i, j, 0] += stiffness
                if v > i:
                    matrix[i, j, 2] -= stiffness
                elif u > j:
                    matrix[i, j, 1] -= stiffness
                for c in range(3):
                    matrix[i, j, 5 + c] += pull * (target[i, j, c] - target[v, u, c])
