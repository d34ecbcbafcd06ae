"""Known colors, spread smoothly over unknown texels of a batch: the twin of ``texture/fill.push_pull``."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from neuraltex.core.conventions import GREY
from neuraltex.learn.nets.inputs import Inputs

SURE = 0.05
"""Confidence from which a color is spread: what is seen at a grazing angle would be smeared over all that is unseen."""
SWEEPS = 4
"""Relaxations of every level towards the membrane through the known texels."""


def spread_direct(inputs: Inputs) -> Float[Tensor, "N 3 H W"]:
    """Return what a photograph shows directly, and a smooth continuation; grey where it shows nothing at all.

    Args:
        inputs: ``color``, ``direct`` and ``confidence``. Of a sample that shows nothing for sure, all is taken.
    """
    direct = inputs["direct"].float()
    sure = direct * (inputs["confidence"] > SURE)
    known = torch.where(sure.sum((2, 3), keepdim=True) > 0, sure, direct)
    return push_pull(inputs["color"].float() * known, known)


def push_pull(color: Float[Tensor, "N 3 H W"], known: Float[Tensor, "N 1 H W"]) -> Float[Tensor, "N 3 H W"]:
    """Fill all unknown texels of a batch smoothly from the known ones, which keep their values exactly.

    Averages known texels into ever coarser levels and hands them back down (S. Gortler et al., "The Lumigraph",
    SIGGRAPH 1996), relaxing every level towards the membrane through the known texels.

    Args:
        color: Anything where nothing is known.
        known: 1 where a color is known, else 0.
    """
    height, width = color.shape[2:]
    if height == width == 1:
        return torch.where(known > 0, color, GREY)
    padding = (0, width % 2, 0, height % 2)
    color, known = functional.pad(color * known, padding), functional.pad(known, padding)
    share = functional.avg_pool2d(known, 2)
    means = functional.avg_pool2d(color, 2) / share.clamp(min=1e-6)
    below = push_pull(means, (share > 0).to(color.dtype))
    guess = functional.interpolate(below, scale_factor=2, mode="bilinear", align_corners=False)
    color, known = (values[..., :height, :width] for values in (color, known))
    filled = torch.where(known > 0, color, guess[..., :height, :width])
    for _ in range(SWEEPS):
        filled = torch.where(known > 0, color, _mean_of_neighbors(filled))
    return filled


def _mean_of_neighbors(values: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
    """Return the mean of the four neighbors of every texel; the border repeats."""
    wide = functional.pad(values, (1, 1, 1, 1), mode="replicate")
    rows = wide[..., :-2, 1:-1] + wide[..., 2:, 1:-1]
    return (rows + wide[..., 1:-1, :-2] + wide[..., 1:-1, 2:]) / 4
