"""Partial textures of several photographs, made from those of single ones: what a scene with several views shows."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from neuraltex.learn.fuse import SHARPNESS
from neuraltex.learn.nets.inputs import APPEARANCE, Inputs


def fuse_views(views: Inputs, sample: Int[Tensor, " M"], count: int) -> Inputs:
    """Fuse views by the rule of :func:`neuraltex.learn.fuse.fuse_scene`: means weighted by softmax(10 * confidence).

    What one view sees directly is not taken from the mirror image that another one gives.

    Args:
        views: What M views show.
        sample: The sample that each view belongs to.
        count: Number of samples.

    Returns:
        The maps of :data:`neuraltex.learn.nets.inputs.APPEARANCE` of all samples.
    """
    color, direct, sure = _mean(views, views["direct"], sample, count)
    mirror_color, mirrored, mirror_sure = _mean(views, views["mirrored"], sample, count)
    mirrored = mirrored * (1 - direct)
    fused = {
        "color": torch.where(direct > 0, color, mirror_color * mirrored),
        "direct": direct,
        "mirrored": mirrored,
        "confidence": torch.where(direct > 0, sure, mirror_sure * mirrored),
    }
    return {name: fused[name] for name in APPEARANCE}


def _mean(
    views: Inputs, mask: Float[Tensor, "M 1 H W"], sample: Int[Tensor, " M"], count: int
) -> tuple[Float[Tensor, "N 3 H W"], Float[Tensor, "N 1 H W"], Float[Tensor, "N 1 H W"]]:
    """Return the mean color over a mask, where it is set in any view, and the best confidence."""
    share = torch.exp(SHARPNESS * views["confidence"]) * mask
    total = _summed(share, sample, count)
    color = _summed(share * views["color"], sample, count) / total.clamp(min=1e-9)
    sure = views["confidence"] * mask
    best = torch.stack([sure[sample == index].amax(0) for index in range(count)])
    return color, (total > 0).to(color.dtype), best


def _summed(values: Float[Tensor, "M C H W"], sample: Int[Tensor, " M"], count: int) -> Float[Tensor, "N C H W"]:
    return values.new_zeros(count, *values.shape[1:]).index_add(0, sample, values)
