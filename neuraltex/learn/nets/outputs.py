"""What the networks return."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Sampled:
    """What a sampler read from partial textures.

    Args:
        color: Sampled textures in [0, 1].
        confidence: How far each texel was read from known ones, in [0, 1].
        grids: Where every one of K hypotheses read, in ``grid_sample`` coordinates (align_corners=False).
        weights: Share of every hypothesis in the color; they sum to one over K.
        offsets: Grids relative to where a hypothesis looks by itself.
    """

    color: Float[Tensor, "N 3 H W"]
    confidence: Float[Tensor, "N 1 H W"]
    grids: Float[Tensor, "N K H W 2"]
    weights: Float[Tensor, "N K H W"]
    offsets: Float[Tensor, "N K H W 2"]


@dataclass(frozen=True, eq=False)
class Refined:
    """What a refiner made of sampled textures.

    Args:
        color: Refined textures in [0, 1].
        blend: Share of the sampled texture in the result, in [0, 1]: result = sampled * blend + color * (1 - blend).
    """

    color: Float[Tensor, "N 3 H W"]
    blend: Float[Tensor, "N 1 H W"]
