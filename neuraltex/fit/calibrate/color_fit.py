"""Closed-form fit of the color match: texture and photographs in turns, on a sample of unsaturated pixels.

The texture is coarse here: its cells average noise and small errors of the cameras away. For a gain or a power the fit
runs in logarithms, where both are linear; for gain and bias in colors. Every step is weighted least squares with Cauchy
weights (P. Holland and R. Welsch, "Robust regression using iteratively reweighted least-squares", 1977).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from neuraltex.config.schema import ColorConfig
from neuraltex.core.threads import run_blocks
from neuraltex.fit.calibrate import color_kernels as kernels
from neuraltex.fit.calibrate.color_samples import DARK, Samples, sample_overlaps, sample_rendered
from neuraltex.fit.calibrate.exposure import VIGNETTE_TERMS, ColorMatch, find_reference
from neuraltex.fit.data import ViewStore
from neuraltex.geometry.camera import Camera

if TYPE_CHECKING:
    from torch import Tensor

    from neuraltex.fit.tiles import Tile

ROUNDS = 30
"""Most rounds of texture and photographs; chains of photographs that hardly overlap need many."""
CONVERGED = 2e-3
"""The fit ends when no gain and no bias changed by more than this in a round."""
ROBUST_SCALE = 0.05
"""Color difference at which a sample has half its weight."""
RIDGE = 1e-3
"""Pull of slopes towards 1, as a variance of the texture's colors; keeps photographs of a flat wall sane."""
LIMITS = (0.2, 5.0)
"""Gains and powers never leave this range."""
PARTS = 2
"""Parts that samples are summed in at the same time."""

SampleArrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Photograph, place of the texture, color without vignette and weight of each sample."""


def calibrate_colors(store: ViewStore, config: ColorConfig) -> ColorMatch:
    """Fit the match of every photograph to those that show the same, in one pass over the photographs.

    Raises:
        ConfigError: if the reference photograph does not exist.
    """
    reference = find_reference(config.reference, [view.name for view in store.views])
    match = ColorMatch.identity(len(store))
    if config.model == "none" and not config.vignette:
        return match
    fit = _Fit(sample_overlaps(store), config, _camera_groups(store))
    for _ in range(ROUNDS):
        if fit.round() < CONVERGED:
            break
    return fit.match().centered(reference)


def fit_colors(store: ViewStore, render: "Callable[[Tile], Float[Tensor, 'H W 3']]", config: ColorConfig) -> ColorMatch:
    """Fit the match of every photograph to a rendering of a texture, which stays as it is.

    Raises:
        ConfigError: if the reference photograph does not exist.
    """
    reference = find_reference(config.reference, [view.name for view in store.views])
    if config.model == "none" and not config.vignette:
        return ColorMatch.identity(len(store))
    samples, seen = sample_rendered(store, render)
    fit = _Fit(samples, config, _camera_groups(store), seen)
    for _ in range(3):
        fit.round()
    return fit.match().centered(reference)


def robust_affine(
    x: Float[np.ndarray, "P 3"], y: Float[np.ndarray, "P 3"], weight: Float[np.ndarray, " P"], *, with_bias: bool
) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
    """Solve ``y = gain * x + bias`` per channel by weighted least squares, thrice: pixels that fit badly count less."""
    x, y, base = x.astype(np.float64), y.astype(np.float64), weight.astype(np.float64)[:, None]
    gain, bias, w = np.ones(3), np.zeros(3), np.broadcast_to(base, x.shape)
    for _ in range(3):
        total = w.sum(0)
        mean_x = (w * x).sum(0) / total if with_bias else np.zeros(3)
        mean_y = (w * y).sum(0) / total if with_bias else np.zeros(3)
        dx, dy = x - mean_x, y - mean_y
        gain = ((w * dx * dy).sum(0) / total + RIDGE) / ((w * dx * dx).sum(0) / total + RIDGE)
        gain = gain.clip(*LIMITS)
        bias = mean_y - gain * mean_x
        w = base / (1 + ((gain * x + bias - y) / ROBUST_SCALE) ** 2)
    return gain.astype(np.float32), bias.astype(np.float32)


class _Fit:
    """The alternation; colors are logarithms unless the model is affine.

    Args:
        samples: Of all photographs.
        config: Model.
        cameras: Group of photographs that share a vignette.
        seen: What a given texture shows of each sample; ``None`` fits the texture too.
    """

    def __init__(
        self, samples: Samples, config: ColorConfig, cameras: Int[np.ndarray, " N"], seen: np.ndarray | None = None
    ) -> None:
        self._samples, self._model, self._with_vignette = samples, config.model, config.vignette
        self._log = config.model != "affine"
        self._cameras, self._scale = cameras, np.inf
        self._slope, self._offset = np.ones((len(cameras), 3)), np.zeros((len(cameras), 3))
        self._vignette = np.zeros((cameras.max(initial=0) + 1, VIGNETTE_TERMS))
        self._color = self._to_domain(samples.color)
        self._fixed = None if seen is None else self._to_domain(seen)
        self._texture = np.zeros((samples.num_cells, 3), np.float32) if self._fixed is None else self._fixed
        self._place = samples.cell if seen is None else np.arange(len(seen), dtype=samples.cell.dtype)
        self._memory: dict[tuple[int, ...], np.ndarray] = {}
        self._basis = self._vignette_basis() if config.vignette else None

    def round(self) -> float:
        """Fit texture, photographs and vignette once each; returns the largest change."""
        before = self._all_numbers()
        s = self._samples
        samples = (s.view, self._place, self._flat_photo(), s.weight)
        if self._fixed is None:
            self._fit_texture(samples)
        if self._model != "none":
            self._fit_views(samples)
        if self._with_vignette:
            self._fit_vignette(samples)
        self._scale = ROBUST_SCALE
        return float(np.abs(self._all_numbers() - before).max(initial=0))

    def match(self) -> ColorMatch:
        """Return the result."""
        one, zero = np.ones_like(self._slope), np.zeros_like(self._slope)
        gain, bias, power = (np.exp(self._offset), zero, self._slope) if self._log else (self._slope, self._offset, one)
        arrays = (gain, bias, power, self._vignette[self._cameras])
        return ColorMatch(*(x.astype(np.float32) for x in arrays))

    def _flat_photo(self) -> np.ndarray:
        """Return the colors of the samples without the vignette."""
        if not self._vignette.any():
            return self._color
        r2 = self._samples.radius2[:, None]
        v = self._vignette[self._cameras[self._samples.view]].astype(np.float32)
        exponent = r2 * (v[:, :1] + r2 * (v[:, 1:2] + r2 * v[:, 2:]))
        return self._color - exponent if self._log else self._color / np.exp(exponent)

    def _to_domain(self, color: np.ndarray) -> np.ndarray:
        return (np.log(np.maximum(color, DARK)) if self._log else color).astype(np.float32)

    def _all_numbers(self) -> np.ndarray:
        return np.concatenate([self._slope, self._offset, self._vignette])

    def _vignette_basis(self) -> np.ndarray:
        """Return the powers of the radius, without what they have in common in a cell.

        The texture would take that in the next round anyway. Leaving it to the vignette step would let both creep
        towards each other for hundreds of rounds, because a place of the texture is seen at few radii.
        """
        s = self._samples
        basis = s.radius2[:, None] ** np.arange(1, VIGNETTE_TERMS + 1)
        if self._fixed is None:
            total = np.maximum(np.bincount(s.cell, s.weight, s.num_cells), 1e-12)
            for power in range(VIGNETTE_TERMS):
                mean = np.bincount(s.cell, s.weight * basis[:, power], s.num_cells) / total
                basis[:, power] -= mean[s.cell]
        return basis

    def _numbers(self) -> tuple[np.ndarray, np.ndarray, bool, float]:
        return self._slope, self._offset, self._log, self._scale

    def _sum(self, step: Callable[..., None], shape: tuple[int, ...], *arguments: Any) -> Float[np.ndarray, "*B"]:
        """Add up a step of the kernels over all samples; always in as many parts, whatever the number of threads.

        The sums stay valid until the next ones of this shape: fresh memory would take as long as the sums.
        """
        if shape not in self._memory:
            self._memory[shape] = np.empty((PARTS, *shape))
        sums, count = self._memory[shape], len(self._place)
        sums.fill(0)

        def work(part: int, _: int) -> None:
            step(*arguments, sums[part], part * count // PARTS, (part + 1) * count // PARTS)

        run_blocks(work, PARTS, 1)
        return sums.sum(0, out=sums[0])

    def _fit_texture(self, samples: SampleArrays) -> None:
        shape = (self._samples.num_cells, 3, 2)
        sums = self._sum(kernels.texture_step, shape, samples, self._texture, self._numbers())
        kernels.solve_cells(sums, self._texture)

    def _fit_views(self, samples: SampleArrays) -> None:
        shape = (len(self._cameras), 3, 5)
        moments = self._sum(kernels.view_step, shape, samples, self._texture, self._numbers())
        w, x, y, xx, xy = np.moveaxis(moments, -1, 0)
        known = w > 1e-6
        w = np.where(known, w, 1)
        x, y = x / w, y / w
        if self._model == "gain":
            self._offset = np.where(known, y - x, 0)
        else:
            slope = (xy / w - x * y + RIDGE) / (xx / w - x * x + RIDGE)
            self._slope = np.where(known, slope.clip(*LIMITS), 1)
            self._offset = np.where(known, y - self._slope * x, 0)
        if self._log:
            self._offset = self._offset.clip(*np.log(LIMITS))
        self._fix_gauge()

    def _fix_gauge(self) -> None:
        """Keep the mean photograph as it is: the texture would slowly drift otherwise."""
        if self._fixed is None:
            power = np.exp(np.log(self._slope).mean(0))
            self._slope = self._slope / power
            self._offset = self._offset - self._slope * self._offset.mean(0) / self._slope.mean(0)

    def _fit_vignette(self, samples: SampleArrays) -> None:
        shape = (len(self._vignette), VIGNETTE_TERMS, VIGNETTE_TERMS + 1)
        arguments = (samples, self._texture, self._numbers(), self._basis, self._cameras)
        equations = self._sum(kernels.vignette_step, shape, *arguments)
        for camera, system in enumerate(equations):
            ridge = 1e-6 * max(np.trace(system[:, :VIGNETTE_TERMS]), 1e-9) * np.eye(VIGNETTE_TERMS)
            self._vignette[camera] += np.linalg.solve(system[:, :VIGNETTE_TERMS] + ridge, system[:, VIGNETTE_TERMS])


def _camera_groups(store: ViewStore) -> Int[np.ndarray, " N"]:
    """Number the cameras; photographs of one camera have equal intrinsics."""
    numbers: dict[tuple[object, ...], int] = {}
    return np.array([numbers.setdefault(_intrinsics(view.camera), len(numbers)) for view in store.views], np.int64)


def _intrinsics(camera: Camera) -> tuple[object, ...]:
    return (camera.width, camera.height, camera.fx, camera.fy, camera.lens, tuple(camera.distortion))
