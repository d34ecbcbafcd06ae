"""From procedural figures through both trainings to predictions and scores, as a user runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from neuraltex.cli import main
from neuraltex.io.images import read_rgb
from neuraltex.io.meshes import write_mesh
from neuraltex.learn.checkpoint import read_about
from neuraltex.learn.data.procedural import procedural_sample, template_mesh
from neuraltex.learn.partial import write_partial

SIZE = 32
TINY = (
    "--train.steps",
    "8",
    "--train.batch",
    "4",
    "--train.checkpoint-every",
    "4",
    "--train.val-every",
    "4",
    "--quiet",
)
SMALL_NETS = ("--sampler.width", "8", "--sampler.levels", "2", "--refiner.width", "8", "--refiner.levels", "2")


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as code:
        main([str(argument) for argument in arguments])
    return int(code.value.code or 0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with samples, a sampler and a refiner, trained for next to no time."""
    folder = tmp_path_factory.mktemp("learned")
    figures = ("--procedural", 8, "--size", SIZE, "--azimuths", -30, 30, 60, "--test-share", 0.3, "--val-share", 0.2)
    assert call("make-avatars", *figures, "--license", "CC0", "--output-dir", folder / "data", "--quiet") == 0
    common = ("--data", folder / "data", *TINY, *SMALL_NETS)
    assert call("train", "--network", "sampler", "--output-dir", folder / "s", *common) == 0
    sampler = ("--sampler-checkpoint", folder / "s" / "sampler.safetensors", "--loss.lpips", 0)
    assert call("train", "--network", "refiner", "--output-dir", folder / "r", *sampler, *common) == 0
    return folder


@pytest.fixture(scope="module")
def partial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("partial")
    write_partial(folder, procedural_sample(20_000_001, 2 * SIZE, azimuth=0).partial)
    return folder


def test_checkpoints_say_what_they_were_trained_on(trained: Path) -> None:
    about = read_about(trained / "r" / "refiner.safetensors")
    assert (about.kind, about.resolution, about.license) == ("sampler+refiner", SIZE, "CC0")
    assert about.layout.name == "procedural figure"
    assert "subjects" in about.data
    assert about.config["sampler"]["width"] == 8
    history = json.loads((trained / "s" / "history.json").read_text())
    assert any("val/psnr_unseen" in entry for entry in history)
    assert list((trained / "s" / "tb").iterdir())


def test_training_goes_on_where_it_stopped(trained: Path, capsys) -> None:
    more = ("--data", trained / "data", *TINY, *SMALL_NETS, "--train.steps", 10, "--resume")
    assert call("train", "--network", "sampler", "--output-dir", trained / "s", *more, "--json") == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 10


def test_a_prediction_is_complete_and_keeps_what_is_known(trained: Path, partial: Path, tmp_path: Path) -> None:
    write_mesh(tmp_path / "figure.obj", template_mesh("figure"))
    checkpoint, out = trained / "r" / "refiner.safetensors", tmp_path / "out"
    flags = ("--checkpoint", checkpoint, "--mesh", tmp_path / "figure.obj", "--output-dir", out, "--quiet")
    assert call("predict", "--partial", partial, *flags) == 0
    texture = read_rgb(out / "texture.png")
    assert texture.shape == (2 * SIZE, 2 * SIZE, 3)
    sample = procedural_sample(20_000_001, 2 * SIZE, azimuth=0).partial
    sure = sample.direct & (sample.confidence > 0.9)
    error = np.abs(texture / 255 - sample.color)[sure].mean()
    assert error < 0.05
    assert {path.name for path in out.iterdir()} >= {"sampled.png", "refined.png", "blend.png", "textured.glb"}


def test_held_out_subjects_are_scored_beside_fills(trained: Path, tmp_path: Path, capsys) -> None:
    checkpoint = trained / "r" / "refiner.safetensors"
    flags = ("--checkpoint", checkpoint, "--output-dir", tmp_path / "e", "--no-lpips", "--quiet")
    assert call("evaluate", "--data", trained / "data", *flags) == 0
    assert "| unseen | mirror+diffusion |" in capsys.readouterr().out
    rows = json.loads((tmp_path / "e" / "metrics.json").read_text())["rows"]
    methods = {row["method"] for row in rows if row["region"] == "unseen"}
    assert methods >= {"nearest", "diffusion", "mirror+diffusion", "mean", "sampled", "refined", "predicted"}
    assert (tmp_path / "e" / "predictions.png").is_file()


def test_two_processes_train_one_network(trained: Path, tmp_path: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "neuraltex")
    flags = ("train", "--network", "sampler", "--data", trained / "data", "--output-dir", tmp_path / "s", *TINY)
    command = [sys.executable, *launcher, *map(str, (*flags, *SMALL_NETS))]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == [str(tmp_path / "s" / "sampler.safetensors")]
    assert read_about(tmp_path / "s" / "sampler.safetensors").step == 8


def test_bad_input_is_named(trained: Path, partial: Path, tmp_path: Path, capsys) -> None:
    def error(*arguments: object) -> str:
        assert call(*arguments) != 0
        return capsys.readouterr().err

    predict = ("predict", "--partial", partial, "--output-dir", tmp_path / "p")
    head = tmp_path / "head"
    write_partial(head, procedural_sample(1, SIZE, kind="head").partial)
    checkpoint = trained / "r" / "refiner.safetensors"
    found = error("predict", "--partial", head, "--output-dir", tmp_path / "p", "--checkpoint", checkpoint)
    assert "the uv layout is procedural head" in found
    assert "expected procedural figure" in found
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(checkpoint.read_bytes()[:-100])
    assert "truncated" in error(*predict, "--checkpoint", cut)
    assert "no checkpoint ships for the uv layout procedural figure" in error(*predict)
    refiner = ("train", "--network", "refiner", "--data", trained / "data", "--output-dir", tmp_path / "r")
    assert "a refiner is trained on a finished sampler" in error(*refiner)
    assert "holds no partial.npz" in error("predict", "--partial", tmp_path, "--output-dir", tmp_path / "p")


def test_the_shipped_checkpoint_predicts_on_its_layout(test_data: Path, tmp_path: Path) -> None:
    from neuraltex.io.meshes import read_mesh
    from neuraltex.learn.load import SHIPPED, load_predictor
    from neuraltex.texture.layout import layout_of

    path = SHIPPED / "makehuman.safetensors"
    assert path.stat().st_size <= 12_000_000
    about = read_about(path)
    assert "CC0" in about.license
    assert "core_*" in about.data
    layout = layout_of(read_mesh(test_data / "skins_makehuman" / "mesh" / "body_male_old.obj"))
    assert load_predictor(None, layout).size == about.resolution
