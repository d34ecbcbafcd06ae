"""``neuraltex optimize`` with a prior: what nobody saw is predicted, what photographs show stays."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from box_scene import SIZE, box_texture, write_box_scene
from scipy.ndimage import binary_dilation

from neuraltex.cli import main
from neuraltex.config.learn import LearnConfig, RefinerConfig, SamplerConfig
from neuraltex.config.prior import PriorConfig
from neuraltex.config.schema import FitConfig
from neuraltex.fit.finish import PREDICTED, SEEN
from neuraltex.fit.run import read_run
from neuraltex.io.images import write_exr
from neuraltex.io.prepared import PreparedScene, read_prepared, write_prepared
from neuraltex.learn.fuse import fuse_scene, scene_symmetry
from neuraltex.learn.load import save_networks
from neuraltex.learn.nets.sampling import identity_grid
from neuraltex.learn.networks import TextureNetworks, build_refiner, build_sampler
from neuraltex.learn.prior import scene_prior
from neuraltex.metrics.image import psnr
from neuraltex.stages.optimize import default_config
from neuraltex.texture.fill import rasterize_charts
from neuraltex.texture.layout import layout_of


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> PreparedScene:
    """A box of which only two neighboring photographs are for fitting: three of its sides are never seen."""
    path = write_box_scene(tmp_path_factory.mktemp("box") / "scene", 4).path
    whole = read_prepared(path)
    write_prepared(replace(whole, views=whole.views[1:]))  # one held out, three to fit, all within 1.2 rad
    return read_prepared(path)


def optimize(scene: PreparedScene, run: Path, *flags: str) -> object:
    common = ["--data", str(scene.path), "--output-dir", str(run), "--device", "cpu", "--preset", "fast"]
    with pytest.raises(SystemExit) as stopped:
        main(["optimize", *common, "--pixels.margin", "0", *flags])
    assert stopped.value.code == 0
    return read_run(run)


def settings(kind: str) -> FitConfig:
    """What the runs are made with."""
    preset = default_config("fast")
    return replace(preset, pixels=replace(preset.pixels, margin=0), prior=PriorConfig(kind=kind, size=64))


def clearly_seen(scene: PreparedScene) -> np.ndarray:
    """Texels that a photograph shows at less than a grazing angle."""
    sure = fuse_scene(scene, settings("none")).confidence > 0.5
    assert sure.mean() > 0.1
    return sure.repeat(2, 0).repeat(2, 1)


GRADIENT = ("--loop.steps", "20", "--loss.l1", "10", "--loss.tv", "1", "--loop.crop", "0", "--loop.lr", "0.01")


@pytest.mark.parametrize("flags", [(), GRADIENT, ("--texture.init", "mean", *GRADIENT, "--prior.refresh-every", "8")])
def test_unseen_texels_are_the_prior_and_seen_ones_stay(
    scene: PreparedScene, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    image = np.full((50, 50, 3), (0.9, 0.2, 0.6), np.float32)
    write_exr(tmp_path / "prior.exr", image)
    prior = ("--prior.kind", "file", "--prior.file", str(tmp_path / "prior.exr"), "--prior.weight", "0.5")
    plain, leaning = optimize(scene, tmp_path / "plain", *flags), optimize(scene, tmp_path / "prior", *flags, *prior)
    charts = rasterize_charts(scene.mesh, SIZE)
    predicted = leaning.coverage == PREDICTED
    assert np.array_equal(plain.coverage == SEEN, leaning.coverage == SEEN)
    assert np.array_equal(predicted & charts, charts & (plain.coverage != SEEN))
    assert (predicted & charts).sum() > 0.3 * charts.sum()
    far = predicted & ~binary_dilation(leaning.coverage == SEEN, iterations=24)
    far &= ~binary_dilation(~charts, iterations=8)  # beyond the strip in which cut edges are leveled
    assert far.sum() > 100
    np.testing.assert_allclose(leaning.texture[far], np.broadcast_to(image[0, 0], (far.sum(), 3)), atol=3 / 255)
    truth = box_texture()
    well = clearly_seen(scene)
    assert psnr(leaning.texture, truth, well) > psnr(plain.texture, truth, well) - 0.1
    assert leaning.manifest["prior"] == "file"


def test_diffusion_predicts_from_photographs(scene: PreparedScene, tmp_path: Path) -> None:
    flags = ("--prior.kind", "diffusion", "--prior.size", "64", "--prior.weight", "0.5")
    plain, leaning = optimize(scene, tmp_path / "plain"), optimize(scene, tmp_path / "prior", *flags)
    charts, truth = rasterize_charts(scene.mesh, SIZE), box_texture()
    well = clearly_seen(scene)
    assert psnr(leaning.texture, truth, well) > psnr(plain.texture, truth, well) - 0.1
    prior = scene_prior(scene, settings("diffusion"))
    far = (leaning.coverage == PREDICTED) & charts & ~binary_dilation(plain.coverage == SEEN, iterations=24)
    far &= ~binary_dilation(~charts, iterations=8)
    assert far.sum() > 100
    np.testing.assert_allclose(leaning.texture[far], prior.texture[far], atol=4 / 255)


def test_learned_start_of_no_steps_is_the_prediction(scene: PreparedScene, tmp_path: Path) -> None:
    flags = ("--texture.init", "learned", "--prior.kind", "diffusion", "--prior.size", "64")
    run = optimize(scene, tmp_path / "run", *flags, "--texture.seam-strip", "0")
    charts = rasterize_charts(scene.mesh, SIZE)
    expected = scene_prior(scene, settings("diffusion")).texture
    np.testing.assert_allclose(run.texture[charts], expected[charts], atol=1e-4)
    assert run.manifest["init"] == "learned"


def test_fused_photographs_are_the_texture_where_they_show_it(scene: PreparedScene) -> None:
    config = settings("none")
    partial = fuse_scene(scene, config)
    assert partial.inside.shape == (64, 64)
    assert 0.2 < partial.direct.sum() / partial.inside.sum() < 0.8
    assert not partial.mirrored.any()
    assert np.isfinite(partial.source[partial.direct]).all()
    assert np.isnan(partial.source[~partial.direct]).all()
    truth = box_texture().astype(np.float32).reshape(64, 2, 64, 2, 3).mean((1, 3)) / 255
    sure = partial.confidence > 0.5
    assert np.abs(partial.color - truth)[sure].mean() < 0.06
    flipped = np.abs(partial.color - truth[::-1])[sure].mean()
    assert flipped > 0.15
    mirrored = fuse_scene(scene, config, scene_symmetry(scene, config.prior))
    assert mirrored.mirrored.sum() > 100
    assert np.array_equal(mirrored.direct, partial.direct)


@pytest.fixture(scope="module")
def checkpoint(scene: PreparedScene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks for the layout of the box as they are before any training."""
    torch.manual_seed(0)
    config = LearnConfig(
        sampler=SamplerConfig(width=4, levels=2, hypotheses=1), refiner=RefinerConfig(width=4, levels=2)
    )
    networks = TextureNetworks(
        build_sampler(config.sampler, identity_grid(32, 32)[None]), build_refiner(config.refiner)
    )
    path = tmp_path_factory.mktemp("networks") / "box.safetensors"
    return save_networks(path, networks, config, layout_of(scene.mesh), 32, 0, "nothing", "CC0")


def test_networks_predict_what_is_unseen(scene: PreparedScene, checkpoint: Path, tmp_path: Path) -> None:
    prior = ("--prior.kind", "learned", "--prior.checkpoint", str(checkpoint), "--prior.size", "64")
    plain, run = optimize(scene, tmp_path / "plain"), optimize(scene, tmp_path / "run", *prior)
    assert run.manifest["prior"] == "learned"
    assert (run.coverage == PREDICTED).any()
    well, truth = clearly_seen(scene), box_texture()
    assert psnr(run.texture, truth, well) > psnr(plain.texture, truth, well) - 0.1


def test_steps_improve_on_the_prediction(scene: PreparedScene, checkpoint: Path, tmp_path: Path) -> None:
    learned = ("--prior.kind", "learned", "--prior.checkpoint", str(checkpoint), "--prior.size", "64")
    flags = (*learned, "--texture.init", "learned")
    start = optimize(scene, tmp_path / "start", *flags)
    run = optimize(scene, tmp_path / "run", *flags, *GRADIENT, "--prior.refresh-every", "8")
    well, truth = clearly_seen(scene), box_texture()
    assert psnr(run.texture, truth, well) > psnr(start.texture, truth, well) + 0.5
    assert np.array_equal(run.coverage, start.coverage)


def test_layout_without_networks_is_an_error(
    scene: PreparedScene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["optimize", "--data", str(scene.path), "--output-dir", str(tmp_path / "r"), "--prior.kind", "learned"])
    assert stopped.value.code == 1
    assert "no checkpoint ships for the uv layout" in capsys.readouterr().err


def test_prior_without_its_file_is_an_error(
    scene: PreparedScene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["optimize", "--data", str(scene.path), "--output-dir", str(tmp_path / "r"), "--prior.kind", "file"])
    assert stopped.value.code == 2
    assert "--prior.file" in capsys.readouterr().err
