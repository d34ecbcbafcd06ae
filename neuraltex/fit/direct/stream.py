"""From photographs to a texture: passes of accumulating and solving; each photograph is read once per pass."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8

from neuraltex.config.prior import PriorConfig
from neuraltex.config.schema import DirectConfig
from neuraltex.core.errors import DataError
from neuraltex.core.runtime import is_main, logger, progress, timed, trim_memory
from neuraltex.fit.calibrate.exposure import ColorMatch
from neuraltex.fit.data import ViewData, ViewStore, squared_radius
from neuraltex.fit.direct.base import base_where_seen, replace_base
from neuraltex.fit.direct.chain import ColorChain, mean_levels
from neuraltex.fit.direct.equations import NormalEquations, Robust
from neuraltex.fit.direct.prior_rows import PriorRows
from neuraltex.fit.direct.seams import seam_equations
from neuraltex.fit.direct.solve import Solution, solve, unknowns
from neuraltex.fit.direct.trust import trust_in
from neuraltex.fit.distributed import own_share
from neuraltex.fit.prior import Prior
from neuraltex.fit.surface import Surface
from neuraltex.geometry.mesh import Mesh
from neuraltex.texture.fill import number_charts

LEVELS = 4
"""Levels of the mip chain; a pixel that covers more than 8 texels of the finest constrains the last."""
EARLY_ITERATIONS = 1
"""Solver iterations in passes between the first and the last: outliers show long before the solution is exact. After
the first pass, which starts from nothing, full multigrid alone is near enough."""
MOSTLY_OPEN = 0.5
"""Part of a texel's color that comes from a prior above which photographs do not determine it."""
BRIGHTEST = 1024
"""Values of a photograph that colors are tabulated for, in 1/255: undoing a vignette may brighten four times."""


def memory_gb(size: int, levels: int = LEVELS) -> float:
    """Return the most memory that a direct fit takes beside the photographs at hand [GB].

    It is taken while solving. Bytes per texel of the finest level, chains counting 1 + 1/4 + ... times, and "coarse"
    all levels but the finest: equations 32 in the chain; texture 12; operators 20 in the coarse chain and 32 below it;
    corrections 16 in all coarse levels; what a texel is 4/3. That is 68 for four levels: 1.1 GB for 4096,
    17 GB for 16384. Equations of seams come on top of it; the packed texture that photographs are compared with is
    gone then.

    Args:
        size: Side of the texture [texel].
        levels: Levels of the mip chain.
    """
    chain = sum(0.25**level for level in range(levels))
    operators = 20 * (chain - 1) + 32 * (4 / 3 - chain)
    return size * size * (32 * chain + 12 + operators + 16 / 3 + 4 / 3) / 1024**3


@dataclass(frozen=True, eq=False)
class DirectResult:
    """What a direct fit found.

    Args:
        texture: Colors; 0 where no chart is.
        known: Texels whose colors were solved for: charts, and what lookups in them read.
        weights: Sum of the weights of the pixels that say something about each texel.
        iterations: Solver iterations of the last pass.
        residual: Their relative residual.
        accumulate_seconds: Wall time of adding photographs, waiting for them included.
        solve_seconds: Wall time of solving.
    """

    texture: Float[np.ndarray, "Ht Wt 3"]
    known: Bool[np.ndarray, "Ht Wt"]
    weights: Float[np.ndarray, "Ht Wt"]
    iterations: int
    residual: float
    accumulate_seconds: float
    solve_seconds: float

    @property
    def stats(self) -> dict[str, float]:
        """Figures for the manifest of a run."""
        names = ("iterations", "residual", "accumulate_seconds", "solve_seconds")
        return {name: round(getattr(self, name), 5) for name in names}


class DirectFit:
    """The alternation of accumulating and solving.

    Args:
        mesh: Mesh with uvs.
        size: Side of the texture [texel].
        config: Settings.
        footprint_scale: Factor that turns the footprints of the scene into texels of this texture.
        halved: Fit photographs of half the size. Levels in ``config`` are those of a texture twice as large, and so are
            footprints, which leaves their factor as it is.
    """

    def __init__(
        self, mesh: Mesh, size: int, config: DirectConfig, footprint_scale: float = 1.0, *, halved: bool = False
    ) -> None:
        self.config, self.footprint_scale, self._mesh = config, footprint_scale * config.footprint, mesh
        self.equations = NormalEquations((size, size), LEVELS if config.mip else 1)
        self._seams = seam_equations(mesh, (size, size)).times(config.seam)
        self._halved, self._base_level = halved, config.base_level - halved if config.base_level else None
        self._chain: ColorChain | None = None
        self._rough: ColorChain | None = None
        self._base: np.ndarray | None = None
        self._seconds = {"accumulate": 0.0, "solve": 0.0}

    def run(self, store: ViewStore, matches: ColorMatch) -> None:
        """Make all passes over all photographs; what is left to do is to :meth:`finish`.

        Raises:
            DataError: if no pixel of any photograph lies on the texture.
        """
        passes = self._num_passes
        for index in range(passes - 1 if self._rough is not None else 0, passes):
            if index and self._rough is None:
                self.compare()
            self.accumulate(store, matches, range(len(store)), f"pass {index + 1}/{passes}")

    @property
    def size_first(self) -> int:
        """Side of the texture that the passes before the last work on [texel]."""
        size = self.equations.size[0]
        return size // 2 if self.config.half_first and self._num_passes > 1 and size % 2 == 0 else size

    def run_halved(self, store: ViewStore, matches: ColorMatch) -> None:
        """Make all passes but the last at half the resolution if the settings say so; :meth:`run` makes the others."""
        if self.size_first == self.equations.size[0]:
            return
        passes = self._num_passes
        scale = self.footprint_scale / self.config.footprint
        first = DirectFit(self._mesh, self.size_first, self.config, scale, halved=True)
        for index in range(passes - 1):
            first.accumulate(store, matches, range(len(store)), f"pass {index + 1}/{passes}")
            first.compare()
        self._rough, self._base = first._chain, first._base
        for step, seconds in first._seconds.items():
            self._seconds[step] += seconds

    @property
    def _num_passes(self) -> int:
        return 1 if self.config.penalty == "l2" else max(self.config.passes, 1)

    def compare(self) -> None:
        """Solve roughly, forget the equations, and from now on compare photographs with the texture found."""
        is_first = self._chain is None
        limit = min(self.config.max_iterations, 0 if is_first else EARLY_ITERATIONS)
        solution = self._solve(replace(self.config, max_iterations=limit))
        self.equations.clear()
        trim_memory()  # of the solver
        self._chain = self._chain_of(solution.texture, solution.cells)
        if is_first and self._base_level is not None:
            self._base = self._chain.level(self._base_level)

    def go_on(self, equations: NormalEquations, texture: Float[np.ndarray, "Ht Wt 3"]) -> None:
        """Take over the equations of an earlier fit and the texture they led to.

        Under torchrun the first process holds the old equations, since those of all processes are summed.
        """
        cells = self._unknowns(equations)
        if is_main():
            self.equations.rows = equations.rows
        self._chain = self._chain_of(texture, cells)

    def finish(self, prior: Prior | None = None, leaning: PriorConfig | None = None) -> DirectResult:
        """Solve to the tolerance of the settings; the equations are lost by that.

        Args:
            prior: What to lean on where photographs say little; ``None`` leaves that to smoothness.
            leaning: How much.
        """
        rows = None if prior is None else self._prior_rows(prior, leaning or PriorConfig())
        solution = self._solve(self.config, rows)
        weights = self.equations.coverage()  # not before, when memory is scarce
        if rows is not None:
            weights -= rows.weight
        weights *= solution.cells > 0
        np.maximum(weights, 0, out=weights)
        self.equations.clear()
        self._join_bands(solution, rows)
        return DirectResult(
            solution.texture,
            solution.cells > 0,
            weights,
            solution.iterations,
            float(solution.residual),
            self._seconds["accumulate"],
            self._seconds["solve"],
        )

    def _chain_of(self, texture: Float[np.ndarray, "Ht Wt 3"], cells: UInt8[np.ndarray, "Ht Wt"]) -> ColorChain:
        """Return what photographs are compared with."""
        chain = ColorChain(self.equations.layout)
        chain.fill(texture, cells)
        return chain

    def _prior_rows(self, prior: Prior, config: PriorConfig) -> PriorRows | None:
        """Return the equations of a prior; ``None`` where photographs leave nothing open."""
        surface = Surface.of(self._mesh, self.equations.size)
        return PriorRows.of(prior, self.equations.coverage(), surface, config)

    def _join_bands(self, solution: Solution, prior: PriorRows | None) -> None:
        """Take colors in the large from the first pass, which knows of no prior, where photographs show something."""
        level = self.config.base_level
        if self._base is not None:
            *_, (_, coarse) = mean_levels(solution.texture, solution.cells, level + 1)
            base = self._base
            if prior is not None:
                base = base_where_seen(base, coarse, solution.cells, prior.openness > MOSTLY_OPEN)
            replace_base(solution.texture, coarse, base, solution.cells, level)

    def accumulate(self, store: ViewStore, matches: ColorMatch, views: Sequence[int], label: str) -> None:
        """Add photographs to the equations; those that differ from the texture at hand, if there is one, count less.

        Raises:
            DataError: if no pixel lies on the texture.
        """
        config, share = self.config, own_share(views)
        robust: Robust | np.ndarray | None = None
        if self._chain is not None:
            robust = Robust(self._chain, config.penalty, config.scale)
        alike = self._base_level is not None and robust is None and self._rough is None
        trim_memory()  # of what colors were calibrated on
        sums = self._sums(store)
        with timed("accumulate", self._seconds):
            photos = store.stream(share, halved=self._halved)
            for index, data in progress(photos, total=len(share), label=label, unit="photo"):
                colors, falloff = _colors(matches, index, store, data)
                if self._rough is not None:
                    robust = self._trust(matches, index, store, store.halved(index, data))
                pixels = (data.image, data.uv, data.weight, data.footprint)
                sums.add_photo(*pixels, colors, falloff, robust, scale=self.footprint_scale, alike=alike)
                del data, pixels, falloff  # else they would stay while the next ones are read
            trim_memory()  # of the photographs
            if sums is not self.equations:
                sums.flush()
            self.equations.sum_over_processes()
        if not any(image[..., 0].any() for image in self.equations.images):
            raise DataError(
                "no pixel of any training photograph lies on the texture",
                source=str(store.views[0].uv.parent) if len(store) else "training views",
                hint="Check the proof sheet: cameras and mesh do not agree",
            )

    def _sums(self, store: ViewStore) -> Any:
        """Return what photographs are added to: the equations, or sums on the device of the fit."""
        if store.is_on_cpu:
            return self.equations
        from neuraltex.fit.direct.device import DeviceSums  # noqa: PLC0415

        return DeviceSums(self.equations, store.device)

    def _trust(self, matches: ColorMatch, index: int, store: ViewStore, half: ViewData) -> Float[np.ndarray, "h w"]:
        """Compare a photograph of half the size with the texture that was found at half the resolution."""
        assert self._rough is not None
        robust = Robust(self._rough, self.config.penalty, self.config.scale)
        return trust_in(half, *_colors(matches, index, store, half), robust, self.footprint_scale)

    def _unknowns(self, equations: NormalEquations) -> UInt8[np.ndarray, "Ht Wt"]:
        """Return what every texel is; charts are numbered anew, which is quick, since memory is short meanwhile."""
        return unknowns(equations, number_charts(self._mesh, equations.size), self._seams)

    def _solve(self, config: DirectConfig, prior: PriorRows | None = None) -> Solution:
        """Solve the equations, which are lost by that, starting from the texture at hand, which is freed."""
        with timed("solve", self._seconds):
            cells = self._unknowns(self.equations)
            start = None if self._chain is None else self._chain.level(0)
            self._chain = self._rough = None
            if start is not None and prior is not None:
                start[prior.unseen] = prior.target[prior.unseen]
            solution = solve(self.equations, cells, self._seams, config, start, prior)
        logger.debug("residual %.2g after %d iterations", solution.residual, solution.iterations)
        return solution


def _colors(
    matches: ColorMatch, index: int, store: ViewStore, data: ViewData
) -> tuple[Float[np.ndarray, "K 3"], Float[np.ndarray, "H W"] | None]:
    """Return the color of the texture for every value of a photograph, and its vignette."""
    ramp = np.arange(BRIGHTEST, dtype=np.float32)[:, None] / np.float32(255)
    colors = matches.to_texture(np.broadcast_to(ramp, (BRIGHTEST, 3)), index)
    if not matches.is_shaded:
        return colors, None
    step = 1 if data.weight.shape[0] == store.views[index].camera.height else 2
    rows, columns = (np.arange(size) * step + (step - 1) / 2 for size in data.weight.shape)
    return colors, matches.falloff(index, squared_radius(store.views[index].camera, rows, columns))
