"""Distance of pictures in the feature space of VGG at five depths.

J. Johnson, A. Alahi, L. Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV 2016, with
the layers and weights of T.-C. Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation with Conditional
GANs", CVPR 2018, which RefinerNet was trained with.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuraltex.core.conventions import hwc_from_chw
from neuraltex.core.runtime import logger
from neuraltex.io.weights import find_vgg_weights
from neuraltex.losses.perceptual import VggFeatures

WEIGHTS = {"relu1_1": 1 / 32, "relu2_1": 1 / 16, "relu3_1": 1 / 8, "relu4_1": 1 / 4, "relu5_1": 1.0}
"""Published weight of every layer; VGG16 and VGG19 both have them."""


class ContentLoss(nn.Module):
    """The mean absolute difference of activations, weighted and summed over layers.

    Args:
        state: VGG16's or VGG19's weights under torchvision's names.
        weights: Weight of every layer.
        normalize: Bring pictures to the mean and deviation that VGG was trained with. The published code does not, and
            its weights of terms belong to that.
    """

    def __init__(
        self, state: Mapping[str, Tensor], weights: Mapping[str, float] = WEIGHTS, *, normalize: bool = False
    ) -> None:
        super().__init__()
        self.weights = tuple(weights.values())
        self.features = VggFeatures(state, tuple(weights), normalize=normalize)

    def forward(
        self,
        pred: Float[Tensor, "N 3 H W"],
        target: Float[Tensor, "N 3 H W"],
        mask: Float[Tensor, "#N 1 H W"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the distance; where ``mask`` is 0, ``pred`` is taken to show what ``target`` shows."""
        if mask is not None:
            pred = torch.where(mask > 0, pred, target)
        ours = self.features(hwc_from_chw(pred))
        with torch.no_grad():
            theirs = self.features(hwc_from_chw(target))
        terms = [weight * (a - b).abs().mean() for weight, a, b in zip(self.weights, ours, theirs, strict=True)]
        return torch.stack(terms).sum()


def load_content_loss(path: Path | None = None) -> ContentLoss:
    """Make the loss with VGG19 as published or, where only VGG16 is at hand, with that.

    Args:
        path: File of weights; without it the cache is used and, if need be, filled with VGG16.

    Raises:
        DataError: if no weights can be had.
    """
    kind, state = find_vgg_weights(path)
    if kind == "vgg16":
        logger.info("content loss: VGG16 in place of VGG19, whose weights are not at hand")
    return ContentLoss(state)
