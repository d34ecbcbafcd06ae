"""``neuraltex texture``: from a scene to a GLB in one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from neuraltex.cli import main
from neuraltex.fit.run import read_run
from neuraltex.io.prepared import read_prepared


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scene") / "demo"
    with pytest.raises(SystemExit) as code:
        main(["demo", "--tiny", "--output-dir", str(folder)])
    assert not code.value.code
    return folder


def texture(capsys, *flags: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as code:
        main(["texture", *map(str, flags)])
    return int(code.value.code or 0), *capsys.readouterr()


def test_a_scene_becomes_a_glb_and_every_step_is_kept(scene, tmp_path, capsys):
    import trimesh

    out = tmp_path / "out"
    code, printed, _ = texture(capsys, "--data", scene, "--output-dir", out, "--texture-size", "256", "--json")
    assert code == 0
    result = json.loads(printed)
    assert result["path"] == str(out / "textured.glb")
    assert result["run"]["method"] == "fast"
    picture = np.asarray(trimesh.load(out / "textured.glb", force="mesh").visual.material.baseColorTexture)
    assert picture.shape[:2] == read_run(out / "run").texture.shape[:2] == (256, 256)
    assert len(read_prepared(out / "prepared").split("test")) == result["prepared"]["statistics"]["test"] > 0
    again = texture(capsys, "--data", scene, "--output-dir", out, "--texture-size", "256")
    assert again[0] == 1
    assert "exists already" in again[2]
    assert "--overwrite" in again[2]


def test_torch_which_takes_a_second_to_load_is_not_needed(scene, tmp_path):
    code = (
        "import sys\nfrom neuraltex.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n    sys.exit(end.code or 'torch' in sys.modules)"
    )
    command = ["texture", "--data", scene, "--output-dir", tmp_path / "out", "--texture-size", "256"]
    subprocess.run(
        [sys.executable, "-c", code, *map(str, command)], check=True, env={**os.environ, "OMP_NUM_THREADS": "2"}
    )


def test_what_cannot_be_written_is_refused_before_any_work(scene, tmp_path, capsys):
    code, _, error = texture(capsys, "--data", scene, "--output-dir", tmp_path / "out", "--to", tmp_path / "mesh.fbx")
    assert code == 2
    assert ".fbx" in error
    assert not (tmp_path / "out").exists()
    code, _, error = texture(capsys, "--data", scene, "--output-dir", tmp_path / "out", "--preset", "fastest")
    assert code != 0
    assert "fastest" in error
    assert not (tmp_path / "out").exists()
