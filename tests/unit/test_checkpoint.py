"""Checkpoints and run folders: what is written, and what is refused."""

import pickle
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from plane_scene import SIZE, write_plane_scene

from neuraltex.core.errors import DataError, OutputError, ResumeError
from neuraltex.core.files import read_json, write_json
from neuraltex.fit import checkpoint as ckpt
from neuraltex.fit import run as fit_run
from neuraltex.fit.archive import check_signature, list_states
from neuraltex.fit.run import read_run, write_run


def example(step: int = 3) -> ckpt.Checkpoint:
    texels = torch.nn.Parameter(torch.rand(4, 4, 3))
    optimizer = torch.optim.Adam([texels])
    texels.square().sum().backward()
    optimizer.step()
    return ckpt.Checkpoint(
        step=step,
        model={"texels": texels.detach()},
        optimizer=optimizer.state_dict(),
        colors={"gain": torch.ones(2, 3), "bias": torch.zeros(2, 3)},
        seen=torch.ones(4, 4),
        history=[{"step": 1, "train/loss": 0.5}],
        signature={"seed": 0, "views": ["a", "ä b"]},
        seconds=1.5,
    )


def test_checkpoint_survives_the_disk(tmp_path: Path) -> None:
    saved = example()
    loaded = ckpt.read_checkpoint(ckpt.write_checkpoint(tmp_path, saved))
    assert torch.equal(loaded.model["texels"], saved.model["texels"])
    assert torch.equal(loaded.optimizer["state"][0]["exp_avg_sq"], saved.optimizer["state"][0]["exp_avg_sq"])
    for field in fields(saved):
        if field.name in ("step", "history", "signature", "seconds"):
            assert getattr(loaded, field.name) == getattr(saved, field.name)


def test_only_the_newest_stay(tmp_path: Path) -> None:
    for step in (5, 10, 15):
        ckpt.write_checkpoint(tmp_path, example(step))
    assert [path.name for path in list_states(tmp_path)] == ["step-000000010.pt", "step-000000015.pt"]
    assert ckpt.latest_checkpoint(tmp_path).step == 15


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_corrupt_checkpoint_is_named(tmp_path: Path, keep: float) -> None:
    path = ckpt.write_checkpoint(tmp_path, example())
    content = path.read_bytes()
    path.write_bytes(content[: int(keep if keep > 1 else keep * len(content))])
    with pytest.raises(ResumeError, match=r"step-000000003.pt is corrupt .*Delete the file to go on from an older"):
        ckpt.read_checkpoint(path)


class Malice:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("raw", [False, True])
def test_malicious_pickle_is_not_executed(tmp_path: Path, raw: bool) -> None:
    path, target = tmp_path / "step-000000001.pt", tmp_path / "executed"
    if raw:
        path.write_bytes(pickle.dumps(Malice(target)))
    else:
        torch.save({"version": 1, "model": Malice(target)}, path)
    reason = "is corrupt" if raw else "holds more than tensors and plain values and was not loaded"
    with pytest.raises(ResumeError, match=reason):
        ckpt.read_checkpoint(path)
    assert not target.exists()


def test_checkpoint_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "step-000000001.pt"
    torch.save({"version": 99}, path)
    with pytest.raises(ResumeError, match=f"has version 99, this program reads {ckpt.VERSION}"):
        ckpt.read_checkpoint(path)


def test_checkpoint_without_a_part_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "step-000000001.pt"
    torch.save({"version": ckpt.VERSION, "step": 3}, path)
    with pytest.raises(ResumeError, match="lacks or adds"):
        ckpt.read_checkpoint(path)


def test_folder_without_checkpoint_is_said(tmp_path: Path) -> None:
    with pytest.raises(ResumeError, match="holds no checkpoint"):
        ckpt.latest_checkpoint(tmp_path)


def test_signature_names_the_first_difference() -> None:
    with pytest.raises(ResumeError, match="made with seed = 0, not 1"):
        check_signature({"seed": 0, "views": []}, {"seed": 1, "views": []}, Path("run"))


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    write_plane_scene(tmp_path / "scene", num_views=1)
    texture = np.linspace(0, 1, SIZE * SIZE * 3, dtype=np.float32).reshape(SIZE, SIZE, 3)
    coverage = np.full((SIZE, SIZE), 255, np.uint8)
    coverage[0], coverage[1] = 0, 128
    history = [{"step": 1, "train/loss": 0.25}]
    write_run(tmp_path / "run", {"scene": "../scene", "method": "fast"}, texture, coverage, history, "seed: 0\n")
    return tmp_path / "run"


def test_run_survives_the_disk(run_dir: Path) -> None:
    run = read_run(run_dir)
    assert run.manifest["method"] == "fast"
    assert run.texture.dtype == np.float32
    assert run.texture[-1, -1, -1] == 1
    assert run.coverage[:3, 0].tolist() == [0, 128, 255]
    assert run.mesh.num_faces == 2
    assert run.history == [{"step": 1, "train/loss": 0.25}]
    assert run.scene_path.resolve() == (run_dir.parent / "scene").resolve()


def test_run_without_its_exact_texture_is_unfinished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr(fit_run, "write_exr", fail)
    texture = np.zeros((SIZE, SIZE, 3), np.float32)
    with pytest.raises(OutputError, match="full"):
        write_run(tmp_path, {}, texture, np.zeros((SIZE, SIZE), np.uint8), [], "")
    assert not (tmp_path / "manifest.json").exists()


def test_run_of_another_version_is_refused(run_dir: Path) -> None:
    write_json(run_dir / "manifest.json", {**read_json(run_dir / "manifest.json"), "version": 99})
    with pytest.raises(DataError, match="has version 99, this program reads 1"):
        read_run(run_dir)


def test_unfinished_run_is_told_from_a_foreign_folder(run_dir: Path) -> None:
    (run_dir / "manifest.json").unlink()
    with pytest.raises(DataError, match="is an unfinished run"):
        read_run(run_dir)
    with pytest.raises(DataError, match="is not a run folder"):
        read_run(run_dir.parent / "scene")


def test_run_whose_scene_is_gone_says_so(run_dir: Path) -> None:
    (run_dir.parent / "scene").rename(run_dir.parent / "moved")
    with pytest.raises(DataError, match="does not exist any more"):
        read_run(run_dir)
