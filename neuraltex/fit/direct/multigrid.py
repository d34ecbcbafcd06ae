"""Multigrid for the normal equations of a mip chain.

The system is ``sum_l D_l' N_l D_l x = sum_l D_l' b_l``: N_l the equations of level l, D_l the means of 2x2 texels (of
those that are unknowns) down to it. With piecewise constant aggregation P the means undo it, ``D P = 1``, so the
Galerkin operator ``P' A P`` of the next level is again of this form: the sums of the finer equations over 2x2 texels,
a 9-point stencil, plus its own equations, plus those of coarser levels seen through D. Levels are relaxed by
Gauss-Seidel, with what coarser equations say held fixed meanwhile and their row sums on the diagonal, which makes that
part a majorizer. Source: W. Hackbusch, "Multi-Grid Methods and Applications", 1985.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from neuraltex.core.threads import run_blocks
from neuraltex.fit.direct import operators
from neuraltex.fit.direct.cells import coarsen_cells
from neuraltex.fit.direct.prior_rows import PriorRows
from neuraltex.fit.direct.seam_matrix import LevelSeams

ROWS_PER_BLOCK = 64
COARSEST = 8
"""Side at which levels end [texel]."""
COARSEST_SWEEPS = 20
SWEEPS = 2
"""Relaxations after each correction, alternately forward and backward."""
DAMPING = 1e-1
"""Part of the smoothness that damps relaxation, per texel of the border of a square of the level."""
NONE: np.ndarray = np.zeros((0, 0, 8), np.float32)


@dataclass(eq=False)
class Level:
    """One level of the solver.

    A level of the mip chain has equations of its own, which its operator includes. Its right-hand side lies where their
    colors were, and what they say about the colors of finer levels, too: the two are never needed at the same time.

    Args:
        matrix: Operator in 0 to 4.
        right: Right-hand side in 5 to 7.
        cells: Unknowns.
        x: Colors or their correction; in 3, on coarser levels, the share of coarser equations in the diagonal.
        own: Its own equations, or no rows.
        seams: Agreement of both sides of cut edges.
    """

    matrix: Float[np.ndarray, "h w K"]
    right: Float[np.ndarray, "h w 8"]
    cells: UInt8[np.ndarray, "h w"]
    x: Float[np.ndarray, "h w C"]
    own: Float[np.ndarray, "h w 8"]
    seams: LevelSeams


class Multigrid:
    """The solver; takes the equations over and changes them.

    Args:
        chain: Equations of the levels of the mip chain, finest first; their memory is used.
        cells: What every texel of the finest level is (see :mod:`neuraltex.fit.direct.cells`).
        seams: Agreement of both sides of cut edges.
        smoothness: Weight of the smoothness.
        x: Start of the finest level, zero where nothing is unknown; changed in place.
        prior: Equations of a prior, if there is one.
    """

    def __init__(
        self,
        chain: list[Float[np.ndarray, "h w 8"]],
        cells: UInt8[np.ndarray, "Ht Wt"],
        seams: LevelSeams,
        smoothness: float,
        x: Float[np.ndarray, "Ht Wt 3"],
        prior: PriorRows | None = None,
    ) -> None:
        weight = np.float32(smoothness)
        _blocks(lambda begin, end: operators.add_smoothness(chain[0], cells, weight, begin, end), len(cells))
        if prior is not None:
            _blocks(lambda begin, end: prior.add_to(chain[0], cells, weight, begin, end), len(cells))
        self._damping = DAMPING * smoothness
        self.levels = [Level(chain[0], chain[0], cells, x, NONE, seams)]
        while max(self.levels[-1].cells.shape) > COARSEST:
            self._coarsen(chain)
        self._gather_colors()
        self._pull()
        squares = np.zeros(len(cells))
        _blocks(lambda begin, end: operators.add_squares(chain[0], squares, begin, end), len(cells))
        self.norm = float(np.sqrt(squares.sum()))
        for level in self.levels:
            level.seams.stiffen(level.matrix)
        seams.hold(chain[0])

    def start(self) -> None:
        """Solve coarse to fine (full multigrid) from colors that are all zero.

        What interpolation leaves between texels is relaxed at once, which often spares the whole cycle.
        """
        for index in range(len(self.levels) - 1):
            level, below = self.levels[index], self.levels[index + 1]
            self._refresh(index)
            self._restrict(index, level, below)
            below.seams.hold(below.right)
        self._solve_coarsest()
        for index in range(len(self.levels) - 2, -1, -1):
            self._prolong(index, add=False)
            if index:
                self._correct(index)
        self._relax(0, SWEEPS)

    def cycle(self, tolerance: float = 0.0) -> float:
        """Correct from all coarser levels and relax; returns the relative residual before that.

        Args:
            tolerance: Nothing is corrected if the residual is not above it.
        """
        norm = max(self.norm, 1e-30)
        return self._correct(0, tolerance * norm) / norm

    def residual(self) -> float:
        """Return the residual relative to the right-hand side."""
        self._refresh(0)
        return self._restrict(0, self.levels[0], self.levels[1]) / max(self.norm, 1e-30)

    def _correct(self, index: int, tolerance: float = 0.0) -> float:
        level, below = self.levels[index], self.levels[index + 1]
        self._refresh(index)
        norm = self._restrict(index, level, below)
        if norm <= tolerance:
            return norm
        below.x[..., :3] = 0
        below.seams.hold(below.right)
        if index + 2 == len(self.levels):
            self._solve_coarsest()
        else:
            self._relax(index + 1, 1)  # from zero there is nothing to correct yet
            self._correct(index + 1)
        self._prolong(index, add=True)
        self._relax(index, SWEEPS)
        return norm

    def _solve_coarsest(self) -> None:
        self._relax(len(self.levels) - 1, COARSEST_SWEEPS)

    def _relax(self, index: int, sweeps: int) -> None:
        level, damping = self.levels[index], np.float32(self._damping * 2**index)
        for sweep in range(sweeps):
            held, backward = (*self._refresh(index), damping), sweep % 2 == 1

            def work(begin: int, end: int, held=held, backward=backward) -> None:  # type: ignore[no-untyped-def]
                operators.relax(level.matrix, level.right, level.cells, level.x, held, begin, end, backward)

            height = level.cells.shape[0]
            _blocks(work, height, start=0, stride=2)
            _blocks(work, height, start=1, stride=2)

    def _refresh(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Update what seams and coarser equations say about the colors at hand."""
        level = self.levels[index]
        level.seams.refresh(level.right, level.x)
        coarse = self._coarse(index)
        if not len(coarse):
            return coarse, coarse
        last = index
        while last + 1 < len(self.levels) and len(self.levels[last + 1].own):
            finer, coarser = self.levels[last], self.levels[last + 1]
            _blocks(
                lambda begin, end, a=finer, b=coarser: operators.average(a.cells, a.x, b.cells, b.x, begin, end),  # type: ignore[misc]
                coarser.cells.shape[0],
            )
            last += 1
        for place in range(last, index, -1):
            here, above = self.levels[place], self._coarse(place)
            _blocks(
                lambda begin, end, a=here, b=above: operators.coarse_terms(a.own, a.cells, a.x, b, begin, end),  # type: ignore[misc]
                here.cells.shape[0],
            )
        return coarse, self.levels[index + 1].x

    def _coarse(self, index: int) -> np.ndarray:
        """Return the equations of the next level if it has any."""
        return self.levels[index + 1].own if index + 1 < len(self.levels) else NONE

    def _restrict(self, index: int, level: Level, below: Level) -> float:
        norms = np.zeros(below.cells.shape[0])
        coarse = self._coarse(index)

        def work(begin: int, end: int) -> None:
            operators.restrict_residual(
                level.matrix, level.right, level.cells, level.x, coarse, below.right, norms, begin, end
            )

        _blocks(work, len(norms))
        return float(np.sqrt(norms.sum()))

    def _prolong(self, index: int, *, add: bool) -> None:
        level, below = self.levels[index], self.levels[index + 1]

        def work(begin: int, end: int) -> None:
            operators.prolong(level.cells, level.x, below.cells, below.x, add, begin, end)

        _blocks(work, level.cells.shape[0])

    def _coarsen(self, chain: list[np.ndarray]) -> None:
        """Add the next level: sums of the finer equations, and its own."""
        fine, index = self.levels[-1], len(self.levels)
        cells = coarsen_cells(fine.cells)
        shared = index < len(chain)
        matrix, own = np.zeros((*cells.shape, 5 if shared else 8), np.float32), chain[index] if shared else NONE
        _blocks(lambda begin, end: operators.aggregate(fine.matrix, matrix, begin, end), len(matrix))
        if shared:
            operators.fold(own, cells)
            matrix += own[..., :5]
        x = np.zeros((*cells.shape, 4), np.float32)
        self.levels.append(Level(matrix, own if shared else matrix, cells, x, own, fine.seams.coarser()))

    def _gather_colors(self) -> None:
        """Turn the right-hand sides of all equations into one of the finest level."""
        shared = [level for level in self.levels if len(level.own)]
        for level, coarser in zip(reversed(shared), [NONE, *(item.own for item in reversed(shared))], strict=False):
            _blocks(
                lambda begin, end, a=level, b=coarser: operators.share_colors(a.own, a.cells, b, begin, end),  # type: ignore[misc]
                len(level.cells),
            )
        finest, coarse = self.levels[0], self._coarse(0)
        _blocks(
            lambda begin, end: operators.add_shares(finest.right, finest.cells, coarse, begin, end), len(finest.cells)
        )

    def _pull(self) -> None:
        coarser: np.ndarray = NONE
        for level in reversed(self.levels):
            if len(level.own):
                _blocks(
                    lambda begin, end, a=level, b=coarser: operators.pull_of(a.own, a.cells, b, a.x, begin, end),  # type: ignore[misc]
                    len(level.cells),
                )
                coarser = level.x


def _blocks(work: Callable[[int, int], None], num_rows: int, start: int = 0, stride: int = 1) -> None:
    """Call ``work(begin, end)`` on every ``stride``-th block of rows, on all cores."""
    begins = range(start * ROWS_PER_BLOCK, num_rows, stride * ROWS_PER_BLOCK)
    run_blocks(lambda block, _: work(begins[block], min(begins[block] + ROWS_PER_BLOCK, num_rows)), len(begins), 1)
