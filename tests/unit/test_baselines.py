"""Fills without learning, on textures small enough to fill by hand."""

import numpy as np
import pytest

from neuraltex.learn.baselines import FILLS, baselines, mean_texture

WIDTH = 8


def strip(values, **flags):
    """A texture of one color per column; four rows alike."""
    row = np.repeat(np.array(values, np.float32)[:, None], 3, 1)
    arrays = {"color": np.tile(row, (4, 1, 1))}
    for name in ("direct", "mirrored"):
        arrays[name] = np.tile(np.isin(np.arange(WIDTH), flags.get(name, ())), (4, 1))
    arrays["inside"] = np.ones((4, WIDTH), np.bool_)
    at = np.array(flags.get("at", range(WIDTH)), np.float32)
    arrays["positions"] = np.tile(np.stack([at, 0 * at, 0 * at], -1), (4, 1, 1))
    arrays["normals"] = np.zeros((4, WIDTH, 3), np.float32)
    return arrays


@pytest.fixture
def sample():
    # On the body columns 6 and 7 lie beside column 0.
    return strip([0.2, 0, 0, 0.8, 0, 0.6, 0, 0], direct=[0, 3], mirrored=[5], at=[0, 1, 2, 3, 4, 5, -1, -2])


def columns(texture):
    assert texture.shape == (4, WIDTH, 3)
    np.testing.assert_allclose(texture, np.broadcast_to(texture[:1, :, :1], texture.shape), atol=0.01)
    return texture[0, :, 0]


def test_nearest(sample):
    np.testing.assert_allclose(columns(FILLS["nearest"](sample)), [0.2, 0.2, *[0.8] * 6])
    mirrored = columns(FILLS["mirror+nearest"](sample))
    np.testing.assert_allclose(mirrored[[0, 3, 5, 6, 7]], [0.2, 0.8, 0.6, 0.6, 0.6])


def test_nearest_on_the_body(sample):
    found = columns(FILLS["mirror+surface"](sample))
    np.testing.assert_allclose(found[[0, 1, 2, 3, 5, 6, 7]], [0.2, 0.2, 0.8, 0.8, 0.6, 0.2, 0.2])


def test_diffusion_lies_between_its_neighbors(sample):
    found = columns(FILLS["mirror+diffusion"](sample))
    np.testing.assert_allclose(found[[0, 3, 5]], [0.2, 0.8, 0.6])
    assert 0.2 < found[1] < found[2] < 0.8
    assert 0.6 < found[4] < 0.8
    direct = columns(FILLS["diffusion"](sample))
    assert direct[5] > 0.7  # the mirrored texel does not count


def test_means(sample):
    truths = [np.full((4, WIDTH, 3), value, np.float32) for value in (0.2, 0.4)]
    truths[0][:, 3] += 0.4
    methods = baselines(truths)
    mean = columns(methods["mean"](sample))
    np.testing.assert_allclose(mean, [0.3, 0.3, 0.3, 0.5, 0.3, 0.3, 0.3, 0.3], atol=1e-6)
    # Known texels: the mean says 0.3, 0.5, 0.3, they are 0.2, 0.8, 0.6: a gain of 2 and a bias of -0.2.
    fitted = columns(methods["mirror+mean"](sample))
    np.testing.assert_allclose(fitted, [0.2, 0.4, 0.4, 0.8, 0.4, 0.6, 0.4, 0.4], atol=1e-5)
    with pytest.raises(ValueError, match="no textures"):
        mean_texture([])


def test_nothing_known_gives_grey_or_the_mean():
    sample = strip([0.0] * WIDTH)
    for fill in FILLS.values():
        np.testing.assert_array_equal(fill(sample), 0.5)
    mean = baselines([np.full((4, WIDTH, 3), 0.25)])["mirror+mean"](sample)
    np.testing.assert_array_equal(mean, 0.25)


@pytest.mark.parametrize("name", FILLS)
def test_known_texels_keep_their_colors(name, sample):
    filled = FILLS[name](sample)
    np.testing.assert_array_equal(filled[sample["direct"]], sample["color"][sample["direct"]])
    assert np.isfinite(filled).all()
