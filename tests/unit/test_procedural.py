"""Procedural samples: the same for the same seed, honest about what is seen, and misaligned on purpose."""

from functools import cache

import numpy as np
import pytest
import torch

from neuraltex.learn.data.procedural import KINDS, Flaws, procedural_sample
from neuraltex.learn.data.procedural_set import ProceduralSet, procedural_split, split_seeds
from neuraltex.learn.nets.sampling import identity_grid, sample_masked

ALL_KINDS = pytest.mark.parametrize("kind", KINDS)


@cache
def sample(seed, kind="figure", misaligned=True, jitter=1.0, azimuth=None):
    return procedural_sample(seed, kind=kind, azimuth=azimuth, flaws=Flaws(misaligned=misaligned, jitter=jitter))


def known_error(kind, **flaws):
    samples = [sample(seed, kind, **flaws) for seed in range(4)]
    errors = [np.abs(s.partial.color - s.truth)[s.partial.direct] for s in samples]
    return float(np.concatenate(errors).mean())


@ALL_KINDS
def test_equal_seeds_give_equal_samples_and_others_do_not(kind):
    first, second = (procedural_sample(3, 32, kind=kind) for _ in range(2))
    for name in ("color", "direct", "mirrored", "confidence", "normals", "positions"):
        np.testing.assert_array_equal(getattr(first.partial, name), getattr(second.partial, name))
    np.testing.assert_array_equal(first.truth, second.truth)
    assert np.abs(procedural_sample(4, 32, kind=kind).truth - first.truth).mean() > 0.02


@ALL_KINDS
def test_classes_partition_the_charts(kind):
    partial = sample(0, kind).partial
    classes = np.stack([partial.direct, partial.mirrored, partial.unseen]).sum(0)
    np.testing.assert_array_equal(classes, partial.inside)
    assert (partial.color[~partial.known] == 0).all()
    assert (partial.confidence[~partial.known] == 0).all()
    assert (partial.confidence[partial.known] > 0).all()
    assert np.isfinite(partial.source[partial.known]).all()
    assert np.isnan(partial.source[~partial.known]).all()
    assert partial.direct.mean() > 0.2
    assert partial.unseen.mean() > 0.2


@ALL_KINDS
def test_mirrored_texels_show_their_mirror_image(kind):
    partial = sample(1, kind, azimuth=50.0).partial
    rows, columns = np.nonzero(partial.mirrored)
    assert len(rows) > 100
    np.testing.assert_array_equal(partial.color[rows, columns], partial.color[rows, -1 - columns])
    assert partial.direct[rows, -1 - columns].all()


@pytest.mark.parametrize("azimuth", [-60.0, 0.0, 60.0])
def test_no_direct_texel_faces_away_from_the_camera(azimuth):
    partial = sample(2, misaligned=False, jitter=0.0, azimuth=azimuth).partial
    turn = np.radians(azimuth)
    facing = partial.normals @ np.array([np.sin(turn), 0, np.cos(turn)])
    assert facing[partial.direct].min() > -0.35  # seen from up to 15 degrees above, through a wide lens
    assert (facing[partial.direct] > 0.1).mean() > 0.98
    assert not partial.direct[facing < -0.4].any()


@ALL_KINDS
def test_aligned_samples_show_the_truth_and_misaligned_ones_do_not(kind):
    aligned = known_error(kind, misaligned=False, jitter=0.0)
    assert aligned < 0.05
    assert known_error(kind, misaligned=False, jitter=1.0) > 1.2 * aligned
    assert known_error(kind) > 1.6 * aligned


@ALL_KINDS
def test_the_shift_leads_to_the_true_color(kind):
    """Color looked up at x + shift is nearer to the truth than that at x, about as near as with aligned samples."""
    found = {"here": [], "shifted": []}
    for seed in range(8):
        made = sample(seed, kind, jitter=0.0)
        color = torch.from_numpy(made.partial.color * made.partial.direct[..., None]).movedim(-1, 0)[None]
        weight = torch.from_numpy(made.partial.direct).float()[None, None]
        own = identity_grid(64, 64)[None]
        for name, grid in {"here": own, "shifted": own + torch.from_numpy(made.shift)[None]}.items():
            read, known = sample_masked(color * weight, weight, grid, wrap=True)
            error = (read[0].movedim(0, -1).numpy() - made.truth) ** 2
            found[name].append(error[made.partial.inside & (known[0, 0].numpy() > 0.99)].mean())
    rms = {name: np.sqrt(np.mean(values)) for name, values in found.items()}
    assert rms["shifted"] < 0.06 < rms["here"] / 1.5


def test_geometry_tells_the_landmarks():
    hems = [sample(seed).warp.target[2] for seed in range(6)]
    normals = [sample(seed).partial.normals for seed in range(6)]
    found = [1 - (np.argmin(normal[32:58, :, 1].mean(1)) + 32.5) / 64 for normal in normals]
    np.testing.assert_allclose(found, hems, atol=1.5 / 64)


def test_splits_share_no_seed_and_only_one_wears_dots():
    seeds = [set(split_seeds(split, 1000)) for split in ("train", "val", "test", "ood")]
    assert len(set.union(*seeds)) == 4000
    same = procedural_sample(30_000_000, 32, held_out_pattern=True)
    split = procedural_split("ood", 1, 32)
    np.testing.assert_allclose(split.arrays(0)["truth"], same.truth, atol=0.5 / 255)


def test_a_set_reads_its_cache(tmp_path, monkeypatch):
    first = ProceduralSet(range(3), 32, cache=tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 1
    monkeypatch.setattr("neuraltex.learn.data.procedural_set.procedural_sample", None)
    second = ProceduralSet(range(3), 32, cache=tmp_path)
    for name, array in first.arrays(slice(None)).items():
        np.testing.assert_array_equal(array, second.arrays(slice(None))[name])
    assert second.arrays(1)["color"].shape == (32, 32, 3)
    with pytest.raises(TypeError):
        ProceduralSet(range(3), 32, cache=tmp_path, azimuth=10.0)  # other samples, hence another file


def test_a_set_holds_the_samples():
    one, kept = procedural_sample(5, 32), ProceduralSet([4, 5], 32).arrays(1)
    np.testing.assert_allclose(kept["color"], one.partial.color, atol=0.51 / 255)
    np.testing.assert_allclose(kept["normals"], one.partial.normals, atol=1e-4)
    np.testing.assert_array_equal(kept["direct"], one.partial.direct)
