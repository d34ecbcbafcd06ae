"""Reading a texture at uv coordinates, its adjoint, and mip-mapped reading.

Each fast function has a readable twin in plain torch, ``*_reference``, that tests compare it with.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from neuraltex.core.conventions import chw_from_hwc, grid_from_uv, texel_from_uv
from neuraltex.core.errors import ShapeError
from neuraltex.texture import kernels


def sample_bilinear(texture: Float[Tensor, "Ht Wt C"], uv: Float[Tensor, "*B 2"]) -> Float[Tensor, "*B C"]:
    """Sample a texture bilinearly.

    On the CPU in float32 with fixed uv (every texture fit) kernels that use all cores do the work; otherwise
    ``grid_sample`` does, which is also differentiable in ``uv``.

    Convention:
        uv (0, 0) is the bottom-left corner, row 0 of the texture is v = 1; texel centers lie at
        ((i + 0.5) / Wt, 1 - (j + 0.5) / Ht). Outside [0, 1] and in the outer half texel the border texel repeats.

    Raises:
        ShapeError: if ``texture`` is not [Ht, Wt, C] or the last axis of ``uv`` is not 2.
    """
    _check(texture, uv)
    flat = uv.reshape(-1, 2)
    if _kernels_apply(texture, flat):
        return _Sample.apply(texture, flat).reshape(*uv.shape[:-1], texture.shape[2])
    grid = grid_from_uv(flat).to(texture.dtype)[None, :, None]
    samples = functional.grid_sample(
        chw_from_hwc(texture)[None], grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return samples[0, :, :, 0].T.reshape(*uv.shape[:-1], texture.shape[2])


def sample_bilinear_reference(texture: Float[Tensor, "Ht Wt C"], uv: Float[Tensor, "*B 2"]) -> Float[Tensor, "*B C"]:
    """Readable twin of :func:`sample_bilinear`; any dtype, any device, differentiable in both arguments."""
    _check(texture, uv)
    indices, weights = bilinear_weights(uv, (texture.shape[0], texture.shape[1]))
    return (texture.flatten(0, 1)[indices] * weights[..., None]).sum(-2)


def bilinear_weights(uv: Float[Tensor, "*B 2"], size: tuple[int, int]) -> tuple[Tensor, Float[Tensor, "*B 4"]]:
    """Return the four texels that a bilinear sample reads, as indices [*B, 4] into [Ht * Wt], and their weights.

    Args:
        uv: Texture coordinates, origin bottom left.
        size: (Ht, Wt).
    """
    height, width = size
    x, y = texel_from_uv(uv, width, height)
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    x0, y0 = x.detach().floor().long(), y.detach().floor().long()
    x1, y1 = (x0 + 1).clamp(max=width - 1), (y0 + 1).clamp(max=height - 1)
    wx, wy = x - x0, y - y0
    indices = torch.stack([y0 * width + x0, y0 * width + x1, y1 * width + x0, y1 * width + x1], -1)
    weights = torch.stack([(1 - wx) * (1 - wy), wx * (1 - wy), (1 - wx) * wy, wx * wy], -1)
    return indices, weights


def splat_bilinear(
    values: Float[Tensor, "P C"], uv: Float[Tensor, "P 2"], size: tuple[int, int]
) -> tuple[Float[Tensor, "Ht Wt C"], Float[Tensor, "Ht Wt"]]:
    """Spread pixel values over the texels that :func:`sample_bilinear` would read them from: its exact transpose.

    Their quotient is the weighted mean color of every texel.

    Args:
        values: Pixel values.
        uv: Where each pixel lies in the texture.
        size: (Ht, Wt).

    Returns:
        The weighted sum of the values and the sum of the weights; both zero where no pixel contributes.
    """
    ones = values.new_ones(len(values), 1)
    stacked = torch.cat([values, ones], 1)
    if _kernels_apply(stacked, uv) and not values.requires_grad:
        total = torch.from_numpy(kernels.scatter(stacked.numpy(), uv.contiguous().numpy(), size))
    else:
        indices, weights = bilinear_weights(uv, size)
        contributions = (stacked[:, None] * weights[..., None]).flatten(0, 1)
        total = stacked.new_zeros(size[0] * size[1], stacked.shape[1]).index_add(0, indices.flatten(), contributions)
    total = total.reshape(*size, -1)
    return total[..., :-1], total[..., -1]


class _Sample(torch.autograd.Function):
    """Bilinear sampling through the CPU kernels; no derivative in uv."""

    @staticmethod
    def forward(ctx, texture: Tensor, uv: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        uv = uv.contiguous()
        ctx.save_for_backward(uv)
        ctx.size = (texture.shape[0], texture.shape[1])
        return torch.from_numpy(kernels.gather(texture.detach().contiguous().numpy(), uv.numpy()))

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        (uv,) = ctx.saved_tensors
        return torch.from_numpy(kernels.scatter(gradient.contiguous().numpy(), uv.numpy(), ctx.size)), None


def build_mip_pyramid(texture: Float[Tensor, "Ht Wt C"], num_levels: int = 16) -> list[Float[Tensor, "_ _ C"]]:
    """Return the texture and its 2x2 box averages, finest first; ends after ``num_levels`` or at an odd size."""
    levels = [texture]
    while len(levels) < num_levels and levels[-1].shape[0] % 2 == 0 and levels[-1].shape[1] % 2 == 0:
        levels.append(_halve(levels[-1]))
    return levels


def _halve(texture: Tensor) -> Tensor:
    """Average blocks of 2x2 texels; on the CPU several times faster than ``avg_pool2d`` with its backward pass."""
    height, width, channels = texture.shape
    upper, lower = texture.reshape(height // 2, 2, width // 2, 2, channels).unbind(1)
    left, right = (upper + lower).unbind(2)
    return (left + right) * 0.25


def sample_mip(
    pyramid: Sequence[Float[Tensor, "_ _ C"]], uv: Float[Tensor, "*B 2"], footprint: Float[Tensor, "*B"]
) -> Float[Tensor, "*B C"]:
    """Sample trilinearly: between the two levels whose texels are nearest to the pixel's size on the texture.

    Level l = log2(footprint) (L. Williams, "Pyramidal Parametrics", SIGGRAPH 1983), limited to those that exist; a
    footprint below one texel reads the finest level.

    Args:
        pyramid: Levels from :func:`build_mip_pyramid`, finest first.
        uv: Texture coordinates.
        footprint: Side of the pixel on the finest level [texel].
    """
    flat, level = uv.reshape(-1, 2), _mip_level(footprint.reshape(-1), len(pyramid))
    total = pyramid[0].new_zeros(len(flat), pyramid[0].shape[2])
    for index, texture in enumerate(pyramid):
        near = torch.nonzero((level - index).abs() < 1)[:, 0]
        if len(near):
            weight = 1 - (level[near] - index).abs()
            total = total.index_add(0, near, sample_bilinear(texture, flat[near]) * weight[:, None])
    return total.reshape(*uv.shape[:-1], -1)


def sample_mip_reference(
    pyramid: Sequence[Float[Tensor, "_ _ C"]], uv: Float[Tensor, "*B 2"], footprint: Float[Tensor, "*B"]
) -> Float[Tensor, "*B C"]:
    """Readable twin of :func:`sample_mip`: samples every level everywhere."""
    level = _mip_level(footprint, len(pyramid))
    weights = [(1 - (level - index).abs()).clamp(min=0)[..., None] for index in range(len(pyramid))]
    return sum(
        (weight * sample_bilinear_reference(texture, uv) for weight, texture in zip(weights, pyramid, strict=True)),
        start=torch.zeros((), dtype=pyramid[0].dtype, device=pyramid[0].device),
    )


def _mip_level(footprint: Tensor, num_levels: int) -> Tensor:
    return footprint.clamp(min=1).log2().clamp(max=num_levels - 1)


def _kernels_apply(texture: Tensor, uv: Tensor) -> bool:
    on_cpu = texture.device.type == "cpu" and uv.device.type == "cpu"
    return on_cpu and texture.dtype == uv.dtype == torch.float32 and not uv.requires_grad


def _check(texture: Tensor, uv: Tensor) -> None:
    if texture.ndim != 3 or math.prod(texture.shape) == 0:
        raise ShapeError(f"texture has shape {list(texture.shape)}, expected [Ht, Wt, C]")
    if uv.shape[-1:] != (2,):
        raise ShapeError(f"uv has shape {list(uv.shape)}, expected [..., 2]")
