"""Looking up a texture of which only a part is known."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

EPS = 1e-3
"""Share of known texels below which a color fades to black rather than growing out of noise."""


def sample_masked(
    color: Float[Tensor, "N C H W"],
    weight: Float[Tensor, "N 1 H W"],
    grid: Float[Tensor, "N h w 2"],
    *,
    wrap: bool = False,
) -> tuple[Float[Tensor, "N C h w"], Float[Tensor, "N 1 h w"]]:
    """Look up known colors bilinearly and divide by what is known, so that unknown texels leave no black holes.

    Convention:
        The grid has the coordinates of ``grid_sample(align_corners=False)``. Outside the texture the border repeats.

    Args:
        color: Texture.
        weight: How far each texel is known, in [0, 1].
        grid: Where to look.
        wrap: The texture is periodic in u.

    Returns:
        Mean of the colors weighted by what is known, and the weight found.
    """
    source = torch.cat([color * weight, weight], 1)
    if wrap:
        source, grid = _wrapped(source, grid)
    found = functional.grid_sample(source, grid, padding_mode="border", align_corners=False)
    known = found[:, -1:]
    return found[:, :-1] / (known + EPS), known


def _wrapped(
    source: Float[Tensor, "N C H W"], grid: Float[Tensor, "N h w 2"]
) -> tuple[Float[Tensor, "N C H W+2"], Float[Tensor, "N h w 2"]]:
    """Continue a texture by one column on both sides, and bring all places of a grid into it."""
    width = source.shape[-1]
    x = torch.remainder(grid[..., 0] + 1, 2) - 1
    return functional.pad(source, (1, 1, 0, 0), mode="circular"), torch.stack(
        [x * (width / (width + 2)), grid[..., 1]], -1
    )


def identity_grid(height: int, width: int, device: torch.device | str = "cpu") -> Float[Tensor, "H W 2"]:
    """Return the grid at which every texel looks at itself."""
    y, x = (torch.arange(count, device=device).add(0.5).mul(2 / count).sub(1) for count in (height, width))
    return torch.stack(torch.broadcast_tensors(x, y[:, None]), -1)
