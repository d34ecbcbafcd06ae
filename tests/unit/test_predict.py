"""Predictions: sizes, what is pasted back, and borders of charts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from neuraltex.config.learn import SamplerConfig
from neuraltex.core.errors import DataError
from neuraltex.learn.data.procedural import procedural_sample
from neuraltex.learn.nets.inputs import Inputs
from neuraltex.learn.networks import TextureNetworks, build_sampler
from neuraltex.learn.partial import Partial
from neuraltex.learn.predict import Predictor, joined, pasted_share, resize_partial

HEAD = procedural_sample(3, 64, kind="vessel", azimuth=0).partial


class Painter(Predictor):
    """Paints charts bright and, as networks do, anything between them."""

    def complete(self, inputs: Inputs) -> dict[str, Tensor]:
        color = torch.where(inputs["inside"] > 0.999, 0.7, 0.0).expand(-1, 3, -1, -1)
        ones = torch.ones_like(color[:, :1])
        return {"texture": color, "sampled": color, "refined": color, "blend": ones, "confidence": ones}


def painter(size: int) -> Painter:
    networks = TextureNetworks(build_sampler(SamplerConfig(width=8, levels=2)))
    return Painter(networks, HEAD.layout, size)


@pytest.mark.parametrize("size", [64, 32, 20])
def test_what_lies_between_charts_does_not_bleed_into_them(size: int) -> None:
    texture = painter(size)(HEAD, paste=False).texture
    assert texture.shape == (64, 64, 3)
    border = HEAD.inside & ~np.roll(HEAD.inside, 1, 0)
    limit = 0.69 if size < 64 else 0.0  # at its own size a texel is what the network says
    assert texture[HEAD.inside & ~border].min() > limit - 0.05


def test_trusted_texels_are_put_back_and_fade_at_their_rim() -> None:
    share = pasted_share(HEAD)
    assert share.min() == 0
    assert share.max() == 1
    assert not share[~HEAD.direct].any()
    found = painter(64)(HEAD).texture
    sure = share == 1
    assert np.allclose(found[sure], HEAD.color[sure], atol=1e-6)
    assert not np.allclose(painter(64)(HEAD, paste=False).texture[sure], HEAD.color[sure], atol=0.05)


def test_a_prediction_continues_observed_colors() -> None:
    """Next to them it takes their difference over, far away it stays what it is; without any it stays as a whole."""
    left = np.arange(64) < 16
    direct = HEAD.inside & left[None]
    color = np.where(direct[..., None], np.full(3, 0.9), 0).astype(np.float32)
    partial = replace(HEAD, color=color, direct=direct, mirrored=0 * direct, confidence=direct.astype(np.float32))
    texture = np.full((64, 64, 3), 0.4, np.float32)
    found = joined(texture, partial)[HEAD.inside.any(1).nonzero()[0][20]]
    assert found[17] == pytest.approx(0.4 + 0.5 * np.exp(-2 / 4), abs=0.02)
    assert (np.diff(found[16:], axis=0) < 1e-6).all()
    assert found[50] == pytest.approx(0.4, abs=1e-3)
    assert joined(texture, replace(partial, direct=0 * direct)) is texture


def test_a_partial_texture_shrinks_to_means_of_what_is_known() -> None:
    small = resize_partial(HEAD, 32)
    assert small.inside.shape == (32, 32)
    assert not (small.direct & small.mirrored).any()
    assert not (small.known & ~small.inside).any()
    blocks = HEAD.color.reshape(32, 2, 32, 2, 3).mean((1, 3))
    all_known = HEAD.known.reshape(32, 2, 32, 2).all((1, 3)) & small.known
    assert np.allclose(small.color[all_known], blocks[all_known], atol=1e-5)
    assert resize_partial(HEAD, 64) is HEAD


def test_another_layout_is_refused() -> None:
    other: Partial = procedural_sample(3, 64, kind="head").partial
    with pytest.raises(DataError, match="expected"):
        painter(64)(other)
