"""Perceptual terms of a training, on a few samples of a batch and in some steps: they cost more than the rest."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from neuraltex.config.learn import LearnConfig
from neuraltex.core.conventions import hwc_from_chw
from neuraltex.io.weights import load_lpips_heads, load_vgg_weights
from neuraltex.losses.lpips import Lpips
from neuraltex.losses.perceptual import VggFeatures, show_outside

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
LAYER_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
"""The published layers of the content term, and their weights."""


class PerceptualTerms:
    """Evaluates the terms ``perceptual`` and ``lpips``.

    Args:
        config: Weights of the terms and how often they are evaluated.
        device: Where.
        vgg_weights: File of the VGG16 weights; without it the cache is searched.
        lpips_weights: File of the LPIPS heads; likewise.

    Raises:
        DataError: if weights are wanted and cannot be had.
    """

    def __init__(
        self,
        config: LearnConfig,
        device: torch.device,
        vgg_weights: Path | None = None,
        lpips_weights: Path | None = None,
    ) -> None:
        self._train, loss = config.train, config.loss
        self._lpips = self._features = None
        if loss.lpips or loss.perceptual:
            state = load_vgg_weights("vgg16", vgg_weights)
            self._features = VggFeatures(state, LAYERS).to(device) if loss.perceptual else None
            self._lpips = Lpips(state, load_lpips_heads(lpips_weights)).to(device) if loss.lpips else None

    def __call__(
        self, step: int, result: Float[Tensor, "N 3 H W"], truth: Float[Tensor, "N 3 H W"], inside: Tensor
    ) -> dict[str, Tensor]:
        """Return the terms of a step, raised by how seldom they are evaluated; none in the steps between."""
        every, count = max(self._train.perceptual_every, 1), self._train.perceptual_batch or len(result)
        if step % every or (self._lpips is None and self._features is None):
            return {}
        pred, target = (hwc_from_chw(image[:count]) for image in (result, truth))
        mask = inside[:count, 0]
        terms = {}
        if self._lpips is not None:
            terms["lpips"] = every * self._lpips(pred, target, mask).mean()
        if self._features is not None:
            terms["perceptual"] = every * self._content(show_outside(pred, target, mask), target)
        return terms

    def _content(self, pred: Float[Tensor, "N H W 3"], target: Float[Tensor, "N H W 3"]) -> Float[Tensor, ""]:
        assert self._features is not None
        pairs = zip(self._features(pred), self._features(target), LAYER_WEIGHTS, strict=True)
        return torch.stack([weight * (ours - theirs).abs().mean() for ours, theirs, weight in pairs]).sum()
