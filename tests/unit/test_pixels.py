"""How far pixels and photographs are trusted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from plane_scene import write_plane_scene
from scipy import ndimage

from neuraltex.config.schema import PixelConfig
from neuraltex.core.errors import DataError
from neuraltex.fit import sharpness
from neuraltex.fit.data import ViewStore, load_view
from neuraltex.fit.pixels import SATURATED, erode, footprint_weight, pixel_weights, weigh
from neuraltex.fit.sharpness import detail, relative_sharpness
from neuraltex.io import images
from neuraltex.io.npz import read_npz, write_npz
from neuraltex.io.packed import read_packed
from neuraltex.io.prepared import (
    Confidence,
    PreparedView,
    UvMap,
    read_confidence,
    write_confidence,
    write_uv_map,
)

PLAIN = PixelConfig(cosine_power=0, min_cosine=0, margin=0)
GREY = np.full((1, 5, 3), 128, np.uint8)
EVERYTHING = PixelConfig(
    cosine_power=1.5, margin=4, footprint_power=1, saturation=True, depth_tolerance=0.1, min_cosine=0.2
)


def row(**changes: object) -> Confidence:
    """Return five frontal pixels far from any edge."""
    ones = np.ones((1, 5), np.float32)
    return replace(Confidence(ones, ones, ones * 255), **{name: np.float32([x]) for name, x in changes.items()})


def weights_of(confidence: Confidence, config: PixelConfig, image: np.ndarray = GREY, reference: float = 1.0) -> list:
    return pixel_weights(confidence, image, np.ones((1, 5), bool), config, reference)[0].tolist()


def test_grazing_and_discontinuous_pixels_are_kept_out() -> None:
    confidence = row(cosine=[1, 0.5, 0.05, 1, 1], distance=[9, 9, 9, 1, 2])
    config = PixelConfig(cosine_power=2, margin=4, min_cosine=0.1)
    assert weights_of(confidence, config) == pytest.approx([1, 0.25, 0, 0, 0.5])


def test_a_close_photograph_outweighs_a_distant_one() -> None:
    config = replace(PLAIN, footprint_power=2.0)
    found = weights_of(row(footprint=[0.25, 1, 2, 4, 8]), config, reference=2.0)
    assert found == pytest.approx([1, 1, 1 / 4, 1 / 16, 1 / 64])


def test_a_negative_power_lets_distant_photographs_catch_up() -> None:
    """A texel sees a quarter as many pixels of a photograph twice as far away."""
    footprint, config = np.array([1.0, 2.0, 3.0, 8.0], np.float32), PixelConfig(footprint_power=-2)
    weight = footprint_weight(footprint, config, 2.0)
    np.testing.assert_allclose(weight, [1 / 16, 1 / 4, 9 / 16, 1])  # at most 1, from twice the median on
    np.testing.assert_allclose((weight / footprint**2)[:3], 1 / 16)


def test_saturated_pixels_lose_their_weight() -> None:
    image = np.uint8([[[251, 9, 9], [250, 9, 9], [2, 2, 2], [2, 3, 2], [255, 255, 255]]])
    assert weights_of(row(), PLAIN, image) == [1] * 5
    found = weights_of(row(), replace(PLAIN, saturation=True), image)
    assert found == pytest.approx([SATURATED, 1, SATURATED, 1, SATURATED])


def test_pixels_off_the_sensor_depth_are_ignored() -> None:
    confidence = row(depth_error=[0, 0.04, 0.06, np.nan, 0.5])
    assert weights_of(confidence, PLAIN) == [1] * 5
    assert weights_of(confidence, replace(PLAIN, depth_tolerance=0.05)) == [1, 1, 0, 1, 0]


def test_masks_are_eroded_by_a_square() -> None:
    mask = np.random.default_rng(0).random((30, 40)) > 0.02
    for radius in (0, 1, 3):
        expected = ndimage.binary_erosion(mask, np.ones((2 * radius + 1,) * 2), border_value=1) if radius else mask
        np.testing.assert_array_equal(erode(mask, radius), expected)
    assert erode(np.ones((2, 3), bool), 9).all()


@pytest.fixture(params=["npz", "exr"])
def rough_view(request: pytest.FixtureRequest, tmp_path: Path) -> PreparedView:
    """A view of which every stored value is random, with another mask for uv than for confidence."""
    generator = np.random.default_rng(1)
    view = write_plane_scene(tmp_path).views[1]
    view = replace(view, uv=view.uv.with_suffix(f".{request.param}"), mask=tmp_path / "mask.png")
    shape = (view.camera.height, view.camera.width)
    uv = generator.random((*shape, 2), np.float32)
    seen = generator.random(shape) > 0.3
    write_uv_map(view.uv, UvMap(np.where(seen[..., None], uv, 0), seen))
    surface = generator.random(shape) > 0.1
    footprint = np.where(surface, generator.uniform(0.1, 9, shape), 0).astype(np.float32)
    distance = generator.integers(0, 12, shape).astype(np.float32)
    error = np.where(generator.random(shape) > 0.5, generator.uniform(0, 0.3, shape), np.nan).astype(np.float32)
    cosine = np.where(surface, generator.random(shape), 0).astype(np.float32)
    write_confidence(view.confidence, Confidence(cosine, footprint, distance, error))
    images.write_rgb(view.image, generator.choice(np.uint8([0, 1, 128, 251]), (*shape, 3)))
    images.write_rgb(view.mask, np.repeat(np.uint8(255 * (generator.random((*shape, 1)) > 0.02)), 3, 2))
    return view


@pytest.mark.parametrize("config", [PixelConfig(), EVERYTHING, PLAIN])
def test_fast_weights_are_those_of_the_readable_twin(rough_view: PreparedView, config: PixelConfig) -> None:
    image, confidence, uv_map = rough_view.load_image(), read_confidence(rough_view.confidence), rough_view.load_uv()
    allowed = erode(images.read_mask(rough_view.mask, uv_map.mask.shape), 1)
    uv, weight, footprint = weigh(read_packed(rough_view), image, allowed, config, reference=3.0)
    np.testing.assert_array_equal(uv, uv_map.uv)
    np.testing.assert_array_equal(footprint.astype(np.float32), confidence.footprint)
    valid = uv_map.mask & allowed & (confidence.footprint > 0)
    expected = pixel_weights(confidence, image, valid, config, reference=3.0)
    assert np.abs(np.ceil(expected * 255) - weight).max() <= 1  # rounding of the products
    np.testing.assert_array_equal(weight > 0, expected > 0)


def test_user_masks_are_eroded_when_views_are_read(rough_view: PreparedView) -> None:
    used = [(load_view(rough_view, replace(PLAIN, mask_erosion=radius)).weight > 0).sum() for radius in (0, 1, 2)]
    assert used[0] > used[1] > used[2] > 0


def test_damaged_arrays_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.arange(1000))
    np.testing.assert_array_equal(read_npz(path)["x"], np.arange(1000))
    for content in (path.read_bytes()[:-100], b"nothing"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.npz cannot be read"):
            read_npz(path)
    np.savez_compressed(path, x=np.arange(1000))
    with pytest.raises(DataError, match="compressed"):
        read_npz(path)


def test_arrays_are_written_as_numpy_does(tmp_path: Path) -> None:
    arrays = {"shape": np.array((3, 4)), "none": np.empty((0, 2), np.float32), "half": np.ones(5, np.float16)}
    arrays["turned"] = np.arange(6.0).reshape(2, 3).T
    np.savez(tmp_path / "a.npz", **{name: np.ascontiguousarray(array) for name, array in arrays.items()})
    assert write_npz(tmp_path / "b.npz", arrays).read_bytes() == (tmp_path / "a.npz").read_bytes()
    for name, array in read_npz(tmp_path / "b.npz").items():
        np.testing.assert_array_equal(array, arrays[name])


def photograph(texture: np.ndarray, scale: float, blur: float, gain: float = 1.0) -> tuple[np.ndarray, ...]:
    """Photograph a texture [side, side] from a distance (``scale`` texels per pixel) through a lens that blurs."""
    side = len(texture)
    rows, columns = np.meshgrid(np.arange(120), np.arange(160), indexing="ij")
    sharp = ndimage.gaussian_filter(texture, 0.45 * scale)
    at = np.stack([rows, columns]) * scale
    seen = ndimage.map_coordinates(sharp, at, order=1, mode="wrap")
    image = np.clip(ndimage.gaussian_filter(seen, blur) * gain * 255, 0, 255).astype(np.uint8)
    uv = np.stack([at[1] % side / side, 1 - at[0] % side / side], -1).astype(np.float32)
    return np.repeat(image[..., None], 3, 2), uv, np.full(image.shape, 200, np.uint8)


def test_blurred_photographs_are_less_sharp_than_distant_or_dark_ones() -> None:
    generator = np.random.default_rng(3)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(512), np.fft.fftfreq(512)))
    spectrum = np.fft.fft2(generator.standard_normal((512, 512))) / np.maximum(frequency, 1 / 512)  # 1/f, as in nature
    texture = np.fft.ifft2(spectrum).real
    texture = 0.5 + 0.12 * texture / texture.std()
    views = [(1, 0, 1.0), (1.3, 0, 1.0), (2, 0, 1.0), (3, 0, 1.0), (1.3, 0, 0.6), (1.5, 2, 1.0)]
    sharp = relative_sharpness(detail(*photograph(texture, *view)) for view in views)
    assert sharp[:5].min() > 0.8
    assert sharp[5] < 0.5


def test_a_blurred_photograph_loses_its_weight_in_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharpness, "CELLS", 8)  # the photographs are tiny
    scene = write_plane_scene(tmp_path)
    view = scene.split("train")[1]
    image = view.load_image()
    image[3:] = ndimage.gaussian_filter(image[3:], (2, 2, 0))  # above is what the mask hides
    images.write_rgb(view.image, image)
    store = ViewStore(scene.split("train"), PixelConfig(sharpness_power=4), 1.0)
    weight = [int(data.weight.max()) for _, data in store.stream()]
    assert weight[1] < 0.6 * min(weight[:1] + weight[2:])
    assert max(weight) == 255
    assert store.load(1).weight.max() == weight[1]


def test_sharpness_of_a_photograph_alone_is_one() -> None:
    image, uv, weight = photograph(np.random.default_rng(0).random((64, 64)), 1, 0)
    assert relative_sharpness([detail(image, uv, weight)]) == pytest.approx([1.0])
