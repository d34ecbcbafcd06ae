"""Photographs at half their size: means of squares of pixels, and the fits that use them."""

import numpy as np
import pytest
from direct_cases import fit_config
from plane_scene import SIZE, true_texture, write_plane_scene

from neuraltex.config.schema import PixelConfig
from neuraltex.fit.calibrate.exposure import ColorMatch
from neuraltex.fit.data import PIXEL_BYTES, ViewData, ViewStore, load_view
from neuraltex.fit.direct.start import direct_start
from neuraltex.fit.direct.stream import DirectFit
from neuraltex.fit.halve import halve


def plane_photo(height: int, width: int) -> tuple[np.ndarray, ...]:
    """A photograph of a plane, one texel of a texture of 64 per pixel, all of full weight."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    image = np.stack([3 * x, 3 * y, x + y], -1).astype(np.uint8)
    uv = np.stack([(x + 0.5) / 64, 1 - (y + 0.5) / 64], -1).astype(np.float32)
    return image, uv, np.full((height, width), 255, np.uint8), np.full((height, width), 1.5, np.float16)


def test_squares_become_their_means() -> None:
    image, uv, weight, footprint = plane_photo(9, 13)
    small, place, trust, size = halve(image, uv, weight, footprint, 64)
    assert small.shape == (4, 6, 3)
    np.testing.assert_allclose(small, image[:8, :12].reshape(4, 2, 6, 2, 3).mean((1, 3)), atol=0.51)
    np.testing.assert_allclose(place, uv[:8, :12].reshape(4, 2, 6, 2, 2).mean((1, 3)), atol=1e-6)
    assert (trust == 255).all()
    assert (size == 1.5).all()  # of a texture of half the size


def test_pixels_without_weight_and_of_other_charts_do_not_count() -> None:
    image, uv, weight, footprint = plane_photo(4, 4)
    weight[0, 0] = weight[2:, 2:] = 0
    uv[0, 3] = 0.9  # another chart
    small, place, trust, _ = halve(image, uv, weight, footprint, 64)
    np.testing.assert_allclose(place[0, 0], uv[[0, 1, 1], [1, 0, 1]].mean(0), atol=1e-6)
    np.testing.assert_allclose(small[0, 1], image[[0, 1, 1], [2, 2, 3]].mean(0), atol=0.51)
    assert trust.tolist() == [[192, 192], [255, 0]]


def test_a_store_keeps_halves_where_not_all_have_room(tmp_path) -> None:
    scene = write_plane_scene(tmp_path)
    views = scene.split("train")
    pixels = sum(view.camera.width * view.camera.height for view in views)
    whole, config = load_view(views[1], PixelConfig()), PixelConfig()
    for budget, halves in ((0.5, len(views)), (1.0, 0), (0.01, 0)):
        store = ViewStore(views, config, budget * PIXEL_BYTES * pixels / 1024**3, texture_size=scene.texture_size)
        for _ in range(2):
            found = dict(store.stream(halved=True))
            np.testing.assert_array_equal(found[1].uv, whole.halved(scene.texture_size).uv)
        np.testing.assert_array_equal(dict(store.stream())[1].uv, whole.uv)
        assert len(store._halves) == halves
        assert store._used <= store._budget
        with store.lend(1.0):
            assert store._used == len(store._halves) == len(store._cache) == 0


@pytest.mark.parametrize("base_level", [0, 1, 2])
def test_a_rough_first_pass_recovers_the_texture(base_level: int, tmp_path) -> None:
    scene = write_plane_scene(tmp_path)
    store = ViewStore(scene.split("train"), PixelConfig(margin=0), 1.0, texture_size=scene.texture_size)
    config = fit_config(smoothness=1e-3, half_first=True, base_level=base_level)
    result, _ = direct_start(store, SIZE, scene, config)
    assert np.abs(result.texture - true_texture().numpy())[result.weights > 0.5].mean() < 0.015
    assert result.residual <= 1e-3


def test_distractor_loses_its_weight_to_a_rough_first_pass(tmp_path) -> None:
    scene = write_plane_scene(tmp_path, num_views=16)
    store = ViewStore(scene.split("train"), PixelConfig(margin=0), 1.0, texture_size=scene.texture_size)
    store.load(0).image[10:30, 10:30] = (0, 255, 0)
    errors = []
    for penalty in ("l2", "geman_mcclure"):
        config = fit_config(penalty=penalty, half_first=True, passes=3).direct
        fit, matches = DirectFit(scene.mesh, SIZE, config), ColorMatch.identity(len(store))
        fit.run_halved(store, matches)
        fit.run(store, matches)
        result = fit.finish()
        errors.append(np.abs(result.texture - true_texture().numpy())[result.weights > 0.5].mean())
    assert errors[1] < 0.5 * errors[0]


def test_halves_of_a_view_have_its_shape() -> None:
    data = ViewData(*plane_photo(10, 7))
    assert data.halved(64).image.shape == (5, 3, 3)
    assert data.nbytes == PIXEL_BYTES * 70
