"""Enhancing photographs: cameras follow, tiles leave no trace, weights are only weights; choosing frames."""

import io
import os
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from reader_scenes import SIZE, assert_same_camera, make_camera, make_scene, write_triangle

from neuraltex.core.errors import DataError, MissingDependency, UsageError
from neuraltex.geometry.scene import View
from neuraltex.io import colmap, enhance, nerfstudio, select
from neuraltex.io.discover import image_size, refuse_overlap
from neuraltex.io.images import read_rgb, write_rgb


def with_mask_and_depth(scene, folder):
    mask = write_rgb(folder / "mask.png", np.full((24, 32), 255, np.uint8))
    depth = write_rgb(folder / "depth.png", np.full((24, 32), 1500, np.uint16))
    return scene.with_views(tuple(View(v.name, v.camera, v.image, mask, depth) for v in scene.views))


@pytest.mark.parametrize("file_format", ["nerfstudio", "colmap"])
@pytest.mark.parametrize("scale", [2.0, 1.0, 1.51])
def test_cameras_and_masks_follow_the_new_size(tmp_path, file_format, scale):
    if file_format == "colmap":
        pytest.importorskip("pycolmap", reason="pycolmap is not installed")
    scene = with_mask_and_depth(make_scene(tmp_path / "in", lens="brown", distortion=(0.1, -0.05, 0, 0)), tmp_path)
    reader = colmap if file_format == "colmap" else nerfstudio
    enhance.enhance_scene(
        scene, tmp_path / "out", scale=scale, enhancer=enhance.lanczos_sharpen, file_format=file_format
    )
    size = (round(SIZE[0] * scale), round(SIZE[1] * scale))
    for before, after in zip(scene.views, reader.read(tmp_path / "out").views, strict=True):
        assert_same_camera(after.camera, before.camera.scaled(*size))
        assert read_rgb(after.image, size=size).shape == (size[1], size[0], 3)
        assert image_size(after.mask) == size
        if file_format == "nerfstudio":
            assert after.depth.read_bytes() == before.depth.read_bytes()
            assert (after.depth_camera.width, after.depth_camera.height) == SIZE


def test_corners_stay_on_corners():
    """A step in the middle of the picture must stay in the middle: half a pixel would move it."""
    step = np.repeat(np.array([[50] * 8 + [150] * 8], np.uint8)[..., None], 3, 2).repeat(4, 0)
    large = enhance.lanczos_sharpen(step, (64, 16), amount=0.0)[8, :, 0].astype(float)
    np.testing.assert_allclose(large + large[::-1], 200, atol=1)
    assert large[31] < 100 < large[32]


def test_unsharp_mask_raises_contrast_at_edges_only():
    flat = np.full((16, 16, 3), 90, np.uint8)
    np.testing.assert_array_equal(enhance.lanczos_sharpen(flat, (32, 32)), 90)
    blurred = np.asarray(
        Image.fromarray(np.tile(np.uint8([0, 255] * 8)[:, None, None], (1, 16, 3))).filter(ImageFilter.BoxBlur(1))
    )
    sharper = enhance.lanczos_sharpen(blurred, (16, 16), amount=1.0)
    assert select.sharpness(sharper) * sharper.std() > select.sharpness(blurred) * blurred.std()


@pytest.mark.parametrize("shape", [(40, 70), (33, 32), (5, 9)])
def test_tiles_leave_no_trace(shape):
    """A network with a receptive field of 2 px gives the same with tiles as without."""
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 12, 5, padding=2), torch.nn.PixelShuffle(2)).double()
    image = torch.rand(*shape, 3, dtype=torch.float64)
    whole = layers(image.permute(2, 0, 1)[None])[0].permute(1, 2, 0).clamp(0, 1)
    seen = []

    def network(patch):
        seen.append(max(patch.shape[2:]))
        return layers(patch)

    tiled = enhance.apply_tiled(network, image, 2, tile=16, margin=3)
    torch.testing.assert_close(tiled, whole.detach())
    assert max(seen) <= 16 + 2 * 3


def test_plain_folder_keeps_its_tree(tmp_path):
    make_scene(tmp_path / "in", names=("a", "sub/b", "é"))
    written = enhance.enhance_folder(tmp_path / "in", tmp_path / "out", scale=2, enhancer=enhance.lanczos_sharpen)
    assert {str(path.relative_to(tmp_path / "out")) for path in written} == {"a.png", "sub/b.png", "é.png"}
    assert read_rgb(written[0]).shape == (48, 64, 3)


@pytest.mark.parametrize("scale", [0.0, -1.0, 99.0])
def test_senseless_scale_is_a_usage_error(tmp_path, scale):
    with pytest.raises(UsageError, match="--scale"):
        enhance.enhance_folder(tmp_path, tmp_path / "out", scale=scale, enhancer=enhance.lanczos_sharpen)


def test_folder_without_images(tmp_path):
    run = partial(enhance.enhance_folder, target=tmp_path / "out", scale=2, enhancer=enhance.lanczos_sharpen)
    with pytest.raises(DataError, match="holds no image"):
        run(tmp_path)
    with pytest.raises(DataError, match="neither a scene nor a folder"):
        run(tmp_path / "absent")


def test_output_above_the_input_is_refused(tmp_path):
    """--overwrite would delete the photographs before they are read."""
    for target in (tmp_path / "in", tmp_path):
        with pytest.raises(UsageError, match="holds the input"):
            refuse_overlap(tmp_path / "in", target)
    refuse_overlap(tmp_path / "in", tmp_path / "in" / "out")


def test_weights_are_never_executed(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "broken_in"), "w"))

    for content in (pickle.dumps(Hostile(), protocol=2), b"nothing of the kind", b""):
        (tmp_path / "x.pth").write_bytes(content)
        with pytest.raises(DataError, match=r"x\.pth cannot be read as weights"):
            enhance.read_weights(tmp_path / "x.pth")
    buffer = io.BytesIO()
    torch.save({"evil": Hostile()}, buffer)
    (tmp_path / "x.pth").write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match=r"x\.pth cannot be read as weights"):
        enhance.read_weights(tmp_path / "x.pth")
    assert not (tmp_path / "broken_in").exists()
    with pytest.raises(DataError, match="does not exist"):
        enhance.read_weights(tmp_path / "y.safetensors")


def test_without_spandrel_the_command_is_given(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "spandrel", None)
    with pytest.raises(MissingDependency, match=r"pip install spandrel"):
        enhance.load_network(tmp_path / "x.pth")


@pytest.fixture
def spandrel():
    try:
        return enhance.import_spandrel()
    except MissingDependency as error:
        pytest.skip(str(error))


def test_network_of_spandrel(tmp_path, spandrel):
    """An untrained SRVGGNet (Real-ESRGAN's small one) adds its residual to a nearest-neighbor enlargement."""
    from spandrel.architectures.Compact import Compact

    torch.manual_seed(0)
    network = Compact(num_feat=8, num_conv=2, upscale=2)
    torch.save(network.state_dict(), tmp_path / "x.pth")
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    result = enhance.load_network(tmp_path / "x.pth")(pixels, (80, 60))
    with torch.inference_mode():
        expected = network(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255)[0].permute(1, 2, 0).clamp(0, 1)
    np.testing.assert_allclose(result, (expected * 255).numpy(), atol=1)
    assert enhance.load_network(tmp_path / "x.pth")(pixels, (60, 45)).shape == (45, 60, 3)


def test_weights_of_no_known_architecture(tmp_path, spandrel):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "x.pth")
    with pytest.raises(DataError, match="not of an architecture"):
        enhance.load_network(tmp_path / "x.pth")


def test_blurred_frame_is_dropped(tmp_path):
    scene = make_scene(tmp_path, count=9)
    blurred = Image.fromarray(read_rgb(scene.views[4].image)).filter(ImageFilter.GaussianBlur(3))
    blurred.save(scene.views[4].image)
    kept = select.select_frames(scene, select.SelectionOptions(min_shift=0, min_angle=0))
    assert [view.name for view in kept.views] == [f"photo_{i:03d}" for i in range(9) if i != 4]
    assert kept.notes[-1] == "1 blurred and 0 redundant of 9 photographs dropped"


def test_exposure_is_not_taken_for_blur():
    pixels = np.random.default_rng(0).integers(60, 200, (32, 32, 3), dtype=np.uint8)
    assert select.sharpness(pixels // 4) == pytest.approx(select.sharpness(pixels), rel=0.05)
    assert select.sharpness(np.full((8, 8, 3), 7, np.uint8)) == 0


def test_of_a_run_without_motion_the_sharpest_stays():
    cameras = [make_camera(0), make_camera(0), make_camera(0), make_camera(1), make_camera(2), make_camera(2)]
    views = [View(str(index), camera, None) for index, camera in enumerate(cameras)]
    keep = select.drop_redundant(views, np.array([1.0, 3, 2, 1, 2, 1]), min_shift=0.01, min_angle=0.01)
    np.testing.assert_array_equal(keep, [False, True, False, True, True, False])
    assert select.drop_redundant([], np.zeros(0), 0.1, 0.1).size == 0


def test_mesh_travels_with_the_scene(tmp_path):
    from dataclasses import replace

    scene = replace(make_scene(tmp_path / "in"), mesh_path=write_triangle(tmp_path / "m.ply"))
    enhance.enhance_scene(scene, tmp_path / "out", scale=2, enhancer=enhance.lanczos_sharpen)
    assert nerfstudio.read(tmp_path / "out").mesh_path.read_bytes() == (tmp_path / "m.ply").read_bytes()


SCRIPTS = Path(__file__).resolve().parents[2] / "preprocessing"


def run_script(name: str, *flags: object) -> subprocess.CompletedProcess:
    command = [sys.executable, SCRIPTS / f"{name}.py", *map(str, flags)]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS.parent)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_scripts_from_photographs_to_a_selected_and_enlarged_scene(tmp_path):
    nerfstudio.write(make_scene(tmp_path / "photos", count=4), tmp_path / "scene")
    chosen = run_script("select_frames", "--input", tmp_path / "scene", "--output", tmp_path / "chosen")
    assert (chosen.returncode, chosen.stdout.strip()) == (0, str(tmp_path / "chosen")), chosen.stderr
    large = run_script("super_resolve", "--input", tmp_path / "chosen", "--output", tmp_path / "large", "--scale", 3)
    assert large.returncode == 0, large.stderr
    assert {view.camera.width for view in nerfstudio.read(tmp_path / "large").views} == {3 * SIZE[0]}
    again = run_script("super_resolve", "--input", tmp_path / "photos", "--output", tmp_path / "large")
    assert again.returncode == 1
    assert "--overwrite" in again.stderr


def test_fusion_script_without_depth_fails_with_a_hint(tmp_path):
    nerfstudio.write(make_scene(tmp_path / "photos", count=1), tmp_path / "scene")
    result = run_script("fuse_rgbd", "--data", tmp_path / "scene", "--output", tmp_path / "mesh.ply")
    assert result.returncode == 1
    assert "has a depth image" in result.stderr
    assert not (tmp_path / "mesh.ply").exists()
