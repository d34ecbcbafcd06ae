"""Predictions from a photograph and from its mirror image, averaged.

On a symmetric body the mirror image of a photograph is one, too. What networks make of it, mirrored back, errs in other
ways than what they make of the photograph itself: where nothing is known, the mean of both is nearer to the truth.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from neuraltex.learn.nets.inputs import APPEARANCE, Inputs
from neuraltex.learn.nets.lite_sampler import LiteSampler
from neuraltex.learn.nets.sampling import identity_grid

Maps = dict[str, Float[Tensor, "N C H W"]]

LEFT_RIGHT = 1
"""Which base of a sampler leads to the mirror image (:data:`neuraltex.learn.bases.REFLECTIONS`)."""
RETURN = 2.0
"""Distance within which a texel must come back from the mirror image of its mirror image [texel]."""
SYMMETRIC = 0.9
"""Share of texels that must come back."""


def mean_of_mirrored(complete: Callable[[Inputs], Maps], inputs: Inputs, sampler: nn.Module) -> Maps:
    """Complete a batch as it is and mirrored, and return the means of both at texels of which nothing is known.

    Args:
        complete: What the networks make of a batch.
        inputs: The batch; all of it over one uv layout.
        sampler: Knows the mirror image of every texel, if it is a lite one with at least two hypotheses; else, and on
            bodies that are not symmetric, the batch is completed as it is.
    """
    found = complete(inputs)
    grid = mirror_grid(sampler, inputs["inside"][0, 0] > 0)
    if grid is None:
        return found
    turned = complete({**inputs, **{name: _mirror(inputs[name], grid) for name in APPEARANCE}})
    unknown = 1 - (inputs["direct"] + inputs["mirrored"]).clamp(max=1)
    return {name: torch.lerp(value, _mirror(turned[name], grid), unknown / 2) for name, value in found.items()}


def mirror_grid(sampler: nn.Module, inside: Bool[Tensor, "H W"]) -> Float[Tensor, "H W 2"] | None:
    """Return where the mirror image of every texel lies; ``None`` if it is not known, or the body is not symmetric."""
    if not isinstance(sampler, LiteSampler) or sampler.config.hypotheses <= LEFT_RIGHT:
        return None
    height, width = inside.shape
    grid = sampler.bases_at(height, width)[LEFT_RIGHT]
    twice = _mirror(grid.permute(2, 0, 1)[None], grid)[0].permute(1, 2, 0)
    away = (twice - identity_grid(height, width, grid.device)) * grid.new_tensor((width / 2, height / 2))
    back = (away.abs().amax(-1) <= RETURN)[inside]
    return grid if len(back) and back.float().mean() >= SYMMETRIC else None


def _mirror(values: Float[Tensor, "N C H W"], grid: Float[Tensor, "H W 2"]) -> Float[Tensor, "N C H W"]:
    grids = grid.to(values.dtype).expand(len(values), -1, -1, -1)
    return functional.grid_sample(values, grids, mode="nearest", padding_mode="border", align_corners=False)
