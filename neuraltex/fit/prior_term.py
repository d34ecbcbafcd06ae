"""A prior as terms of the gradient fit."""

import math
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from neuraltex.config.schema import FitConfig, LossConfig
from neuraltex.fit.prior import Leaning, Prior
from neuraltex.fit.surface import Surface
from neuraltex.losses.regularizers import huber

HUBER = 0.05
"""Difference from the prediction at which its penalty turns linear [color in 0 to 1]."""


class PriorTerm:
    """What the gradient fit is told of a prior; its state is the prediction alone.

    Args:
        prior: The prediction at the start or of a checkpoint.
        weights: Sum of the weights of the pixels that say something about each texel.
        surface: Charts and the area that each texel covers.
        config: All settings.
    """

    def __init__(self, prior: Prior, weights: Float[Tensor, "Ht Wt"], surface: Surface, config: FitConfig) -> None:
        self._config, self._steps, self._device = config.prior, config.loop.steps, weights.device
        self._scale = color_weight(config.loss)
        self._leaning = Leaning.of(weights.cpu().numpy(), surface, config.prior)
        self._area = np.where(surface.charts > 0, surface.area, 0).astype(np.float32)
        number = torch.from_numpy(surface.charts).to(self._device)
        self._across, self._down = _pairs(number, 1), _pairs(number, 0)
        self._take(prior)

    @property
    def is_on(self) -> bool:
        """Whether any texel leans on the prior."""
        return self._is_on

    @property
    def now(self) -> Prior:
        """The prediction at hand."""
        return self._prior

    @property
    def slopes(self) -> tuple[Float[Tensor, "Ht _ 3"], Float[Tensor, "_ Wt 3"]]:
        """Differences of neighbors that smoothness leaves alone: those of the prior, as far as nothing is seen."""
        return self._slopes

    def terms(self, texture: Float[Tensor, "Ht Wt 3"]) -> dict[str, Float[Tensor, ""]]:
        """Return the unweighted terms; means over all of the surface, so that they fade as coverage grows."""
        weight = self._weight[..., None]
        difference = texture - self.target
        across, down = difference.diff(dim=1).abs(), difference.diff(dim=0).abs()
        pairs = (across * self._lesser(weight, 1)).sum() + (down * self._lesser(weight, 0)).sum()
        return {
            "prior": (weight * huber(difference, HUBER)).sum(),
            "prior_gradient": pairs,
        }

    def factors(self, step: int) -> dict[str, float]:
        """Return the weights of the terms at a step."""
        config = self._config
        done = min(step / max(self._steps, 1), 1.0)
        weight = config.final_weight + (config.weight - config.final_weight) * 0.5 * (1 + math.cos(math.pi * done))
        return {"prior": self._scale * weight, "prior_gradient": self._scale * config.gradient_weight}

    def is_due(self, step: int) -> bool:
        """Whether the prediction is to be made anew before a step."""
        every = self._config.refresh_every
        return self.is_on and every > 0 and step > 0 and step % every == 0 and self._prior.refresh is not None

    def refresh(self, texture: Float[Tensor, "Ht Wt 3"]) -> None:
        """Move the prediction toward one from the texture at hand."""
        image = texture.detach().cpu().numpy().clip(0, 1)
        self._take(self._prior.refreshed(image, self._leaning.coverage, self._config.ema))

    def to_plain(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps."""
        return {"texture": self.target, "confidence": self._confidence}

    def _take(self, prior: Prior) -> None:
        self._prior, confidence = prior, prior.confidence
        self.target, self._confidence = self._put(prior.texture), self._put(confidence)
        share = self._area / max(3 * float(self._area.sum()), 1e-12)
        self._weight = self._put(self._leaning.weight(confidence) * share)
        self._is_on = bool(self._weight.any())
        free = self._put(self._leaning.openness(confidence))[..., None]
        self._slopes = (
            self.target.diff(dim=1) * self._lesser(free, 1),
            self.target.diff(dim=0) * self._lesser(free, 0),
        )

    def _lesser(self, values: Float[Tensor, "Ht Wt 1"], axis: int) -> Tensor:
        """Return the lesser value of every pair of neighbors; 0 where they belong to different charts."""
        length = values.shape[axis]
        first, second = values.narrow(axis, 0, length - 1), values.narrow(axis, 1, length - 1)
        return torch.minimum(first, second) * (self._across if axis else self._down)[..., None]

    def _put(self, array: Float[np.ndarray, "..."]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(self._device)


def restored(prior: Prior, plain: dict[str, Tensor]) -> Prior:
    """Return a prior with the prediction that a checkpoint kept."""
    return replace(prior, texture=plain["texture"].cpu().numpy(), confidence=plain["confidence"].cpu().numpy())


def color_weight(config: LossConfig) -> float:
    """Return the weight of color differences in the objective, which the weights of a prior are relative to."""
    return config.l1 + config.l2 + config.charbonnier or 1.0


def _pairs(number: Int[Tensor, "Ht Wt"], axis: int) -> Bool[Tensor, "h w"]:
    """Return which texels and their next ones along an axis belong to one chart."""
    length = number.shape[axis]
    first, second = number.narrow(axis, 0, length - 1), number.narrow(axis, 1, length - 1)
    return (first == second) & (first > 0)
