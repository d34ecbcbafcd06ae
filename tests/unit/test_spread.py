"""Known colors spread over a batch, beside the fill of single textures."""

import numpy as np
import pytest
import torch

from neuraltex.core.conventions import GREY
from neuraltex.learn.nets.spread import SURE, push_pull, spread_direct
from neuraltex.texture import fill


def patches(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two smooth colorings of which a few blocks are known."""
    rows, columns = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    color = torch.stack([rows, columns, (rows + columns) / 2])[None].repeat(2, 1, 1, 1)
    known = torch.zeros(2, 1, height, width)
    known[0, :, height // 4 : height // 2, width // 4 : width // 2] = 1
    known[1, :, :, : width // 3] = 1
    known[1, :, height // 2 :, -2:] = 1
    return color, known


@pytest.mark.parametrize("size", [(32, 32), (23, 31), (1, 7), (64, 16)])
def test_known_colors_stay_and_others_lie_between_them(size) -> None:
    color, known = patches(*size)
    known[..., :1, :1] = 1
    filled = push_pull(color, known)
    mask = known.expand_as(color) > 0
    assert torch.equal(filled[mask], color[mask])
    for index in range(2):
        inside = color[index][mask[index]]
        assert filled[index].min() >= inside.min() - 1e-6
        assert filled[index].max() <= inside.max() + 1e-6


def test_it_is_near_the_fill_of_single_textures() -> None:
    color, known = patches(64, 64)
    filled = push_pull(color, known)
    for index in range(2):
        image, mask = color[index].movedim(0, -1).numpy(), known[index, 0].numpy() > 0
        other = fill.push_pull(np.where(mask[..., None], image, 0), mask)
        assert np.abs(filled[index].movedim(0, -1).numpy() - other).mean() < 0.02


def test_samples_of_a_batch_do_not_mix() -> None:
    color, known = patches(32, 32)
    both, alone = push_pull(color, known), push_pull(color[1:], known[1:])
    assert torch.equal(both[1:], alone)


def test_only_what_is_seen_for_sure_is_spread() -> None:
    color, known = patches(16, 16)
    confidence = known * 0.5
    known[..., -1:] = 1  # seen at a grazing angle
    color[..., -1:] = 9.0
    confidence[..., -1:] = SURE / 2
    inputs = {"color": color * known, "direct": known, "confidence": confidence}
    assert spread_direct(inputs).max() <= 1
    doubtful = {**inputs, "confidence": torch.full_like(confidence, SURE / 2)}
    assert spread_direct(doubtful).max() == 9, "all that there is, where nothing is sure"


def test_nothing_seen_is_grey() -> None:
    nothing = torch.zeros(1, 1, 16, 16)
    inputs = {"color": torch.zeros(1, 3, 16, 16), "direct": nothing, "confidence": nothing}
    assert torch.equal(spread_direct(inputs), torch.full((1, 3, 16, 16), GREY))
