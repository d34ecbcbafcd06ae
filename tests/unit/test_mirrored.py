"""Predictions averaged with those from the mirror image."""

import torch
from torch import Tensor, nn

from neuraltex.config.learn import SamplerConfig
from neuraltex.learn.mirrored import mean_of_mirrored, mirror_grid
from neuraltex.learn.nets.inputs import APPEARANCE, GEOMETRY
from neuraltex.learn.nets.lite_sampler import LiteSampler
from neuraltex.learn.nets.sampling import identity_grid

SIZE = 16
RAMP = torch.linspace(0, 1, SIZE)


def sampler(mirror: Tensor, hypotheses: int = 2) -> LiteSampler:
    bases = torch.stack([identity_grid(SIZE, SIZE), mirror])[:hypotheses]
    return LiteSampler(SamplerConfig(width=8, levels=2, hypotheses=hypotheses), bases)


def symmetric() -> LiteSampler:
    """A layout whose left half mirrors its right one."""
    return sampler(identity_grid(SIZE, SIZE).flip(1))


def batch() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    maps = {**APPEARANCE, **GEOMETRY}
    found = {name: torch.rand(2, count, SIZE, SIZE, generator=generator) for name, count in maps.items()}
    return {**found, "inside": torch.ones(2, 1, SIZE, SIZE)}


def lean(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the input with an error that grows from left to right."""
    return {"texture": inputs["color"] + RAMP, "seen": inputs["direct"]}


def test_errors_of_one_side_are_shared() -> None:
    inputs = batch()
    inputs["direct"], inputs["mirrored"] = torch.zeros(2, 1, SIZE, SIZE), torch.zeros(2, 1, SIZE, SIZE)
    inputs["direct"][:, :, :4], inputs["mirrored"][:, :, 4:8] = 1, 1
    found = mean_of_mirrored(lean, inputs, symmetric())
    assert torch.allclose(found["texture"][:, :, 8:], (inputs["color"] + 0.5)[:, :, 8:], atol=1e-6)
    assert torch.allclose(found["texture"][:, :, :8], (inputs["color"] + RAMP)[:, :, :8], atol=1e-6), "known texels"
    assert torch.allclose(found["seen"], inputs["direct"], atol=1e-6)


def test_geometry_stays_and_only_what_is_seen_is_mirrored() -> None:
    seen: list[dict[str, Tensor]] = []
    inputs = batch()

    def complete(shown: dict[str, Tensor]) -> dict[str, Tensor]:
        seen.append(shown)
        return {"texture": shown["color"]}

    mean_of_mirrored(complete, inputs, symmetric())
    assert all(torch.equal(seen[1][name], inputs[name]) for name in GEOMETRY)
    assert all(torch.allclose(seen[1][name], inputs[name].flip(3), atol=1e-6) for name in APPEARANCE)


def test_without_a_mirror_image_nothing_changes() -> None:
    inputs = batch()
    one_place = torch.zeros(SIZE, SIZE, 2)
    for network in (nn.Identity(), sampler(one_place), sampler(one_place, hypotheses=1)):
        assert torch.equal(mean_of_mirrored(lean, inputs, network)["texture"], lean(inputs)["texture"])


def test_only_texels_in_charts_must_come_back() -> None:
    grid = identity_grid(SIZE, SIZE).flip(1)
    grid[: SIZE // 2] = 0
    inside = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    inside[SIZE // 2 :] = True
    assert mirror_grid(sampler(grid), inside) is not None
    assert mirror_grid(sampler(grid), torch.ones_like(inside)) is None
    assert mirror_grid(sampler(grid), torch.zeros_like(inside)) is None


def test_another_size_takes_the_same_places() -> None:
    large = mirror_grid(symmetric(), torch.ones(2 * SIZE, 2 * SIZE, dtype=torch.bool))
    assert large is not None
    away = (large - identity_grid(2 * SIZE, 2 * SIZE).flip(1)).abs() * SIZE
    assert away.max() <= 1.01
