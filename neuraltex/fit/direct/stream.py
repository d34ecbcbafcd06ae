"""From photographs to a texture: passes of accumulating and solving; each photograph is read once per pass."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, UInt8

from neuraltex.config.schema import DirectConfig
from neuraltex.core.errors import DataError
from neuraltex.core.runtime import is_main, logger, progress, trim_memory
from neuraltex.fit.calibrate.exposure import ColorMatch
from neuraltex.fit.data import ViewData, ViewStore, squared_radius
from neuraltex.fit.direct import operators
from neuraltex.fit.direct.base import replace_base
from neuraltex.fit.direct.cells import coarsen_cells
from neuraltex.fit.direct.equations import NormalEquations, Robust
from neuraltex.fit.direct.seams import seam_equations
from neuraltex.fit.direct.solve import Solution, solve, unknowns
from neuraltex.fit.distributed import own_share
from neuraltex.geometry.mesh import Mesh
from neuraltex.texture.fill import dilate, number_charts

LEVELS = 4
"""Levels of the mip chain; a pixel that covers more than 8 texels of the finest constrains the last."""
EARLY_ITERATIONS = 2
"""Solver iterations in all passes but the last: outliers show long before the solution is exact."""
BRIGHTEST = 1024
"""Values of a photograph that colors are tabulated for, in 1/255: undoing a vignette may brighten four times."""


def memory_gb(size: int, levels: int = LEVELS) -> float:
    """Return the most memory that a direct fit takes beside the photographs at hand [GB].

    Bytes per texel of the finest level, chains counting 1 + 1/4 + ... times (4/3 for many levels): equations 32 per
    texel of the chain; texture 12 likewise; on all coarser levels operators 32 and corrections 16, together 1/3 as much
    each; chart numbers 4, weights 4, cells 4/3. That is 84 at most: 1.3 GB for 4096, 21 GB for 16384. Pages that no
    chart and no lookup touches are never committed, so that a texture half empty takes less.

    Args:
        size: Side of the texture [texel].
        levels: Levels of the mip chain.
    """
    chain = sum(0.25**level for level in range(levels))
    return (size * size * (44 * chain + 48 / 3 + 8 + 4 / 3)) / 1024**3


@dataclass(frozen=True, eq=False)
class DirectResult:
    """What a direct fit found.

    Args:
        texture: Colors; 0 where no chart is.
        weights: Sum of the weights of the pixels that say something about each texel.
        iterations: Solver iterations of the last pass.
        residual: Their relative residual.
    """

    texture: Float[np.ndarray, "Ht Wt 3"]
    weights: Float[np.ndarray, "Ht Wt"]
    iterations: int
    residual: float


class DirectFit:
    """The alternation of accumulating and solving.

    Args:
        mesh: Mesh with uvs.
        size: Side of the texture [texel].
        config: Settings.
        footprint_scale: Factor that turns the footprints of the scene into texels of this texture.
    """

    def __init__(self, mesh: Mesh, size: int, config: DirectConfig, footprint_scale: float = 1.0) -> None:
        self.config, self.footprint_scale = config, footprint_scale * config.footprint
        self.equations = NormalEquations((size, size), LEVELS if config.mip else 1)
        self._charts = number_charts(mesh, (size, size))
        self._seams = seam_equations(mesh, (size, size))
        self._chain = self.equations.layout.zeros(3)
        self._solved = False
        self._base: np.ndarray | None = None

    @property
    def texture(self) -> Float[np.ndarray, "Ht Wt 3"]:
        """The texture at hand."""
        return self.equations.layout.views(self._chain)[0]

    def _level(self, level: int) -> Float[np.ndarray, "h w 3"]:
        """A level of the mip chain of the texture at hand, or the coarsest there is."""
        return self.equations.layout.views(self._chain)[level]

    def run(self, store: ViewStore, matches: ColorMatch) -> None:
        """Make all passes over all photographs; what is left to do is to :meth:`finish`.

        Raises:
            DataError: if no pixel of any photograph lies on the texture.
        """
        passes = 1 if self.config.penalty == "l2" else max(self.config.passes, 1)
        for index in range(passes):
            if index:
                self._solve(exact=False)
                if index == 1 and self.config.base_level:
                    self._base = self._level(self.config.base_level).copy()
                self.equations.clear()
            self.accumulate(store, matches, range(len(store)), f"pass {index + 1}/{passes}")

    def go_on(self, equations: NormalEquations, texture: Float[np.ndarray, "Ht Wt 3"]) -> None:
        """Take over the equations of an earlier fit and the texture they led to.

        Under torchrun the first process holds the old equations, since those of all processes are summed.
        """
        if is_main():
            self.equations.rows = equations.rows
        self.texture[:] = texture
        average_chain(self.equations.layout.views(self._chain), unknowns(equations, self._charts, self._seams))
        self._solved = True

    def finish(self) -> DirectResult:
        """Solve to the tolerance of the settings; the equations are lost by that."""
        weights = self.equations.coverage()
        solution = self._solve(exact=True)
        weights *= solution.cells > 0
        self._join_bands(solution)
        self.equations.clear()
        return DirectResult(solution.texture, weights, solution.iterations, solution.residual)

    def _join_bands(self, solution: Solution) -> None:
        """Take colors in the large from the first pass."""
        level = self.config.base_level
        if self._base is not None:
            average_chain(self.equations.layout.views(self._chain), solution.cells)
            replace_base(solution.texture, self._level(level), self._base, solution.cells, level)

    def accumulate(self, store: ViewStore, matches: ColorMatch, views: Sequence[int], label: str) -> None:
        """Add photographs to the equations; those that differ from the texture at hand, if there is one, count less.

        Raises:
            DataError: if no pixel lies on the texture.
        """
        robust = Robust(self._chain, self.config.penalty, self.config.scale) if self._solved else None
        alike = self.config.base_level > 0 and not self._solved
        share = own_share(views)
        trim_memory()  # of what colors were calibrated on, or of the solver
        for index, data in progress(store.stream(share), total=len(share), label=label, unit="photo"):
            colors, falloff = _colors(matches, index, store, data)
            self.equations.add_photo(
                data.image,
                data.uv,
                data.weight,
                data.footprint,
                colors,
                falloff,
                robust,
                scale=self.footprint_scale,
                alike=alike,
            )
        trim_memory()  # of the photographs
        self.equations.sum_over_processes()
        if not any(image[..., 0].any() for image in self.equations.images):
            raise DataError(
                "no pixel of any training photograph lies on the texture",
                source=str(store.views[0].uv.parent) if len(store) else "training views",
                hint="Check the proof sheet: cameras and mesh do not agree",
            )

    def _solve(self, *, exact: bool) -> Solution:
        """Solve the equations, which are lost by that, starting from the texture at hand."""
        config = self.config
        if not exact:
            config = replace(config, max_iterations=min(config.max_iterations, EARLY_ITERATIONS))
        solution = solve(self.equations, self._charts, self._seams, config, self.texture, warm=self._solved)
        logger.debug("residual %.2g after %d iterations", solution.residual, solution.iterations)
        self._solved = True
        if not exact:
            average_chain(self.equations.layout.views(self._chain), solution.cells)
        return solution


def average_chain(chain: list[Float[np.ndarray, "h w 3"]], cells: UInt8[np.ndarray, "Ht Wt"]) -> None:
    """Fill the coarser levels with the means of the unknowns, and one ring of texels around them for lookups."""
    for finer, coarser in pairwise(chain):
        below = coarsen_cells(cells)
        operators.average(cells, finer, below, coarser, 0, len(coarser))
        cells = below
    for coarser in chain[1:]:
        dilate(coarser, np.asarray(coarser.any(-1)), 1, copy=False)


def _colors(
    matches: ColorMatch, index: int, store: ViewStore, data: ViewData
) -> tuple[Float[np.ndarray, "K 3"], Float[np.ndarray, "H W"] | None]:
    """Return the color of the texture for every value of a photograph, and its vignette."""
    ramp = torch.arange(BRIGHTEST, dtype=torch.float32)[:, None].expand(-1, 3) / 255
    colors = matches.to_texture(ramp.to(matches.gain.device), index).cpu().numpy()
    if not matches.is_shaded:
        return colors, None
    rows, columns = (np.arange(size) for size in data.weight.shape)
    radius2 = torch.from_numpy(squared_radius(store.views[index].camera, rows, columns)).to(matches.gain)
    return colors, matches.falloff(index, radius2).cpu().numpy().astype(np.float32)
