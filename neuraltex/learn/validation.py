"""A quick look at networks in training, on samples of subjects that they do not learn from."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from neuraltex.core.conventions import hwc_from_chw
from neuraltex.learn.batches import Batches
from neuraltex.learn.nets.inputs import Inputs
from neuraltex.learn.networks import TextureNetworks
from neuraltex.learn.objective import blended

BATCH = 16
SHOWN = 6
"""Samples of a contact sheet."""


@torch.no_grad()
def region_psnr(networks: TextureNetworks, samples: Batches, count: int) -> dict[str, float]:
    """Return the mean PSNR over direct, mirrored and unseen texels, and over those not seen directly [dB].

    Args:
        networks: Sampler and, if there is one, refiner; the result of both is scored.
        samples: Real partial textures.
        count: How many are looked at, spread evenly.
    """
    index = np.unique(np.linspace(0, len(samples) - 1, min(count, len(samples))).round().astype(int))
    found: dict[str, list[Tensor]] = {}
    for begin in range(0, len(index), BATCH):
        inputs, truth = samples.take(index[begin : begin + BATCH])
        result = complete(networks, inputs)
        for name, mask in regions(inputs).items():
            error = ((result - truth).square() * mask).sum((1, 2, 3)) / (3 * mask.sum((1, 2, 3)).clamp(min=1))
            psnr = -10 * torch.log10(error.clamp(min=1e-10))
            found.setdefault(name, []).append(psnr[mask.sum((1, 2, 3)) > 0])
    return {name: float(torch.cat(values).mean()) for name, values in found.items() if torch.cat(values).numel()}


def regions(inputs: Inputs) -> dict[str, Float[Tensor, "N 1 H W"]]:
    """Return the texels of every class, and those that were not seen directly."""
    unseen = inputs["inside"] * (1 - inputs["direct"] - inputs["mirrored"])
    hidden = unseen + inputs["mirrored"]
    return {"direct": inputs["direct"], "mirrored": inputs["mirrored"], "unseen": unseen, "hidden": hidden}


def complete(networks: TextureNetworks, inputs: Inputs) -> Float[Tensor, "N 3 H W"]:
    """Return what the networks make of partial textures."""
    return blended(*networks(inputs))


@torch.no_grad()
def contact_sheet(networks: TextureNetworks, samples: Batches) -> Float[Tensor, "h w 3"]:
    """Return rows of input, sampled, refined, blend, result and truth."""
    index = np.linspace(0, len(samples) - 1, min(SHOWN, len(samples))).round().astype(int)
    inputs, truth = samples.take(index)
    sampled, refined = networks(inputs)
    maps = [inputs["color"], sampled.color]
    if refined is not None:
        maps += [refined.color, refined.blend.expand(-1, 3, -1, -1), blended(sampled, refined)]
    columns = torch.cat([*maps, truth], 3)
    return hwc_from_chw(torch.cat(list(columns), 1))
