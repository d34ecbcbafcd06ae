import numpy as np
import pytest
import torch

from neuraltex.core.errors import ShapeError
from neuraltex.texture import kernels
from neuraltex.texture.sample import (
    build_mip_pyramid,
    sample_bilinear,
    sample_bilinear_reference,
    sample_mip,
    sample_mip_reference,
    splat_bilinear,
)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_corner_of_uv_is_the_bottom_left_texel():
    texture = torch.arange(12.0).reshape(3, 4, 1)
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert sample_bilinear(texture, corners)[:, 0].tolist() == [8, 11, 0, 3]


def test_texel_centers_return_the_texel_exactly(generator):
    texture = torch.rand(4, 8, 3, generator=generator)
    u, v = (torch.arange(8) + 0.5) / 8, 1 - (torch.arange(4) + 0.5) / 4
    uv = torch.stack(torch.meshgrid(u, v, indexing="xy"), -1)
    torch.testing.assert_close(sample_bilinear(texture, uv), texture, rtol=0, atol=1e-6)


def test_halfway_between_two_texels_is_their_mean():
    texture = torch.tensor([[[0.0], [1.0]]])
    assert sample_bilinear(texture, torch.tensor([0.5, 0.5])).item() == 0.5


@pytest.mark.parametrize("batch", [(), (7,), (2, 3, 5)])
def test_any_leading_batch(batch, generator):
    texture, uv = torch.rand(6, 5, 4, generator=generator), torch.rand(*batch, 2, generator=generator)
    sampled = sample_bilinear(texture, uv)
    assert sampled.shape == (*batch, 4)
    torch.testing.assert_close(sampled, sample_bilinear_reference(texture, uv), rtol=0, atol=1e-6)


@pytest.mark.parametrize("num_pixels", [1000, 90_000])  # on one thread, on several
@pytest.mark.parametrize("channels", [1, 3, 8])
def test_kernels_equal_the_readable_twin_forward_and_backward(num_pixels, channels, generator):
    texture = torch.rand(65, 130, channels, generator=generator)
    uv = torch.rand(num_pixels, 2, generator=generator) * 1.2 - 0.1
    cotangent = torch.randn(num_pixels, channels, generator=generator)
    results = []
    for sample in (sample_bilinear, sample_bilinear_reference):
        leaf = texture.clone().requires_grad_()
        sampled = sample(leaf, uv)
        sampled.backward(cotangent)
        results.append((sampled.detach(), leaf.grad))
    torch.testing.assert_close(results[0][0], results[1][0], rtol=0, atol=1e-5)
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-4, atol=2e-3)


def test_grid_sample_path_equals_the_readable_twin(generator):
    texture, uv = torch.rand(16, 24, 3, generator=generator).double(), torch.rand(200, 2, generator=generator).double()
    torch.testing.assert_close(sample_bilinear(texture, uv), sample_bilinear_reference(texture, uv))


def test_uv_receives_a_gradient_when_it_asks_for_one(generator):
    texture = torch.rand(16, 16, 3, generator=generator)
    results = []
    for sample in (sample_bilinear, sample_bilinear_reference):
        uv = (torch.rand(50, 2, generator=torch.Generator().manual_seed(1)) * 0.9 + 0.05).requires_grad_()
        sample(texture, uv).sum().backward()
        results.append(uv.grad)
    torch.testing.assert_close(*results, rtol=1e-3, atol=1e-3)


def test_kernels_do_not_depend_on_the_number_of_threads(generator, monkeypatch):
    uv = torch.rand(100_000, 2, generator=generator).numpy()
    values = torch.randn(100_000, 3, generator=generator).numpy()
    totals = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(kernels, "_num_threads", lambda _, threads=threads: threads)
        totals.append(torch.from_numpy(kernels.scatter(values, uv, (200, 300))))
    assert torch.equal(totals[0], totals[1])
    assert torch.equal(totals[0], totals[2])


def test_nan_and_far_uv_do_not_read_outside_the_texture():
    uv = torch.tensor([[float("nan"), float("nan")], [1e30, -1e30], [float("inf"), float("-inf")]])
    assert torch.isfinite(sample_bilinear(torch.ones(4, 4, 3), uv)).all()


def test_twin_gradcheck(generator):
    texture = torch.rand(5, 4, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    uv = (torch.rand(6, 2, generator=generator, dtype=torch.float64) * 0.9 + 0.04).requires_grad_()
    assert torch.autograd.gradcheck(sample_bilinear_reference, (texture, uv))


def test_splat_returns_the_mean_of_samples_at_a_center():
    uv = torch.tensor([[0.25, 0.75]] * 2)
    total, weights = splat_bilinear(torch.tensor([[1.0], [3.0]]), uv, (2, 2))
    assert weights.tolist() == [[2, 0], [0, 0]]
    assert (total[0, 0] / weights[0, 0]).item() == 2


def test_splat_is_differentiable_in_its_values(generator):
    uv = torch.rand(5, 2, generator=generator, dtype=torch.float64)
    values = torch.rand(5, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: splat_bilinear(v, uv, (3, 4))[0], values)


def test_mip_levels_are_box_averages():
    levels = build_mip_pyramid(torch.arange(16.0).reshape(4, 4, 1))
    assert [tuple(level.shape) for level in levels] == [(4, 4, 1), (2, 2, 1), (1, 1, 1)]
    assert levels[1][0, 0, 0].item() == 2.5
    assert levels[2].item() == 7.5


def test_mip_pyramid_ends_at_an_odd_size_or_on_request():
    assert len(build_mip_pyramid(torch.rand(12, 12, 3))) == 3
    assert len(build_mip_pyramid(torch.rand(16, 16, 3), num_levels=2)) == 2


@pytest.mark.parametrize(("footprint", "expected"), [(0.0, 2.5), (1.0, 2.5), (2.0, 4.5), (2**0.5, 3.5), (1e9, 7.5)])
def test_footprint_chooses_the_level(footprint, expected):
    pyramid = [torch.full((4, 4, 1), 2.5), torch.full((2, 2, 1), 4.5), torch.full((1, 1, 1), 7.5)]
    sampled = sample_mip(pyramid, torch.tensor([[0.3, 0.6]]), torch.tensor([footprint]))
    assert sampled.item() == pytest.approx(expected, abs=1e-5)


def test_sample_mip_equals_the_readable_twin_forward_and_backward(generator):
    uv, footprint = torch.rand(4, 50, 2, generator=generator), torch.rand(4, 50, generator=generator) * 20
    texture = torch.rand(32, 32, 3, generator=generator)
    results = []
    for sample in (sample_mip, sample_mip_reference):
        leaf = texture.clone().requires_grad_()
        sampled = sample(build_mip_pyramid(leaf), uv, footprint)
        sampled.square().sum().backward()
        results.append((sampled.detach(), leaf.grad))
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-4)


def test_mip_twin_gradcheck(generator):
    texture = torch.rand(4, 4, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    uv = torch.rand(5, 2, generator=generator, dtype=torch.float64)
    footprint = torch.tensor([0.5, 1.3, 2.2, 3.0, 9.0], dtype=torch.float64)
    for sample in (sample_mip, sample_mip_reference):
        assert torch.autograd.gradcheck(lambda t, sample=sample: sample(build_mip_pyramid(t), uv, footprint), texture)


def test_wrong_shapes_are_refused():
    with pytest.raises(ShapeError, match=r"\[3, 4, 4\]|expected \[\.\.\., 2\]"):
        sample_bilinear(torch.rand(4, 4, 3), torch.rand(5, 3))
    with pytest.raises(ShapeError, match=r"expected \[Ht, Wt, C\]"):
        sample_bilinear(torch.rand(4, 4), torch.rand(5, 2))


def test_scattering_into_an_array_adds_to_it(generator):
    uv, values = torch.rand(500, 2, generator=generator).numpy(), torch.rand(500, 4, generator=generator).numpy()
    before = torch.rand(16, 24, 4, generator=generator).numpy()
    out = before.copy()
    assert kernels.scatter_into(values, uv, out) is out
    np.testing.assert_allclose(out, before + kernels.scatter(values, uv, (16, 24)), atol=1e-5)
