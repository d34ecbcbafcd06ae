"""Exposure, white balance, contrast and vignetting are recovered from the photographs themselves."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from plane_scene import SIZE, true_texture, write_plane_scene

from neuraltex.config.schema import ColorConfig, PixelConfig, TextureConfig
from neuraltex.core.errors import ConfigError
from neuraltex.fit.calibrate import color_fit, color_samples
from neuraltex.fit.calibrate.color_fit import calibrate_colors, fit_colors, robust_affine
from neuraltex.fit.calibrate.exposure import ColorMatch, find_reference
from neuraltex.fit.data import ViewStore, squared_radius
from neuraltex.fit.initialize import _robust_mean
from neuraltex.fit.tiles import Tile
from neuraltex.io import images
from neuraltex.io.prepared import PreparedView
from neuraltex.texture.sample import sample_bilinear

NUM_VIEWS = 12
PIXELS = PixelConfig(margin=0)
Change = Callable[[int, np.ndarray, np.ndarray], np.ndarray]


@pytest.fixture(autouse=True)
def _fine_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(color_samples, "SIDE", 32)  # the plane's texture has 64 texels


def changed_store(folder: Path, change: Change) -> ViewStore:
    """Return the training views of the plane after ``change(index, color [H, W, 3], squared radius [H, W])``."""
    store = ViewStore(write_plane_scene(folder, num_views=NUM_VIEWS).split("train"), PIXELS, 1.0)
    for index, view in enumerate(store.views):
        camera = view.camera
        radius2 = squared_radius(camera, np.arange(camera.height), np.arange(camera.width))
        color = change(index, view.load_image() / 255, radius2)
        images.write_rgb(view.image, np.round(color.clip(0, 1) * 255).astype(np.uint8))
    return store


def jitter(share: float = 0.25) -> np.ndarray:
    """Gains per photograph and channel, with geometric mean and median 1 (they come with their inverses)."""
    half = np.random.default_rng(5).uniform(1 / (1 + share), 1 + share, (4, 3))
    return np.concatenate([half, 1 / half, np.ones((1, 3))])


def relative(values: torch.Tensor, expected: np.ndarray) -> np.ndarray:
    """Return the ratio to what was expected, up to one gauge per channel."""
    ratio = values / expected
    return ratio / np.median(ratio, 0)


@pytest.mark.parametrize("model", ["gain", "affine", "gamma"])
def test_exposure_jitter_is_recovered(tmp_path: Path, model: str) -> None:
    gains = jitter()
    store = changed_store(tmp_path, lambda i, color, _: color * gains[i])
    found = calibrate_colors(store, ColorConfig(model=model))  # type: ignore[arg-type]
    tolerance = 0.015 if model == "gain" else 0.05  # the others can trade one number for another
    assert np.abs(relative(found.gain, gains) - 1).max() < tolerance
    grey = np.full(3, 0.5, np.float32)
    seen = np.stack([found.to_photo(grey, i) for i in range(len(store))])
    assert np.abs(relative(seen, gains) - 1).max() < 0.015


def test_bias_and_power_are_recovered(tmp_path: Path) -> None:
    gains, steps = jitter(0.15), np.linspace(-1, 1, 9)[:, None]
    store = changed_store(tmp_path / "affine", lambda i, color, _: color * gains[i] + 0.06 * steps[i])
    found = calibrate_colors(store, ColorConfig(model="affine"))
    assert np.abs(found.bias - 0.06 * steps).max() < 0.03
    powers = 1.25**steps
    store = changed_store(tmp_path / "gamma", lambda i, color, _: color ** powers[i])
    found = calibrate_colors(store, ColorConfig(model="gamma"))
    assert np.abs(relative(found.power, powers) - 1).max() < 0.06


def test_vignette_is_recovered_and_shared(tmp_path: Path) -> None:
    gains = jitter()
    falloff = lambda r2: np.exp(-0.5 * r2 + 0.1 * r2**2)  # noqa: E731
    store = changed_store(tmp_path, lambda i, color, r2: color * gains[i] * falloff(r2)[..., None])
    found = calibrate_colors(store, ColorConfig(model="gain", vignette=True))
    assert (found.vignette == found.vignette[0]).all()
    radius2 = np.linspace(0, 0.9, 10)
    assert np.abs(found.falloff(0, radius2) / falloff(radius2) - 1).max() < 0.02
    assert np.abs(relative(found.gain, gains) - 1).max() < 0.02


def test_chained_photographs_keep_their_level(tmp_path: Path) -> None:
    """Each photograph overlaps few others; errors must not add up along the chain."""
    gains = jitter(0.1)
    scene = write_plane_scene(tmp_path, num_views=NUM_VIEWS)
    store = ViewStore(scene.split("train"), PIXELS, 1.0)
    order = np.argsort([float(view.load_uv().uv[..., 0].max()) for view in store.views])
    drift = np.empty_like(gains)
    drift[order] = np.linspace(0.8, 1.2, 9)[:, None]
    for index, view in enumerate(store.views):
        images.write_rgb(view.image, np.round(view.load_image() * drift[index]).clip(0, 255).astype(np.uint8))
    found = calibrate_colors(store, ColorConfig(model="gain"))
    assert np.abs(relative(found.gain, drift) - 1).max() < 0.02


def test_saturated_pixels_do_not_count(tmp_path: Path) -> None:
    """Over-exposed photographs are cut off at white, which is not their exposure."""
    gains = jitter() * 1.5

    def spoil(i: int, color: np.ndarray, _: np.ndarray) -> np.ndarray:
        color = color * gains[i]
        if i % 2:
            color[5:15] = 1.0
        return color

    found = calibrate_colors(changed_store(tmp_path, spoil), ColorConfig(model="gain"))
    assert np.abs(relative(found.gain, gains) - 1).max() < 0.02


def test_outliers_hardly_matter(tmp_path: Path) -> None:
    gains = jitter()

    def spoil(i: int, color: np.ndarray, _: np.ndarray) -> np.ndarray:
        color = color * gains[i]
        color[10:18, 10:25] = np.random.default_rng(i).uniform(0.1, 0.9, 3)  # something walks through
        return color

    found = calibrate_colors(changed_store(tmp_path, spoil), ColorConfig(model="gain"))
    assert np.abs(relative(found.gain, gains) - 1).max() < 0.03


def random_match(model: str, num: int = 7) -> ColorMatch:
    generator = torch.Generator().manual_seed(3)
    rand = lambda low, high: (low + (high - low) * torch.rand(num, 3, generator=generator)).numpy()  # noqa: E731
    match = replace(ColorMatch.identity(num), gain=rand(0.7, 1.4), vignette=rand(-0.2, 0.0))
    return replace(match, bias=rand(-0.1, 0.1)) if model == "affine" else replace(match, power=rand(0.8, 1.2))


@pytest.mark.parametrize("model", ["affine", "gamma"])
@pytest.mark.parametrize("reference", [None, 4])
def test_gauge_changes_the_texture_not_the_photographs(model: str, reference: int | None) -> None:
    match, color, radius2 = random_match(model), torch.rand(50, 3) * 0.8 + 0.1, torch.rand(50)
    centered = match.centered(reference)
    for view in range(len(match)):
        photo = match.to_photo(color, view, radius2)
        torch.testing.assert_close(centered.to_photo(match.average(color, reference), view, radius2), photo)
        torch.testing.assert_close(match.to_texture(photo, view, radius2), color)
    if reference is None:
        for values in (centered.gain, centered.power):
            np.testing.assert_allclose(np.median(values, 0), 1, rtol=1e-6)
    else:
        torch.testing.assert_close(centered.to_photo(color, reference), color)


def test_kernels_get_the_inverse_as_numbers() -> None:
    for model in ("affine", "gamma"):
        match, photo, radius2 = random_match(model), torch.rand(20, 3) * 0.5 + 0.3, torch.rand(20)
        scale, shift, power = (torch.from_numpy(x) for x in match.inverse_numbers(2))
        flat = photo / match.falloff(2, radius2)[:, None]
        torch.testing.assert_close((flat * scale + shift) ** power, match.to_texture(photo, 2, radius2))


def test_checkpoint_keeps_all_numbers() -> None:
    match = random_match("gamma")
    again = ColorMatch.from_tensors(match.tensors())
    assert all(np.array_equal(getattr(again, name), value) for name, value in vars(match).items())


@pytest.mark.parametrize("model", ["affine", "gamma"])
def test_arrays_and_tensors_get_the_same_colors(model: str) -> None:
    match, color, radius2 = random_match(model), torch.rand(50, 3) * 0.8 + 0.1, torch.rand(50)
    for turn in (match.to_photo, match.to_texture):
        expected = turn(color, 3, radius2)
        assert isinstance(expected, torch.Tensor)
        np.testing.assert_allclose(turn(color.numpy(), 3, radius2.numpy()), expected, rtol=1e-5)


def test_texture_takes_the_colors_of_the_reference(tmp_path: Path) -> None:
    gains = jitter()
    store = changed_store(tmp_path, lambda i, color, _: color * gains[i])
    found = calibrate_colors(store, ColorConfig(model="gain", reference=store.views[3].name))
    np.testing.assert_allclose(found.gain[3], 1, rtol=1e-6)


def test_unknown_reference_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"color.reference: 'view-1' is not a training.*mean 'view-01'"):
        find_reference("view-1", ["view-01", "photo"])
    assert find_reference("", ["view-01"]) is None


def test_nothing_is_fitted_where_nothing_is_asked_for(tmp_path: Path) -> None:
    store = changed_store(tmp_path, lambda i, color, _: color * 0.9)
    found = calibrate_colors(store, ColorConfig(model="none"))
    assert (found.gain == 1).all()
    assert not found.is_bent
    assert not found.is_shaded


def test_match_to_a_given_texture(tmp_path: Path) -> None:
    gains = jitter()
    store = changed_store(tmp_path, lambda i, color, _: color * gains[i])
    texture = true_texture()

    def render(tile: Tile) -> torch.Tensor:
        return sample_bilinear(texture, tile.uv)

    found = fit_colors(store, render, ColorConfig(model="gain", reference=store.views[-1].name))
    assert np.abs(found.gain / gains - 1).max() < 0.02


def test_a_photograph_without_pixels_keeps_its_colors(tmp_path: Path) -> None:
    store = changed_store(tmp_path, lambda i, color, _: color * (0.0 if i == 2 else 1.0))
    found = calibrate_colors(store, ColorConfig(model="affine"))
    assert all(np.isfinite(value).all() for value in vars(found).values())
    np.testing.assert_allclose(found.gain[2], 1, atol=0.02)


def test_affine_color_is_recovered_among_outliers() -> None:
    x = np.random.default_rng(1).random((4000, 3), np.float32)
    gain, bias = np.float32([0.8, 1.0, 1.2]), np.float32([0.05, 0.0, -0.05])
    y = gain * x + bias
    y[::10] = 1.0
    found = robust_affine(x, y, np.ones(4000, np.float32), with_bias=True)
    np.testing.assert_allclose(found[0], gain, atol=0.05)
    np.testing.assert_allclose(found[1], bias, atol=0.03)


def test_color_match_removes_exposure_jitter_from_the_mean(tmp_path: Path) -> None:
    store = changed_store(tmp_path, lambda i, color, _: color * jitter()[i])
    errors = {}
    for model in ("none", "gain", "affine"):
        texture = TextureConfig(init="mean", init_rounds=5)
        matches = calibrate_colors(store, ColorConfig(model=model))  # type: ignore[arg-type]
        mean, seen = _robust_mean(store, SIZE, texture, matches)
        known = seen > 1e-3
        errors[model] = float((mean[known] - true_texture()[known]).abs().mean())
    assert errors["gain"] < 0.5 * errors["none"]
    assert errors["affine"] < 0.5 * errors["none"]


def test_photographs_of_one_camera_share_a_group(tmp_path: Path) -> None:
    store = changed_store(tmp_path, lambda i, color, _: color)
    first: PreparedView = store.views[0]
    other = replace(first, camera=replace(first.camera, fx=77.0))
    groups = color_fit._camera_groups(ViewStore([first, other, store.views[1]], PIXELS, 0))
    assert groups.tolist() == [0, 1, 0]
