"""Which reader takes a scene, and what is said when none does."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from reader_scenes import make_scene

from neuraltex.core.errors import FormatError, UsageError
from neuraltex.geometry.mesh import Mesh
from neuraltex.io.load import FORMATS, READERS, detect_format, load_scene


@pytest.fixture
def scene(tmp_path):
    made = make_scene(tmp_path / "source", names=("0", "1", "2"))
    shared = replace(made.views[0].camera, skew=0.0)
    views = [replace(view, camera=shared.with_pose(view.camera.cam_from_world)) for view in made.views]
    return replace(made, views=tuple(views), mesh=Mesh(np.eye(3), np.array([[0, 1, 2]])))


def write(name, scene, folder):
    if name == "colmap":
        pytest.importorskip("pycolmap", reason="pycolmap is not installed")
    next(reader for reader in READERS if reader.name == name).module().write(scene, folder)
    return folder


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_recognizes_what_it_wrote_and_no_other_does(tmp_path, scene, name):
    folder = write(name, scene, tmp_path / "Szene mit ü")
    assert detect_format(folder) == name
    taken = [reader.name for reader in READERS if not reader.module().sniff(folder)]
    assert taken == [name]
    loaded = load_scene(folder)
    assert loaded.format == name
    np.testing.assert_allclose(
        np.sort([view.camera.center[2] for view in loaded.views]),
        np.sort([view.camera.center[2] for view in scene.views]),
        atol=1e-6,
    )


def test_unknown_scene_lists_what_each_reader_looked_for(tmp_path):
    with pytest.raises(FormatError) as caught:
        detect_format(tmp_path)
    message = str(caught.value)
    assert str(tmp_path) in message
    for reader in READERS:
        assert f"\n  {reader.name}: looked for {reader.looks_for}; " in message
    assert "no .mvs file" in message
    assert "--format" in caught.value.hint


def test_missing_path_is_said_to_be_missing(tmp_path):
    with pytest.raises(FormatError, match="does not exist"):
        detect_format(tmp_path / "nothing")


def test_unknown_format_names_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match="openmvs") as caught:
        load_scene(tmp_path, format="photoscan")
    assert caught.value.exit_code == 2


def test_option_of_another_format_is_refused(tmp_path, scene):
    folder = write("openmvs", scene, tmp_path / "out")
    with pytest.raises(UsageError, match="color_camera"):
        load_scene(folder, color_camera=tmp_path / "rig.json")


def test_format_can_be_forced_and_the_mesh_replaced(tmp_path, scene):
    folder = write("openmvs", scene, tmp_path / "out")
    assert load_scene(folder, format="openmvs", mesh="other.obj").mesh_path.name == "other.obj"
    with pytest.raises(FormatError):
        load_scene(folder, format="neural_texgen")


def test_options_reach_the_reader(tmp_path, scene):
    folder = write("neural_texgen", scene, tmp_path / "out")
    (tmp_path / "one.txt").write_text("1\n")
    assert [view.name for view in load_scene(folder, file_list=tmp_path / "one.txt").views] == ["1"]


def test_readers_of_other_formats_work_without_pycolmap(tmp_path, scene, monkeypatch):
    folder = write("neural_texgen", scene, tmp_path / "out")
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    assert load_scene(folder).format == "neural_texgen"


@pytest.mark.data
@pytest.mark.parametrize(("name", "kind", "count"), [("castle", "openmvs", 11), ("kitchen", "rgbd", 100)])
def test_real_scenes(test_data, name, kind, count):
    scene = load_scene(test_data / name)
    assert (scene.format, len(scene.views)) == (kind, count)
    assert scene.mesh_path is not None
