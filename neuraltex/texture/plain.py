"""A texture whose parameters are its texels."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuraltex.core.conventions import GREY
from neuraltex.core.errors import ShapeError
from neuraltex.texture.sample import build_mip_pyramid, sample_bilinear, sample_mip


class PlainTexture(nn.Module):
    """Square RGB texture in [0, 1], stored texel by texel and not clamped.

    Args:
        size: Side [texel].
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.texels = nn.Parameter(torch.full((size, size, 3), GREY))

    def forward(self, uv: Float[Tensor, "*B 2"], footprint: Float[Tensor, "*B"] | None = None) -> Float[Tensor, "*B 3"]:
        """Return colors at ``uv``, mip-mapped where a ``footprint`` [texel] is given, else bilinear."""
        if footprint is None:
            return sample_bilinear(self.texels, uv)
        return sample_mip(build_mip_pyramid(self.texels), uv, footprint)

    def image(self) -> Float[Tensor, "Ht Wt 3"]:
        """Return the colors at the texel centers, with gradients."""
        return self.texels

    def bake(self) -> Float[Tensor, "Ht Wt 3"]:
        """Return the colors at the texel centers."""
        return self.texels.detach().clone()

    def energies(self) -> list[Float[Tensor, ""]]:
        """Return no energies: there are no levels to balance."""
        return []

    @torch.no_grad()
    def initialize_(self, texture: Float[Tensor, "Ht Wt 3"]) -> None:
        """Take over ``texture`` exactly.

        Raises:
            ShapeError: if it has another size.
        """
        check_texture(texture, self.size)
        self.texels.copy_(texture)


def check_texture(texture: Tensor, size: int) -> None:
    """Refuse anything but [size, size, 3].

    Raises:
        ShapeError: if the shape differs.
    """
    if tuple(texture.shape) != (size, size, 3):
        raise ShapeError(f"texture has shape {list(texture.shape)}, expected [{size}, {size}, 3]")
