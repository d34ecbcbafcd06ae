"""The direct fit of whole scenes: recovered textures, outliers, more photographs, memory."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from box_scene import write_box_scene
from direct_cases import fit_config
from plane_scene import SIZE, true_texture, write_plane_scene
from scipy.ndimage import binary_erosion

from neuraltex.config.schema import LossConfig, PixelConfig
from neuraltex.core.errors import ConfigError
from neuraltex.fit.calibrate.exposure import ColorMatch
from neuraltex.fit.data import ViewStore
from neuraltex.fit.direct.alone import DirectOnly, is_direct_only
from neuraltex.fit.direct.archive import read_equations
from neuraltex.fit.direct.start import direct_start
from neuraltex.fit.direct.stream import DirectFit, memory_gb
from neuraltex.fit.initialize import initial_texture
from neuraltex.fit.loop import GradientFit
from neuraltex.io.images import write_exr
from neuraltex.texture.fill import rasterize_charts


def test_direct_start_recovers_the_texture(tmp_path: Path) -> None:
    scene = write_plane_scene(tmp_path)
    store = ViewStore(scene.split("train"), PixelConfig(margin=0), 1.0)
    texture, seen, matches, stats = initial_texture(store, SIZE, scene, fit_config(smoothness=1e-3))
    error = (texture - true_texture()).abs()[seen > 0.5]
    assert error.mean() < 0.012
    assert len(matches) == len(store)
    assert stats["direct"]["residual"] <= 1e-3
    assert stats["direct"]["accumulate_seconds"] > 0


def test_direct_fit_alone_is_a_gradient_fit_of_no_steps(tmp_path: Path) -> None:
    scene, config = write_box_scene(tmp_path), fit_config()
    config = replace(config, loop=replace(config.loop, steps=0))
    assert is_direct_only(config)
    assert not is_direct_only(replace(config, loop=replace(config.loop, steps=1)))
    assert not is_direct_only(replace(config, texture=replace(config.texture, init="mean")))
    alone, looped = DirectOnly(config)(scene), GradientFit(config)(scene)
    np.testing.assert_array_equal(alone.texture, looped.texture)
    np.testing.assert_array_equal(alone.seen, looped.seen)
    assert alone.history == looped.history == []
    assert alone.stats.keys() == looped.stats.keys()


def test_gradient_fit_does_not_darken_the_borders_of_charts(tmp_path: Path) -> None:
    scene = write_box_scene(tmp_path)
    charts = rasterize_charts(scene.mesh, 128)
    border = charts & ~binary_erosion(charts)
    config = fit_config()
    config = replace(config, loss=LossConfig(l1=1.0, tv=10.0))
    start, polished = (
        GradientFit(replace(config, loop=replace(config.loop, steps=steps, lr=0.02)))(scene) for steps in (0, 30)
    )
    seen = start.seen & border
    assert polished.texture[seen].mean() > 0.995 * start.texture[seen].mean()


def test_distractor_in_one_photograph_loses_its_weight(tmp_path: Path) -> None:
    scene = write_plane_scene(tmp_path, num_views=16)
    store = ViewStore(scene.split("train"), PixelConfig(margin=0), 1.0)
    store.load(0).image[10:30, 10:30] = (0, 255, 0)
    errors = []
    for penalty in ("l2", "geman_mcclure"):
        fit = DirectFit(scene.mesh, SIZE, fit_config(penalty=penalty).direct)
        fit.run(store, ColorMatch.identity(len(store)))
        result = fit.finish()
        errors.append(np.abs(result.texture - true_texture().numpy())[result.weights > 0.5].mean())
    assert errors[1] < 0.5 * errors[0]


def test_extended_equations_equal_those_of_all_photographs(tmp_path: Path) -> None:
    scene = write_plane_scene(tmp_path / "scene")
    config, views = fit_config(penalty="l2", save_equations=True), scene.split("train")
    first = ViewStore(views[:3], config.pixels, 1.0)
    result, _ = direct_start(first, SIZE, scene, config, tmp_path)
    write_exr(tmp_path / "texture.exr", result.texture)
    everything = ViewStore(views, config.pixels, 1.0)
    whole, _ = direct_start(everything, SIZE, scene, config)
    more = replace(config, direct=replace(config.direct, extend=tmp_path))
    extended, _ = direct_start(everything, SIZE, scene, more, tmp_path)
    seen = whole.weights > 0.5
    assert np.abs(extended.texture - whole.texture)[seen].max() < 0.02
    assert np.abs(result.weights - whole.weights).max() > 0.5
    np.testing.assert_allclose(extended.weights, whole.weights, atol=1e-4)
    assert read_equations(tmp_path / "equations.npz").names == tuple(view.name for view in views)
    again, _ = direct_start(everything, SIZE, scene, more)  # nothing is new: nothing is added twice
    np.testing.assert_allclose(again.weights, whole.weights, atol=1e-4)
    with pytest.raises(ConfigError, match="equations are for"):
        direct_start(everything, 2 * SIZE, scene, more)


@pytest.mark.parametrize("size", [1024, pytest.param(8192, marks=pytest.mark.slow)])
def test_memory_stays_below_the_formula(size: int, tmp_path: Path) -> None:
    scene = write_plane_scene(tmp_path)
    store = ViewStore(scene.split("train")[:2], PixelConfig(margin=0), 1.0)
    for index in range(len(store)):
        store.load(index)
    tracemalloc.start()
    fit = DirectFit(scene.mesh, size, fit_config(max_iterations=1).direct, size / SIZE)
    fit.run(store, ColorMatch.identity(len(store)))
    fit.finish()
    peak = tracemalloc.get_traced_memory()[1] / 1024**3
    tracemalloc.stop()
    assert peak < 1.1 * memory_gb(size) + 0.02
    assert memory_gb(16384) < 24
