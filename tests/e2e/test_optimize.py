"""``neuraltex optimize`` as users run it: killed, interrupted, in several processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from plane_scene import SIZE, write_plane_scene

from neuraltex.cli import main
from neuraltex.fit.archive import list_states
from neuraltex.fit.checkpoint import read_checkpoint
from neuraltex.fit.run import read_run

PRESET = """
texture: {kind: pyramid, init: mean}
pixels: {margin: 0}
color: {model: affine, every: 7}
loss: {l1: 10, gradient: 1}
loop: {batch: 4, crop: 24, lr: 0.01, decay: linear, decay_steps: 10, checkpoint_every: 5, log_every: 1}
"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_plane_scene(tmp_path_factory.mktemp("with space ä") / "prepared").path
    (path / "preset.yaml").write_text(PRESET, encoding="utf-8")
    return path


def flags_of(scene: Path, run: Path, *more: str, steps: int = 20) -> list[str]:
    flags = ["--data", scene, "--output-dir", run, "--preset", scene / "preset.yaml", "--device", "cpu"]
    return ["optimize", *map(str, flags), "--loop.steps", str(steps), *more]


def command(scene: Path, run: Path, *more: str, steps: int = 20) -> list[str]:
    return [sys.executable, "-m", "neuraltex", *flags_of(scene, run, *more, steps=steps)]


def fail(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command line in this process and return what it says on stderr."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 1
    return capsys.readouterr().err


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "NEURALTEX_LOG": "INFO"}


def call(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, env=environment(), check=False, timeout=300)


@pytest.fixture(scope="module")
def straight(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    run = tmp_path_factory.mktemp("straight") / "run"
    done = call(command(scene, run))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(run)
    return run


def stop_after_a_checkpoint(arguments: list[str], run: Path, number: signal.Signals) -> tuple[int, str]:
    """Start a run that would take long and send a signal once it has saved something."""
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environment())
    _wait(lambda: len(list_states(run / "ckpts")) > 0 or process.poll() is not None)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def _wait(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing was saved"
        time.sleep(0.005)


def test_run_folder_is_complete(straight: Path, scene: Path) -> None:
    run = read_run(straight)
    assert run.manifest["version"] == 1
    assert run.manifest["steps"] == 20
    assert run.manifest["texture_size"] == SIZE
    assert run.scene_path.resolve() == scene.resolve()
    assert run.texture.shape == (SIZE, SIZE, 3)
    assert set(np.unique(run.coverage)) <= {0, 128, 255}
    assert (run.coverage == 255).mean() > 0.5
    assert [entry["step"] for entry in run.history] == list(range(1, 21))
    assert {"train/loss/l1", "train/lr", "val/psnr"} <= set(run.history[-1])
    assert any((straight / "tb").iterdir())
    assert (straight / "log.txt").read_text(encoding="utf-8")


def test_kill_9_and_resume_gives_the_same_bits(scene: Path, straight: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    code, _ = stop_after_a_checkpoint(command(scene, run), run, signal.SIGKILL)
    if code == 0:  # it was faster than the signal: undo its end
        (run / "manifest.json").unlink()
        list_states(run / "ckpts")[-1].unlink()
    resumed = call(command(scene, run, "--resume"))
    assert resumed.returncode == 0, resumed.stderr
    assert "resuming after step" in resumed.stderr
    assert np.array_equal(read_run(run).texture, read_run(straight).texture)
    assert (run / "texture.png").read_bytes() == (straight / "texture.png").read_bytes()


def test_first_ctrl_c_finishes_the_step_and_saves(scene: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    code, errors = stop_after_a_checkpoint(command(scene, run, steps=100_000), run, signal.SIGINT)
    assert code == 130, errors
    assert "finishing this step and saving" in errors
    assert "Traceback" not in errors
    saved = read_checkpoint(list_states(run / "ckpts")[-1])
    assert saved.step >= 5
    assert saved.history[-1]["step"] == saved.step
    assert all(value.isfinite().all() for value in saved.model.values())


def torchrun(scene: Path, run: Path, *more: str) -> list[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return [*launcher, "-m", "neuraltex", *flags_of(scene, run, *more)]


def test_two_processes_take_the_steps_of_one(scene: Path, straight: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = call(torchrun(scene, run))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == str(run)
    one, two = read_run(straight), read_run(run)
    np.testing.assert_allclose(two.texture, one.texture, atol=2e-3)
    assert np.abs(two.texture - one.texture).mean() < 1e-5
    np.testing.assert_allclose(
        [entry["train/loss"] for entry in two.history], [entry["train/loss"] for entry in one.history], rtol=1e-4
    )


def test_two_processes_see_the_same_on_the_pixels_kept_out(scene: Path, tmp_path: Path) -> None:
    flags = ("--texture.init", "grey", "--loop.check-share", "0.3", "--loop.check-every", "4")
    runs = []
    for name, start in (("one", command), ("two", torchrun)):
        done = call(start(scene, tmp_path / name, *flags))
        assert done.returncode == 0, done.stderr
        runs.append(read_run(tmp_path / name))
    seen = [[e["check/objective"] for e in run.history if "check/objective" in e] for run in runs]
    assert len(seen[0]) == 6
    np.testing.assert_allclose(seen[1], seen[0], rtol=1e-4)
    assert runs[0].manifest["best_step"] == runs[1].manifest["best_step"] > 0
    assert np.abs(runs[1].texture - runs[0].texture).mean() < 1e-5


def test_corrupt_checkpoint_is_an_error_with_a_remedy(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ckpts").mkdir(parents=True)
    (tmp_path / "ckpts" / "step-000000005.pt").write_bytes(b"not a checkpoint")
    message = fail(flags_of(scene, tmp_path, "--resume"), capsys)
    assert "step-000000005.pt is corrupt" in message
    assert "start again with --overwrite" in message


def test_malicious_checkpoint_is_not_executed(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "executed"
    (tmp_path / "ckpts").mkdir(parents=True)

    class Malice:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, (f"touch '{target}'",)

    torch.save({"version": 1, "model": Malice()}, tmp_path / "ckpts" / "step-000000005.pt")
    assert "was not loaded" in fail(flags_of(scene, tmp_path, "--resume"), capsys)
    assert not target.exists()


def test_run_folder_of_another_version_is_not_resumed(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"version": 99}), encoding="utf-8")
    assert "has version 99" in fail(flags_of(scene, tmp_path, "--resume"), capsys)


def test_results_are_not_overwritten_unasked(scene: Path, straight: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (straight / "texture.png").stat().st_mtime_ns
    assert "--overwrite" in fail(flags_of(scene, straight), capsys)
    assert (straight / "texture.png").stat().st_mtime_ns == before


def test_resume_in_an_empty_folder_is_said(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "holds no checkpoint" in fail(flags_of(scene, tmp_path, "--resume"), capsys)
