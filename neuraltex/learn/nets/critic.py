"""Patch critics: every logit judges one part of a texture.

P. Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017; at several scales: T.-C.
Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs", CVPR 2018. Layers are
those published with SamplerNet and RefinerNet (6,959,488 parameters, 14x14 logits at 256x256).

There, one critic returns a flat list of its layers, which the losses take for a list of scales: every feature map is
judged as if it held logits. Here both critics return one list of layers per scale.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from neuraltex.core.errors import ShapeError
from neuraltex.learn.nets.paper_blocks import initialize
from neuraltex.losses.adversarial import Judgement


class PatchCritic(nn.Module):
    """The published critic.

    Args:
        inputs: Channels: 3 for textures alone, more for textures beside what they were made from.
        width: Channels of the first layer.
        num_layers: Layers that halve the resolution.
    """

    def __init__(self, inputs: int = 3, width: int = 64, num_layers: int = 4) -> None:
        super().__init__()
        widths = [width * min(2**level, 8) for level in range(num_layers + 1)]
        layers = [_layer(inputs, widths[0], 2, norm=False)]
        layers += [_layer(a, b, 2) for a, b in pairwise(widths[:-1])]
        layers += [_layer(widths[-2], widths[-1], 1)]
        layers += [nn.Sequential(nn.Conv2d(widths[-1], 1, 4, 1, 1, bias=False))]
        self.layers = nn.ModuleList(layers)
        self.smallest = 3 << num_layers
        initialize(self)

    def forward(self, textures: Float[Tensor, "N C H W"]) -> Judgement:
        """Judge textures at one scale.

        Raises:
            ShapeError: if they are too small for the critic to see a neighborhood.
        """
        if min(textures.shape[-2:]) < self.smallest:
            size = "x".join(map(str, textures.shape[-2:]))
            hint = f"Use at least {self.smallest} texels a side, fewer scales or fewer layers"
            raise ShapeError(f"a critic cannot judge textures of {size}", hint=hint)
        found = []
        for layer in self.layers:
            textures = layer(textures)
            found.append(textures)
        return [found]


class MultiScaleCritic(nn.Module):
    """Critics of textures at full resolution, at half of it, and so on; arguments as for :class:`PatchCritic`."""

    def __init__(self, inputs: int = 3, width: int = 64, num_layers: int = 4, num_scales: int = 2) -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchCritic(inputs, width, num_layers) for _ in range(num_scales))

    def forward(self, textures: Float[Tensor, "N C H W"]) -> Judgement:
        """Judge textures at every scale, the finest first."""
        found: Judgement = []
        for index, critic in enumerate(self.scales):
            if index:
                textures = functional.avg_pool2d(textures, 3, 2, 1, count_include_pad=False)
            found += critic(textures)
        return found


def condition(textures: Float[Tensor, "N 3 H W"], *maps: Tensor) -> Float[Tensor, "N C H W"]:
    """Return textures beside what they were made from (say, unseen texels and normals), for a conditional critic."""
    return torch.cat((textures, *maps), 1)


def _layer(inputs: int, outputs: int, stride: int, *, norm: bool = True) -> nn.Sequential:
    """Return a 4x4 convolution; as published, it has a bias exactly where a normalization follows."""
    convolution = nn.Conv2d(inputs, outputs, 4, stride, 1, bias=norm)
    return nn.Sequential(convolution, nn.InstanceNorm2d(outputs) if norm else nn.Identity(), nn.LeakyReLU(0.2))
