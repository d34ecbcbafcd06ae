"""OpenMVS: versions of the archive, its pixel centers, paths of other machines, meshes beside it, broken files."""

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from edge_photo import CORNER, measure_corner, render_quadrant
from reader_scenes import SIZE, assert_same_camera, make_scene, write_points, write_triangle

from neuraltex.core.errors import DataError, FormatError
from neuraltex.geometry.mesh import Mesh
from neuraltex.io import openmvs
from neuraltex.io.images import read_rgb, write_rgb
from neuraltex.io.meshes import read_mesh
from neuraltex.io.mvs_archive import NO_ID

K = np.array([[30.0, 0.5, 16.25], [0, 31, 11.5], [0, 0, 1]])
POSE = np.eye(3), np.array([0.0, 0, -2])
UNMOUNTED = np.eye(3), np.zeros(3)


def text(value):
    return struct.pack("<Q", len(value.encode())) + value.encode()


def reals(*arrays):
    return b"".join(np.asarray(array, "<f8").tobytes() for array in arrays)


def archive(version=3, images=(("photo_000.png", 0, 0, 0),), size=SIZE, K=K, pose=POSE, mount=UNMOUNTED):
    """The bytes of a scene, field by field, as OpenMVS's Interface.h orders them."""
    data = b"MVSI" + struct.pack("<II", version, 0) + struct.pack("<Q", 1) + text("platform") + struct.pack("<Q", 1)
    data += text("camera") + (text("RGB") if version > 3 else b"") + struct.pack("<II", *size) + reals(K, *mount)
    data += struct.pack("<Q", 1) + reals(*pose) + struct.pack("<Q", len(images))
    for name, *ids in images:
        data += text(name) + (text("") if version > 4 else b"") + struct.pack("<III", *ids)
        data += struct.pack("<I", 7) if version > 2 else b""
        if version > 6:
            data += struct.pack("<3fQ", 1, 2, 3, 2) + bytes(2 * 24)
    return data + struct.pack("<6Q", 0, 0, 0, 0, 0, 0)


def scene_folder(folder, count=1, **fields):
    make_scene(folder / "images", count=count)
    (folder / "scene.mvs").write_bytes(archive(**fields))
    return folder


@pytest.mark.parametrize("version", range(1, 8))
def test_every_version_of_the_archive(tmp_path, version):
    images = (("images/photo_001.png", 0, 0, 0), ("images/photo_000.png", 0, 0, 0))
    scene = openmvs.read(scene_folder(tmp_path, 2, version=version, images=images))
    assert [view.name for view in scene.views] == ["photo_000", "photo_001"]
    camera = scene.views[0].camera
    assert (camera.width, camera.height, camera.fx, camera.fy, camera.skew) == (*SIZE, 30, 31, 0.5)
    np.testing.assert_array_equal(camera.center, [0, 0, -2])


def test_integer_coordinates_are_pixel_centers_so_half_a_pixel_is_added_once(tmp_path):
    camera = openmvs.read(scene_folder(tmp_path)).views[0].camera
    assert (camera.cx, camera.cy) == (16.75, 12.0)


def test_known_corner_projects_to_where_it_is_seen(tmp_path):
    """Half a pixel of error would be ten times the tolerance."""
    cam_from_world = np.eye(4)
    cam_from_world[2, 3] = 2
    pixels = render_quadrant(*SIZE, K, cam_from_world, first_center=0.0)
    write_rgb(tmp_path / "photo_000.png", pixels)
    (tmp_path / "scene.mvs").write_bytes(archive())
    view = openmvs.read(tmp_path).views[0]
    projected = view.camera.project(CORNER[None])[0][0]
    # The skew tilts the edge: its x is measured in the last row, half a pixel above the border.
    tilt = view.camera.skew / view.camera.fy * (SIZE[1] - 0.5 - projected[1])
    np.testing.assert_allclose(measure_corner(read_rgb(view.image)) - [tilt, 0], projected, atol=0.05)


def test_normalized_intrinsics_are_scaled_by_the_larger_side(tmp_path):
    normalized = K.copy()
    normalized[:2] /= SIZE[0]
    camera = openmvs.read(scene_folder(tmp_path, size=(0, 0), K=normalized)).views[0].camera
    np.testing.assert_allclose([camera.fx, camera.cx, camera.cy], [30, 16.75, 12])


def test_camera_mounted_on_a_platform(tmp_path):
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    mount, pose = (turn, np.array([0.1, 0.2, 0.3])), (turn.T, np.array([1.0, 2, 3]))
    camera = openmvs.read(scene_folder(tmp_path, mount=mount, pose=pose)).views[0].camera
    np.testing.assert_allclose(camera.cam_from_world[:3, :3], turn @ turn.T)
    np.testing.assert_allclose(camera.center, pose[0].T @ mount[1] + pose[1])


def test_images_without_a_pose_are_left_out_and_counted(tmp_path):
    images = (("photo_000.png", 0, 0, 0), ("photo_001.png", 0, 0, NO_ID))
    scene = openmvs.read(scene_folder(tmp_path, 2, images=images))
    assert len(scene.views) == 1
    assert scene.notes == ("1 image(s) without a pose left out",)


@pytest.mark.parametrize(
    "name",
    ["images/photo_000.png", "photo_000.png", "/data/set/images/photo_000.png", r"C:\set\images\photo_000.png"],
)
def test_photographs_are_found_beside_the_scene(tmp_path, name):
    scene = openmvs.read(scene_folder(tmp_path, images=((name, 0, 0, 0),)))
    assert scene.views[0].image == tmp_path / "images" / "photo_000.png"
    assert scene.views[0].name == "photo_000"


def test_absolute_path_elsewhere_is_the_last_resort(tmp_path):
    make_scene(tmp_path / "elsewhere", count=1)
    (tmp_path / "set").mkdir()
    name = str(tmp_path / "elsewhere" / "photo_000.png")
    (tmp_path / "set" / "scene.mvs").write_bytes(archive(images=((name, 0, 0, 0),)))
    assert str(openmvs.read(tmp_path / "set").views[0].image) == name


def test_missing_photograph_keeps_its_name_for_the_check_that_follows(tmp_path):
    scene = openmvs.read(scene_folder(tmp_path, images=(("images/gone.png", 0, 0, 0),)))
    assert scene.views[0].image == tmp_path / "images" / "gone.png"


def test_equal_file_names_in_two_folders_stay_apart(tmp_path):
    images = (("left/0.png", 0, 0, 0), ("right/0.png", 0, 0, 0))
    assert [v.name for v in openmvs.read(scene_folder(tmp_path, images=images)).views] == ["left/0", "right/0"]


def test_most_refined_mesh_is_taken_and_clouds_are_not(tmp_path):
    scene_folder(tmp_path)
    write_points(tmp_path / "scene_dense.ply")
    for name in ("scene_mesh", "scene_mesh_refine"):
        write_triangle(tmp_path / f"{name}.ply")
    assert openmvs.read(tmp_path).mesh_path == tmp_path / "scene_mesh_refine.ply"
    assert openmvs.read(tmp_path / "scene.mvs").mesh_path == tmp_path / "scene_mesh_refine.ply"
    chosen = tmp_path / "other.obj"
    assert openmvs.read(tmp_path, mesh=chosen).mesh_path == chosen


def test_round_trip_with_mask_and_mesh(tmp_path):
    scene = make_scene(tmp_path / "source")
    mask = write_rgb(tmp_path / "source" / "mask.png", np.full((SIZE[1], SIZE[0]), 255, np.uint8))
    mesh = Mesh(np.eye(3), np.array([[0, 1, 2]]))
    scene = replace(scene, views=(replace(scene.views[0], mask=mask), *scene.views[1:]), mesh=mesh)
    again = openmvs.read(openmvs.write(scene, tmp_path / "Küche 1"))
    assert [view.name for view in again.views] == [view.name for view in scene.views]
    for ours, theirs in zip(scene.views, again.views, strict=True):
        assert_same_camera(ours.camera, theirs.camera)
        assert theirs.image.read_bytes() == ours.image.read_bytes()
        assert (theirs.mask is None) == (ours.mask is None)
    np.testing.assert_array_equal(read_mesh(again.mesh_path).vertices, np.eye(3))


def test_lens_distortion_cannot_be_written(tmp_path):
    scene = make_scene(tmp_path, lens="brown", distortion=(0.1,))
    with pytest.raises(DataError, match="distortion"):
        openmvs.write(scene, tmp_path / "out")


def test_sniff_says_why_not(tmp_path):
    assert openmvs.sniff(tmp_path) == "no .mvs file"
    (tmp_path / "project.mvs").write_bytes(b"MVS\0....")
    assert "does not start with MVSI" in openmvs.sniff(tmp_path)
    scene_folder(tmp_path)
    assert openmvs.sniff(tmp_path) == openmvs.sniff(tmp_path / "scene.mvs") == ""


def test_every_truncation_is_refused_by_name(tmp_path):
    scene_folder(tmp_path)
    whole = archive(version=7)
    for length in range(4, len(whole) - 48, 7):
        (tmp_path / "scene.mvs").write_bytes(whole[:length])
        with pytest.raises(FormatError, match=r"scene\.mvs"):
            openmvs.read(tmp_path)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"version": 8}, "version 8"),
        ({"images": (("a.png", 0, 0, NO_ID),)}, "has a pose"),
        ({"images": (("a.png", 0, 5, 0),)}, "camera 5"),
        ({"pose": (np.eye(3) * 2, np.zeros(3))}, "not a rotation"),
        ({"pose": (np.full((3, 3), np.nan), np.zeros(3))}, "not a rotation"),
        ({"K": np.full((3, 3), np.nan)}, "NaN"),
    ],
)
def test_broken_content_is_refused(tmp_path, fields, reason):
    with pytest.raises(DataError, match=reason):
        openmvs.read(scene_folder(tmp_path, **fields))


@pytest.mark.data
def test_castle_agrees_with_the_same_cameras_in_plain_text(test_data):
    scene = openmvs.read(test_data / "castle")
    truth = json.loads((test_data / "castle" / "cameras.json").read_text())
    assert scene.mesh_path == test_data / "castle" / "scene_mesh_refine.ply"
    assert [f"images/{view.name}.jpg" for view in scene.views] == [image["file"] for image in truth["images"]]
    for view, image in zip(scene.views, truth["images"], strict=True):
        assert view.image.is_file()
        assert (view.camera.width, view.camera.height) == (truth["width"], truth["height"])
        np.testing.assert_allclose(view.camera.K - truth["K"], [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]], atol=1e-9)
        np.testing.assert_allclose(view.camera.cam_from_world[:3, :3], image["R"], atol=1e-12)
        np.testing.assert_allclose(view.camera.cam_from_world[:3, 3], image["t"], atol=1e-9)
