"""LPIPS with VGG16, version 0.1: a learned perceptual distance, as a loss and as a score.

R. Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from neuraltex.core.errors import DataError
from neuraltex.losses.perceptual import VggFeatures, show_outside

LONG_SIDE = 1416
"""Images longer than this are reduced by an integer factor before they are compared [px]."""
_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")


class Lpips(nn.Module):
    """The distance of images in [0, 1]; 0 is identical, about 0.7 unrelated.

    The published input scaling, (2 x - 1 - shift) / scale, equals the ImageNet normalization of VGG exactly.

    Args:
        vgg_state: VGG16 under torchvision's names.
        head_state: The five trained 1x1 convolutions, ``lin<k>.model.1.weight``.

    Raises:
        DataError: if a weight is missing.
    """

    def __init__(self, vgg_state: Mapping[str, Tensor], head_state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.features = VggFeatures(vgg_state, _LAYERS)
        for index in range(len(_LAYERS)):
            key = f"lin{index}.model.1.weight"
            if key not in head_state:
                raise DataError(f"the LPIPS weights lack {key}", hint="Run: neuraltex doctor --fetch-weights")
            self.register_buffer(f"head{index}", head_state[key].float(), persistent=False)

    def forward(
        self,
        pred: Float[Tensor, "*B H W 3"],
        target: Float[Tensor, "*T H W 3"],
        mask: Bool[Tensor, "*T H W"] | Float[Tensor, "*T H W"] | None = None,
        shown: Bool[Tensor, "*T H W"] | Float[Tensor, "*T H W"] | None = None,
    ) -> Float[Tensor, "*B"]:
        """Return the distance of every image.

        Args:
            pred: Images, at least 16 pixels wide and high.
            target: As many references, or a single one [H, W, 3] for all of them.
            mask: Pixels that count, or their weights; every distance map is averaged with them, reduced by area.
            shown: Pixels where ``pred`` is looked at; outside it shows ``target``. ``None`` takes those that count.
        """
        if mask is not None:
            pred = show_outside(pred, target, mask if shown is None else shown)
            mask = mask.reshape(-1, 1, *mask.shape[-2:]).to(pred.dtype)
        ours, theirs = (
            self.features.walk(images.flatten(0, -4) if images.ndim > 3 else images[None]) for images in (pred, target)
        )
        total = torch.zeros((), device=pred.device)
        for index, ((_, a), (_, b)) in enumerate(zip(ours, theirs, strict=True)):
            distance = functional.conv2d((_unit(a) - _unit(b)).square(), getattr(self, f"head{index}"))
            total = total + _mean(distance, mask)
        return total.reshape(pred.shape[:-3])


def _unit(features: Tensor) -> Tensor:
    """Scale every position to length one; the root stays differentiable where all activations are zero."""
    return features / (features.square().sum(1, keepdim=True) + 1e-20).sqrt()


def _mean(distance: Float[Tensor, "B 1 h w"], mask: Tensor | None) -> Float[Tensor, " B"]:
    if mask is None:
        return distance.mean((1, 2, 3))
    weights = functional.interpolate(mask, size=distance.shape[2:], mode="area")
    return (distance * weights).sum((1, 2, 3)) / weights.sum((1, 2, 3)).clamp(min=1e-12)
