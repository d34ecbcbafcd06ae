"""A texture that is the sum of a fine and several coarser ones.

The hierarchy of NeuralTexGen (J. Thies, https://github.com/JustusThies/NeuralTexGen), there with four fixed levels:
coarse levels receive gradients from many pixels and settle first, and penalizing the energy of the fine levels lets
them carry detail only.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from neuraltex.core.conventions import GREY, chw_from_hwc, hwc_from_chw
from neuraltex.core.errors import ShapeError
from neuraltex.texture.plain import check_texture
from neuraltex.texture.sample import build_mip_pyramid, sample_bilinear, sample_mip


class PyramidTexture(nn.Module):
    """Square RGB texture in [0, 1]; the color at a uv is the sum of bilinear samples of all levels.

    Args:
        size: Side of the finest level [texel], divisible by 2 ** (num_levels - 1).
        num_levels: Levels of side size, size / 2, size / 4, ...

    Raises:
        ShapeError: if ``size`` cannot be halved that often.
    """

    def __init__(self, size: int, num_levels: int = 4) -> None:
        super().__init__()
        if num_levels < 1 or size % 2 ** (num_levels - 1):
            raise ShapeError(
                f"a texture of side {size} cannot have {num_levels} levels",
                hint=f"Choose a size divisible by {2 ** max(num_levels - 1, 0)} or fewer levels",
            )
        self.size = size
        sides = [size // 2**level for level in range(num_levels)]
        self.levels = nn.ParameterList(torch.zeros(side, side, 3) for side in sides)  # finest first
        with torch.no_grad():
            self.levels[-1].fill_(GREY)

    def forward(self, uv: Float[Tensor, "*B 2"], footprint: Float[Tensor, "*B"] | None = None) -> Float[Tensor, "*B 3"]:
        """Return colors at ``uv``, mip-mapped where a ``footprint`` [texel] is given, else summed bilinear samples."""
        if footprint is None:
            return torch.stack([sample_bilinear(level, uv) for level in self.levels]).sum(0)
        return sample_mip(build_mip_pyramid(self.image()), uv, footprint)

    def image(self) -> Float[Tensor, "Ht Wt 3"]:
        """Return the sum of all levels at the texel centers of the finest one, with gradients."""
        return torch.stack([enlarge(level, self.size) for level in self.levels]).sum(0)

    def bake(self) -> Float[Tensor, "Ht Wt 3"]:
        """Return the colors at the texel centers of the finest level, exactly as :meth:`forward` gives them there."""
        return self.image().detach().clone()

    def energies(self) -> list[Float[Tensor, ""]]:
        """Return the mean square of every level, finest first."""
        return [level.square().mean() for level in self.levels]

    @torch.no_grad()
    def initialize_(self, texture: Float[Tensor, "Ht Wt 3"]) -> None:
        """Split ``texture`` among the levels, coarsest first, each taking what its resolution can show.

        Afterwards :meth:`bake` returns ``texture``.

        Raises:
            ShapeError: if it has another size.
        """
        check_texture(texture, self.size)
        rest = texture.to(self.levels[0])
        for level in reversed(self.levels):
            level.copy_(_shrink(rest, level.shape[0]))
            rest = rest - enlarge(level, self.size)


def enlarge(texture: Float[Tensor, "h w C"], size: int) -> Float[Tensor, "Ht Wt C"]:
    """Sample a texture bilinearly at the texel centers of a finer square one."""
    if texture.shape[0] == size:
        return texture
    image = chw_from_hwc(texture)[None]
    return hwc_from_chw(functional.interpolate(image, size=(size, size), mode="bilinear", align_corners=False)[0])


def _shrink(texture: Tensor, size: int) -> Tensor:
    factor = texture.shape[0] // size
    return hwc_from_chw(functional.avg_pool2d(chw_from_hwc(texture)[None], factor)[0]) if factor > 1 else texture
