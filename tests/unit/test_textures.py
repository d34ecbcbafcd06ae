import pytest
import torch

from neuraltex.core.errors import ShapeError
from neuraltex.losses.regularizers import pyramid_energy, total_variation
from neuraltex.texture.neural import NeuralTexture
from neuraltex.texture.plain import PlainTexture
from neuraltex.texture.pyramid import PyramidTexture, enlarge

SIZE = 16
TEXTURES = [PlainTexture, PyramidTexture, NeuralTexture]


def texel_centers(size: int = SIZE) -> torch.Tensor:
    centers = (torch.arange(size) + 0.5) / size
    return torch.stack(torch.meshgrid(centers, 1 - centers, indexing="xy"), -1)


def random_texture(size: int = SIZE, seed: int = 0) -> torch.Tensor:
    return torch.rand(size, size, 3, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", TEXTURES)
def test_new_texture_is_grey(kind):
    torch.manual_seed(0)
    torch.testing.assert_close(kind(SIZE).bake(), torch.full((SIZE, SIZE, 3), 0.5))


@pytest.mark.parametrize("kind", TEXTURES)
def test_initialize_then_bake_returns_the_texture(kind):
    module = kind(SIZE)
    module.initialize_(random_texture())
    torch.testing.assert_close(module.bake(), random_texture(), rtol=0, atol=1e-6)
    assert all(parameter.requires_grad for parameter in module.parameters())


@pytest.mark.parametrize("kind", TEXTURES)
def test_export_is_not_half_a_texel_off(kind):
    """After some optimization, a baked texel (row 0 is v = 1) has the color that the fit saw at its center."""
    torch.manual_seed(0)
    module = fitted(kind(SIZE), steps=5)
    torch.testing.assert_close(module.bake(), module(texel_centers()).detach(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", TEXTURES)
def test_a_fit_recovers_a_texture(kind):
    torch.manual_seed(0)
    error = (fitted(kind(SIZE), steps=250).bake() - random_texture()).abs().mean()
    assert error < 0.02


def fitted(module: torch.nn.Module, steps: int) -> torch.nn.Module:
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        (module(texel_centers()) - random_texture()).square().mean().backward()
        optimizer.step()
    return module


@pytest.mark.parametrize("kind", TEXTURES)
def test_wide_pixels_see_the_average_color(kind):
    module = kind(SIZE)
    checks = (torch.arange(SIZE)[:, None] + torch.arange(SIZE)) % 2
    module.initialize_(checks[..., None].expand(-1, -1, 3).float())
    uv = texel_centers()[3:5, 4:9]
    torch.testing.assert_close(module(uv, torch.full(uv.shape[:-1], 2.0)), torch.full((2, 5, 3), 0.5))
    torch.testing.assert_close(module(uv, torch.ones(uv.shape[:-1])), module(uv))


@pytest.mark.parametrize("kind", TEXTURES)
def test_another_size_is_refused(kind):
    with pytest.raises(ShapeError, match=r"\[8, 8, 3\], expected \[16, 16, 3\]"):
        kind(SIZE).initialize_(random_texture(8))


@pytest.mark.parametrize("kind", TEXTURES)
def test_baked_texture_is_independent_of_the_parameters(kind):
    module = kind(SIZE)
    baked = module.bake()
    assert not baked.requires_grad
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1)
    torch.testing.assert_close(baked, torch.full((SIZE, SIZE, 3), 0.5))


def test_pyramid_gives_each_level_what_it_can_show():
    module = PyramidTexture(SIZE, 3)
    module.initialize_(torch.full((SIZE, SIZE, 3), 0.7))
    energies = [energy.item() for energy in module.energies()]
    assert [level.shape[0] for level in module.levels] == [16, 8, 4]
    assert energies == pytest.approx([0, 0, 0.49], abs=1e-6)


def test_pyramid_that_cannot_be_halved_is_refused():
    with pytest.raises(ShapeError, match="divisible by 8"):
        PyramidTexture(20, 4)


def test_neural_texture_needs_three_features():
    with pytest.raises(ShapeError, match="at least 3"):
        NeuralTexture(8, num_features=2)


def test_enlarging_samples_at_the_finer_texel_centers():
    coarse = torch.tensor([0.0, 1.0])[None, :, None].expand(2, 2, 1)
    assert enlarge(coarse, 4)[0, :, 0].tolist() == [0, 0.25, 0.75, 1]


def test_pyramid_energy_of_four_levels_has_the_weights_of_the_original():
    levels = [torch.tensor(value) for value in (1.0, 10.0, 100.0, 1000.0)]
    assert pyramid_energy(levels).item() == 8 * 1 + 2 * 10 + 1 * 100


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (1, 0), (2, 1), (5, 8 + 8 + 2 + 1)])
def test_pyramid_energy_pairs_the_coarsest_levels(count, expected):
    assert pyramid_energy([torch.ones(())] * count).item() == expected


def test_total_variation_of_a_ramp_and_across_a_chart_border():
    ramp = torch.arange(4.0)[None, :, None].expand(3, 4, 1)
    assert total_variation(ramp).item() == 1
    mask = torch.tensor([True, True, False, False])[None].expand(3, 4)
    cliff = torch.where(mask[..., None], 0.0, 5.0)
    assert total_variation(cliff).item() > 1
    assert total_variation(cliff, mask).item() == 0
