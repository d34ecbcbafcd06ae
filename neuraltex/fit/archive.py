"""States to resume from: tensors and plain Python only, written atomically, read without executing anything."""

import pickle
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from neuraltex.core.errors import ResumeError
from neuraltex.core.files import atomic_path

KEEP = 2
"""States that stay in a folder: the last one and, should the disk lose it, the one before."""


def write_state(folder: Path, step: int, content: dict[str, Any], version: int) -> Path:
    """Write ``step-%09d.pt`` into a folder and remove all but the newest :data:`KEEP`."""
    path = folder / f"step-{step:09d}.pt"
    with atomic_path(path) as temporary:
        torch.save({"version": version, **content}, temporary)
    for old in list_states(folder)[:-KEEP]:
        old.unlink()
    return path


def list_states(folder: Path) -> list[Path]:
    """Return the states in a folder, oldest first."""
    return sorted(folder.glob("step-*.pt"))


def latest_state(folder: Path) -> Path:
    """Return the newest state in a folder.

    Raises:
        ResumeError: if there is none.
    """
    paths = list_states(folder)
    if not paths:
        raise ResumeError(f"{folder} holds no checkpoint", hint="Start without --resume")
    return paths[-1]


def read_state(path: Path, fields: Iterable[str], version: int) -> dict[str, Any]:
    """Read a state with torch's restricted unpickler, which builds tensors and plain values only.

    Raises:
        ResumeError: if the file is corrupt, holds anything else, other fields, or was written by another version.
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
    found = content.pop("version", None) if isinstance(content, dict) else None
    if found != version:
        raise ResumeError(f"{path} has version {found!r}, this program reads {version}", hint=hint)
    if set(content) != set(fields):
        raise ResumeError(f"{path} lacks or adds {sorted(set(content) ^ set(fields))}", source="checkpoint", hint=hint)
    return content


def check_signature(found: dict[str, Any], wanted: dict[str, Any], path: Path) -> None:
    """Compare what a state was made for with what is asked for.

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
