"""Splatting is the exact transpose of sampling: <A x, y> = <x, A' y> for every texture, list of pixels and size."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuraltex.texture.sample import sample_bilinear, splat_bilinear

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@settings(deadline=None, max_examples=60, derandomize=True)
@given(size=sizes, channels=st.integers(1, 5), num_pixels=st.integers(1, 200), seed=st.integers(0, 2**31))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_splat_is_the_transpose_of_sample(size, channels, num_pixels, seed, dtype):
    generator = torch.Generator().manual_seed(seed)
    texture = torch.randn(*size, channels, generator=generator, dtype=dtype)
    uv = torch.rand(num_pixels, 2, generator=generator, dtype=dtype) * 1.4 - 0.2
    values = torch.randn(num_pixels, channels, generator=generator, dtype=dtype)
    forward = (sample_bilinear(texture, uv).double() * values.double()).sum()
    adjoint = (texture.double() * splat_bilinear(values, uv, size)[0].double()).sum()
    scale = texture.double().norm() * values.double().norm()
    assert abs(forward - adjoint) <= (1e-5 if dtype == torch.float32 else 1e-12) * scale


@settings(deadline=None, max_examples=60, derandomize=True)
@given(size=sizes, num_pixels=st.integers(0, 200), seed=st.integers(0, 2**31))
def test_weights_of_a_splat_sum_to_the_number_of_pixels(size, num_pixels, seed):
    uv = torch.rand(num_pixels, 2, generator=torch.Generator().manual_seed(seed)) * 1.4 - 0.2
    total, weights = splat_bilinear(torch.full((num_pixels, 1), 0.25), uv, size)
    assert weights.sum().item() == pytest.approx(num_pixels, rel=1e-5, abs=1e-5)
    assert (weights >= 0).all()
    torch.testing.assert_close(total[..., 0], weights * 0.25, rtol=1e-5, atol=1e-6)
