"""The two entry scripts, as a new user runs them, on the tiny demo scene."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
QUICK = {"DEMO_FLAGS": "--tiny", "TEX_DIM": "256", "PRESETS": "quality", "N_ITER": "4", "N_ITER_LR_DECAY": "2"}


def run(script: str, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    variables = {**os.environ, "OUTPUTS": str(cwd / "out"), "OMP_NUM_THREADS": "2", **environment}
    return subprocess.run(
        ["bash", str(ROOT / script), *arguments], cwd=cwd, env=variables, capture_output=True, text=True, check=False
    )


def last_line(result: subprocess.CompletedProcess) -> str:
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """What one run without arguments leaves."""
    folder = tmp_path_factory.mktemp("a new user's folder ä")
    return folder, run("texture_optimization.sh", cwd=folder, **QUICK)


def test_without_arguments_the_demo_scene_ends_in_a_report(finished):
    report = Path(last_line(finished[1]))
    assert report.suffix == ".html"
    assert "<html" in report.read_text(encoding="utf-8")


def test_the_texture_and_the_viewer_file_are_there(finished):
    folder, _ = finished
    assert len(list(folder.glob("out/demo/*/quality/texture.png"))) == 1
    assert len(list(folder.glob("out/demo/*/quality/textured.glb"))) == 1


def test_overrides_reach_the_run(finished):
    import yaml

    config = yaml.safe_load(next(finished[0].glob("out/demo/*/quality/config.yaml")).read_text())
    text = str(config)
    assert "'steps': 6" in text
    assert "'decay_steps': 2" in text


def test_prepare_data_prints_the_prepared_folder(finished, tmp_path):
    scene = finished[0] / "out" / "scenes" / "demo"
    result = run("prepare_data.sh", "--scene", str(scene), "--test-every", "4", cwd=tmp_path, TEX_DIM="256")
    assert (Path(last_line(result)) / "scene.json").is_file()


def test_missing_scene_is_told_in_one_line(tmp_path):
    result = run("prepare_data.sh", "--scene", "nowhere", cwd=tmp_path)
    assert result.returncode == 1
    assert "nowhere does not exist" in result.stderr


def test_scene_without_a_value(tmp_path):
    assert run("prepare_data.sh", "--scene", cwd=tmp_path).returncode == 2


def test_original_variables_choose_the_neural_texgen_reader(tmp_path):
    result = run("prepare_data.sh", "--dry-run", cwd=tmp_path, SEQ="room1", WIDTH_ORIG="320", WIDTH_RENDERING="640")
    assert result.returncode == 0, result.stderr
    assert "format: neural_texgen" in result.stdout
    assert "image_scale: 2.0" in result.stdout


def test_overriding_the_aspect_ratio_is_refused(tmp_path):
    sizes = {"WIDTH_ORIG": "320", "HEIGHT_ORIG": "240", "WIDTH_RENDERING": "640", "HEIGHT_RENDERING": "640"}
    result = run("prepare_data.sh", "--dry-run", cwd=tmp_path, SEQ="room1", **sizes)
    assert result.returncode == 2
    assert "aspect ratio" in result.stderr
