"""A texture split among levels of a pyramid is the same texture, exactly."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuraltex.texture.pyramid import PyramidTexture

shapes = st.tuples(st.integers(1, 6), st.integers(1, 5)).map(lambda pair: (pair[0] * 2 ** (pair[1] - 1), pair[1]))


def texel_centers(size: int) -> torch.Tensor:
    centers = (torch.arange(size) + 0.5) / size
    return torch.stack(torch.meshgrid(centers, 1 - centers, indexing="xy"), -1)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(shape=shapes, seed=st.integers(0, 2**31))
def test_initialize_then_bake_returns_the_texture(shape, seed):
    size, num_levels = shape
    texture = torch.rand(size, size, 3, generator=torch.Generator().manual_seed(seed))
    module = PyramidTexture(size, num_levels)
    module.initialize_(texture)
    torch.testing.assert_close(module.bake(), texture, rtol=0, atol=1e-5)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(shape=shapes, seed=st.integers(0, 2**31))
def test_bake_is_what_forward_gives_at_the_texel_centers(shape, seed):
    """The export of the original was sampled at (i / (size - 1)), half a texel off at the borders."""
    size, num_levels = shape
    module = PyramidTexture(size, num_levels)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for level in module.levels:
            level.copy_(torch.randn(level.shape, generator=generator))
    torch.testing.assert_close(module.bake(), module(texel_centers(size)).detach(), rtol=0, atol=1e-4)
