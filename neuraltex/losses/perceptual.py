"""Losses in the feature space of VGG: content and Gram style.

L. Gatys, A. Ecker, M. Bethge, "Image Style Transfer Using Convolutional Neural Networks", CVPR 2016;
J. Johnson, A. Alahi, L. Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV 2016.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from neuraltex.core.conventions import chw_from_hwc, hwc_from_chw
from neuraltex.core.errors import DataError, UsageError

_CONVOLUTIONS = {13: (2, 2, 3, 3, 3), 16: (2, 2, 4, 4, 4)}  # per block, of VGG16 and VGG19
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet in [0, 1], as torchvision trained


class VggFeatures(nn.Module):
    """Activations of a frozen VGG16 or VGG19.

    Args:
        state: Weights under torchvision's names, ``features.0.weight`` and on; other keys are ignored.
        layers: Names ``relu<block>_<index>`` counted from 1, e.g. ``relu2_2``, in any order.
        normalize: Subtract the mean and divide by the deviation of ImageNet first, as the network was trained.

    Raises:
        DataError: if the weights are neither VGG16's nor VGG19's.
        UsageError: if a layer does not exist in that network.
    """

    def __init__(
        self, state: Mapping[str, Tensor], layers: Sequence[str] = ("relu2_2",), *, normalize: bool = True
    ) -> None:
        super().__init__()
        blocks = _CONVOLUTIONS.get(sum(key.startswith("features.") and key.endswith(".weight") for key in state))
        if blocks is None:
            raise DataError(
                "the weights are not those of VGG16 or VGG19", hint="Pass torchvision's vgg16 or vgg19 file"
            )
        modules, names = _build(state, blocks)
        unknown = [name for name in layers if name not in names.values()]
        if unknown:
            raise UsageError(f"VGG layer {unknown[0]!r} does not exist", hint=f"Choices: {', '.join(names.values())}")
        self.layers = tuple(layers)
        depth = 1 + max(index for index, name in names.items() if name in layers)
        self.network = nn.Sequential(*modules[:depth]).requires_grad_(False)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._names = names
        mean, std = (_MEAN, _STD) if normalize else ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, images: Float[Tensor, "B H W 3"]) -> list[Float[Tensor, "B _ _ _"]]:
        """Return the activations [B, C, h, w] of images in [0, 1], in the order of ``layers``."""
        found = dict(self.walk(images))
        return [found[name] for name in self.layers]

    def walk(self, images: Float[Tensor, "B H W 3"]) -> Iterator[tuple[str, Float[Tensor, "B _ _ _"]]]:
        """Yield name and activation from shallow to deep, keeping none alive for those who need one at a time."""
        values = ((chw_from_hwc(images) - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        for index, module in enumerate(self.network):
            values = module(values)
            if self._names.get(index) in self.layers:
                yield self._names[index], values


def show_outside(
    pred: Float[Tensor, "*B H W C"], target: Float[Tensor, "*B H W C"], mask: Bool[Tensor, "*B H W"]
) -> Float[Tensor, "*B H W C"]:
    """Return ``pred`` with ``target`` outside the mask, so that convolutions see no edge along it."""
    return torch.where((mask > 0)[..., None], pred, target)


def reduce_image(image: Float[Tensor, "B H W C"], factor: int) -> Float[Tensor, "B h w C"]:
    """Return the means of blocks of ``factor`` x ``factor`` pixels; an incomplete last block is dropped."""
    return image if factor == 1 else hwc_from_chw(functional.avg_pool2d(chw_from_hwc(image), factor))


def content_loss(
    pred: Sequence[Float[Tensor, "B C h w"]],
    target: Sequence[Float[Tensor, "B C h w"]],
    mask: Bool[Tensor, "B H W"] | Float[Tensor, "B H W"] | None = None,
) -> Float[Tensor, ""]:
    """Return the mean squared difference of activations over valid positions, summed over layers.

    Args:
        pred: Activations from :class:`VggFeatures`.
        target: Activations of the photograph.
        mask: Valid pixels, or their valid shares; a position counts with the share of its pixels that are valid.
    """
    total = torch.zeros((), device=pred[0].device)
    for ours, theirs in zip(pred, target, strict=True):
        difference = (ours - theirs).square().mean(1, keepdim=True)
        total = total + (difference * shares(mask, ours)).sum()
    return total


def style_loss(
    pred: Sequence[Float[Tensor, "B C h w"]],
    style: Sequence[Float[Tensor, "S C _ _"]],
    mask: Bool[Tensor, "B H W"] | None = None,
    style_mask: Bool[Tensor, "S _ _"] | None = None,
) -> Float[Tensor, ""]:
    """Return the mean squared difference of Gram matrices, summed over layers.

    ``style`` may be of another image and size; one style image (S = 1) serves the whole batch.
    """
    total = torch.zeros((), device=pred[0].device)
    for ours, theirs in zip(pred, style, strict=True):
        total = total + (gram(ours, mask) - gram(theirs, style_mask)).square().mean()
    return total


def gram(features: Float[Tensor, "B C h w"], mask: Bool[Tensor, "B H W"] | None = None) -> Float[Tensor, "B C C"]:
    """Return the mean over valid positions of the outer products of activations, divided by the number of channels."""
    weights = _coverage(mask, features).expand(len(features), 1, *features.shape[2:])
    flat = features.flatten(2)
    total = (flat * weights.flatten(2)) @ flat.mT
    return total / (flat.shape[1] * weights.sum((1, 2, 3)).clamp(min=1e-6)[:, None, None])


def shares(mask: Bool[Tensor, "B H W"] | None, features: Float[Tensor, "B _ h w"]) -> Float[Tensor, "B 1 h w"]:
    """Return the weight of every position of a feature map in a masked mean over the whole batch; they sum to one."""
    weights = _coverage(mask, features).expand(len(features), 1, *features.shape[2:])
    return weights / weights.sum().clamp(min=1e-6)


def _coverage(mask: Tensor | None, features: Tensor) -> Tensor:
    """Return the share of valid pixels under every position: the mask reduced by area."""
    if mask is None:
        return features.new_ones(1, 1, *features.shape[2:])
    return functional.interpolate(mask[:, None].to(features.dtype), size=features.shape[2:], mode="area")


def _build(state: Mapping[str, Tensor], blocks: tuple[int, ...]) -> tuple[list[nn.Module], dict[int, str]]:
    """Return the modules of VGG's convolutional part in torchvision's numbering, and the names of its activations."""
    modules: list[nn.Module] = []
    names: dict[int, str] = {}
    for block, count in enumerate(blocks, 1):
        for index in range(1, count + 1):
            weight, bias = (state[f"features.{len(modules)}.{kind}"] for kind in ("weight", "bias"))
            convolution = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
            convolution.load_state_dict({"weight": weight, "bias": bias})
            modules += [convolution, nn.ReLU(inplace=True)]
            names[len(modules) - 1] = f"relu{block}_{index}"
        modules.append(nn.MaxPool2d(2))
    return modules, names
