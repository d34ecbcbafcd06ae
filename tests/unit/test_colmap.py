"""COLMAP: layouts, bin before txt, camera models, unregistered images, broken models."""

import shutil

import numpy as np
import pytest
from reader_scenes import SIZE, assert_same_camera, make_scene, write_points, write_triangle

from neuraltex.core.errors import DataError, FormatError, MissingDependency
from neuraltex.io import colmap
from neuraltex.io.images import write_rgb

pycolmap = pytest.importorskip("pycolmap", reason="pycolmap is not installed")

LENSES = [
    ("pinhole", ()),
    ("brown", (0.1, -0.05, 0.001, 0.002)),
    ("brown", (0.1, -0.05, 0.001, 0.002, 0.01, 0.02, 0.03, 0.001)),
    ("fisheye", (0.03, -0.01, 0.002, 0.001)),
    ("colmap:FOV", (0.9,)),
    ("colmap:THIN_PRISM_FISHEYE", (0.03, -0.01, 0.001, 0.002, 0.003, 0.001, 0.002, -0.001)),
]


def write_text_model(folder, cameras="1 PINHOLE 32 24 30 31 16.25 11.5", images=("1 1 0 0 0 0 0 2 1 photo_000.png",)):
    """A model as COLMAP before version 4 wrote it: no rigs, no frames."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cameras.txt").write_text(cameras + "\n")
    (folder / "images.txt").write_text("".join(f"{image}\n\n" for image in images))
    (folder / "points3D.txt").write_text("")
    return folder


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize(("lens", "distortion"), LENSES)
def test_round_trip(tmp_path, lens, distortion, text):
    scene = make_scene(tmp_path / "source", lens=lens, distortion=distortion)
    colmap.write(scene, tmp_path / "out", text=text)
    assert colmap.sniff(tmp_path / "out") == ""
    result = colmap.read(tmp_path / "out")
    assert [view.name for view in result.views] == [view.name for view in scene.views]
    for ours, theirs in zip(scene.views, result.views, strict=True):
        assert_same_camera(ours.camera, theirs.camera, 1e-9)
        assert theirs.image.read_bytes() == ours.image.read_bytes()


def test_pixel_convention_is_ours(tmp_path):
    """COLMAP's first pixel center is at (0.5, 0.5): a principal point of (16.25, 11.5) must arrive unchanged."""
    make_scene(tmp_path / "images", count=1)
    write_text_model(tmp_path / "sparse" / "0")
    camera = colmap.read(tmp_path).views[0].camera
    assert (camera.cx, camera.cy) == (16.25, 11.5)
    np.testing.assert_allclose(camera.project(np.array([[0.0, 0, 0]]))[0], [[16.25, 11.5]])


@pytest.mark.parametrize("layout", ["sparse/0", "sparse", "."])
def test_layouts(tmp_path, layout):
    make_scene(tmp_path / "images", count=1)
    write_text_model(tmp_path / layout)
    assert colmap.read(tmp_path).views[0].image == tmp_path / "images" / "photo_000.png"
    assert colmap.read(tmp_path / layout).views[0].image.samefile(tmp_path / "images" / "photo_000.png")


def test_layout_of_nerfstudio_keeps_images_above_the_colmap_folder(tmp_path):
    make_scene(tmp_path / "images", count=1)
    write_text_model(tmp_path / "colmap" / "sparse" / "0")
    assert colmap.read(tmp_path).views[0].image.is_file()


def test_binary_is_preferred_over_text(tmp_path):
    colmap.write(make_scene(tmp_path / "source"), tmp_path / "out")
    write_text_model(tmp_path / "out" / "sparse" / "0", cameras="1 PINHOLE 32 24 99 99 1 1")
    assert len(colmap.read(tmp_path / "out").views) == 3


def test_subfolders_stay_in_the_name_and_equal_stems_keep_their_suffix(tmp_path):
    for name in ("left/a.png", "right/a.png", "b.png", "b.jpg"):
        write_rgb(tmp_path / "images" / name, np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    names = ("left/a.png", "right/a.png", "b.png", "b.jpg")
    write_text_model(tmp_path / "sparse", images=[f"{i} 1 0 0 0 0 0 2 1 {name}" for i, name in enumerate(names, 1)])
    assert [view.name for view in colmap.read(tmp_path).views] == ["b.jpg", "b.png", "left/a", "right/a"]


def test_unregistered_images_are_skipped_and_counted(tmp_path):
    make_scene(tmp_path / "images")
    write_text_model(tmp_path / "sparse")
    scene = colmap.read(tmp_path)
    assert [view.name for view in scene.views] == ["photo_000"]
    assert "2 photograph(s) in images/ skipped: not registered in the model" in scene.notes


def test_mesh_of_a_dense_workspace(tmp_path):
    make_scene(tmp_path / "images", count=1)
    write_text_model(tmp_path / "sparse")
    write_points(tmp_path / "fused.ply")
    assert colmap.read(tmp_path).mesh_path is None
    mesh = write_triangle(tmp_path / "meshed-poisson.ply")
    write_triangle(tmp_path / "other.ply")
    assert colmap.read(tmp_path).mesh_path.samefile(mesh)
    assert colmap.read(tmp_path, mesh=tmp_path / "other.ply").mesh_path == tmp_path / "other.ply"


def test_two_meshes_are_not_guessed_between(tmp_path):
    make_scene(tmp_path / "images", count=1)
    write_text_model(tmp_path / "sparse")
    write_triangle(tmp_path / "a.ply")
    write_triangle(tmp_path / "b.ply")
    scene = colmap.read(tmp_path)
    assert scene.mesh_path is None
    assert any("a.ply, b.ply" in note and "--mesh" in note for note in scene.notes)


def test_masks_beside_the_images(tmp_path):
    make_scene(tmp_path / "images", count=1)
    write_text_model(tmp_path / "sparse")
    mask = write_rgb(tmp_path / "masks" / "photo_000.png.png", np.zeros((24, 32, 3), np.uint8))
    assert colmap.read(tmp_path).views[0].mask.samefile(mask)


def test_downscale_takes_the_smaller_images_and_scales_the_cameras(tmp_path):
    make_scene(tmp_path / "images", count=1)
    write_text_model(tmp_path / "sparse")
    write_rgb(tmp_path / "images_2" / "photo_000.png", np.zeros((12, 16, 3), np.uint8))
    full, half = (colmap.read(tmp_path, downscale=n).views[0] for n in (1, 2))
    assert_same_camera(half.camera, full.camera.scaled(16, 12))
    assert half.image.parent.name == "images_2"
    with pytest.raises(DataError, match="images_4"):
        colmap.read(tmp_path, downscale=4)


def test_other_models_are_named(tmp_path):
    make_scene(tmp_path / "images", count=1)
    for number in "01":
        write_text_model(tmp_path / "sparse" / number)
    assert "model 0 taken; 1 other(s) ignored: 1" in colmap.read(tmp_path).notes


def test_images_may_lie_elsewhere(tmp_path):
    make_scene(tmp_path / "far away", count=1)
    write_text_model(tmp_path / "scene" / "sparse")
    assert colmap.read(tmp_path / "scene", image_dir=tmp_path / "far away").views[0].image.is_file()


def test_missing_images_name_the_first(tmp_path):
    write_text_model(tmp_path / "sparse")
    with pytest.raises(DataError, match=r"photo_000\.png was not found"):
        colmap.read(tmp_path)


@pytest.mark.parametrize(
    ("cameras", "images"),
    [
        ("1 WRONG 32 24 30 16 12", ["1 1 0 0 0 0 0 2 1 a.png"]),
        ("1 PINHOLE 32 24 30 31 16 12", ["1 1 0 0 0 0 0 2 7 a.png"]),
    ],
)
def test_broken_model_names_its_folder(tmp_path, cameras, images):
    write_text_model(tmp_path / "sparse", cameras, images)
    with pytest.raises(FormatError, match="sparse cannot be read by pycolmap"):
        colmap.read(tmp_path)


def test_truncated_binary_names_its_folder(tmp_path):
    colmap.write(make_scene(tmp_path / "source"), tmp_path / "out")
    file = tmp_path / "out" / "sparse" / "0" / "images.bin"
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(FormatError, match="cannot be read by pycolmap"):
        colmap.read(tmp_path / "out")


def test_model_without_points_says_so(tmp_path):
    (write_text_model(tmp_path / "sparse") / "points3D.txt").unlink()
    with pytest.raises(FormatError, match=r"lacks points3D\.txt"):
        colmap.read(tmp_path)


def test_empty_model_is_refused(tmp_path):
    write_text_model(tmp_path / "sparse", images=())
    with pytest.raises(DataError, match="no image is registered"):
        colmap.read(tmp_path)


def test_sniff_says_why_not(tmp_path):
    assert "sparse/0" in colmap.sniff(tmp_path)
    assert colmap.sniff(tmp_path / "absent") == "not a folder"
    with pytest.raises(FormatError, match="not a COLMAP reconstruction"):
        colmap.read(tmp_path)


def test_skew_cannot_be_written(tmp_path):
    with pytest.raises(DataError, match="skew"):
        colmap.write(make_scene(tmp_path / "source", skew=1.0), tmp_path / "out")


@pytest.mark.parametrize("text", [True, False])
def test_spaces_and_foreign_letters_in_paths(tmp_path, text):
    """Text models separate fields by spaces and pycolmap cuts names at them."""
    scene = make_scene(tmp_path / "quelle", names=("é 1", "ж", "写真"))
    colmap.write(scene, tmp_path / "ein Ordner é写", text=text)
    assert {view.name for view in colmap.read(tmp_path / "ein Ordner é写").views} == {"é 1", "ж", "写真"}


def test_without_pycolmap_the_command_is_given(tmp_path, monkeypatch):
    write_text_model(tmp_path / "sparse")
    monkeypatch.setitem(__import__("sys").modules, "pycolmap", None)
    assert colmap.sniff(tmp_path) == ""
    with pytest.raises(MissingDependency, match=r"pip install pycolmap"):
        colmap.read(tmp_path)


def test_images_are_linked_not_moved(tmp_path):
    scene = make_scene(tmp_path / "source")
    colmap.write(scene, tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    assert all(view.image.is_file() for view in scene.views)
