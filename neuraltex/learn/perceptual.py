"""Perceptual terms of a training, on a few samples of a batch and in some steps: they cost more than the rest."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from neuraltex.config.learn import LearnConfig
from neuraltex.core.conventions import hwc_from_chw
from neuraltex.io.weights import load_lpips_heads, load_vgg_weights
from neuraltex.losses.content import load_content_loss
from neuraltex.losses.lpips import Lpips


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
        device: torch.device | str,
        vgg_weights: Path | None = None,
        lpips_weights: Path | None = None,
    ) -> None:
        self._train, loss = config.train, config.loss
        self._lpips = self._content = None
        if loss.lpips:
            state = load_vgg_weights("vgg16", vgg_weights)
            self._lpips = Lpips(state, load_lpips_heads(lpips_weights)).to(device)
        if loss.perceptual:
            self._content = load_content_loss(vgg_weights).to(device)

    def __call__(
        self, step: int, result: Float[Tensor, "N 3 H W"], truth: Float[Tensor, "N 3 H W"], inside: Tensor
    ) -> dict[str, Tensor]:
        """Return the terms of a step, raised by how seldom they are evaluated; none in the steps between."""
        every, count = max(self._train.perceptual_every, 1), self._train.perceptual_batch or len(result)
        if step % every:
            return {}
        pred, target, mask = result[:count], truth[:count], inside[:count]
        terms = {}
        if self._lpips is not None:
            distance = self._lpips(hwc_from_chw(pred), hwc_from_chw(target), mask[:, 0])
            terms["lpips"] = every * distance.mean()
        if self._content is not None:
            terms["perceptual"] = every * self._content(pred, target, mask)
        return terms
