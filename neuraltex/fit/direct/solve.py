"""From normal equations to a texture."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from neuraltex.config.schema import DirectConfig
from neuraltex.core.compiled import kernel
from neuraltex.core.errors import ShapeError
from neuraltex.core.runtime import trim_memory
from neuraltex.fit.direct.cells import clear_outside, link_cells
from neuraltex.fit.direct.equations import NormalEquations
from neuraltex.fit.direct.multigrid import Multigrid
from neuraltex.fit.direct.prior_rows import PriorRows
from neuraltex.fit.direct.seam_matrix import FinestSeams
from neuraltex.fit.direct.seams import SeamRows
from neuraltex.render.parallel import for_row_blocks

RING = 2
"""Texels around a chart that lookups in it can read."""


@dataclass(frozen=True, eq=False)
class Solution:
    """A solved texture.

    Args:
        texture: Colors; 0 where nothing is unknown.
        cells: What every texel is, as :mod:`neuraltex.fit.direct.cells` says; 0 where nothing is unknown.
        iterations: Multigrid cycles taken.
        residual: Norm of the residual relative to that of the right-hand side.
    """

    texture: Float[np.ndarray, "Ht Wt 3"]
    cells: UInt8[np.ndarray, "Ht Wt"]
    iterations: int
    residual: float


def solve(
    equations: NormalEquations,
    cells: UInt8[np.ndarray, "Ht Wt"],
    seams: SeamRows,
    config: DirectConfig,
    start: Float[np.ndarray, "Ht Wt 3"] | None = None,
    prior: PriorRows | None = None,
) -> Solution:
    """Solve for all unknowns.

    Args:
        equations: Taken over: their memory holds the operators of the solver afterwards. What these say about unknowns
            has the same row sums, since smoothness has none, so that their coverage can still be asked for; a prior
            adds its weights to it.
        cells: What every texel is, from :func:`unknowns`.
        seams: Agreement of both sides of cut edges.
        config: Smoothness, tolerance and limit of iterations.
        start: Texture to start from, changed in place; ``None`` starts from the solution of the coarser levels.
        prior: Equations of a prior, if there is one.

    Raises:
        ShapeError: if the sizes differ.
    """
    if cells.shape != equations.size:
        raise ShapeError(f"unknowns have shape {cells.shape} but the texture {equations.size}")
    x = np.zeros((*cells.shape, 3), np.float32) if start is None else start
    clear_outside(cells, x)
    agreement = FinestSeams(seams)
    multigrid = Multigrid(equations.images, cells, agreement, config.smoothness, x, prior)
    trim_memory()  # of what coarse seams were made from
    if start is None:
        multigrid.start()
    iterations, residual = 0, np.inf
    while iterations < config.max_iterations:
        residual = multigrid.cycle(config.tolerance)
        if residual <= config.tolerance:
            break
        iterations += 1
    else:
        residual = multigrid.residual()
    agreement.loosen(equations.images[0])
    return Solution(x, cells, iterations, residual)


def unknowns(equations: NormalEquations, charts: Int[np.ndarray, "Ht Wt"], seams: SeamRows) -> np.ndarray:
    """Return what every texel is, as :mod:`neuraltex.fit.direct.cells` says.

    Unknown are the texels of charts and those that photographs or seams read; the latter belong to the chart nearby.

    Args:
        equations: What photographs say.
        charts: Number of the chart of every texel, from 1; 0 is none. Changed.
        seams: Agreement of both sides of cut edges.
    """
    label, needed = charts, equations.images[0][..., 0] > 0
    needed.reshape(-1)[seams.used] = True
    for _ in range(RING):
        before = label.copy()
        for_row_blocks(lambda begin, end, old=before: _spread(label, needed, old, begin, end), len(label))  # type: ignore[misc]
    label[needed & (label == 0)] = -1
    return link_cells(label)


@kernel
def _spread(label, needed, before, begin, end):  # type: ignore[no-untyped-def]
    """Give needed texels without a chart that of an 8-neighbor, in rows ``begin`` to ``end``."""
    height, width = label.shape
    for i in range(begin, end):
        for j in range(width):
            if needed[i, j] and before[i, j] == 0:
                for v in range(max(i - 1, 0), min(i + 2, height)):
                    for u in range(max(j - 1, 0), min(j + 2, width)):
                        if before[v, u] > 0:
                            label[i, j] = before[v, u]
