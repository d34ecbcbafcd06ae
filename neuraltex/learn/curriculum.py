"""What a sampler is shown as its training goes on: easy partial textures first, real ones last.

S. Cha et al., "Generating Texture for 3D Human Avatar from a Single Image using Sampling and Refinement Networks",
Computer Graphics Forum 2023. In their code the second view of a subject gets the warped picture of the first; here
every view is made from its own maps alone.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from neuraltex.core.errors import ConfigError
from neuraltex.learn.nets.inputs import APPEARANCE, SHIFT, Inputs
from neuraltex.learn.warps import PartWarps

Name = Literal["none", "lite", "paper"]


@dataclass(frozen=True)
class Stage:
    """A part of a training; it lasts until the next one begins.

    Args:
        begin: Share of the training that is over when it begins.
        warped: Probability that a sample is the true texture seen through its mask, then warped part by part.
        real: Probability that it is the real partial texture. What remains are true textures seen through the mask.
        scale: Of the warps (:meth:`neuraltex.learn.warps.PartWarps.draw_shifts`), when the stage begins and when it
            ends.
    """

    begin: float
    warped: float = 0.0
    real: float = 0.0
    scale: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if min(self.begin, self.warped, self.real, *self.scale) < 0 or self.warped + self.real > 1 + 1e-9:
            raise ConfigError(f"{self} is not a stage", hint="Give shares from 0 to 1, warped and real together")


def _steady(begin: float, warped: float, real: float, scale: float) -> Stage:
    return Stage(begin, warped, real, (scale, scale))


CURRICULA: dict[Name, tuple[Stage, ...]] = {
    "none": (Stage(0, real=1),),
    "lite": (Stage(0), Stage(0.03, 0.5, 0.5, (0.0, 0.25)), Stage(0.1, real=1)),
    "paper": (
        Stage(0),
        _steady(4 / 30, 1, 0, 0.1),
        _steady(8 / 30, 1, 0, 0.125),
        *(_steady((12 + 4 * i) / 30, 0.5, 0.5, 0.15 + 0.025 * i) for i in range(5)),
    ),
}
"""``paper`` is the published schedule of 30,000 steps; ``lite`` is over after a tenth: longer ones did not pay."""


class Curriculum:
    """Makes the inputs of each step.

    Args:
        stages: In order; the first begins at 0.
        warps: For stages that warp.

    Raises:
        ConfigError: if the stages are out of order, or need warps that are not given.
    """

    def __init__(self, stages: tuple[Stage, ...], warps: PartWarps | None = None) -> None:
        begins = [stage.begin for stage in stages]
        if not stages or begins[0] != 0 or begins != sorted(set(begins)) or begins[-1] >= 1:
            raise ConfigError(f"stages begin at {begins}", hint="Begin at 0, then later and later, before 1")
        if warps is None and any(stage.warped for stage in stages):
            raise ConfigError("a curriculum with warps needs the parts of the layout", hint="Pass PartWarps")
        self.stages, self.warps = stages, warps

    def stage(self, progress: float) -> tuple[Stage, float]:
        """Return the stage at a share of the training in [0, 1], and its scale there."""
        number = max(index for index, stage in enumerate(self.stages) if stage.begin <= progress)
        stage = self.stages[number]
        end = self.stages[number + 1].begin if number + 1 < len(self.stages) else 1.0
        passed = min(1.0, (progress - stage.begin) / (end - stage.begin))
        return stage, stage.scale[0] + passed * (stage.scale[1] - stage.scale[0])

    def apply(
        self, inputs: Inputs, target: Float[Tensor, "N 3 H W"], progress: float, generator: torch.Generator
    ) -> Inputs:
        """Return what a sampler is shown in place of real partial textures; each sample is drawn by itself.

        For several views of a subject, call it for each view, or for all of them in one batch: nothing is shared.

        Args:
            inputs: Real partial textures; not changed.
            target: Their true textures.
            progress: Share of the training that is over.
            generator: On the CPU; the sequence of calls with it can be repeated.
        """
        stage, scale = self.stage(progress)
        if stage.real >= 1:
            return inputs
        drawn = torch.rand(len(target), generator=generator)
        warped, real = drawn < stage.warped, drawn >= 1 - stage.real
        seen = {name: inputs[name] for name in APPEARANCE}
        shown = {**seen, "color": target * (inputs["direct"] + inputs["mirrored"])}
        if warped.any() and self.warps is not None:
            some = warped.nonzero()[:, 0].to(target.device)
            moved = self.warps.warp({name: value[some] for name, value in shown.items()}, scale, generator)
            shown = {name: value.index_copy(0, some, moved[name]) for name, value in shown.items()}
        use_real = real.to(target.device)[:, None, None, None]
        if SHIFT in inputs:  # what is aligned lies where it is; where warps put a color is not known
            seen[SHIFT], shown[SHIFT] = inputs[SHIFT], torch.zeros_like(inputs[SHIFT])
            shown[SHIFT][warped.to(target.device)] = torch.nan
        return {**inputs, **{name: torch.where(use_real, seen[name], value) for name, value in shown.items()}}
