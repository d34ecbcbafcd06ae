"""Losses on the texture itself."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from neuraltex.losses.photometric import masked_mean


def total_variation(texture: Float[Tensor, "Ht Wt C"], mask: Bool[Tensor, "Ht Wt"] | None = None) -> Float[Tensor, ""]:
    """Return the mean absolute difference of horizontal neighbors plus that of vertical ones (anisotropic TV).

    Args:
        texture: Texture, texel-exact.
        mask: Texels that count; a pair counts where both do, so that the border between charts is no edge.
    """
    across = None if mask is None else mask[:, 1:] & mask[:, :-1]
    down = None if mask is None else mask[1:] & mask[:-1]
    horizontal = (texture[:, 1:] - texture[:, :-1]).abs()
    vertical = (texture[1:] - texture[:-1]).abs()
    return masked_mean(horizontal, across) + masked_mean(vertical, down)


def pyramid_energy(
    energies: Sequence[Float[Tensor, ""]], weights: Sequence[float] = (8.0, 2.0, 1.0, 0.0)
) -> Float[Tensor, ""]:
    """Return the weighted sum of the level energies of a texture, which keeps color in the coarse levels.

    Args:
        energies: Mean squares, finest level first.
        weights: Weights, finest level first; the default is NeuralTexGen's for its four levels (whose colors lie in
            [-1, 1], which makes its energies four times ours). With fewer levels the coarsest ones pair up,
            with more the additional finest ones repeat the first weight.
    """
    missing = max(len(energies) - len(weights), 0)
    padded = [weights[0]] * missing + list(weights)
    pairs = zip(reversed(energies), reversed(padded), strict=False)
    return sum((energy * weight for energy, weight in pairs), start=torch.zeros(()))
