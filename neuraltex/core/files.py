"""Writing files so that nothing is ever lost or half written."""

import contextlib
import errno
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from neuraltex.core.errors import DataError, OutputError

_asking = threading.Lock()


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path`` that keeps its suffix; rename it to ``path`` when the block succeeds.

    Raises:
        OutputError: if the folder is read-only or the disk is full. The old file, if any, stays as it was.
    """
    path = Path(path)
    with translate_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def translate_write_errors(path: Path) -> Iterator[None]:
    """Turn operating system errors of writing into :class:`OutputError` with a remedy."""
    try:
        yield
    except OSError as error:
        reasons = {
            errno.EACCES: "the folder is not writable",
            errno.EPERM: "the folder is not writable",
            errno.EROFS: "the file system is read-only",
            errno.ENOSPC: "the disk is full",
            errno.EDQUOT: "the disk quota is used up",
            errno.ENOTDIR: "a part of the path is a file",
            errno.EEXIST: "a part of the path is a file",
        }
        if error.errno not in reasons:
            raise
        raise OutputError(
            f"cannot write {path}: {reasons[error.errno]}", hint="Free space or choose another --output-dir"
        ) from error


def write_text(path: str | Path, text: str) -> Path:
    """Write ``text`` atomically as UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def write_json(path: str | Path, value: Any) -> Path:
    """Write strict JSON (no NaN) atomically, indented, keys in given order."""
    return write_text(path, json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read JSON.

    Raises:
        DataError: if the file is missing or not valid JSON; names the file and the line.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist", hint="Check the path") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not valid JSON ({error})", hint="Restore the file or write it again") from error


def claim_output_dir(path: str | Path, *, overwrite: bool, keep: bool = False) -> Path:
    """Make an output folder, refusing to mix results with what is there.

    Args:
        path: Folder to create.
        overwrite: Remove what is in it first.
        keep: Accept existing content without removing it (resuming).

    Raises:
        OutputError: if it is not empty and neither ``overwrite`` nor ``keep`` is given, or cannot be written.
    """
    path = Path(path)
    with translate_write_errors(path):
        if path.is_file():
            raise OutputError(f"{path} is a file, not a folder", hint="Choose another --output-dir")
        if path.is_dir() and any(path.iterdir()) and not keep:
            if not overwrite:
                raise OutputError(
                    f"{path} already holds results",
                    hint="Pass --overwrite to replace them or choose another --output-dir",
                )
            shutil.rmtree(path)
        path.mkdir(parents=True, exist_ok=True)
        probe, name = tempfile.mkstemp(dir=path)
        os.close(probe)
        os.unlink(name)
    return path


def _umask() -> int:
    """Return the file mode creation mask, which can only be asked for by setting it: one thread at a time."""
    with _asking:
        mask = os.umask(0)
        os.umask(mask)
    return mask
