"""What is refused before anything is computed, and what --skip-bad-images does about it."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from reader_scenes import SIZE, make_scene

from neuraltex.core.errors import DataError
from neuraltex.io.images import write_rgb
from neuraltex.io.validate import validate_scene


@pytest.fixture
def scene(tmp_path):
    return make_scene(tmp_path / "photos ü", count=4, suffix=".jpg")


def damage(view, how):
    """Spoil the photograph of a view."""
    data = view.image.read_bytes()
    match how:
        case "missing":
            view.image.unlink()
        case "empty":
            view.image.write_bytes(b"")
        case "truncated":
            view.image.write_bytes(data[: len(data) // 2])
        case "text":
            view.image.write_text("no image")
        case "size":
            write_rgb(view.image, np.zeros((5, 7, 3), np.uint8))


FAULTS = {
    "missing": "does not exist",
    "empty": "cannot be read",
    "truncated": "cannot be read",
    "text": "cannot be read",
    "size": "7x5 but its camera says 32x24",
}


def test_good_scene_passes_unchanged(scene):
    assert validate_scene(scene) is scene


@pytest.mark.parametrize("how", FAULTS)
def test_bad_photograph_refuses_the_scene_and_is_named(scene, how):
    damage(scene.views[1], how)
    with pytest.raises(DataError, match=FAULTS[how]) as caught:
        validate_scene(scene)
    assert str(scene.views[1].image) in str(caught.value)
    assert "1 of 4 photographs" in str(caught.value)
    assert "--skip-bad-images" in caught.value.hint


@pytest.mark.parametrize("how", FAULTS)
def test_bad_photograph_is_skipped_and_listed_when_asked(scene, how, caplog):
    damage(scene.views[1], how)
    checked = validate_scene(scene, skip_bad=True)
    assert [view.name for view in checked.views] == ["photo_000", "photo_002", "photo_003"]
    assert len(checked.notes) == 1
    assert "photo_001" in checked.notes[0]
    assert FAULTS[how] in checked.notes[0]
    assert "photo_001" in caplog.text


def test_all_faults_are_listed_at_once_and_long_lists_are_counted(tmp_path):
    scene = make_scene(tmp_path, count=11)
    for view in scene.views:
        damage(view, "missing")
    with pytest.raises(DataError, match="11 of 11") as caught:
        validate_scene(scene)
    assert str(caught.value).count("does not exist") == 8
    assert "and 3 more" in str(caught.value)
    with pytest.raises(DataError, match="none of the 11"):
        validate_scene(scene, skip_bad=True)


def test_empty_scene_is_refused(scene):
    with pytest.raises(DataError, match="no photograph with a pose"):
        validate_scene(replace(scene, views=()))


@pytest.mark.parametrize("name", ["photo_000", "PHOTO_000"])
def test_two_views_with_one_name_are_refused_even_when_skipping(scene, name):
    views = (scene.views[0], replace(scene.views[1], name=name))
    with pytest.raises(DataError, match="share a name") as caught:
        validate_scene(replace(scene, views=views), skip_bad=True)
    assert str(scene.views[1].image) in str(caught.value)


def test_pose_that_mirrors_or_scales_is_refused(scene):
    for bad in (np.diag([1.0, 1, -1, 1]), np.diag([2.0, 2, 2, 1])):
        views = (replace(scene.views[0], camera=scene.views[0].camera.with_pose(bad)), *scene.views[1:])
        with pytest.raises(DataError, match="not a rotation"):
            validate_scene(replace(scene, views=views))


def test_mask_of_another_size_is_refused(scene, tmp_path):
    mask = write_rgb(tmp_path / "mask.png", np.zeros((3, 3), np.uint8))
    with pytest.raises(DataError, match="mask"):
        validate_scene(replace(scene, views=(replace(scene.views[0], mask=mask),)))


@pytest.mark.parametrize(("stored", "accepted"), [(SIZE, True), (SIZE[::-1], True), ((24, 23), False)])
def test_exif_rotation_counts_only_where_the_camera_asks_for_it(scene, stored, accepted):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", stored).save(scene.views[0].image, exif=exif)
    if accepted:
        assert validate_scene(scene) is scene
    else:
        with pytest.raises(DataError, match="24x23 but its camera says 32x24"):
            validate_scene(scene)


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "I;16"])
def test_unusual_modes_are_fine(scene, mode):
    image = Image.new(mode, SIZE)
    image.save(scene.views[0].image, format="TIFF")
    assert validate_scene(scene) is scene
