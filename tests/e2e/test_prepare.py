"""``prepare`` from scene folder to prepared folder: what is written, what is refused, and the real scenes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic import lumps, orbit, photograph

from neuraltex.core.errors import DataError, OutputError, UsageError
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.io.images import read_exr, write_rgb
from neuraltex.io.meshes import write_mesh
from neuraltex.io.prepared import read_prepared
from neuraltex.stages.prepare import UNFINISHED, Config, run

COUNT = 10


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A scene in the original's layout, in a folder with a space and letters beyond ASCII."""
    folder = tmp_path_factory.mktemp("scenes") / "küche 1"
    mesh = lumps(8)
    write_mesh(folder / "room_uv.off", mesh)
    for index, camera in enumerate(orbit(COUNT)):
        write_frame(folder, mesh, str(index), camera)
    return folder


def write_frame(folder: Path, mesh: Mesh, name: str, camera: Camera, pose: np.ndarray | None = None) -> None:
    pixels = (photograph(mesh, camera) * 255).round().clip(0, 255).astype(np.uint8)
    write_rgb(folder / "color" / f"{name}.png", pixels)
    intrinsics = np.eye(4)
    intrinsics[:3, :3] = camera.K
    (folder / "camera").mkdir(exist_ok=True)
    matrices = np.concatenate([camera.world_from_cam if pose is None else pose, intrinsics])
    np.savetxt(folder / "camera" / f"{name}.txt", matrices)


def copy(source: Path, target: Path) -> Path:
    return Path(shutil.copytree(source, target))


def test_prepared_folder_holds_everything(source: Path, tmp_path: Path) -> None:
    result = run(Config(data=source, output_dir=tmp_path / "größe", texture_size=256))
    scene = read_prepared(result.path)
    assert [view.name for view in scene.views] == sorted(str(index) for index in range(COUNT))
    assert [view.name for view in scene.split("test")] == ["0", "8"]
    mesh, cameras = lumps(8), orbit(COUNT)
    for view in scene.views[:3]:
        np.testing.assert_allclose(view.camera.cam_from_world, cameras[int(view.name)].cam_from_world, atol=1e-9)
        uv_map, trust = view.load_uv(), view.load_confidence()
        assert uv_map.mask.mean() > 0.2
        assert view.load_image().shape[:2] == uv_map.mask.shape == trust.cosine.shape
        assert (trust.cosine[uv_map.mask] >= 0).all()
    np.testing.assert_allclose(scene.mesh.corner_uvs, mesh.corner_uvs, atol=1e-5)
    info = json.loads((result.path / "scene.json").read_text(encoding="utf-8"))
    assert (info["format"], info["name"]) == ("neural_texgen", "küche 1")
    assert info["uv"]["overlaps"] == 0
    assert info["statistics"]["train"] == 8
    assert info["alignment"]["score"] > 0.8
    assert not info["alignment"]["suspicious"]
    assert (result.path / "proof.jpg").is_file()
    assert (result.path / "mesh.obj").is_file()
    assert not (result.path / UNFINISHED).exists()


def test_scaled_photographs_keep_their_cameras(source: Path, tmp_path: Path) -> None:
    scene = read_prepared(
        run(Config(data=source, output_dir=tmp_path / "p", image_scale=0.5, texture_size=256, uv_format="exr")).path
    )
    view = scene.views[0]
    assert (view.camera.width, view.camera.height) == (80, 60)
    assert view.camera.fx == pytest.approx(70.0)
    assert view.load_image().shape == (60, 80, 3)
    assert read_exr(view.uv).shape == (60, 80, 3)


def test_inverted_poses_are_named_loudly(source: Path, tmp_path: Path, caplog) -> None:
    folder = copy(source, tmp_path / "s")
    for index, camera in enumerate(orbit(COUNT)):
        intrinsics = np.eye(4)
        intrinsics[:3, :3] = camera.K
        np.savetxt(folder / "camera" / f"{index}.txt", np.concatenate([camera.cam_from_world, intrinsics]))
    with caplog.at_level("WARNING", logger="neuraltex"):
        result = run(Config(data=folder, output_dir=tmp_path / "p", texture_size=256))
    assert "camera and world swapped" in result.data["alignment"]["likely_mistake"]
    assert "ALIGNMENT IS SUSPICIOUS" in caplog.text


def test_half_pixel_is_named(source: Path, tmp_path: Path) -> None:
    folder = copy(source, tmp_path / "s")
    for index, camera in enumerate(orbit(COUNT)):
        intrinsics = np.eye(4)
        intrinsics[:3, :3] = camera.K
        intrinsics[:2, 2] -= 0.5
        np.savetxt(folder / "camera" / f"{index}.txt", np.concatenate([camera.world_from_cam, intrinsics]))
    result = run(Config(data=folder, output_dir=tmp_path / "p", texture_size=256))
    assert result.data["alignment"]["likely_mistake"].startswith("half pixel")
    assert result.data["alignment"]["suspicious"]


def test_mesh_elsewhere_has_no_overlap(source: Path, tmp_path: Path) -> None:
    mesh = lumps(8)
    far = write_mesh(tmp_path / "far.ply", replace(mesh, vertices=mesh.vertices + np.array([0, 0, 500.0])))
    with pytest.raises(DataError, match="no uv overlap with any view"):
        run(Config(data=source, mesh=far, output_dir=tmp_path / "p", texture_size=256))


def test_view_that_sees_nothing_is_listed(source: Path, tmp_path: Path) -> None:
    folder = copy(source, tmp_path / "s")
    away = np.eye(4)
    away[:3, 3] = (0, 0, 40)
    write_frame(folder, lumps(8), "5", orbit(COUNT)[5], pose=away)
    result = run(Config(data=folder, output_dir=tmp_path / "p", texture_size=256))
    assert result.data["statistics"]["without_overlap"] == ["5"]
    assert "5" not in [view.name for view in read_prepared(result.path).views]


def test_bad_photograph_refuses_or_is_skipped_without_moving_the_split(source: Path, tmp_path: Path) -> None:
    folder = copy(source, tmp_path / "s")
    broken = folder / "color" / "3.png"
    broken.write_bytes(broken.read_bytes()[:500])
    with pytest.raises(DataError, match=r"3\.png"):
        run(Config(data=folder, output_dir=tmp_path / "p", texture_size=256))
    result = run(Config(data=folder, output_dir=tmp_path / "p", texture_size=256, skip_bad_images=True))
    scene = read_prepared(result.path)
    assert [view.name for view in scene.split("test")] == ["0", "8"]
    assert len(scene.views) == COUNT - 1
    assert any("3" in note for note in scene.info["notes"])


def test_nothing_held_out_is_said(source: Path, tmp_path: Path) -> None:
    result = run(Config(data=source, output_dir=tmp_path / "p", texture_size=256, test_every=0))
    assert result.data["statistics"]["test"] == 0
    assert any("held out" in note for note in result.data["notes"])


def test_finished_folder_is_kept_and_unfinished_one_replaced(source: Path, tmp_path: Path) -> None:
    config = Config(data=source, output_dir=tmp_path / "p", texture_size=256)
    path = run(config).path
    with pytest.raises(OutputError, match="--overwrite"):
        run(config)
    (path / UNFINISHED).write_text("interrupted")
    (path / "scene.json").unlink()
    assert read_prepared(run(config).path).texture_size == 256


@pytest.mark.parametrize("wrong", [{"test_every": 1}, {"test_every": -2}, {"image_scale": 0.0}, {"texture_size": 4}])
def test_impossible_numbers_are_usage_errors(tmp_path: Path, wrong: dict) -> None:
    with pytest.raises(UsageError, match="--"):
        Config(data=tmp_path, output_dir=tmp_path / "p", **wrong)


@pytest.mark.data
@pytest.mark.parametrize("name", ["castle", "kitchen"])
def test_real_cameras_and_split_equal_the_evaluators(test_data: Path, bench_dir: Path, name: str) -> None:
    from neuraltex.geometry.scene import split_by_index
    from neuraltex.io.load import load_scene

    rig = {"color_camera": test_data / name / "color_rig.json"} if name == "kitchen" else {}
    scene = load_scene(test_data / name, **rig)
    splits = split_by_index([view.name for view in scene.views], 8)
    views = {view.name: view for view in scene.views}
    for split in ("train", "test"):
        entries = json.loads((bench_dir / f"{name}_{split}.json").read_text())["images"]
        assert {entry["name"] for entry in entries} == {key for key, value in splits.items() if value == split}
        for entry in entries:
            camera = views[entry["name"]].camera
            np.testing.assert_allclose(camera.K, entry["K"], atol=1e-6)
            np.testing.assert_allclose(camera.world_from_cam, entry["world_from_cam"], atol=1e-6)
            radial = [(entry["dist"] or {}).get(key, 0.0) for key in ("k1", "k2")]
            np.testing.assert_allclose((*camera.distortion, 0.0, 0.0)[:2], radial, atol=1e-9)


def test_held_out_depth_never_shapes_the_fused_mesh(monkeypatch, tmp_path):
    from neuraltex.geometry.scene import Scene, View, split_by_index
    from neuraltex.io import fuse
    from neuraltex.stages.prepare import _find_mesh

    camera = orbit(1)[0]
    views = tuple(View(str(i), camera, tmp_path / f"{i}.png", depth=tmp_path / f"{i}.depth.png") for i in range(9))
    fused: list[str] = []

    def record(scene: Scene) -> Mesh:
        fused.extend(view.name for view in scene.views)
        return lumps(8)

    monkeypatch.setattr(fuse, "fuse_scene", record)
    config = Config(data=tmp_path, output_dir=tmp_path / "out")
    _find_mesh(config, Scene("room", "rgbd", views), split_by_index([view.name for view in views], 8))
    assert fused == ["1", "2", "3", "4", "5", "6", "7"]


def test_sensor_depth_is_compared_and_a_broken_image_costs_only_that(tmp_path: Path, caplog) -> None:
    from neuraltex.geometry.scene import View
    from neuraltex.render.fragments import make_rasterizer, render_depth
    from neuraltex.stages.prepare_views import prepare_views

    mesh, cameras = lumps(8), orbit(3)
    rasterizer, views = make_rasterizer(mesh), []
    for index, camera in enumerate(cameras):
        depth = render_depth(rasterizer.visible_faces(camera), mesh, camera)
        depth[:, : camera.width // 2] *= 1.1  # the sensor sees the left half a tenth farther away
        write_depth(tmp_path / f"{index}.depth.png", depth)
        image = write_rgb(tmp_path / f"{index}.png", np.zeros((camera.height, camera.width, 3), np.uint8))
        known = None if index == 2 else tmp_path / f"{index}.depth.png"
        views.append(View(str(index), camera, image, depth=known, depth_scale=1e4))
    views[1].depth.write_bytes(b"broken")
    splits = {view.name: "train" for view in views}
    done = prepare_views(tmp_path / "out", views, splits, mesh, rasterizer, texture_size=256).views
    trust = done[0].load_confidence()
    seen, left = trust.footprint > 0, np.arange(cameras[0].width) < cameras[0].width // 2
    np.testing.assert_allclose(np.median(trust.depth_error[seen & left]), 0.1, atol=0.002)
    assert np.median(trust.depth_error[seen & ~left]) < 0.002
    assert done[1].load_confidence().depth_error is None
    assert "1.depth.png" in caplog.text
    assert done[2].load_confidence().depth_error is None


def write_depth(path: Path, depth: np.ndarray) -> None:
    from PIL import Image

    Image.fromarray((depth * 1e4).round().clip(0, 65534).astype(np.uint16)).save(path)
