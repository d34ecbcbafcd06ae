"""Checkpoints: tensors and plain Python only, written atomically, read without executing anything."""

import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from neuraltex.core.errors import ResumeError
from neuraltex.core.files import atomic_path

VERSION = 3
KEEP = 2
"""Checkpoints that stay in a run folder: the last one and, should the disk lose it, the one before."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything a fit needs to go on bit by bit; the order of the photographs follows from the step.

    Args:
        step: Steps done.
        model: ``state_dict`` of the texture.
        optimizer: ``state_dict`` of the optimizer.
        colors: Gain and bias of every photograph.
        seen: Sum of pixel weights of every texel.
        history: Logged so far.
        signature: What must be equal for the state to make sense (texture, scene, seed), as plain values.
        seconds: Time spent so far [s].
        best: The best state seen on the pixels kept out, if any are.
        anchor: What the texture is held to, if it is.
        prior: The prediction it leans on, if it does.
    """

    step: int
    model: dict[str, Any]
    optimizer: dict[str, Any]
    colors: dict[str, torch.Tensor]
    seen: torch.Tensor
    history: list[dict[str, float]]
    signature: dict[str, Any]
    seconds: float
    best: dict[str, Any] | None = None
    anchor: dict[str, torch.Tensor] | None = None
    prior: dict[str, torch.Tensor] | None = None


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write ``step-%09d.pt`` into a folder and remove all but the newest :data:`KEEP`."""
    path = folder / f"step-{checkpoint.step:09d}.pt"
    content = {name: getattr(checkpoint, name) for name in Checkpoint.__dataclass_fields__}
    with atomic_path(path) as temporary:
        torch.save({"version": VERSION, **content}, temporary)
    for old in list_checkpoints(folder)[:-KEEP]:
        old.unlink()
    return path


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints of a folder, oldest first."""
    return sorted(folder.glob("step-*.pt"))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint with torch's restricted unpickler, which builds tensors and plain values only.

    Raises:
        ResumeError: if the file is corrupt, holds anything else, or was written by another version.
    """
    hint = "Delete the file to go on from an older checkpoint, or start again with --overwrite"
    if not path.is_file():
        raise ResumeError(f"{path} does not exist", hint="Check --output-dir")
    if not zipfile.is_zipfile(path):  # a bare pickle, or the end of the file is missing
        raise ResumeError(f"{path} is corrupt (not a complete archive)", source="checkpoint", hint=hint)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ResumeError(
            f"{path} holds more than tensors and plain values and was not loaded", source="checkpoint", hint=hint
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ResumeError(f"{path} is corrupt ({_first_line(error)})", source="checkpoint", hint=hint) from error
    version = content.get("version") if isinstance(content, dict) else None
    if version != VERSION:
        raise ResumeError(f"{path} has version {version!r}, this program reads {VERSION}", hint=hint)
    content.pop("version")
    fields = set(Checkpoint.__dataclass_fields__)
    if set(content) != fields:
        raise ResumeError(f"{path} lacks or adds {sorted(set(content) ^ fields)}", source="checkpoint", hint=hint)
    return Checkpoint(**content)


def latest_checkpoint(folder: Path) -> Checkpoint:
    """Read the newest checkpoint of a folder.

    Raises:
        ResumeError: if there is none, or it cannot be used.
    """
    paths = list_checkpoints(folder)
    if not paths:
        raise ResumeError(f"{folder} holds no checkpoint", hint="Start without --resume")
    return read_checkpoint(paths[-1])


def check_signature(found: dict[str, Any], wanted: dict[str, Any], path: Path) -> None:
    """Compare what a checkpoint was made for with what is asked for.

    Raises:
        ResumeError: naming the first value that differs.
    """
    for key in sorted({*found, *wanted}):
        if found.get(key) != wanted.get(key):
            raise ResumeError(
                f"the run was made with {key} = {found.get(key)!r}, not {wanted.get(key)!r}",
                source=str(path),
                hint="Resume with the settings of the run (its config.yaml) or start again with --overwrite",
            )


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
