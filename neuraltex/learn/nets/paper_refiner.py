"""RefinerNet in its published layout: paints a texture and says where the sampled one is better.

S. Cha et al., "Generating Texture for 3D Human Avatar from a Single Image using Sampling and Refinement Networks",
Computer Graphics Forum (Eurographics) 2023; 23,591,816 parameters, all convolutions gated. Layer for layer the
published code in the mode "blend" with the complement of the visibility mask as fourth input. Its faults concern
training, not layers; see :mod:`neuraltex.losses.adversarial` and docs/learned_networks.md.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from neuraltex.learn.nets.inputs import Inputs
from neuraltex.learn.nets.outputs import Refined, Sampled
from neuraltex.learn.nets.paper_blocks import ConvBlock, ResidualBlock, check_size, initialize, join, visibility

LEVELS = 3
"""Halvings from the texture to the residual blocks."""


class PaperRefiner(nn.Module):
    """The published refiner.

    Args:
        width: Channels at full resolution; they double with every level.
        num_blocks: Residual blocks at the coarsest level.
    """

    def __init__(self, width: int = 32, num_blocks: int = 9) -> None:
        super().__init__()
        slope, deep = nn.LeakyReLU(0.2), width << LEVELS
        self.first = ConvBlock(4, width, 7, slope, gated=True)
        widths = [width << level for level in range(LEVELS)]
        self.encoder = nn.ModuleList(ConvBlock(w, 2 * w, 3, slope, stride=2, gated=True) for w in widths)
        self.body = nn.Sequential(*(ResidualBlock(deep, deep, nn.ReLU(), gated=True) for _ in range(num_blocks)))
        pairs = [(16, 4), (8, 2), (4, 1)]
        self.decoder = nn.ModuleList(ConvBlock(a * width, b * width, 3, nn.ReLU(), gated=True) for a, b in pairs)
        self.head = ConvBlock(width, 4, 7, norm=False, gated=True)
        initialize(self)

    def forward(self, inputs: Inputs, sampled: Sampled) -> Refined:
        """Refine sampled textures.

        Args:
            inputs: ``direct`` and ``mirrored`` [N 1 H W]; other maps are ignored, as in the publication.
            sampled: What the sampler made of them.

        Raises:
            ShapeError: if a side is no multiple of 8 or less than 16.
        """
        values = join(sampled.color, 1 - visibility(inputs))
        check_size(values, LEVELS, "the paper refiner")
        made = self.head(self._decode(self.first(values))).float().sigmoid()
        return Refined(made[:, :3], made[:, 3:])

    def _decode(self, values: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        skips = []
        for down in self.encoder:
            values = down(values)
            skips.append(values)
        values = self.body(values)
        for up in self.decoder:
            values = up(functional.interpolate(join(values, skips.pop()), scale_factor=2, mode="nearest"))
        return values
