"""SamplerNet in its published layout: where in a partial texture every texel of the complete one is read.

S. Cha et al., "Generating Texture for 3D Human Avatar from a Single Image using Sampling and Refinement Networks",
Computer Graphics Forum (Eurographics) 2023; 37,361,762 parameters. Layer for layer the published code, except for:

* There, the visibility mask never reaches the network: a slice takes the last channel of the normals in its place. Here
  channels have names, and the mask is the fourth channel of the appearance encoder. No parameter is added by that.
* There, texels are read with zero padding and unobserved black ones count in full, which leaves black holes. Here
  unobserved texels have no weight, and the border repeats.
* There, coordinates run from corner to corner of the outermost texel centers while half of the tools count texel
  borders. Here texel centers lie at half-integers (align_corners=False) as everywhere in this program.
* There, the layer before the offsets starts with a deviation of 0.02, by which the first offsets already spread over a
  third of half the map. Here it starts at 0.001, that is, with every texel read where it lies (``deviation``).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuraltex.learn.nets.inputs import Inputs
from neuraltex.learn.nets.outputs import Sampled
from neuraltex.learn.nets.paper_blocks import ConvBlock, ResidualBlock, check_size, initialize, join, visibility
from neuraltex.learn.nets.sampling import identity_grid, sample_masked

LEVELS = 5
"""Halvings from the texture to the bottleneck."""


class PaperSampler(nn.Module):
    """The published sampler.

    Args:
        width: Channels at full resolution; they double with every level.
        reach: Largest offset, in halves of the map.
        deviation: Of the initial weights of the layer before the offsets.
    """

    def __init__(self, width: int = 32, reach: float = 1.0, deviation: float = 1e-3) -> None:
        super().__init__()
        self.reach = reach
        self.appearance = _encoder(4, width)
        self.geometry = _encoder(3, width)
        self.decoder = _decoder(width)
        self.to_offset = ConvBlock(width, 2, 3, nn.Tanh(), norm=False, padding="reflect")
        initialize(self)
        initialize(self.to_offset, deviation)

    def forward(self, inputs: Inputs) -> Sampled:
        """Complete partial textures by reading them elsewhere.

        Args:
            inputs: ``color`` [N 3 H W] in [0, 1], ``direct`` and ``mirrored`` [N 1 H W], ``normals`` [N 3 H W] in
                [-1, 1]; other maps are ignored, as in the publication.

        Raises:
            ShapeError: if a side is no multiple of 32 or less than 64.
        """
        color, mask = inputs["color"], visibility(inputs)
        check_size(color, LEVELS, "the paper sampler")
        offsets, (height, width) = self._offsets(color, mask, inputs["normals"]), color.shape[-2:]
        offsets = self.reach * offsets
        grid = identity_grid(height, width, color.device) + offsets
        with torch.autocast(color.device.type, enabled=False):
            found, confidence = sample_masked(color.float(), mask.float(), grid)
        return Sampled(found, confidence, grid[:, None], torch.ones_like(confidence), offsets[:, None])

    def _offsets(self, color: Tensor, mask: Tensor, normals: Tensor) -> Float[Tensor, "N H W 2"]:
        """Return offsets in [-1, 1], in single precision whatever precision the layers have."""
        seen, shape = join(color, mask), (normals + 1) / 2
        skips = []
        for block in self.appearance:
            seen = block(seen)
            skips.append(seen)
        values = join(self.geometry(shape), skips.pop())
        for index, block in enumerate(self.decoder):
            values = block(join(values, skips[-index]) if 0 < index < 4 else values)
        return self.to_offset(values).float().permute(0, 2, 3, 1)


def _encoder(inputs: int, width: int) -> nn.Sequential:
    """Return six blocks: a 7x7 convolution at full resolution, then five that halve it and double the channels."""
    first = ConvBlock(inputs, width, 7, nn.LeakyReLU(0.2), padding="reflect")
    widths = [width << level for level in range(LEVELS)]
    rest = (ResidualBlock(w, 2 * w, nn.LeakyReLU(0.2), "down", padding="reflect") for w in widths)
    return nn.Sequential(first, *rest)


def _decoder(width: int) -> nn.ModuleList:
    """Return five blocks that double the resolution; the inputs of all but the last hold features of the encoders."""
    pairs = [(64, 16), (32, 8), (16, 4), (8, 2), (2, 1)]
    return nn.ModuleList(
        ResidualBlock(a * width, b * width, nn.LeakyReLU(0.2), "up", padding="reflect") for a, b in pairs
    )
