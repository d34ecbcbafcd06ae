"""What the training of samplers and refiners lowers: terms by the names of their weights."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from neuraltex.config.learn import LearnLossConfig
from neuraltex.learn.nets.inputs import SHIFT, Inputs
from neuraltex.learn.nets.outputs import Refined, Sampled
from neuraltex.learn.nets.sampling import identity_grid

SCALES = 3
"""Sizes at which image gradients are compared, each half of the one before."""

Terms = dict[str, Tensor]


def sampler_terms(sampled: Sampled, inputs: Inputs, truth: Float[Tensor, "N 3 H W"], config: LearnLossConfig) -> Terms:
    """Return the terms of a sampler, before they are weighted."""
    weight, inside = texel_weights(inputs, config), inputs["inside"]
    terms = texture_terms(sampled.color, truth, weight)
    terms["smooth"] = offset_variation(sampled.offsets, inside)
    terms["off_mask"] = weighted_mean(1 - sampled.confidence, inside)
    return terms


def refiner_terms(
    sampled: Sampled, refined: Refined, inputs: Inputs, truth: Float[Tensor, "N 3 H W"], config: LearnLossConfig
) -> Terms:
    """Return the terms of a refiner, before they are weighted."""
    weight, result = texel_weights(inputs, config), blended(sampled, refined)
    terms = texture_terms(result, truth, weight)
    if config.refined:
        alone = texture_terms(refined.color, truth, weight)
        terms["refined"] = torch.stack([getattr(config, name) * value for name, value in alone.items()]).sum()
    if config.sampled:
        terms["sampled"] = weighted_mean((result - sampled.color).abs(), inputs["inside"])
    return terms


def consistency_term(result: Float[Tensor, "N 3 H W"], inside: Float[Tensor, "N 1 H W"]) -> Float[Tensor, ""]:
    """Return the difference of two textures of one subject; sample i and i + N / 2 of a batch are such a pair."""
    count = len(result) // 2
    return weighted_mean((result[:count] - result[count : 2 * count]).abs(), inside[:count])


def blended(sampled: Sampled, refined: Refined | None) -> Float[Tensor, "N 3 H W"]:
    """Return the result of both networks, or of the sampler alone."""
    if refined is None:
        return sampled.color
    return sampled.color * refined.blend + refined.color * (1 - refined.blend)


def texture_terms(result: Float[Tensor, "N 3 H W"], truth: Float[Tensor, "N 3 H W"], weight: Tensor) -> Terms:
    """Return the difference from the true texture, absolute and squared, and that of the image gradients."""
    difference = result - truth
    means = {"l1": weighted_mean(difference.abs(), weight), "l2": weighted_mean(difference.square(), weight)}
    return {**means, "gradient": gradient_term(result, truth, weight)}


def texel_weights(inputs: Inputs, config: LearnLossConfig) -> Float[Tensor, "N 1 H W"]:
    """Return how much every texel counts: not outside charts, and by whether it was seen directly."""
    return torch.where(inputs["direct"] > 0, 1.0, config.unseen) * inputs["inside"]


def gradient_term(
    result: Float[Tensor, "N 3 H W"], truth: Float[Tensor, "N 3 H W"], weight: Float[Tensor, "N 1 H W"]
) -> Float[Tensor, ""]:
    """Return the mean absolute difference of image gradients, averaged over :data:`SCALES` scales.

    A pair of texels counts as much as the one that counts less, so that the border of a chart is no edge.
    """
    difference, total = (result - truth) * (weight > 0), result.new_zeros(())
    for _ in range(SCALES):
        for axis in (2, 3):
            pairs = torch.minimum(*(_part(weight, axis, end) for end in (False, True)))
            total = total + weighted_mean(difference.diff(dim=axis).abs(), pairs)
        difference, weight = functional.avg_pool2d(difference, 2), functional.avg_pool2d(weight, 2)
    return total / (2 * SCALES)


def offset_variation(offsets: Float[Tensor, "N K H W 2"], inside: Float[Tensor, "N 1 H W"]) -> Float[Tensor, ""]:
    """Return the mean absolute difference of neighboring offsets within charts, in texels."""
    height, width = offsets.shape[2:4]
    texels = offsets * offsets.new_tensor((width / 2, height / 2))
    total = offsets.new_zeros(())
    for axis in (2, 3):
        pairs = torch.minimum(*(_part(inside, axis, end) for end in (False, True)))
        total = total + weighted_mean(texels.diff(dim=axis).abs().mean(-1), pairs)
    return total


def places_term(sampled: Sampled, inputs: Inputs, *, wrap: bool) -> Float[Tensor, ""]:
    """Return how far hypotheses look from where the color truly lies, in halves of the texture.

    The color of texel x lies at x + shift, so a hypothesis whose base maps x to b(x) should look at b(x + shift). Where
    nothing is known there, it may look wherever it wants.

    Args:
        sampled: What a sampler read.
        inputs: Partial textures with their shift, NaN where that is not known.
        wrap: The texture is periodic in u.
    """
    known_shift = inputs[SHIFT].isfinite().all(1, keepdim=True)
    shift, inside = inputs[SHIFT].nan_to_num(), inputs["inside"] * known_shift
    samples, count, height, width = sampled.grids.shape[:4]
    true = _turned(identity_grid(height, width, shift.device) + shift.movedim(1, -1), wrap)
    bases = (sampled.grids - sampled.offsets)[:1].permute(0, 1, 4, 2, 3).flatten(1, 2).expand(samples, -1, -1, -1)
    places = functional.grid_sample(bases, true, mode="nearest", align_corners=False)
    places = places.unflatten(1, (count, 2)).permute(0, 1, 3, 4, 2)
    looked = _turned(places, wrap).reshape(samples, count * height, width, 2)
    known = functional.grid_sample(inputs["direct"] + inputs["mirrored"], looked, mode="nearest", align_corners=False)
    weight = known.unflatten(2, (count, height))[:, 0] * inside
    distance = _turned(sampled.grids - places, wrap).abs().mean(-1)
    return (distance * weight).sum() / weight.sum().clamp(min=1e-6)


def _turned(values: Float[Tensor, "*B 2"], wrap: bool) -> Float[Tensor, "*B 2"]:
    """Bring u back into [-1, 1) by whole turns."""
    return torch.stack([torch.remainder(values[..., 0] + 1, 2) - 1, values[..., 1]], -1) if wrap else values


def weighted_mean(values: Float[Tensor, "N C H W"], weight: Float[Tensor, "N 1 H W"]) -> Float[Tensor, ""]:
    """Return the mean of values over texels and channels, weighted by texel."""
    return (values * weight).sum() / (weight.sum() * values.shape[1]).clamp(min=1e-6)


def _part(values: Tensor, axis: int, end: bool) -> Tensor:
    """Return all but the first (``end``) or the last entries of an axis."""
    return values.narrow(axis, int(end), values.shape[axis] - 1)
