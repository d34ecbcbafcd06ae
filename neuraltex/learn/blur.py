"""Blurred samples for the first steps of a training: a look-up only learns from the texels next to where it looks."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from neuraltex.learn.nets.inputs import Inputs

WIDTH = 3.0
"""Half of the width of the filter, in standard deviations."""


def blur_sample(
    inputs: Inputs, truth: Float[Tensor, "N 3 H W"], deviation: float
) -> tuple[Inputs, Float[Tensor, "N 3 H W"]]:
    """Blur true textures and what is sampled, each over texels inside charts or known; the network sees sharp ones.

    Args:
        inputs: Partial textures.
        truth: Their true textures.
        deviation: Standard deviation of the Gaussian [texel]; next to nothing changes nothing.
    """
    if deviation < 0.3:
        return inputs, truth
    known = inputs["direct"] + inputs["mirrored"]
    source = blur_masked(inputs["color"], known, deviation)
    return {**inputs, "source": source}, blur_masked(truth, inputs["inside"], deviation)


def blur_masked(
    image: Float[Tensor, "N C H W"], mask: Float[Tensor, "N 1 H W"], deviation: float
) -> Float[Tensor, "N C H W"]:
    """Return the Gaussian mean of an image over the texels of a mask; 0 elsewhere."""
    radius = max(1, round(WIDTH * deviation))
    offsets = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (offsets / deviation) ** 2)
    stacked = torch.cat([image * mask, mask], 1)
    channels = stacked.shape[1]
    for shape in ((1, 1, -1, 1), (1, 1, 1, -1)):
        weights = (kernel / kernel.sum()).reshape(shape).expand(channels, -1, -1, -1)
        padding = tuple(radius if size < 0 else 0 for size in shape[2:])
        stacked = functional.conv2d(stacked, weights, padding=padding, groups=channels)
    return stacked[:, :-1] / stacked[:, -1:].clamp(min=1e-6) * mask
