"""Readable twins in torch of the equations and of the system they stand for; any device, any dtype.

``accumulate`` is also what runs on CUDA, from :mod:`neuraltex.fit.direct.device`.
"""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from neuraltex.fit.direct.cells import DOWN, RIGHT
from neuraltex.texture.sample import bilinear_weights

SLOTS = ((0, 0, 0), (0, 1, 1), (0, 2, 2), (0, 3, 3), (1, 1, 0), (1, 2, 4), (1, 3, 2), (2, 2, 0), (2, 3, 1), (3, 3, 0))
"""Pairs of the four texels of a lookup (upper left, upper right, lower left, lower right) and where their product goes:
0 center, 1 right, 2 down, 3 down-right, 4 down-left of the first; for (1, 2) the second lies to the lower left."""
STEPS = ((0, 0), (0, 1), (1, 0), (1, 1), (1, -1))
"""Rows down and columns right of the neighbor that each stencil number couples a texel with."""


def accumulate(
    images: list[Float[Tensor, "h w 8"]],
    uv: Float[Tensor, "P 2"],
    color: Float[Tensor, "P 3"],
    weight: Float[Tensor, " P"],
    footprint: Float[Tensor, " P"],
) -> None:
    """Add pixels to the equations of all levels, in place."""
    level = footprint.clamp(min=1).log2().clamp(max=len(images) - 1)
    for index, image in enumerate(images):
        share = weight * (1 - (level - index).abs()).clamp(min=0)
        texels, a = bilinear_weights(uv, (image.shape[0], image.shape[1]))
        flat = image.view(-1, 8)
        for first, second, slot in SLOTS:
            flat[:, slot].index_add_(0, texels[:, first], share * a[:, first] * a[:, second])
        for corner in range(4):
            flat[:, 5:].index_add_(0, texels[:, corner], (share * a[:, corner])[:, None] * color)


def matrix_of(image: Float[Tensor, "h w 8"]) -> Float[Tensor, "T T"]:
    """Return the dense matrix of the stencils of one level, texels row by row."""
    height, width, _ = image.shape
    dense = image.new_zeros(height * width, height * width)
    number = torch.arange(height * width).reshape(height, width)
    for slot, (down, right) in enumerate(STEPS):
        here = number[: height - down, max(-right, 0) : width - max(right, 0)].flatten()
        there = number[down:, max(right, 0) : width + min(right, 0)].flatten()
        values = image.flatten(0, 1)[here, slot]
        dense[here, there] += values
        if slot:
            dense[there, here] += values
    return dense


def averaging(cells: UInt8[Tensor, "h w"]) -> Float[Tensor, "S T"]:
    """Return the dense matrix of the means over the unknowns among 2x2 texels; rows without unknowns are zero."""
    height, width = cells.shape
    number = torch.arange(height * width).reshape(height, width)
    parent = (torch.arange(height) // 2)[:, None] * ((width + 1) // 2) + (torch.arange(width) // 2)
    dense = torch.zeros(((height + 1) // 2) * ((width + 1) // 2), height * width, dtype=torch.float64)
    known = cells.flatten() > 0
    dense[parent.flatten()[known], number.flatten()[known]] = 1
    return dense / dense.sum(1, keepdim=True).clamp(min=1)


def smoothness_of(cells: UInt8[Tensor, "h w"]) -> Float[Tensor, "T T"]:
    """Return the dense matrix of the squared differences of linked texels."""
    image = torch.zeros(*cells.shape, 8, dtype=torch.float64)
    right, down = ((cells & RIGHT) > 0).double(), ((cells & DOWN) > 0).double()
    image[..., 1], image[..., 2] = -right, -down
    image[..., 0] = right + down
    image[:, 1:, 0] += right[:, :-1]
    image[1:, :, 0] += down[:-1]
    return matrix_of(image)
