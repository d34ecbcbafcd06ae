"""Losses on the texture itself."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from neuraltex.core.conventions import chw_from_hwc, hwc_from_chw
from neuraltex.losses.photometric import masked_mean


def total_variation(
    texture: Float[Tensor, "Ht Wt C"],
    mask: Bool[Tensor, "Ht Wt"] | None = None,
    slopes: tuple[Float[Tensor, "Ht _ C"], Float[Tensor, "_ Wt C"]] | None = None,
) -> Float[Tensor, ""]:
    """Return the mean absolute difference of horizontal neighbors plus that of vertical ones (anisotropic TV).

    Args:
        texture: Texture, texel-exact.
        mask: Texels that count; a pair counts where both do, so that the border between charts is no edge.
        slopes: Horizontal and vertical differences that cost nothing; ``None`` is none at all.
    """
    free_across, free_down = (0, 0) if slopes is None else slopes
    across = None if mask is None else mask[:, 1:] & mask[:, :-1]
    down = None if mask is None else mask[1:] & mask[:-1]
    horizontal = (texture[:, 1:] - texture[:, :-1] - free_across).abs()
    vertical = (texture[1:] - texture[:-1] - free_down).abs()
    return masked_mean(horizontal, across) + masked_mean(vertical, down)


def huber(difference: Float[Tensor, "*B"], scale: float) -> Float[Tensor, "*B"]:
    """Return the penalty that is quadratic up to ``scale`` and grows with slope 1 beyond (P. Huber, 1964)."""
    size = difference.abs()
    return torch.where(size < scale, size.square() / (2 * scale), size - scale / 2)


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


@dataclass(frozen=True, eq=False)
class Anchor:
    """What a texture is held to: the colors of another one at some level of the mip chain.

    Args:
        colors: Those colors.
        weight: Share of the texels below that count.
    """

    colors: Float[Tensor, "h w 3"]
    weight: Float[Tensor, "h w"]

    @classmethod
    def at(cls, texture: Float[Tensor, "Ht Wt 3"], mask: Bool[Tensor, "Ht Wt"], level: int) -> "Anchor":
        """Hold to a texture, seen at a level (0: texel by texel), where the mask is set."""
        weight = _reduce(mask[..., None].to(texture.dtype), level)[..., 0]
        return cls(_reduce(texture, level).clone(), weight)

    def to_plain(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps."""
        return {"colors": self.colors, "weight": self.weight}

    def distance(self, texture: Float[Tensor, "Ht Wt 3"]) -> Float[Tensor, ""]:
        """Return the mean squared difference of a texture, averaged over the blocks of the level."""
        level = (texture.shape[0] // self.colors.shape[0]).bit_length() - 1
        return masked_mean((_reduce(texture, level) - self.colors).square(), self.weight)


def _reduce(texture: Float[Tensor, "Ht Wt C"], level: int) -> Float[Tensor, "h w C"]:
    return hwc_from_chw(functional.avg_pool2d(chw_from_hwc(texture)[None], 2**level)[0]) if level else texture
