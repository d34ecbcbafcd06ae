"""``neuraltex export`` from the command line; the file looks the same in another library."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from box_scene import around, box_texture, write_box_run, write_box_scene

from neuraltex.cli import main
from neuraltex.geometry.mesh import TexturedMesh
from neuraltex.io.images import read_exr, read_rgb
from neuraltex.io.prepared import read_prepared
from neuraltex.render.shade import render_textured


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_box_scene(tmp_path_factory.mktemp("box") / "prepared", num_views=4).path


@pytest.fixture(scope="module")
def run_folder(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_box_run(tmp_path_factory.mktemp("runs") / "quality", scene, box_texture(), "quality")


def export(capsys, *flags: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as code:
        main(["export", *map(str, flags)])
    return int(code.value.code or 0), *capsys.readouterr()


def test_glb_rerendered_through_another_library_differs_by_less_than_one_level(run_folder, scene, tmp_path, capsys):
    """trimesh loads the file; its own arrays, not ours, are rendered."""
    import trimesh

    path = tmp_path / "with space ä.glb"
    assert export(capsys, "--run", run_folder, "--to", path)[:2] == (0, f"{path}\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = trimesh.load(path, process=False, force="mesh")
    image = np.asarray(loaded.visual.material.baseColorTexture.convert("RGB"), float)
    mesh = read_prepared(scene).mesh
    ours = TexturedMesh(mesh, (box_texture(),), np.zeros(mesh.num_faces, np.int64))
    for camera in around(3):
        rendered, coverage = render_textured(ours, camera, supersampling=1)
        theirs, hit = cast(loaded, image, camera)
        both = hit & (coverage > 0)
        assert (hit == (coverage > 0)).mean() > 0.999
        assert np.abs(theirs[both] - rendered[both] * 255).mean() < 1


def cast(mesh, image: np.ndarray, camera) -> tuple[np.ndarray, np.ndarray]:
    """Nearest hits by Moeller and Trumbore (1997) over all faces, bilinear colors from trimesh's (v up) uvs."""
    origin, directions = camera.rays()
    directions = directions.reshape(-1, 3)
    best, uv = np.full(len(directions), np.inf), np.zeros((len(directions), 2))
    for face in mesh.faces:
        a, b, c = mesh.vertices[face]
        p = np.cross(directions, c - a)
        det = p @ (b - a)
        with np.errstate(all="ignore"):
            u = (p @ (origin - a)) / det
            q = np.cross(origin - a, b - a)
            v = directions @ q / det
            t = (c - a) @ q / det
        hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0) & (t < best)
        best[hit] = t[hit]
        uv[hit] = np.stack([1 - u - v, u, v], 1)[hit] @ mesh.visual.uv[face]
    height, width = image.shape[:2]
    x, y = (uv[:, 0] * width - 0.5).clip(0, width - 1), ((1 - uv[:, 1]) * height - 0.5).clip(0, height - 1)
    i, j = np.minimum(y.astype(int), height - 2), np.minimum(x.astype(int), width - 2)
    b, a = (y - i)[:, None], (x - j)[:, None]
    top, bottom = image[i, j] * (1 - a) + image[i, j + 1] * a, image[i + 1, j] * (1 - a) + image[i + 1, j + 1] * a
    shape = (camera.height, camera.width)
    return (top * (1 - b) + bottom * b).reshape(*shape, 3), np.isfinite(best).reshape(shape)


def test_all_formats_and_their_sidecars_are_written_and_named(run_folder, tmp_path, capsys):
    for name, expected in [("t.obj", 3), ("t.ply", 2), ("u.png", 1), ("u.exr", 1)]:
        code, out, _ = export(capsys, "--run", run_folder, "--to", tmp_path / name[0] / name, "--json", "--overwrite")
        files = json.loads(out)["files"]
        assert (code, len(files)) == (0, expected)
        assert all(Path(file).is_file() for file in files)
    np.testing.assert_array_equal(read_rgb(tmp_path / "u" / "u.png"), box_texture())
    np.testing.assert_allclose(read_exr(tmp_path / "u" / "u.exr") * 255, box_texture(), atol=1e-4)


def test_existing_files_are_kept_unless_asked(run_folder, tmp_path, capsys):
    (tmp_path / "t.png").write_text("mine")
    code, _, error = export(capsys, "--run", run_folder, "--to", tmp_path / "t.obj")
    assert code == 1
    assert "t.png exists already" in error
    assert "--overwrite" in error
    assert (tmp_path / "t.png").read_text() == "mine"


def test_wrong_suffix_and_wrong_run_are_explained(run_folder, tmp_path, capsys):
    code, _, error = export(capsys, "--run", run_folder, "--to", tmp_path / "t.fbx")
    assert code == 2
    assert ".glb, .obj, .ply, .png, .exr" in error
    code, _, error = export(capsys, "--run", tmp_path, "--to", tmp_path / "t.glb")
    assert code == 1
    assert "is not a run folder" in error
