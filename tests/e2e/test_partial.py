"""``neuraltex partial`` and ``preprocessing/extract_partial_texture.py``: from files to files."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from head_scene import camera_at, head, head_texture, photograph, shrunk
from iuv_cases import capsule_body, front_camera, render_iuv, render_photo, save_mat
from PIL import Image

from neuraltex.cli import main
from neuraltex.core.files import write_json
from neuraltex.geometry.mesh import Mesh
from neuraltex.geometry.scene import Scene, View
from neuraltex.io import nerfstudio
from neuraltex.io.images import to_uint8, write_rgb
from neuraltex.io.meshes import write_mesh
from neuraltex.io.prepared import camera_to_json
from neuraltex.learn.partial import read_partial

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two photographs of one head, their cameras in two forms, and a cut-out version of the first."""
    folder = tmp_path_factory.mktemp("inputs")
    mesh, texture, views = head(), head_texture(), []
    write_mesh(folder / "head.obj", mesh)
    write_mesh(folder / "bare.obj", Mesh(mesh.vertices, mesh.faces))
    write_rgb(folder / "texture.png", texture)
    for name, azimuth in (("a", 20), ("b", -70)):
        camera = camera_at(azimuth, 200)
        image = to_uint8(photograph(mesh, texture, camera))
        (folder / "photos").mkdir(exist_ok=True)
        views.append(View(name, camera, write_rgb(folder / "photos" / f"{name}.png", image)))
        write_json(folder / "cameras" / f"{name}.json", camera_to_json(camera))
    person = (np.abs(image.astype(int) - (255, 0, 255)) > 2).any(-1) & (np.arange(200) < 90)
    write_rgb(folder / "cut.png", np.dstack([image, person.astype(np.uint8) * 255]))
    nerfstudio.write(Scene("head", "nerfstudio", tuple(views)), folder / "scene")
    return folder


def partial(capsys, inputs: Path, out: Path, *flags: object, **changed: object) -> tuple[int, str, str]:
    """Run the verb on photograph a, some inputs changed."""
    given = {
        "image": inputs / "photos" / "a.png",
        "mesh": inputs / "head.obj",
        "camera": inputs / "cameras" / "a.json",
        "output-dir": out,
        "size": 64,
    }
    given.update({name.replace("_", "-"): value for name, value in changed.items()})
    arguments = [str(item) for name, value in given.items() for item in (f"--{name}", value)]
    with pytest.raises(SystemExit) as code:
        main(["partial", *arguments, *map(str, flags)])
    return int(code.value.code or 0), *capsys.readouterr()


def test_everything_is_written(inputs, tmp_path, capsys):
    code, printed, _ = partial(capsys, inputs, tmp_path / "out", "--json")
    assert code == 0
    result = json.loads(printed)
    found = read_partial(tmp_path / "out")
    assert result["shares"]["direct"] == round(found.direct.sum() / found.inside.sum(), 4) > 0.12
    assert result["shares"]["mirrored"] > 0.02
    assert np.abs(found.color - shrunk(head_texture(), 64))[found.direct].mean() < 2 / 255
    names = {"texture", "symmetry", "mask_symm", "direct", "classes", "confidence", "normal_map"}
    assert {file.stem for file in (tmp_path / "out").glob("*.png")} == names
    assert opened(tmp_path / "out" / "texture.png").shape == (64, 64, 3)
    mask = opened(tmp_path / "out" / "mask_symm.png")
    assert np.array_equal(mask == 255, found.known)
    code, _, error = partial(capsys, inputs, tmp_path / "out")
    assert code == 1
    assert "--overwrite" in error
    assert partial(capsys, inputs, tmp_path / "out", "--overwrite", "--no-mirror")[0] == 0
    assert not read_partial(tmp_path / "out").mirrored.any()


def test_a_transforms_file_is_a_camera_too(inputs, tmp_path, capsys):
    assert partial(capsys, inputs, tmp_path / "one")[0] == 0
    assert partial(capsys, inputs, tmp_path / "two", camera=inputs / "scene" / "transforms.json")[0] == 0
    one, two = read_partial(tmp_path / "one"), read_partial(tmp_path / "two")
    assert (one.direct != two.direct).mean() < 0.002
    assert np.abs(one.color - two.color)[one.direct & two.direct].max() < 1e-3
    (tmp_path / "c.png").write_bytes((inputs / "photos" / "a.png").read_bytes())
    code, _, error = partial(
        capsys, inputs, tmp_path / "three", camera=inputs / "scene" / "transforms.json", image=tmp_path / "c.png"
    )
    assert code == 1
    assert "'c.png'" in error


def test_transparency_is_the_matte_unless_one_is_given(inputs, tmp_path, capsys):
    given = {"image": inputs / "cut.png", "camera": inputs / "cameras" / "b.json"}
    assert partial(capsys, inputs, tmp_path / "cut", "--no-mirror", **given)[0] == 0
    found = read_partial(tmp_path / "cut")
    assert found.direct.any()
    assert np.nanmax(found.source[..., 0]) * 200 < 88
    write_rgb(tmp_path / "all.png", np.full((200, 200, 3), 255, np.uint8))
    assert partial(capsys, inputs, tmp_path / "whole", "--no-mirror", matte=tmp_path / "all.png", **given)[0] == 0
    assert np.nanmax(read_partial(tmp_path / "whole").source[..., 0]) * 200 > 100


def test_a_posed_mesh_takes_its_mirror_images_from_the_rest_pose(inputs, tmp_path, capsys):
    mesh = head()
    side = 0.6 * mesh.vertices[:, 2:] ** 2 + 0.4 * mesh.vertices[:, 1:2]
    bent = mesh.vertices + side * (1, 0, 0)
    write_mesh(tmp_path / "bent.obj", Mesh(bent, mesh.faces, mesh.uvs, mesh.uv_faces))
    given = {"mesh": tmp_path / "bent.obj", "rest_mesh": inputs / "head.obj"}
    code, printed, _ = partial(capsys, inputs, tmp_path / "out", "--json", **given)
    assert code == 0
    assert json.loads(printed)["shares"]["mirrored"] > 0.01
    code, printed, log = partial(capsys, inputs, tmp_path / "alone", "--json", mesh=tmp_path / "bent.obj")
    assert code == 0
    assert json.loads(printed)["shares"]["mirrored"] == 0
    assert "--rest-mesh" in log


def test_bad_inputs_are_named(inputs, tmp_path, capsys):
    write_rgb(tmp_path / "small.png", np.full((100, 200, 3), 255, np.uint8))
    write_rgb(tmp_path / "black.png", np.zeros((200, 200, 3), np.uint8))
    write_json(tmp_path / "away.json", {**json.loads((inputs / "cameras" / "a.json").read_text()), "cx": 5000.0})
    write_json(tmp_path / "poor.json", {"width": 200, "height": 200})
    write_json(tmp_path / "extra.json", {**json.loads((inputs / "cameras" / "a.json").read_text()), "focal": 3})
    other = head()
    write_mesh(tmp_path / "other.obj", other.with_uv(other.uvs * (0.5, 0.8), other.uv_faces[:, ::-1]))
    cases = (
        ({"mesh": inputs / "bare.obj"}, "no texture coordinates"),
        ({"rest_mesh": tmp_path / "other.obj"}, "the uv layout is"),
        ({"matte": tmp_path / "small.png"}, "200x100 but its photograph is 200x200"),
        ({"matte": tmp_path / "black.png"}, "the matte is empty"),
        ({"image": tmp_path / "small.png"}, "200x100 but its camera says 200x200"),
        ({"camera": tmp_path / "away.json"}, "sees nothing of the mesh"),
        ({"camera": tmp_path / "poor.json"}, "lacks fx, fy"),
        ({"camera": tmp_path / "extra.json"}, "is no camera"),
        ({"camera": tmp_path / "none.json"}, "does not exist"),
    )
    for changed, message in cases:
        code, _, error = partial(capsys, inputs, tmp_path / "out", **changed)
        assert code == 1, changed
        assert message in error, error
        assert "Traceback" not in error
        assert not (tmp_path / "out").exists()


def opened(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def script(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / "preprocessing" / "extract_partial_texture.py", *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, cwd=ROOT)


def test_a_folder_becomes_training_samples(inputs, tmp_path):
    out = tmp_path / "samples"
    flags = ["--mesh", inputs / "head.obj", "--size", "64", "--angle", "30", "--textures", inputs / "texture.png"]
    done = script("--images", inputs / "photos", "--cameras", inputs / "cameras", "--output", out, *flags)
    assert done.returncode == 0, done.stderr
    for name in "ab":
        assert opened(out / "symmetry" / "30" / f"{name}_symmetry.png").shape == (64, 64, 3)
        assert (out / "mask_symm" / "30" / f"{name}_mask_symm.png").is_file()
        assert (out / "normal_map" / "30" / f"{name}_normal_map.png").is_file()
        assert opened(out / "texture_map" / f"{name}_texture_map.png").shape == (64, 64, 3)
        assert (out / "photo" / "30" / f"{name}.jpg").is_file()
    scene = script(
        "--images", inputs / "scene", "--output", tmp_path / "again", "--mesh", inputs / "head.obj", "--size", "64"
    )
    assert scene.returncode == 0, scene.stderr
    again = tmp_path / "again" / "symmetry" / "photo" / "a_symmetry.png"
    first = opened(out / "symmetry" / "30" / "a_symmetry.png").astype(int)
    assert np.abs(first - opened(again)).mean() < 0.5


def test_photographs_that_show_nothing_are_left_out(inputs, tmp_path):
    (tmp_path / "mattes").mkdir()
    write_rgb(tmp_path / "mattes" / "a.png", np.full((200, 200, 3), 255, np.uint8))
    write_rgb(tmp_path / "mattes" / "b.png", np.zeros((200, 200, 3), np.uint8))
    flags = [
        "--images",
        inputs / "scene",
        "--mesh",
        inputs / "head.obj",
        "--size",
        "32",
        "--mattes",
        tmp_path / "mattes",
    ]
    done = script(*flags, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "left out b.png" in done.stderr
    assert [file.name for file in (tmp_path / "out" / "symmetry" / "photo").iterdir()] == ["a_symmetry.png"]
    write_rgb(tmp_path / "mattes" / "a.png", np.zeros((200, 200, 3), np.uint8))
    none = script(*flags, "--output", tmp_path / "none")
    assert none.returncode == 1
    assert "none of the 2 photographs" in none.stderr


def test_an_iuv_map_takes_the_place_of_a_camera(tmp_path, capsys):
    body, camera = capsule_body(), front_camera(192, 0.4)
    texture = np.full((64, 64, 3), (200, 80, 40), np.uint8)
    write_mesh(tmp_path / "body.obj", body.mesh)
    save_mat(tmp_path / "UV_Processed.mat", body)
    write_rgb(tmp_path / "photo.png", render_photo(body.mesh, texture, camera))
    write_rgb(tmp_path / "photo_IUV.png", render_iuv(body.mesh, body.surface, camera)[..., ::-1])
    flags = ("--image", tmp_path / "photo.png", "--mesh", tmp_path / "body.obj", "--size", 64)
    table = ("--iuv", tmp_path / "photo_IUV.png", "--table", tmp_path / "UV_Processed.mat")

    def run(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as code:
            main(["partial", *map(str, (*flags, "--output-dir", tmp_path / "out", *arguments))])
        return int(code.value.code or 0), capsys.readouterr().err

    assert run(*table)[0] == 0
    found = read_partial(tmp_path / "out")
    assert found.direct.sum() > 300
    assert np.abs(found.color[found.direct] - np.array([200, 80, 40]) / 255).mean() < 0.02
    code, error = run()
    assert code == 2
    assert "Give --camera, or --iuv and --table" in error
