"""What several readers share: finding images and meshes beside a scene, names, and handing images on."""

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from neuraltex.core.errors import DataError, UsageError
from neuraltex.core.files import translate_write_errors
from neuraltex.geometry.scene import View

MESH_SUFFIXES = (".obj", ".ply", ".off", ".stoff", ".glb", ".gltf", ".stl")
HEADER_BYTES = 4096


def find_mesh(*folders: Path, patterns: Sequence[str] = ("*",)) -> tuple[Path | None, tuple[str, ...]]:
    """Look for the mesh of a scene in the given folders, not below them.

    Args:
        folders: Where to look.
        patterns: Globs of file stems, best first; the first that matches anything decides.

    Returns:
        The mesh if there is exactly one candidate, and a note that says what was taken or why nothing was.
    """
    for pattern in patterns:
        files = {file for folder in folders if folder.is_dir() for file in folder.glob(f"{pattern}.*")}
        found = sorted(file for file in files if is_mesh_file(file))
        if len(found) == 1:
            return found[0], (f"mesh: {found[0].name}, found beside the scene",)
        if found:
            names = ", ".join(file.name for file in found)
            return None, (f"mesh: {len(found)} candidates ({names}); choose one with --mesh",)
    return None, ()


def is_mesh_file(path: Path) -> bool:
    """Whether a file is a mesh by its suffix and, for ply, by a header with at least one face."""
    if path.suffix.lower() not in MESH_SUFFIXES or not path.is_file():
        return False
    return path.suffix.lower() != ".ply" or ply_face_count(path) > 0


def ply_face_count(path: Path) -> int:
    """Number of faces a ply header announces; 0 for a point cloud or a file that is no ply."""
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES).partition(b"end_header")[0]
    counts = [line.split()[2] for line in header.splitlines() if line.startswith(b"element face ")]
    return int(counts[0]) if header.startswith(b"ply") and counts and counts[0].isdigit() else 0


def image_size(path: Path) -> tuple[int, int]:
    """Width and height [px] as stored (no EXIF rotation), from the header alone.

    Raises:
        DataError: if the file is missing or no image.
    """
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415

    try:
        with Image.open(path) as file:
            return file.size
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist", hint="Restore the image or remove its pose") from error
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError) as error:
        raise DataError(f"{path} cannot be read as an image ({error})", hint="Restore the file") from error


def unique_names(files: Sequence[str]) -> list[str]:
    """Return relative paths without suffix, keeping the suffix where two files differ in nothing else."""
    stems = [PurePosixPath(file).with_suffix("").as_posix() for file in files]
    counts = Counter(stems)
    return [file if counts[stem] > 1 else stem for file, stem in zip(files, stems, strict=True)]


def image_file_name(view: View) -> str:
    """Relative file name under which a writer puts the photograph of a view, such that readers give the name back."""
    suffix = view.image.suffix.lower()
    return view.name if view.name.lower().endswith(suffix) else f"{view.name}{suffix}"


def refuse_overlap(source: Path, target: Path) -> None:
    """Refuse to write to a folder that holds the source, where clearing the folder would delete it.

    Raises:
        UsageError: if ``target`` is ``source`` or above it.
    """
    if source.resolve().is_relative_to(target.resolve()):
        raise UsageError(f"the output {target} holds the input {source}", hint="Choose another --output folder")


def place_file(source: Path, target: Path) -> Path:
    """Hard-link a file, or copy it where the file system cannot; an existing target is replaced.

    Raises:
        OutputError: if the target cannot be written.
    """
    with translate_write_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and target.samefile(source):
            return target
        target.unlink(missing_ok=True)
        try:
            os.link(source.resolve(), target)
        except OSError:
            shutil.copyfile(source, target)
    return target
