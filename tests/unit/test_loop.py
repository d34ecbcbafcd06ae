"""The gradient fit on a scene whose truth is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from plane_scene import SIZE, true_texture, write_plane_scene

from neuraltex.config.schema import (
    ColorConfig,
    FitConfig,
    LoopConfig,
    LossConfig,
    PixelConfig,
    TextureConfig,
)
from neuraltex.core.errors import DataError, DivergenceError, ResumeError
from neuraltex.fit import gradients
from neuraltex.fit.archive import list_states
from neuraltex.fit.data import ViewStore
from neuraltex.fit.finish import FILLED, GUTTER, SEEN, finish_texture
from neuraltex.fit.guards import LossGuard
from neuraltex.fit.initialize import coarse_to_fine_mean, initial_texture
from neuraltex.fit.loop import GradientFit
from neuraltex.fit.sampler import WindowSampler
from neuraltex.fit.state import learning_rate
from neuraltex.io.prepared import PreparedScene


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> PreparedScene:
    return write_plane_scene(tmp_path_factory.mktemp("plane"))


def config(**changes: object) -> FitConfig:
    base = FitConfig(
        texture=TextureConfig(init="grey"),
        pixels=PixelConfig(margin=0),
        loss=LossConfig(l1=10.0),
        loop=LoopConfig(steps=12, batch=3, crop=0, lr=0.05, decay_steps=6, checkpoint_every=0, log_every=1),
    )
    return replace(base, **changes)


def test_fit_recovers_the_texture(scene: PreparedScene) -> None:
    loop = LoopConfig(steps=150, batch=0, crop=0, lr=0.05, decay_steps=100, decay="cosine")
    fitted = GradientFit(config(loop=loop, loss=LossConfig(l2=10.0)))(scene)
    error = np.abs(fitted.texture - true_texture().numpy())[fitted.seen]
    assert error.mean() < 0.01
    assert fitted.history[-1]["val/psnr"] > 25  # parts of the held-out views were never seen
    assert fitted.history[-1]["train/loss"] < 0.05 * fitted.history[0]["train/loss"]


def test_color_under_the_mask_never_reaches_the_texture(scene: PreparedScene) -> None:
    fitted = GradientFit(config(texture=TextureConfig(init="mean"), loop=LoopConfig(steps=0)))(scene)
    magenta = np.abs(fitted.texture - (1, 0, 1)).max(-1)
    assert magenta[fitted.seen].min() > 0.3


@pytest.mark.parametrize("kind", ["plain", "pyramid", "neural"])
@pytest.mark.parametrize("mip", [False, True])
def test_every_texture_lowers_the_loss(scene: PreparedScene, kind: str, mip: bool) -> None:
    texture = TextureConfig(kind=kind, mip=mip, init="grey")  # type: ignore[arg-type]
    fitted = GradientFit(config(texture=texture))(scene)
    assert fitted.texture.shape == (SIZE, SIZE, 3)
    assert fitted.history[-1]["train/loss"] < 0.8 * fitted.history[0]["train/loss"]


def test_batch_in_groups_is_the_same_step(scene: PreparedScene, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = GradientFit(config())(scene)
    monkeypatch.setattr(gradients, "GROUP_PIXELS", 1)
    grouped = GradientFit(config())(scene)
    np.testing.assert_allclose(whole.texture, grouped.texture, atol=1e-4)


def test_texture_terms_count_once(scene: PreparedScene) -> None:
    losses = LossConfig(l1=10.0, tv=1.0, energy=0.5)
    fitted = GradientFit(config(loss=losses, texture=TextureConfig(kind="pyramid", init="grey")))(scene)
    entry = fitted.history[0]
    expected = sum(getattr(losses, name) * entry[f"train/loss/{name}"] for name in ("l1", "tv", "energy"))
    assert entry["train/loss"] == pytest.approx(expected)
    assert entry["train/loss/tv"] == 0


def test_loss_is_a_mean_over_valid_pixels_whatever_their_number(tmp_path: Path) -> None:
    """The original multiplied by the valid share twice instead of dividing by it."""
    scene = write_plane_scene(tmp_path)
    target = float(np.mean([view.load_image()[3:].mean() for view in scene.split("train")])) / 255
    fitted = GradientFit(config(loop=LoopConfig(steps=1, batch=0, crop=0), texture=TextureConfig(init="zeros")))(scene)
    assert fitted.history[0]["train/loss/l1"] == pytest.approx(target, rel=1e-4)


def test_held_out_views_are_never_read_for_fitting(tmp_path: Path) -> None:
    scene = write_plane_scene(tmp_path)
    for view in scene.split("test"):
        view.image.unlink()
    base = config()
    GradientFit(replace(base, loop=replace(base.loop, val_views=0)))(scene)


def test_resumed_fit_is_bit_exact(scene: PreparedScene, tmp_path: Path) -> None:
    base = config(
        texture=TextureConfig(kind="pyramid", init="mean"),
        color=ColorConfig(model="affine", every=4),
        loop=LoopConfig(steps=12, batch=3, crop=24, lr=0.05, decay_steps=6, checkpoint_every=5, log_every=1),
    )
    straight = GradientFit(base)(scene)
    GradientFit(base, folder=tmp_path)(scene)
    last = list_states(tmp_path / "ckpts")[-1]
    assert last.name == "step-000000012.pt"
    last.unlink()
    resumed = GradientFit(base, folder=tmp_path, resume=True)(scene)
    assert np.array_equal(straight.texture, resumed.texture)
    assert [entry["train/loss"] for entry in straight.history] == [e["train/loss"] for e in resumed.history]


def test_resume_with_another_texture_is_refused(scene: PreparedScene, tmp_path: Path) -> None:
    GradientFit(config(), folder=tmp_path)(scene)
    other = config(texture=TextureConfig(init="grey", kind="pyramid"))
    with pytest.raises(ResumeError, match=r"texture.kind = 'plain', not 'pyramid'"):
        GradientFit(other, folder=tmp_path, resume=True)(scene)


def test_nan_stops_with_the_last_good_state_saved(
    scene: PreparedScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = GradientFit(config(), folder=tmp_path)
    advance = fit._advance

    def poison(step: int, stop: object) -> None:
        if step == 5:
            terms = fit.objective.data_terms
            monkeypatch.setattr(
                fit.objective, "data_terms", lambda *a: {k: v * torch.nan for k, v in terms(*a).items()}
            )
        advance(step, stop)  # type: ignore[arg-type]

    monkeypatch.setattr(fit, "_advance", poison)
    with pytest.raises(DivergenceError, match="at step 6"):
        fit(scene)
    resumed = GradientFit(config(), folder=tmp_path, resume=True)(scene)
    assert np.isfinite(resumed.texture).all()
    assert np.array_equal(resumed.texture, GradientFit(config())(scene).texture)


def test_loss_guard_names_growth() -> None:
    guard = LossGuard(20.0)
    assert not any(guard.verdict(loss) for loss in (1.0,) * 10)
    assert not guard.verdict(19.0)
    assert "grew" in guard.verdict(21.0)
    assert "nan" in LossGuard(0).verdict(float("nan"))


def test_learning_rate_is_that_of_the_original() -> None:
    """20 steps at the full rate, then 40 with a linear decay that stops one step short of 0."""
    loop = LoopConfig(steps=60, decay_steps=40, lr=0.01)
    rates = [learning_rate(step, loop) for step in range(60)]
    assert rates[:20] == [0.01] * 20
    assert rates[20] == pytest.approx(0.01 * 40 / 41)
    assert rates[59] == pytest.approx(0.01 / 41)


def test_warm_up_rises_to_the_full_rate() -> None:
    loop = LoopConfig(steps=60, decay="none", warmup_steps=10, lr=1.0)
    assert [learning_rate(step, loop) for step in (0, 4, 9, 59)] == pytest.approx([0.1, 0.5, 1.0, 1.0])


@pytest.mark.parametrize("crop", [0, 16, 64])
def test_an_epoch_shows_every_pixel(crop: int) -> None:
    sampler = WindowSampler([(40, 48), (32, 20)], batch=0, crop=crop, seed=3)
    seen = [np.zeros((40, 48), int), np.zeros((32, 20), int)]
    for step in range(3):
        for window in sampler.windows(step):
            area = seen[window.view][window.top : window.top + window.height, window.left : window.left + window.width]
            assert area.shape == (window.height, window.width)
            area += 1
    assert all((count > 0).all() for count in seen)


def test_sampler_depends_on_step_and_seed_only() -> None:
    first, second = (WindowSampler([(40, 48)] * 5, batch=3, crop=16, seed=1) for _ in range(2))
    for step in range(7):
        second.windows(step)
    assert first.windows(7) == second.windows(7)
    assert first.windows(7) != WindowSampler([(40, 48)] * 5, batch=3, crop=16, seed=2).windows(7)


def test_mean_of_a_texture_finer_than_the_photographs_has_no_holes() -> None:
    sums, weights = torch.zeros(16, 16, 3), torch.zeros(16, 16)
    weights[::4, ::4] = 1
    sums[::4, ::4] = 0.7
    assert (coarse_to_fine_mean(sums, weights) - 0.7).abs().max() < 1e-5


def test_scene_without_any_overlap_is_refused(tmp_path: Path) -> None:
    scene = write_plane_scene(tmp_path)
    store = ViewStore(scene.split("train"), PixelConfig(min_cosine=2.0), 1.0)
    with pytest.raises(DataError, match="no pixel of any training photograph lies on the texture"):
        initial_texture(store, SIZE, scene, FitConfig())


def test_finished_texture_says_where_every_texel_comes_from(tmp_path: Path) -> None:
    scene = write_plane_scene(tmp_path)
    half = replace(scene.mesh, uvs=scene.mesh.uvs * (0.75, 1))
    texture, seen = true_texture().numpy(), np.zeros((SIZE, SIZE), bool)
    seen[:, : SIZE // 2] = True
    finished = finish_texture(texture.copy(), seen, half, TextureConfig(gutter=4))
    assert finished.coverage[10, 10] == SEEN
    assert finished.coverage[10, 40] == FILLED  # in the chart, but nobody saw it
    assert finished.coverage[10, 49] == GUTTER
    assert finished.coverage[10, 60] == FILLED  # far from any chart
    np.testing.assert_array_equal(finished.texture[seen], texture[seen])
    assert np.isfinite(finished.texture).all()
