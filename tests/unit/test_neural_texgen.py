"""The original NeuralTexGen's folders: its layout, every frame's own intrinsics, lists, broken files."""

from dataclasses import replace

import numpy as np
import pytest
from edge_photo import CORNER, measure_corner, render_quadrant
from reader_scenes import SIZE, assert_same_camera, make_camera, make_scene

from neuraltex.core.errors import DataError, FormatError
from neuraltex.geometry.mesh import Mesh
from neuraltex.io import neural_texgen
from neuraltex.io.images import read_rgb, write_rgb
from neuraltex.io.meshes import read_mesh

SCAN = "frames/ZMojNkEp431"
ROOM = np.array([
    [0.952432, -0.209116, -0.221682, 17.2694],
    [0.304553, 0.626945, 0.717069, 3.20383],
    [-0.0109679, -0.750473, 0.66081, 1.46273],
    [0, 0, 0, 1],
])  # fmt: skip


def matrix_text(*matrices):
    return "".join(" ".join(f"{value:g}" for value in row) + " \n" for matrix in matrices for row in matrix)


def intrinsics(fx=30.0, fy=31.0, cx=16.25, cy=11.5):
    return np.array([[fx, 0, cx, 0], [0, fy, cy, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def room(folder, frames=(0, 1, 2, 10), listed=None, suffix=".jpg"):
    """The layout of the original's data set; frame N has focal length 30 + N."""
    for frame in frames:
        camera = folder / SCAN / "camera" / f"{frame}.txt"
        camera.parent.mkdir(parents=True, exist_ok=True)
        camera.write_text(matrix_text(ROOM, intrinsics(fx=30 + frame)))
        write_rgb(folder / SCAN / "color" / f"{frame}{suffix}", np.full((SIZE[1], SIZE[0], 3), frame, np.uint8))
    rows = "0 0 0 0 0\n1 0 0 1 0\n0 1 0 0 1\n"
    (folder / "room_uv.off").write_text(f"STOFF\n3 1 0\n{rows}3 0 1 2\n")
    if listed is not None:
        (folder / "ZMojNkEp431_room0__0__.txt").write_bytes("".join(f"{frame}\r\n" for frame in listed).encode())
    return folder


def test_layout_of_the_original(tmp_path):
    scene = neural_texgen.read(room(tmp_path, listed=(0, 10)))
    assert neural_texgen.sniff(tmp_path) == ""
    assert [view.name for view in scene.views] == ["0", "10"]
    assert scene.mesh_path == tmp_path / "room_uv.off"
    assert read_mesh(scene.mesh_path).has_uv
    assert scene.views[1].image == tmp_path / SCAN / "color" / "10.jpg"


def test_first_matrix_is_the_pose_of_the_camera_in_the_world(tmp_path):
    """The sample in the original's readme: a camera 1.46 above the floor, level, looking ahead and up."""
    camera = neural_texgen.read(room(tmp_path)).views[0].camera
    np.testing.assert_allclose(camera.center, ROOM[:3, 3], atol=1e-4)
    np.testing.assert_allclose(camera.world_from_cam[:3, 2], ROOM[:3, 2], atol=1e-4)


def test_every_frame_uses_its_own_intrinsics_not_those_of_frame_0(tmp_path):
    scene = neural_texgen.read(room(tmp_path))
    assert {view.name: view.camera.fx for view in scene.views} == {"0": 30, "1": 31, "2": 32, "10": 40}


def test_known_corner_projects_to_where_opengl_draws_it(tmp_path):
    """The original's renderer has its first pixel center at (0.5, 0.5); half a pixel is ten times the tolerance."""
    folder = room(tmp_path, frames=(0,), suffix=".png")
    cam_from_world = np.eye(4)
    cam_from_world[2, 3] = 2
    (folder / SCAN / "camera" / "0.txt").write_text(matrix_text(np.linalg.inv(cam_from_world), intrinsics()))
    pixels = render_quadrant(*SIZE, intrinsics()[:3, :3], cam_from_world, first_center=0.5)
    write_rgb(folder / SCAN / "color" / "0.png", pixels)
    view = neural_texgen.read(folder).views[0]
    projected = view.camera.project(CORNER[None])[0][0]
    np.testing.assert_allclose(measure_corner(read_rgb(view.image)), projected, atol=0.05)


def test_without_a_list_all_cameras_are_used_and_it_is_said(tmp_path):
    scene = neural_texgen.read(room(tmp_path))
    assert len(scene.views) == 4
    assert "no file list" in scene.notes[0]


def test_parts_can_be_passed_by_hand_as_the_script_variables_do(tmp_path):
    folder = room(tmp_path / "data")
    (folder / SCAN / "camera").rename(tmp_path / "poses")
    (folder / SCAN / "color").rename(tmp_path / "photos")
    (tmp_path / "few.txt").write_text("2\n1")  # the last line has no end
    assert neural_texgen.sniff(folder) != ""
    mesh = folder / "room_uv.off"
    parts = {"camera_dir": tmp_path / "poses", "image_dir": tmp_path / "photos", "file_list": tmp_path / "few.txt"}
    scene = neural_texgen.read(tmp_path / "not there", mesh=mesh, **parts)
    assert [view.name for view in scene.views] == ["1", "2"]
    assert scene.mesh_path == mesh


def test_size_of_the_intrinsics_may_differ_from_the_photographs(tmp_path):
    scene = neural_texgen.read(room(tmp_path), size=(SIZE[0] * 2, SIZE[1] * 2))
    camera = scene.views[0].camera
    assert (camera.width, camera.height, camera.fx, camera.cx) == (*SIZE, 15, 16.25 / 2)


def test_prepared_folder_of_the_original_is_read_too(tmp_path):
    """Its prepare_data.sh copies cameras and photographs side by side into images/."""
    folder = room(tmp_path)
    (folder / "images").mkdir()
    for file in [*(folder / SCAN / "camera").iterdir(), *(folder / SCAN / "color").iterdir()]:
        file.rename(folder / "images" / file.name)
    assert len(neural_texgen.read(folder).views) == 4


def test_infinite_pose_is_skipped_and_counted(tmp_path):
    folder = room(tmp_path)
    (folder / SCAN / "camera" / "1.txt").write_text(matrix_text(np.full((4, 4), -np.inf), intrinsics()))
    scene = neural_texgen.read(folder)
    assert [view.name for view in scene.views] == ["0", "10", "2"]
    assert any("1 frame(s) without a finite pose skipped: 1" in note for note in scene.notes)


def test_single_camera_for_the_uv_renderer(tmp_path):
    folder = room(tmp_path)
    assert neural_texgen.list_frames(folder / SCAN / "camera") == ["0", "1", "2", "10"]
    camera = neural_texgen.read_camera(folder / SCAN / "camera" / "2.txt", SIZE).scaled(64, 48)
    assert (camera.width, camera.fx, camera.cx) == (64, 64, 32.5)


def test_file_names_padded_with_zeros_are_found(tmp_path):
    folder = room(tmp_path, listed=(10, 2))
    for file in [*(folder / SCAN / "camera").iterdir(), *(folder / SCAN / "color").iterdir()]:
        file.rename(file.with_stem(file.stem.zfill(6)))
    scene = neural_texgen.read(folder)
    assert [(view.name, view.camera.fx) for view in scene.views] == [("000002", 32), ("000010", 40)]
    assert all(view.image.is_file() for view in scene.views)


def test_round_trip(tmp_path):
    scene = make_scene(tmp_path / "source", names=("0", "7", "12"))
    uvs = np.array([[0, 0], [1, 0], [0, 1], [0.5, 0.5]])
    mesh = Mesh(np.eye(3), np.array([[0, 1, 2], [0, 2, 1]]), uvs, np.array([[0, 1, 2], [3, 2, 1]]))
    scene = replace(scene, mesh=mesh, name="made up")
    again = neural_texgen.read(neural_texgen.write(scene, tmp_path / "Küche 1"))
    assert {view.name for view in again.views} == {"0", "7", "12"}
    ours = {view.name: view for view in scene.views}
    for theirs in again.views:
        assert_same_camera(ours[theirs.name].camera, theirs.camera)
        assert theirs.image.read_bytes() == ours[theirs.name].image.read_bytes()
    np.testing.assert_array_equal(read_mesh(again.mesh_path).corner_uvs, mesh.corner_uvs)
    assert (tmp_path / "Küche 1" / "made up_uv.off").read_text().startswith("STOFF\n")


def test_views_with_words_for_names_are_numbered(tmp_path):
    scene = replace(make_scene(tmp_path / "source"), mesh=Mesh(np.eye(3), np.array([[0, 1, 2]])))
    again = neural_texgen.read(neural_texgen.write(scene, tmp_path / "out"))
    assert [view.name for view in again.views] == ["0", "1", "2"]
    assert_same_camera(make_camera(1), again.views[1].camera)


def test_what_the_format_cannot_hold_is_refused(tmp_path):
    with pytest.raises(DataError, match="distortion"):
        neural_texgen.write(make_scene(tmp_path, lens="brown", distortion=(0.1,)), tmp_path / "out")
    with pytest.raises(DataError, match="no mesh"):
        neural_texgen.write(make_scene(tmp_path), tmp_path / "out")


BROKEN = {
    "too few numbers": ("1 0 0 0\n" * 4, "holds 16 numbers"),
    "words": ("one " * 32, "not made of numbers"),
    "intrinsics first": (matrix_text(intrinsics(), ROOM), "not a rotation"),
    "other image size": (matrix_text(ROOM, intrinsics(cx=600)), "do not fit an image of 32x24"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_camera_is_refused_with_its_file(tmp_path, case):
    text, reason = BROKEN[case]
    folder = room(tmp_path)
    (folder / SCAN / "camera" / "10.txt").write_text(text)
    with pytest.raises(DataError, match=reason) as caught:
        neural_texgen.read(folder)
    assert "10.txt" in str(caught.value)


def test_broken_lists(tmp_path):
    folder = room(tmp_path)
    for content, reason in (("0\nseven\n", "one frame number per line"), ("", "one frame number"), ("99\n", "99")):
        (tmp_path / "list.dat").write_text(content)
        with pytest.raises(DataError, match=reason):
            neural_texgen.read(folder, file_list=tmp_path / "list.dat")
    with pytest.raises(DataError, match="Check --file-list"):
        neural_texgen.read(folder, file_list=tmp_path / "none.txt")


def test_sniff_says_why_not(tmp_path):
    assert neural_texgen.sniff(tmp_path / "nothing") == "not a folder"
    assert "no folder of cameras" in neural_texgen.sniff(tmp_path)
    folder = room(tmp_path)
    for image in (folder / SCAN / "color").iterdir():
        image.unlink()
    assert "no photographs" in neural_texgen.sniff(folder)
    with pytest.raises(FormatError, match="--image-dir"):
        neural_texgen.read(folder)
