"""Masked sampling, bases and the lite networks."""

import numpy as np
import torch

from neuraltex.config.learn import RefinerConfig, SamplerConfig
from neuraltex.learn.bases import base_grids
from neuraltex.learn.nets.inputs import APPEARANCE, GEOMETRY, inputs_from_arrays, without_mirrored
from neuraltex.learn.nets.lite_refiner import LiteRefiner, match_colors
from neuraltex.learn.nets.lite_sampler import LiteSampler
from neuraltex.learn.nets.sampling import identity_grid, sample_masked
from neuraltex.learn.nets.spread import spread_direct


def random_inputs(samples: int = 2, size: int = 16) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    maps = {**APPEARANCE, **GEOMETRY}
    found = {name: torch.rand(samples, count, size, size, generator=generator) for name, count in maps.items()}
    found["direct"] = (found["direct"] > 0.5).float()
    found["mirrored"] = (found["mirrored"] > 0.5).float() * (1 - found["direct"])
    known = found["direct"] + found["mirrored"]
    return {**found, "color": found["color"] * known, "confidence": found["confidence"] * known}


def test_unknown_texels_leave_no_dark_rim() -> None:
    color, weight = torch.full((1, 3, 4, 4), 0.8), torch.zeros(1, 1, 4, 4)
    weight[..., :2] = 1
    grid = torch.tensor([[[[0.0, 0.0]]]])  # halfway between a known and an unknown column
    found, known = sample_masked(color, weight, grid)
    assert torch.allclose(known, torch.tensor(0.5))
    assert torch.allclose(found, torch.tensor(0.8), atol=2e-3)


def test_a_periodic_texture_is_read_across_its_border() -> None:
    color = torch.zeros(1, 1, 1, 4)
    color[..., 0], color[..., 3] = 1.0, 0.5
    grid = torch.tensor([[[[1.0, 0.0], [-1.0, 0.0], [1.25, 0.0]]]])  # border, border, first texel of the next turn
    found, _ = sample_masked(color, torch.ones(1, 1, 1, 4), grid, wrap=True)
    assert torch.allclose(found.flatten(), torch.tensor([0.75, 0.75, 1.0]), atol=2e-3)


def test_masked_sampling_has_the_derivatives_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(1)
    color, weight = (torch.rand(1, count, 5, 6, generator=generator, dtype=torch.double) for count in (2, 1))
    grid = torch.rand(1, 3, 4, 2, generator=generator, dtype=torch.double) * 1.2 - 0.6
    tensors = [value.requires_grad_() for value in (color, weight + 0.2, grid)]
    assert torch.autograd.gradcheck(lambda *values: sample_masked(*values, wrap=True), tensors)


def test_bases_of_a_symmetric_body_are_its_mirror_images() -> None:
    x = np.linspace(-1, 1, 8)
    front = np.stack([np.broadcast_to(x, (8, 8)), np.broadcast_to(x[:, None], (8, 8)), np.full((8, 8), 0.3)], -1)
    positions = np.concatenate([front, front * (1, 1, -1)], 1)  # two plates side by side in the texture
    normals = np.zeros_like(positions)
    normals[..., 2] = np.sign(positions[..., 2])
    grids = base_grids(positions, normals, np.ones((8, 16), bool), 5)
    own = identity_grid(8, 16)
    assert torch.equal(grids[0], own)
    assert torch.equal(grids[4], own)
    assert torch.allclose(grids[1, :, :8], own[:, :8].flip(1))
    assert torch.allclose(grids[2, :, :8], own[:, 8:])
    assert torch.allclose(grids[3, :, :8], own[:, 8:].flip(1))


def test_a_sampler_without_offsets_copies_what_it_knows() -> None:
    inputs = random_inputs()
    sampler = LiteSampler(SamplerConfig(width=8, levels=2))
    for head in sampler.offset_heads:
        torch.nn.init.zeros_(head.weight)
    sampled = sampler(inputs)
    known = (inputs["direct"] + inputs["mirrored"]).expand_as(inputs["color"]) > 0
    assert (sampled.color - inputs["color"])[known].abs().max() < 0.03
    assert torch.allclose(sampled.weights.sum(1), torch.ones(()))


def test_every_weight_of_both_networks_learns() -> None:
    inputs = random_inputs()
    sampler, refiner = LiteSampler(SamplerConfig(width=8, levels=2)), LiteRefiner(RefinerConfig(width=8, levels=2))
    for head in (*sampler.offset_heads, sampler.weight_head, refiner.head):
        torch.nn.init.normal_(head.weight, 0, 0.1)
    sampled = sampler(inputs)
    refined = refiner(inputs, sampled)
    (sampled.color * refined.blend + refined.color * (1 - refined.blend)).square().mean().backward()
    for network in (sampler, refiner):
        assert all(weight.grad is not None and weight.grad.any() for weight in network.parameters())


def test_the_mask_matters_to_the_sampler() -> None:
    """The published one never saw it: a slice of channels took the z of the normals instead."""
    inputs, sampler = random_inputs(), LiteSampler(SamplerConfig(width=8, levels=2))
    torch.nn.init.normal_(sampler.weight_head.weight, 0, 0.1)
    other = {**inputs, "direct": inputs["mirrored"], "mirrored": inputs["direct"]}
    assert not torch.allclose(sampler(inputs).color, sampler(other).color)


def test_an_untrained_refiner_trusts_the_sample() -> None:
    inputs = random_inputs()
    sampled = LiteSampler(SamplerConfig(width=8, levels=2))(inputs)
    refined = LiteRefiner(RefinerConfig(width=8, levels=2))(inputs, sampled)
    assert (refined.blend > 0.6).all()
    mean = match_colors(torch.full((2, 3, 16, 16), 0.5), inputs)
    mixture = (sampled.color + mean + spread_direct(inputs)) / 3
    assert (refined.color - mixture.clamp(0.02, 0.98)).abs().max() < 0.05


def test_without_mirrored_nothing_of_them_is_left() -> None:
    inputs = random_inputs()
    found = without_mirrored(inputs)
    assert not found["mirrored"].any()
    assert not (found["color"] * inputs["mirrored"]).any()
    assert torch.equal(found["direct"], inputs["direct"])


def test_inputs_hide_the_colors_of_unseen_texels() -> None:
    shape = (1, 4, 4)
    arrays = {name: np.ones(shape, bool) for name in ("direct", "inside")}
    arrays["direct"][0, 0, 0] = False
    arrays |= {name: np.zeros(shape, bool) for name in ("mirrored",)} | {"confidence": np.ones(shape, np.float32)}
    arrays |= {name: np.ones((*shape, 3), np.float32) for name in ("color", "normals", "positions")}
    inputs = inputs_from_arrays(arrays)
    assert not inputs["color"][0, :, 0, 0].any()
    assert inputs["color"][0, :, 1, 1].all()
    assert inputs["uv"].shape == (1, 4, 4, 4)


def test_the_mean_is_matched_to_what_is_known() -> None:
    inputs = random_inputs()
    inputs["inside"] = torch.ones_like(inputs["inside"])
    known = (inputs["direct"] + inputs["mirrored"]).bool()
    mean = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(3)) * 0.5
    inputs["color"] = (0.2 + 0.6 * mean) * known
    inputs["confidence"] = known.float()
    assert torch.allclose(match_colors(mean, inputs), 0.2 + 0.6 * mean, atol=1e-5)
    nothing = {**inputs, "confidence": torch.zeros_like(inputs["confidence"])}
    assert torch.equal(match_colors(mean, nothing), mean)
