"""Pixels kept out of a fit, and the early stop that watches them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from plane_scene import write_plane_scene

from neuraltex.config.schema import ColorConfig, FitConfig, LoopConfig, LossConfig, PixelConfig, TextureConfig
from neuraltex.core.errors import ResumeError
from neuraltex.fit import check as check_module
from neuraltex.fit.archive import list_states
from neuraltex.fit.calibrate.exposure import ColorMatch
from neuraltex.fit.check import BestState, KeptOutPixels, Look
from neuraltex.fit.data import ViewStore
from neuraltex.fit.kept_out import BLOCK, KeptOut
from neuraltex.fit.loop import GradientFit
from neuraltex.fit.objective import Objective
from neuraltex.fit.sampler import WindowSampler
from neuraltex.io.images import read_rgb, write_rgb
from neuraltex.io.prepared import PreparedScene
from neuraltex.texture.plain import PlainTexture

KEPT_OUT = KeptOut(0.3, seed=0)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> PreparedScene:
    return write_plane_scene(tmp_path_factory.mktemp("plane"))


def config(**loop: object) -> FitConfig:
    """A fit of 12 steps that looks at 30 % of the blocks after every second one."""
    settings = {"steps": 12, "batch": 3, "crop": 24, "lr": 0.05, "decay_steps": 6, "checkpoint_every": 0}
    checks = {"check_share": 0.3, "check_every": 2, "check_patience": 100, "log_every": 1}
    return FitConfig(
        texture=TextureConfig(init="mean"),
        pixels=PixelConfig(margin=0),
        color=ColorConfig(model="affine", every=5),
        loss=LossConfig(l1=10.0),
        loop=LoopConfig(**{**settings, **checks, **loop}),
    )


def looks(fitted: object) -> dict[int, Look]:
    """Return what was seen, by step."""
    entries = (entry for entry in fitted.history if "check/psnr_fit" in entry)  # type: ignore[attr-defined]
    return {int(x["step"]): Look(x["check/psnr_fit"], x["check/objective"]) for x in entries}


def scripted(monkeypatch: pytest.MonkeyPatch, seen: list[Look]) -> None:
    """Let the looks of a fit see what the test wants."""
    script = iter(seen)
    monkeypatch.setattr(KeptOutPixels, "look", lambda self, *args: next(script))


def test_blocks_are_whole_and_depend_on_the_view_alone(scene: PreparedScene) -> None:
    wide = [replace(view, camera=replace(view.camera, width=640, height=500)) for view in scene.views]
    masks = [KeptOut(0.2, 5).pixels(view) for view in wide]
    assert masks[0].shape == (500, 640)
    assert np.array_equal(masks[3], KeptOut(0.2, 5).pixels(wide[3]))
    assert not np.array_equal(masks[0], masks[1])
    assert not np.array_equal(masks[0], KeptOut(0.2, 6).pixels(wide[0]))
    blocks = masks[0][: 500 // BLOCK * BLOCK].reshape(500 // BLOCK, BLOCK, 640 // BLOCK, BLOCK).mean((1, 3))
    assert set(np.unique(blocks)) == {0, 1}
    assert np.mean(masks) == pytest.approx(0.2, abs=0.03)


def test_kept_out_pixels_have_no_influence_on_the_fit(tmp_path: Path) -> None:
    """Not on the start, not on the gradient, not on the match of colors."""
    fits = []
    for spoiled in (False, True):
        scene = write_plane_scene(tmp_path / str(spoiled))
        for view in scene.split("train") if spoiled else ():
            image = read_rgb(view.image).copy()
            pixels = KEPT_OUT.pixels(view)
            image[pixels] = np.random.default_rng(1).integers(0, 255, (pixels.sum(), 3))
            write_rgb(view.image, image)
        fits.append(GradientFit(config(check_every=100, steps=7))(scene))
    assert fits[0].history[0]["check/psnr_fit"] > fits[1].history[0]["check/psnr_fit"] + 5
    states = [[entry["train/loss"] for entry in fit.history if "train/loss" in entry] for fit in fits]
    assert states[0] == states[1]
    assert np.array_equal(fits[0].seen, fits[1].seen)


def test_look_scores_the_kept_out_pixels_only_and_fits_colors(scene: PreparedScene) -> None:
    views = scene.split("train")
    stores = [ViewStore(views, PixelConfig(margin=0), 0, use=use) for use in (KEPT_OUT.pixels, KEPT_OUT.rest)]
    kept_out = KeptOutPixels(*stores, LossConfig(l1=1.0))
    colors, objective = ColorMatch.identity(len(views)), Objective(LossConfig(l1=1.0))

    def render(offset: float, gain: float) -> object:
        return lambda tile: gain * tile.image + offset * (tile.weight == 0)[..., None]

    look = kept_out.look(render(0.5, 0.5), colors, objective)  # type: ignore[arg-type]
    assert look.psnr_fit > 100
    assert look.distance > 0.05
    assert kept_out.look(render(0.5, 1.0), colors, objective).distance < 1e-6  # type: ignore[arg-type]


def test_windows_of_a_look_are_bounded(scene: PreparedScene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_module, "MAX_WINDOWS", 3)
    monkeypatch.setattr(check_module, "WINDOW", 16)
    chosen = KeptOut(0.9)
    stores = [
        ViewStore(scene.split("train"), PixelConfig(margin=0), 0, use=use) for use in (chosen.pixels, chosen.rest)
    ]
    kept_out = KeptOutPixels(*stores, LossConfig(l1=1.0))
    whole = ViewStore(scene.split("train"), PixelConfig(margin=0), 0)
    for shown, tile in zip(kept_out._shown, kept_out._windows, strict=True):
        assert (shown >= tile.mask).all()
        windows = [window for window in WindowSampler(whole.sizes, 0, 16, 0).windows(0) if window.view == tile.view]
        assert int(shown.sum()) in {int(whole.tile(window).mask.sum()) for window in windows}
    assert len(kept_out._windows) == 3
    assert len({tile.view for tile in kept_out._windows}) == 3
    assert all(tile.mask.sum() >= check_module.MIN_PIXELS for tile in kept_out._windows)


def test_fit_ends_with_the_best_state(scene: PreparedScene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 4 looks best; step 6 has the least distance but lost too much PSNR."""
    scripted(monkeypatch, [Look(20, 1.0), Look(21, 0.9), Look(19.95, 0.8), Look(19.8, 0.1), *[Look(20, 0.85)] * 3])
    fitted = GradientFit(config())(scene)
    assert fitted.stats["best_step"] == 4
    assert looks(fitted)[6] == Look(19.8, 0.1)
    monkeypatch.undo()
    stopped: list[torch.Tensor] = []
    judge = BestState.judge
    monkeypatch.setattr(
        BestState,
        "judge",
        lambda self, step, look, texture, colors: (
            stopped.append(texture.bake()),
            judge(self, step, look, texture, colors),
        ),
    )
    GradientFit(config())(scene)
    assert np.array_equal(fitted.texture, stopped[2])


def test_fit_that_only_makes_it_worse_ends_with_its_start(scene: PreparedScene) -> None:
    ruined = GradientFit(config(lr=3.0, max_loss_growth=0))(scene)
    start = GradientFit(replace(config(), loop=replace(config().loop, lr=1e-9, steps=2)))(scene)
    assert ruined.stats["best_step"] == 0
    np.testing.assert_allclose(ruined.texture, start.texture, atol=1e-6)


def test_fit_stops_when_patience_is_exhausted(scene: PreparedScene, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [Look(20, 1.0), Look(20, 0.9), Look(20, 0.95), Look(20, 0.95), Look(20, 0.0)])
    fitted = GradientFit(config(check_patience=2))(scene)
    assert (fitted.stats["steps"], fitted.stats["best_step"]) == (6, 2)


@pytest.mark.parametrize("interrupted_at", [5, 8])
def test_resumed_fit_with_checks_is_bit_exact(scene: PreparedScene, tmp_path: Path, interrupted_at: int) -> None:
    base = config(checkpoint_every=interrupted_at)
    loss = LossConfig(l1=10.0, anchor=5.0, anchor_level=2)
    base = replace(base, loss=loss, texture=TextureConfig(init="grey"))
    straight = GradientFit(base)(scene)
    GradientFit(base, folder=tmp_path)(scene)
    list_states(tmp_path / "ckpts")[-1].unlink()
    assert list_states(tmp_path / "ckpts")[-1].name == f"step-{10 if interrupted_at == 5 else 8:09d}.pt"
    resumed = GradientFit(base, folder=tmp_path, resume=True)(scene)
    assert np.array_equal(straight.texture, resumed.texture)
    assert straight.history == resumed.history
    assert straight.stats["best_step"] == resumed.stats["best_step"] > 0


def test_finished_fit_resumes_to_the_same_texture(
    scene: PreparedScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last checkpoint holds the last state and the best one; no step is taken again."""
    scripted(monkeypatch, [Look(20, 1.0), Look(20, 0.9), *[Look(20, 0.95)] * 3])
    first = GradientFit(config(check_patience=2), folder=tmp_path)(scene)
    again = GradientFit(config(check_patience=2), folder=tmp_path, resume=True)(scene)
    assert np.array_equal(first.texture, again.texture)
    assert again.stats["steps"] == 6


def test_resume_with_another_share_is_refused(scene: PreparedScene, tmp_path: Path) -> None:
    GradientFit(config(), folder=tmp_path)(scene)
    with pytest.raises(ResumeError, match=r"loop.check_share = 0.3, not 0.1"):
        GradientFit(config(check_share=0.1), folder=tmp_path, resume=True)(scene)


def test_best_state_is_a_copy() -> None:
    texture, best = PlainTexture(4), BestState()
    best.judge(0, Look(20, 1.0), texture, ColorMatch.identity(1))
    with torch.no_grad():
        texture.texels += 1
    assert best.model["texels"].max() < 1


def test_best_state_starts_with_the_first_whatever_it_looks_like() -> None:
    best = BestState()
    best.judge(0, Look(20, float("nan")), PlainTexture(4), ColorMatch.identity(1))
    assert best.step == 0
