"""Prepared folders: what is written comes back, and what is broken is named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic import lumps, orbit

from neuraltex.core.errors import DataError
from neuraltex.core.files import read_json, write_json
from neuraltex.io import prepared
from neuraltex.io.images import write_rgb
from neuraltex.io.photos import file_stems, place_mask, place_photo
from neuraltex.io.prepared import Confidence, PreparedScene, PreparedView, UvMap

RNG = np.random.default_rng(0)


def make_uv_map(height: int = 13, width: int = 21) -> UvMap:
    mask = RNG.random((height, width)) < 0.7
    return UvMap(np.where(mask[..., None], RNG.random((height, width, 2)), 0).astype(np.float32), mask)


def make_scene(folder: Path) -> PreparedScene:
    camera = replace(orbit(3)[0], width=21, height=13, lens="brown", distortion=(0.1, -0.02))
    uv_map = make_uv_map()
    flat = np.where(uv_map.mask, 0.5, 0).astype(np.float32)
    view = PreparedView(
        "küche 1", "train", camera, folder / "images/a.png", folder / "uvs/a.npz", folder / "confidence/a.npz"
    )
    write_rgb(view.image, RNG.integers(0, 255, (13, 21, 3), np.uint8))
    prepared.write_uv_map(view.uv, uv_map)
    prepared.write_confidence(view.confidence, Confidence(flat, flat, flat * 4))
    scene = PreparedScene(folder, lumps(4), 256, (view,), {"name": "x", "notes": ["größer"]})
    prepared.write_prepared(scene)
    return scene


@pytest.mark.parametrize("suffix", [".npz", ".exr"])
def test_uv_maps_come_back_exactly(tmp_path: Path, suffix: str) -> None:
    uv_map = make_uv_map()
    back = prepared.read_uv_map(prepared.write_uv_map(tmp_path / f"a{suffix}", uv_map))
    np.testing.assert_array_equal(back.uv, uv_map.uv)
    np.testing.assert_array_equal(back.mask, uv_map.mask)


@pytest.mark.parametrize("suffix", [".npz", ".exr"])
def test_uv_zero_is_not_background(tmp_path: Path, suffix: str) -> None:
    """The original took uv (0, 0) for background."""
    uv_map = UvMap(np.zeros((2, 2, 2), np.float32), np.array([[True, False], [False, True]]))
    back = prepared.read_uv_map(prepared.write_uv_map(tmp_path / f"a{suffix}", uv_map))
    np.testing.assert_array_equal(back.mask, uv_map.mask)


def test_confidence_comes_back_within_its_precision(tmp_path: Path) -> None:
    mask = RNG.random((9, 11)) < 0.6
    found = {
        name: np.where(mask, RNG.random((9, 11)) * top, 0).astype(np.float32)
        for name, top in {"cosine": 1, "footprint": 30, "distance": 255}.items()
    }
    back = prepared.read_confidence(prepared.write_confidence(tmp_path / "a.npz", Confidence(**found)))
    np.testing.assert_allclose(back.cosine, found["cosine"], atol=0.5 / 255 + 1e-6)
    np.testing.assert_allclose(back.footprint, found["footprint"], rtol=1e-3)
    np.testing.assert_allclose(back.distance, np.floor(found["distance"]))


def test_depth_errors_come_back_and_missing_ones_stay_missing(tmp_path: Path) -> None:
    seen = np.ones((2, 3), np.float32)
    error = np.array([[0.0, 0.0111, 0.4], [7.0, np.nan, 0.02]], np.float32)
    back = prepared.read_confidence(
        prepared.write_confidence(tmp_path / "a.npz", Confidence(seen, seen, seen, error))
    ).depth_error
    assert back is not None
    np.testing.assert_allclose(back, [[0.0, 0.0111, 0.4], [0.508, np.nan, 0.02]], atol=0.0011)
    plain = prepared.read_confidence(prepared.write_confidence(tmp_path / "b.npz", Confidence(seen, seen, seen)))
    assert plain.depth_error is None


def test_scene_comes_back(tmp_path: Path) -> None:
    scene = make_scene(tmp_path / "größe 1")
    back = prepared.read_prepared(scene.path)
    assert (back.texture_size, back.info["name"], back.info["notes"]) == (256, "x", ["größer"])
    view, original = back.views[0], scene.views[0]
    assert (view.name, view.split) == ("küche 1", "train")
    assert (view.camera.lens, view.camera.distortion) == ("brown", (0.1, -0.02))
    np.testing.assert_array_equal(view.camera.cam_from_world, original.camera.cam_from_world)
    np.testing.assert_array_equal(back.mesh.corner_uvs, scene.mesh.corner_uvs)
    assert view.load_image().shape == (13, 21, 3)
    np.testing.assert_array_equal(view.load_valid(), original.load_uv().mask)


def test_folder_of_another_version_is_refused(tmp_path: Path) -> None:
    make_scene(tmp_path)
    write_json(tmp_path / "scene.json", {**read_json(tmp_path / "scene.json"), "version": 99})
    with pytest.raises(DataError, match="version 99"):
        prepared.read_prepared(tmp_path)


def test_missing_photograph_is_named(tmp_path: Path) -> None:
    make_scene(tmp_path).views[0].image.unlink()
    with pytest.raises(DataError, match=r"a\.png"):
        prepared.read_prepared(tmp_path)


def test_folder_that_is_no_scene_tells_the_command(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neuraltex prepare"):
        prepared.read_prepared(tmp_path)


def test_truncated_uv_map_is_named(tmp_path: Path) -> None:
    view = make_scene(tmp_path).views[0]
    view.uv.write_bytes(view.uv.read_bytes()[:200])
    with pytest.raises(DataError, match=r"a\.npz"):
        view.load_uv()


def test_file_names_are_safe_and_unique() -> None:
    stems = file_stems(["a/b", "a_b", "A_B", "küche 1", "..", "x" * 400, "x" * 401])
    assert stems["a/b"] == "a_b"
    assert stems["küche 1"] == "küche 1"
    assert len({stem.casefold() for stem in stems.values()}) == len(stems)
    assert all("/" not in stem and stem.strip(". ") and len(stem.encode()) < 200 for stem in stems.values())


def test_photographs_are_linked_or_resampled(tmp_path: Path) -> None:
    camera = replace(orbit(1)[0], width=20, height=10)
    source = write_rgb(tmp_path / "in.png", RNG.integers(0, 255, (10, 20, 3), np.uint8))
    same = place_photo(source, tmp_path / "out/in.png", camera, camera)
    assert same.read_bytes() == source.read_bytes()
    half = place_photo(source, tmp_path / "out/half.png", camera.scaled(10, 5), camera)
    from neuraltex.io.images import read_mask, read_rgb

    expected = read_rgb(source).reshape(5, 2, 10, 2, 3).astype(float).mean((1, 3))
    np.testing.assert_allclose(read_rgb(half), expected, atol=0.51)
    blocked = np.full((10, 20, 3), 255, np.uint8)
    blocked[3, 7] = 0
    mask = place_mask(
        write_rgb(tmp_path / "mask.png", blocked), tmp_path / "out/mask.png", camera.scaled(10, 5), camera
    )
    assert np.argwhere(~read_mask(mask, (5, 10))).tolist() == [[1, 3]]
