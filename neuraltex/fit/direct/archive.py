"""Equations on disk: what a later fit adds photographs to without reading the old ones again."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuraltex.core.errors import DataError
from neuraltex.core.files import atomic_path
from neuraltex.fit.direct.equations import NormalEquations

FILE_NAME = "equations.npz"
"""Name within a run folder."""
VERSION = 1
ROWS_PER_PART = 1 << 20
"""Texels that are gathered and written at a time."""


@dataclass(frozen=True, eq=False)
class SavedEquations:
    """Equations and the names of the photographs they were summed over, with the weights these had then."""

    equations: NormalEquations
    names: tuple[str, ...]


def write_equations(path: Path, saved: SavedEquations) -> Path:
    """Write the texels that pixels say something about; about 36 bytes each."""
    equations = saved.equations
    used = np.flatnonzero(equations.rows[:, 0]).astype(np.uint32)
    facts = {"version": np.array(VERSION), "size": np.array(equations.size), "levels": np.array(equations.levels)}
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        _put(archive, "names", np.array(saved.names, np.str_))
        for name, value in facts.items():
            _put(archive, name, value)
        for part, start in enumerate(range(0, len(used), ROWS_PER_PART)):
            rows = used[start : start + ROWS_PER_PART]
            _put(archive, f"used{part}", rows)
            _put(archive, f"rows{part}", equations.rows[rows])
    return path


def read_equations(path: Path) -> SavedEquations:
    """Read what :func:`write_equations` wrote.

    Raises:
        DataError: if the file is missing, broken or of another version.
    """
    hint = "Fit with --direct.save-equations first"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            if int(content["version"]) != VERSION:
                raise DataError(f"{path} has version {content['version']}, this program reads {VERSION}", hint=hint)
            height, width = (int(value) for value in content["size"])
            equations = NormalEquations((height, width), int(content["levels"]))
            part = 0
            while f"used{part}" in content.files:
                equations.rows[content[f"used{part}"]] = content[f"rows{part}"]
                part += 1
            return SavedEquations(equations, tuple(str(name) for name in content["names"]))
    except (OSError, ValueError, EOFError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} holds no equations ({error})", hint=hint) from error


def _put(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array(file, array, allow_pickle=False)
