"""The U-Net under both lite networks; group normalization, because instance norm is unstable on maps of 4x4 texels."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

MAX_GROWTH = 8
"""Coarse levels have at most so many times the channels of the finest one."""
GROUP = 8
"""Channels that are normalized together."""

Block = Callable[[int, int, int], nn.Module]
"""Makes a block from channels in, channels out, and stride."""


class PlainBlock(nn.Sequential):
    """Two convolutions, each normalized and activated."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__(_conv(before, after, stride), _norm(after), nn.SiLU(), _conv(after, after), _norm(after))
        self.append(nn.SiLU())


class GatedBlock(nn.Module):
    """Two convolutions, each with a gate that shuts out what is not known.

    J. Yu et al., "Free-Form Image Inpainting with Gated Convolution", ICCV 2019.
    """

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.first, self.first_norm = _conv(before, 2 * after, stride), _norm(after)
        self.second, self.second_norm = _conv(after, 2 * after), _norm(after)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D h w"]:
        """Return features, halved in size for a stride of 2."""
        for conv, norm in ((self.first, self.first_norm), (self.second, self.second_norm)):
            features, gate = conv(x).chunk(2, 1)
            x = functional.silu(norm(features)) * gate.sigmoid()
        return x


class Encoder(nn.Module):
    """Features of every level, finest first."""

    def __init__(self, before: int, widths: Sequence[int], block: Block) -> None:
        super().__init__()
        pairs = zip([before, *widths], widths, strict=False)
        self.blocks = nn.ModuleList(block(a, b, 1 if index == 0 else 2) for index, (a, b) in enumerate(pairs))

    def forward(self, x: Float[Tensor, "N C H W"]) -> list[Tensor]:
        """Return one map per level."""
        found = []
        for block in self.blocks:
            x = block(x)
            found.append(x)
        return found


class Decoder(nn.Module):
    """From the coarsest level to the finest, with the features of the encoders beside."""

    def __init__(self, skips: Sequence[int], widths: Sequence[int], block: Block) -> None:
        super().__init__()
        below = [*widths[1:-1], skips[-1]]  # what comes up from the next coarser level
        levels = zip(skips[:-1], below, widths[:-1], strict=True)
        self.blocks = nn.ModuleList(block(skip + coarse, width, 1) for skip, coarse, width in levels)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Return one map per level but the coarsest, finest first."""
        x, found = features[-1], []
        for block, skip in zip(reversed(self.blocks), reversed(features[:-1]), strict=True):
            x = functional.interpolate(x, size=skip.shape[-2:], mode="nearest")
            x = block(torch.cat([skip, x], 1))
            found.append(x)
        return found[::-1]


def make_head(before: int, outputs: int) -> nn.Conv2d:
    """Return a last layer that starts near zero."""
    head = nn.Conv2d(before, outputs, 3, padding=1)
    nn.init.normal_(head.weight, 0, 1e-3)
    nn.init.zeros_(head.bias)  # type: ignore[arg-type]
    return head


def level_widths(width: int, levels: int) -> list[int]:
    """Channels of every level, finest first."""
    return [min(width * 2**level, width * MAX_GROWTH) for level in range(levels + 1)]


def _conv(before: int, after: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, stride, 1)


def _norm(count: int) -> nn.GroupNorm:
    return nn.GroupNorm(max(1, count // GROUP), count)
