"""RGB-D folders: three layouts, poses of the depth camera, half a pixel, lost frames, a separate color camera."""

import json
import math

import numpy as np
import pytest
from reader_scenes import assert_same_camera, make_camera, make_scene, write_triangle

from neuraltex.core.errors import DataError, FormatError
from neuraltex.geometry.scene import Scene, View
from neuraltex.io import rgbd
from neuraltex.io.images import write_rgb
from neuraltex.io.rgbd_calibration import read_color_rig

SMALL = np.array([[30.0, 0, 15.5], [0, 31, 11.5], [0, 0, 1]])
POSE = make_camera(0).world_from_cam


def save(path, matrix):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, matrix)


def add_frame(folder, index, pose=POSE, color=(32, 24), depth=(32, 24), suffix=".png"):
    stem = folder / f"frame-{index:06d}"
    save(stem.with_name(f"{stem.name}.pose.txt"), pose)
    if color:
        write_rgb(stem.with_name(f"{stem.name}.color{suffix}"), np.full((*color[::-1], 3), index, np.uint8))
    if depth:
        write_rgb(stem.with_name(f"{stem.name}.depth.png"), np.full(depth[::-1], 1000, np.uint16))


def scannet(folder, count=12, color=(32, 24)):
    for index in range(count):
        save(folder / "pose" / f"{index}.txt", POSE)
        write_rgb(folder / "color" / f"{index}.jpg", np.zeros((*color[::-1], 3), np.uint8))
        write_rgb(folder / "depth" / f"{index}.png", np.zeros((24, 32), np.uint16))
    wide = np.eye(4)
    wide[:3, :3] = SMALL
    save(folder / "intrinsic" / "intrinsic_depth.txt", wide)
    save(folder / "intrinsic" / "intrinsic_color.txt", wide * [[1.1], [1.1], [1], [1]])
    return folder


@pytest.mark.parametrize("layout", [".", "frames"])
def test_principal_point_moves_by_half_a_pixel_once(tmp_path, layout):
    """Files put integer coordinates on pixel centers; the point at K's center is half a pixel further in ours."""
    add_frame(tmp_path / layout, 1)
    save(tmp_path / "camera-intrinsics.txt", SMALL)
    view = rgbd.read(tmp_path).views[0]
    ahead = (POSE @ [0, 0, 2, 1])[:3]
    pixels, depth = view.camera.project(ahead[None])
    np.testing.assert_allclose(pixels, [[16.0, 12.0]])
    np.testing.assert_allclose(depth, 2)
    assert_same_camera(view.depth_camera, view.camera)
    np.testing.assert_allclose(rgbd.read(tmp_path / layout).views[0].camera.K, view.camera.K)


def test_without_calibration_the_kinect_of_7_scenes_is_taken(tmp_path):
    add_frame(tmp_path, 1, color=(640, 480), depth=(640, 480))
    scene = rgbd.read(tmp_path)
    camera = scene.views[0].camera
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (585, 585, 320.5, 240.5)
    assert "depth camera: 7-Scenes default" in scene.notes


def test_color_camera_is_the_depth_camera_scaled_when_nothing_else_is_known(tmp_path):
    add_frame(tmp_path, 1, color=(64, 48))
    save(tmp_path / "camera-intrinsics.txt", SMALL)
    scene = rgbd.read(tmp_path)
    view = scene.views[0]
    assert (view.camera.fx, view.camera.cx) == (60, 32)
    assert_same_camera(view.camera, view.depth_camera.scaled(64, 48))
    assert any("--color-camera" in note for note in scene.notes)


def test_depth_is_optional(tmp_path):
    add_frame(tmp_path, 1, depth=None)
    save(tmp_path / "camera-intrinsics.txt", SMALL)
    view = rgbd.read(tmp_path).views[0]
    assert view.depth is view.depth_camera is None
    assert view.camera.cx == 16.0


def test_lost_and_blind_frames_are_skipped_and_counted(tmp_path):
    for index, pose in enumerate([POSE, np.full((4, 4), -np.inf), np.full((4, 4), np.nan), np.zeros((4, 4)), POSE]):
        add_frame(tmp_path, index, pose, color=(32, 24) if index < 4 else None)
    save(tmp_path / "camera-intrinsics.txt", SMALL)
    scene = rgbd.read(tmp_path)
    assert [view.name for view in scene.views] == ["frame-000000"]
    assert any(note.startswith("3 of 5 frames skipped: their poses are infinite") for note in scene.notes)
    assert any(note.startswith("1 of 5 frames skipped: they have no color image") for note in scene.notes)


def test_all_frames_lost(tmp_path):
    add_frame(tmp_path, 1, np.full((4, 4), np.inf))
    with pytest.raises(FormatError, match="none of the 1 poses"):
        rgbd.read(tmp_path)


@pytest.mark.parametrize("text", ["1 2\n3 4\n", "a b c d\n" * 4, ""])
def test_broken_pose_names_the_file(tmp_path, text):
    add_frame(tmp_path, 7)
    (tmp_path / "frame-000007.pose.txt").write_text(text)
    with pytest.raises(DataError, match="frame-000007"):
        rgbd.read(tmp_path)


def test_mirrored_pose_is_refused(tmp_path):
    add_frame(tmp_path, 7, np.diag([1, 1, -1, 1.0]))
    save(tmp_path / "camera-intrinsics.txt", SMALL)
    with pytest.raises(DataError, match="not a rigid"):
        rgbd.read(tmp_path)


def test_scannet_export(tmp_path):
    scene = rgbd.read(scannet(tmp_path))
    assert [view.name for view in scene.views] == [f"{index:06d}" for index in range(12)]
    assert scene.views[10].image.name == "10.jpg"
    view = scene.views[0]
    np.testing.assert_allclose((view.camera.fx, view.camera.cx), (33, 1.1 * 15.5 + 0.5))
    assert (view.depth_camera.fx, view.depth_camera.cx) == (30, 16)


def test_intrinsics_for_another_image_size_are_noticed(tmp_path):
    """ScanNet's color intrinsics are for 1296x968; exports often shrink the images without saying so."""
    scannet(tmp_path, 1, color=(16, 12))
    with pytest.raises(DataError, match="lies outside the 16x12 image"):
        rgbd.read(tmp_path)


@pytest.mark.parametrize("name", ["_info.txt", "info.txt"])
def test_bundle_fusion_info(tmp_path, name):
    add_frame(tmp_path, 1, suffix=".jpg", color=(64, 48))
    depth, color = ("30 0 15.5 0 0 31 11.5 0 0 0 1 0 0 0 0 1", "35 0 15.5 0 0 36 11.5 0 0 0 1 0 0 0 0 1")
    sizes = "".join(f"m_{kind}Width = 32\nm_{kind}Height = 24\n" for kind in ("color", "depth"))
    matrices = f"m_calibrationColorIntrinsic = {color}\nm_calibrationDepthIntrinsic = {depth}\n"
    (tmp_path / name).write_text(f"m_versionNumber = 4\n{sizes}m_depthShift = 5000\n{matrices}")
    view = rgbd.read(tmp_path).views[0]
    assert (view.camera.width, view.camera.fx, view.camera.cx) == (64, 70, 32)
    assert (view.depth_camera.fx, view.depth_scale) == (30, 5000)
    (tmp_path / name).write_text(sizes)
    with pytest.raises(DataError, match=r"info\.txt lacks a readable field"):
        rgbd.read(tmp_path)


def test_color_camera_file(tmp_path):
    """By hand: a camera 0.1 to the right, turned a quarter about z, seeing the point at depth 2 on its axis."""
    add_frame(tmp_path, 1, np.eye(4), color=(64, 48))
    save(tmp_path / "camera-intrinsics.txt", SMALL)
    rig = {
        "fx": 50,
        "fy": 40,
        "cx": 30,
        "cy": 20,
        "k1": -0.1,
        "width": 32,
        "height": 24,
        "color_from_depth_translation_m": [-0.1, 0, 0],
        "color_from_depth_rotation_vector_rad": [0, 0, math.pi / 2],
    }
    file = tmp_path / "rig.json"
    file.write_text(json.dumps(rig))
    view = rgbd.read(tmp_path, color_camera=file).views[0]
    x = -0.1 / 2 - 0.1 / 2
    pixels, _ = view.camera.project(np.array([[0.0, 0.1, 2]]))
    np.testing.assert_allclose(pixels, [[2 * (30 + 50 * x * (1 - 0.1 * x * x)), 40]], atol=1e-9)
    assert_same_camera(view.depth_camera, rgbd.read(tmp_path).views[0].depth_camera)
    file.write_text(json.dumps({**rig, "pixel_convention": "integer coordinates are pixel centers"}))
    assert read_color_rig(file).intrinsics.K[0, 2] == 30.5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"fx": 1, "fy": 1, "cx": 1}, "no field 'cy'"),
        ({"fx": "a", "fy": 1, "cx": 1, "cy": 1}, "no number"),
        ([], "no number"),
    ],
)
def test_broken_color_camera_file(tmp_path, content, message):
    (tmp_path / "rig.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        read_color_rig(tmp_path / "rig.json")


@pytest.mark.parametrize(("lens", "distortion"), [("pinhole", ()), ("brown", (0.1, -0.05, 0.001, 0.002, 0.01))])
def test_round_trip(tmp_path, lens, distortion):
    made = make_scene(tmp_path / "source", lens=lens, distortion=distortion)
    depth = write_rgb(tmp_path / "depth.png", np.full((24, 32), 1500, np.uint16))
    views = tuple(
        View(v.name, v.camera, v.image, None, depth, make_camera(i, fx=28.0)) for i, v in enumerate(made.views)
    )
    scene = Scene("s", "test", views, mesh_path=write_triangle(tmp_path / "m.ply"))
    assert rgbd.sniff(rgbd.write(scene, tmp_path / "out é")) == ""
    result = rgbd.read(tmp_path / "out é")
    assert result.mesh_path.name == "mesh.ply"
    for ours, theirs in zip(scene.views, result.views, strict=True):
        assert ours.name == theirs.name
        assert_same_camera(ours.camera, theirs.camera, 1e-8)
        assert_same_camera(ours.depth_camera, theirs.depth_camera, 1e-8)
        assert theirs.depth.read_bytes() == depth.read_bytes()


@pytest.mark.parametrize("change", [{"lens": "fisheye", "distortion": (0.1,)}, {"skew": 1.0}])
def test_what_the_format_cannot_say_is_not_written(tmp_path, change):
    with pytest.raises(DataError, match="as COLMAP or nerfstudio"):
        rgbd.write(make_scene(tmp_path / "source", **change), tmp_path / "out")


def test_views_with_different_cameras_cannot_be_written(tmp_path):
    scene = make_scene(tmp_path / "source", 2)
    other = View("b", make_camera(1, fx=33.0), scene.views[1].image)
    with pytest.raises(DataError, match="different cameras"):
        rgbd.write(scene.with_views((scene.views[0], other)), tmp_path / "out")


def test_sniff_says_why_not(tmp_path):
    assert rgbd.sniff(tmp_path / "absent") == "not a folder"
    assert "pose.txt" in rgbd.sniff(tmp_path)
    with pytest.raises(FormatError, match="not an RGB-D folder"):
        rgbd.read(tmp_path)


@pytest.mark.data
def test_kitchen_cameras_equal_those_of_the_benchmark(test_data, bench_dir):
    kitchen = test_data / "kitchen"
    scene = rgbd.read(kitchen, color_camera=kitchen / "color_rig.json")
    views = {view.name: view for view in scene.views}
    assert scene.mesh_path == kitchen / "mesh_120k.ply"
    entries = [
        e for part in ("train", "test") for e in json.loads((bench_dir / f"kitchen_{part}.json").read_text())["images"]
    ]
    assert {entry["name"] for entry in entries} == set(views)
    for entry in entries:
        camera = views[entry["name"]].camera
        np.testing.assert_allclose(camera.world_from_cam, entry["world_from_cam"], atol=1e-6)
        np.testing.assert_allclose(camera.K, entry["K"], atol=1e-6)
        assert camera.distortion[:2] == (entry["dist"]["k1"], entry["dist"]["k2"])
        assert (camera.width, camera.height) == (entry["width"], entry["height"])
        assert views[entry["name"]].image.name == entry["file"].rpartition("/")[2]
