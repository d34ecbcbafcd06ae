"""What critics and the networks they judge learn from each other.

I. Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014 (``bce``, non-saturating); X. Mao et al., "Least
Squares Generative Adversarial Networks", ICCV 2017 (``lsgan``); J. Lim, J. Ye, "Geometric GAN", 2017 (``hinge``);
feature matching: T.-C. Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs",
CVPR 2018.

Convention:
    A judgement is a list over scales of lists over layers, the logits last. Losses are means over the logits of a
    scale, then over scales; all other layers are used by :func:`feature_matching` only.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import relu, softplus

from neuraltex.core.errors import ShapeError

Mode = Literal["bce", "lsgan", "hinge"]
Judgement = list[list[Tensor]]
"""Per scale the activations of every layer, shallow to deep; the last of them are the logits [N 1 h w]."""


def critic_loss(real: Judgement, fake: Judgement, mode: Mode = "bce") -> Float[Tensor, ""]:
    """Return what a critic minimizes: the sum of its losses on real and on made images.

    Raises:
        ShapeError: if a judgement is not a list of scales.
    """
    on_real, on_fake, _ = _TERMS[mode]
    return _over_scales(real, on_real) + _over_scales(fake, on_fake)


def fooling_loss(fake: Judgement, mode: Mode = "bce") -> Float[Tensor, ""]:
    """Return what the network that made the judged images minimizes.

    Raises:
        ShapeError: if the judgement is not a list of scales.
    """
    return _over_scales(fake, _TERMS[mode][2])


def feature_matching(real: Judgement, fake: Judgement) -> Float[Tensor, ""]:
    """Return the mean absolute difference of activations, summed over all layers but the logits, mean over scales.

    No gradient reaches the side of the real images.

    Raises:
        ShapeError: if the judgements are not lists of as many scales and layers.
    """
    _check(real)
    _check(fake)
    total = torch.zeros((), device=fake[0][0].device)
    for theirs, ours in zip(real, fake, strict=True):
        for a, b in zip(theirs[:-1], ours[:-1], strict=True):
            total = total + (a.detach() - b).abs().mean()
    return total / len(real)


def _over_scales(judgement: Judgement, term: Callable[[Tensor], Tensor]) -> Float[Tensor, ""]:
    _check(judgement)
    return torch.stack([term(layers[-1].float()).mean() for layers in judgement]).mean()


def _check(judgement: Sequence[object]) -> None:
    if not judgement or not all(isinstance(layers, list) and layers for layers in judgement):
        raise ShapeError("a judgement must be a list of scales, each a list of layers")


_TERMS: dict[Mode, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "bce": (lambda real: softplus(-real), softplus, lambda fake: softplus(-fake)),
    "lsgan": (lambda real: (real - 1).square(), torch.square, lambda fake: (fake - 1).square()),
    "hinge": (lambda real: relu(1 - real), lambda fake: relu(1 + fake), torch.neg),
}
"""Of logits on real images, on made ones, and on made ones for the network that made them."""
