"""``neuraltex demo``: what it writes is deterministic, and every reader gives the same scene back."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuraltex.core.errors import OutputError, UsageError
from neuraltex.core.files import read_json
from neuraltex.demo.scene import FORMATS, DemoOptions, DemoResult, write_demo
from neuraltex.geometry.mesh import TexturedMesh
from neuraltex.io.images import read_rgb
from neuraltex.io.load import load_scene
from neuraltex.io.meshes import read_mesh
from neuraltex.io.prepared import camera_from_json
from neuraltex.render.shade import TexturedRenderer
from neuraltex.stages import demo


def psnr(render: np.ndarray, photo: np.ndarray, margin: int = 2) -> float:
    error = (np.rint(render * 255) - photo)[margin:-margin, margin:-margin]
    return float(10 * np.log10(255**2 / max((error**2).mean(), 1e-12)))


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> DemoResult:
    return write_demo(tmp_path_factory.mktemp("demo"), DemoOptions(tiny=True, num_views=3, formats=FORMATS))


def test_two_runs_write_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        demo.run(
            demo.Config(
                output_dir=tmp_path / name,
                tiny=True,
                num_views=3,
                format=("nerfstudio", "rgbd"),
                exposure_jitter=0.25,
                camera_noise=2.0,
                moving_distractor=True,
                blurred_photo=True,
            )
        )
    first, second = digests(tmp_path / "a"), digests(tmp_path / "b")
    assert first == second
    assert len(first) > 10


def test_single_format_lies_in_the_folder_itself(tmp_path):
    result = demo.run(demo.Config(output_dir=tmp_path / "d", tiny=True, num_views=2, size="80x60"))
    assert result.path == tmp_path / "d"
    assert {path.name for path in result.path.iterdir()} == {"transforms.json", "images", "mesh.obj", "ground_truth"}
    assert result.data["size"] == [80, 60]
    assert load_scene(result.path).views[0].camera.width == 80


@pytest.mark.parametrize("name", FORMATS)
def test_reader_returns_the_cameras_that_were_written(written, name):
    scene = load_scene(written.folders[name])
    assert scene.format == name
    assert len(scene.views) == 3
    points = written.textured.mesh.vertices[::50]
    for view, exact in zip(scene.views, written.cameras.values(), strict=True):
        np.testing.assert_allclose(view.camera.cam_from_world, exact.cam_from_world, atol=1e-6)
        np.testing.assert_allclose(view.camera.K, exact.K, atol=1e-5)
        found, depth = view.camera.project(points)
        visible = depth > 0.1
        np.testing.assert_allclose(found[visible], exact.project(points)[0][visible], atol=1e-3)


@pytest.mark.parametrize("name", FORMATS)
def test_half_pixel_is_kept_by_every_format(written, name):
    """The photographs are reproduced from the read scene, and visibly not when it is half a pixel off."""
    scene = load_scene(written.folders[name])
    mesh = read_mesh(scene.mesh_path) if scene.mesh is None else scene.mesh
    texture = read_rgb(written.folders[name] / "ground_truth" / "texture.png")
    renderer = TexturedRenderer(TexturedMesh(mesh, (texture,)))
    view = scene.views[1]
    photo = read_rgb(view.image).astype(np.float64)
    exact = psnr(renderer.render(view.camera, supersampling=3)[0], photo)
    shifted = replace(view.camera, cx=view.camera.cx + 0.5, cy=view.camera.cy + 0.5)
    assert exact > 45
    assert psnr(renderer.render(shifted, supersampling=3)[0], photo) < exact - 12


def test_ground_truth_reproduces_photographs_with_all_flaws_but_the_ball(tmp_path):
    options = DemoOptions(tiny=True, num_views=4, exposure_jitter=0.25, camera_noise=2.0, lens_distortion=True)
    result = write_demo(tmp_path, options)
    truth = read_json(result.ground_truth / "cameras.json")["views"]
    mesh, texture = read_mesh(result.ground_truth / "mesh.obj"), read_rgb(result.ground_truth / "texture.png")
    renderer = TexturedRenderer(TexturedMesh(mesh, (texture,)))
    scene = load_scene(tmp_path)
    for entry, view in zip(truth, scene.views, strict=True):
        photo, camera = read_rgb(view.image), camera_from_json(entry["camera"])
        render = (renderer.render(camera, supersampling=3)[0] * entry["gain"]).clip(0, 1)
        assert camera.lens == "brown"
        assert psnr(render, photo) > 45
        wrong = (renderer.render(view.camera, supersampling=3)[0] * entry["gain"]).clip(0, 1)
        assert psnr(wrong, photo) < 32, "the written camera is noisy"
    assert len({entry["gain"] for entry in truth}) == len(truth)


def test_distractor_moves_and_is_in_no_mesh(tmp_path, written):
    result = write_demo(tmp_path, DemoOptions(tiny=True, num_views=3, moving_distractor=True))
    assert result.textured.mesh.num_faces == written.textured.mesh.num_faces
    centers = []
    for plain, other in zip(load_scene(written.folders["nerfstudio"]).views, load_scene(tmp_path).views, strict=True):
        changed = (read_rgb(plain.image) != read_rgb(other.image)).any(-1)
        assert 0.005 < changed.mean() < 0.3
        rows, columns = np.nonzero(changed)
        centers.append((rows.mean(), columns.mean()))
    assert np.ptp(centers, axis=0).max() > 3


def test_depth_images_agree_with_the_mesh(written):
    from PIL import Image

    view = load_scene(written.folders["rgbd"]).views[0]
    with Image.open(view.depth) as file:
        depth = np.asarray(file).astype(np.float64) / view.depth_scale
    y, z = np.meshgrid(np.linspace(0.2, 2.8, 27), np.linspace(1.9, 2.3, 9))  # bare wall above the clock
    pixels, exact = view.camera.project(np.stack([np.zeros(y.size), y.ravel(), z.ravel()], 1))
    inside = ((pixels > 1) & (pixels < (159, 119))).all(1)
    columns, rows = pixels[inside].astype(np.int64).T
    assert inside.sum() > 10
    np.testing.assert_allclose(depth[rows, columns], exact[inside], atol=0.02)


def test_size_and_existing_output_are_checked(tmp_path):
    with pytest.raises(UsageError, match="not a size"):
        demo.run(demo.Config(output_dir=tmp_path / "d", size="640"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "keep.txt").write_text("mine")
    with pytest.raises(OutputError):
        demo.run(demo.Config(output_dir=tmp_path / "full", tiny=True))
    assert (tmp_path / "full" / "keep.txt").read_text() == "mine"
