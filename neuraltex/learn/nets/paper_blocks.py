"""Blocks that the networks of the ``paper`` configuration are made of.

Gated convolutions: J. Yu et al., "Free-Form Image Inpainting with Gated Convolution", ICCV 2019; residual blocks: K. He
et al., "Deep Residual Learning for Image Recognition", CVPR 2016. Instance normalization has no parameters of its own.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from neuraltex.core.errors import ShapeError
from neuraltex.learn.nets.inputs import Inputs

Sampling = Literal["same", "down", "up"]
Padding = Literal["zeros", "reflect"]


class ConvBlock(nn.Module):
    """A convolution, normalization and activation, multiplied by a learned gate in (0, 1) if ``gated``."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        activation: nn.Module | None = None,
        *,
        stride: int = 1,
        bias: bool = True,
        norm: bool = True,
        gated: bool = False,
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()

        def convolution() -> nn.Conv2d:
            return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias, padding_mode=padding)

        self.convolution = convolution()
        self.norm = nn.InstanceNorm2d(outputs) if norm else nn.Identity()
        self.activation = activation or nn.Identity()
        self.gate = convolution() if gated else None

    def forward(self, values: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D h w"]:
        """Return the block's output, smaller by its stride."""
        found = self.activation(self.norm(self.convolution(values)))
        return found if self.gate is None else found * self.gate(values).sigmoid()


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions added to their input; no activation after the sum.

    ``down`` halves the resolution in the first convolution, ``up`` doubles it bilinearly before both. Where the shape
    changes, a 1x1 convolution without bias carries the input across.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        activation: nn.Module,
        sampling: Sampling = "same",
        *,
        gated: bool = False,
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        inner, stride = (outputs if sampling == "up" else inputs), (2 if sampling == "down" else 1)
        self.upsample = sampling == "up"
        self.skip: nn.Module = nn.Identity()
        if inputs != outputs or stride > 1:
            self.skip = ConvBlock(inputs, outputs, 1, stride=stride, bias=False, norm=False)
        self.body = nn.Sequential(
            ConvBlock(inputs, inner, 3, activation, stride=stride, gated=gated, padding=padding),
            ConvBlock(inner, outputs, 3, gated=gated, padding=padding),
        )

    def forward(self, values: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D h w"]:
        """Return the sum of input and residual."""
        if self.upsample:
            values = functional.interpolate(values, scale_factor=2, mode="bilinear", align_corners=False)
        return self.skip(values) + self.body(values)


def initialize(network: nn.Module, deviation: float = 0.02) -> None:
    """Draw all convolutions from a normal distribution around zero, with zero biases."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0.0, deviation)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def visibility(inputs: Inputs) -> Float[Tensor, "N 1 H W"]:
    """Return 1 where the partial textures have a color, direct or mirrored."""
    return (inputs["direct"] + inputs["mirrored"]).clamp(0, 1)


def check_size(values: Float[Tensor, "N C H W"], levels: int, what: str) -> None:
    """Check that maps can be halved ``levels`` times and still have two texels, without which nothing normalizes.

    Raises:
        ShapeError: if they cannot.
    """
    step = 2**levels
    if any(side % step or side < 2 * step for side in values.shape[-2:]):
        size = "x".join(map(str, values.shape[-2:]))
        raise ShapeError(
            f"{what} cannot work on textures of {size}",
            hint=f"Use a side that is a multiple of {step} and at least {2 * step}",
        )


def join(*maps: Tensor) -> Float[Tensor, "N C H W"]:
    """Return maps of one size stacked along their channels."""
    return torch.cat(maps, 1)
