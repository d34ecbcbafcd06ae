"""nerfstudio's transforms.json: axes, intrinsics in all places, pyramids, masks, depth, world frames."""

import json
import math

import numpy as np
import pytest
from reader_scenes import SIZE, assert_same_camera, make_camera, make_scene, write_points, write_triangle

from neuraltex.core.errors import DataError, FormatError
from neuraltex.geometry.rigid import rigid, rotation_from_vector
from neuraltex.geometry.scene import Scene, View
from neuraltex.io import nerfstudio
from neuraltex.io.images import write_rgb

POSE = [[1, 0, 0, 1], [0, 1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]]
INTRINSICS = {"fl_x": 30, "fl_y": 31, "cx": 16.25, "cy": 11.5, "w": 32, "h": 24}


def write_file(folder, frames=({"file_path": "images/photo_000.png", "transform_matrix": POSE},), **fields):
    folder.mkdir(exist_ok=True)
    (folder / "transforms.json").write_text(json.dumps({**fields, "frames": list(frames)}))
    return folder


def read_one(folder, **options):
    return nerfstudio.read(folder, **options).views[0]


@pytest.mark.parametrize(
    ("lens", "distortion"),
    [
        ("pinhole", ()),
        ("brown", (0.1, -0.05, 0.001, 0.002, 0.01, 0.02, 0.03, 0.001)),
        ("fisheye", (0.03, -0.01, 0.002, 0.001)),
    ],
)
def test_round_trip(tmp_path, lens, distortion):
    scene = make_scene(tmp_path / "source", lens=lens, distortion=distortion, names=("a", "b/é 1", "c"))
    nerfstudio.write(scene, tmp_path / "out")
    assert nerfstudio.sniff(tmp_path / "out") == nerfstudio.sniff(tmp_path / "out" / "transforms.json") == ""
    result = nerfstudio.read(tmp_path / "out")
    assert [view.name for view in result.views] == ["a", "b/é 1", "c"]
    for ours, theirs in zip(scene.views, result.views, strict=True):
        assert_same_camera(ours.camera, theirs.camera)
        assert theirs.image.read_bytes() == ours.image.read_bytes()


def test_identity_looks_along_minus_z_with_y_up(tmp_path):
    make_scene(tmp_path / "images", count=1)
    frame = {"file_path": "images/photo_000.png", "transform_matrix": np.eye(4).tolist()}
    camera = read_one(write_file(tmp_path, [frame], **INTRINSICS)).camera
    pixels, depth = camera.project(np.array([[0.0, 0, -2], [0.5, 0.25, -1]]))
    np.testing.assert_allclose(pixels, [[16.25, 11.5], [16.25 + 15, 11.5 - 31 / 4]])
    np.testing.assert_allclose(depth, [2, 1])


def test_intrinsics_of_a_frame_win_over_those_of_the_file(tmp_path):
    make_scene(tmp_path / "images", count=2)
    frames = [
        {"file_path": f"images/photo_00{i}.png", "transform_matrix": POSE, **({"fl_x": 99, "k1": 0.1} if i else {})}
        for i in (1, 0)
    ]
    first, second = nerfstudio.read(write_file(tmp_path, frames, **INTRINSICS)).views
    assert (first.camera.fx, first.camera.lens) == (30, "pinhole")
    assert (second.camera.fx, second.camera.lens, second.camera.distortion[0]) == (99, "brown", 0.1)


def test_field_of_view_instead_of_focal_length(tmp_path):
    make_scene(tmp_path / "images", count=1)
    camera = read_one(write_file(tmp_path, camera_angle_x=2 * math.atan(0.5))).camera
    assert (camera.width, camera.height, camera.cx, camera.cy) == (*SIZE, 16, 12)
    np.testing.assert_allclose((camera.fx, camera.fy), 32)


def test_blender_files_leave_the_suffix_out(tmp_path):
    make_scene(tmp_path / "train", count=1, names=("r_0",))
    make_scene(tmp_path / "test", count=1, names=("r_0",))
    for split in ("train", "test"):
        content = {"camera_angle_x": 0.7, "frames": [{"file_path": f"./{split}/r_0", "transform_matrix": POSE}]}
        (tmp_path / f"transforms_{split}.json").write_text(json.dumps(content))
    scene = nerfstudio.read(tmp_path)
    assert [view.name for view in scene.views] == ["test/r_0", "train/r_0"]
    assert all(view.image.is_file() for view in scene.views)


@pytest.mark.parametrize("explicit", [True, False])
def test_image_pyramid(tmp_path, explicit):
    """images_4/ is taken when asked for, and when it is all there is; the camera follows the file's size."""
    write_rgb(tmp_path / "images_4" / "photo_000.png", np.zeros((6, 8, 3), np.uint8))
    if explicit:
        make_scene(tmp_path / "images", count=1)
    view = read_one(write_file(tmp_path, **INTRINSICS), **({"downscale": 4} if explicit else {}))
    assert view.image.parent.name == "images_4"
    assert (view.camera.width, view.camera.height, view.camera.cx) == (8, 6, 16.25 / 4)
    with pytest.raises(DataError, match="images_8"):
        nerfstudio.read(tmp_path, downscale=8)


def test_masks_and_depth(tmp_path):
    make_scene(tmp_path / "images", count=1)
    write_rgb(tmp_path / "masks" / "m.png", np.zeros((24, 32), np.uint8))
    write_rgb(tmp_path / "depths" / "d.png", np.zeros((12, 16), np.uint16))
    frame = {
        "file_path": "images/photo_000.png",
        "transform_matrix": POSE,
        "mask_path": "masks/m.png",
        "depth_file_path": "depths/d.png",
    }
    view = read_one(write_file(tmp_path, [frame], **INTRINSICS))
    assert (view.mask, view.depth) == (tmp_path / "masks" / "m.png", tmp_path / "depths" / "d.png")
    assert view.depth_scale == 1000
    assert_same_camera(view.depth_camera, view.camera.scaled(16, 12))
    assert read_one(write_file(tmp_path, [frame], depth_unit_scale_factor=2e-4, **INTRINSICS)).depth_scale == 5000


def test_depth_of_another_camera_is_not_passed_off_as_the_color_cameras(tmp_path):
    scene = make_scene(tmp_path / "source", count=1)
    depth = write_rgb(tmp_path / "d.png", np.zeros((24, 32), np.uint16))
    for depth_camera, kept in ((make_camera(0), True), (make_camera(1), False)):
        view = View("a", make_camera(0), scene.views[0].image, None, depth, depth_camera)
        nerfstudio.write(Scene("s", "test", (view,)), tmp_path / f"out{kept}")
        assert (read_one(tmp_path / f"out{kept}").depth is not None) == kept


def test_mesh_named_by_the_file_must_have_faces(tmp_path):
    make_scene(tmp_path / "images", count=1)
    write_points(tmp_path / "sparse_pc.ply")
    write_file(tmp_path, ply_file_path="sparse_pc.ply", **INTRINSICS)
    assert nerfstudio.read(tmp_path).mesh_path is None
    write_triangle(tmp_path / "sparse_pc.ply")
    write_triangle(tmp_path / "mesh.ply")
    assert nerfstudio.read(tmp_path).mesh_path.name == "sparse_pc.ply"


def test_applied_transform_can_be_undone(tmp_path):
    """The file's frame is scale * (A x + b); a point seen at some pixel must stay there when both move back."""
    make_scene(tmp_path / "images", count=1)
    applied, scale = rigid(rotation_from_vector(np.array([0.3, 0.2, -0.5])), np.array([1.0, 2, 3])), 2.0
    fields = {"applied_transform": applied[:3].tolist(), "applied_scale": scale, **INTRINSICS}
    write_file(tmp_path, **fields)
    kept, undone = nerfstudio.read(tmp_path), nerfstudio.read(tmp_path, original_frame=True)
    original = np.random.default_rng(0).uniform(-1, 1, (20, 3)) - [0, 0, 9]
    in_file = scale * (original @ applied[:3, :3].T + applied[:3, 3])
    pixels = kept.views[0].camera.project(in_file)[0]
    assert np.isfinite(pixels).any()
    np.testing.assert_allclose(undone.views[0].camera.project(original)[0], pixels, atol=1e-9)
    assert any("a mesh from before it will not fit" in note for note in kept.notes)
    assert any("undone" in note for note in undone.notes)


@pytest.mark.parametrize(
    ("frame", "fields", "message"),
    [
        ({"transform_matrix": POSE}, INTRINSICS, "file_path"),
        ({"file_path": "images/photo_000.png"}, INTRINSICS, "transform_matrix"),
        ({"file_path": "images/photo_000.png", "transform_matrix": "x"}, INTRINSICS, "transform_matrix"),
        ({"file_path": "images/photo_000.png", "transform_matrix": [[1, 2]]}, INTRINSICS, "not a rigid"),
        (
            {"file_path": "images/photo_000.png", "transform_matrix": np.diag([1, 1, -1, 1]).tolist()},
            INTRINSICS,
            "not a rigid",
        ),
        ({"file_path": "images/photo_000.png", "transform_matrix": POSE}, {}, "fl_x"),
        ({"file_path": "images/photo_000.png", "transform_matrix": POSE}, {**INTRINSICS, "fl_x": "wide"}, "no numbers"),
        (
            {"file_path": "images/photo_000.png", "transform_matrix": POSE},
            {**INTRINSICS, "camera_model": "ORTHO"},
            "ORTHO",
        ),
    ],
)
def test_bad_fields_are_named(tmp_path, frame, fields, message):
    make_scene(tmp_path / "images", count=1)
    with pytest.raises(DataError, match=message) as caught:
        nerfstudio.read(write_file(tmp_path, [frame], **fields))
    assert "transforms.json" in str(caught.value)


def test_sniff_says_why_not(tmp_path):
    assert nerfstudio.sniff(tmp_path) == "no transforms.json"
    (tmp_path / "transforms.json").write_text("{")
    assert "not valid JSON" in nerfstudio.sniff(tmp_path)
    (tmp_path / "transforms.json").write_text("[]")
    assert "no list 'frames'" in nerfstudio.sniff(tmp_path)
    write_file(tmp_path, [])
    with pytest.raises(FormatError, match="lists no frames"):
        nerfstudio.read(tmp_path)


@pytest.mark.parametrize("changes", [{"skew": 1.0}, {"lens": "colmap:FOV", "distortion": (0.5,)}])
def test_what_the_format_cannot_say_is_not_written(tmp_path, changes):
    with pytest.raises(DataError, match="Write the scene as COLMAP"):
        nerfstudio.write(make_scene(tmp_path / "source", **changes), tmp_path / "out")
