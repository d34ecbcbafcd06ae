"""Opening a scene of any supported format.

A reader is a module with ``sniff(path) -> str`` (empty if the path is of its format, else why not) and
``read(path, ...) -> Scene``. Readers are imported when they are needed, so that a missing optional package only hurts
who needs it.
"""

import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from neuraltex.core.errors import FormatError, UsageError
from neuraltex.core.runtime import logger
from neuraltex.geometry.scene import Scene


@dataclass(frozen=True)
class Reader:
    """How a format is told from the others.

    Args:
        name: Value of ``--format``.
        looks_for: What must be there, in words; part of the error when nothing fits.
        options: Options of its ``read`` beyond the path.
    """

    name: str
    looks_for: str
    options: tuple[str, ...] = ("mesh",)

    def module(self) -> ModuleType:
        """Import the reader."""
        return importlib.import_module(f"neuraltex.io.{self.name}")


READERS = (
    Reader("openmvs", "a .mvs file that starts with MVSI"),
    Reader("nerfstudio", "transforms.json", ("mesh", "downscale", "original_frame")),
    Reader(
        "colmap",
        "cameras and images as .bin or .txt",
        ("mesh", "image_dir", "downscale"),
    ),
    Reader("rgbd", "color images with a pose file each", ("mesh", "color_camera")),
    Reader(
        "neural_texgen",
        "camera/N.txt and color/N.jpg",
        ("mesh", "camera_dir", "image_dir", "file_list", "size"),
    ),
)
"""Every format, most specific first: the first that recognizes a path reads it."""

FORMATS = tuple(reader.name for reader in READERS)


def detect_format(path: str | Path) -> str:
    """Return the name of the format of a scene.

    Raises:
        FormatError: if no reader recognizes it; lists what each looked for and how it was ruled out.
    """
    path = Path(path)
    if not path.exists():
        raise FormatError(f"{path} does not exist", hint="Pass the folder or file of a reconstructed scene with --data")
    reasons = []
    for reader in READERS:
        reason = reader.module().sniff(path)
        if not reason:
            return reader.name
        reasons.append(f"\n  {reader.name}: looked for {reader.looks_for}; {reason}")
    raise FormatError(
        f"{path} is not a scene of a known format:{''.join(reasons)}",
        hint="Pass the folder that holds these files, or say --format if the layout is unusual",
    )


def load_scene(
    path: str | Path,
    format: str = "auto",
    mesh: str | Path | None = None,
    color_camera: str | Path | None = None,
    **options: Any,
) -> Scene:
    """Read the cameras and the lists of files of a scene; photographs and the mesh are not opened.

    Args:
        path: Folder or file of the scene.
        format: One of :data:`FORMATS`, or ``auto``.
        mesh: Mesh file to use instead of the one the format names or that lies beside it.
        color_camera: Calibration of the color camera of an RGB-D scene.
        options: Further options of the reader, such as ``camera_dir`` of ``neural_texgen``.

    Raises:
        FormatError: if the format is not recognized or its files are broken.
        UsageError: if the format is unknown or an option does not belong to it.
    """
    path = Path(path)
    name = detect_format(path) if format == "auto" else format
    reader = next((reader for reader in READERS if reader.name == name), None)
    if reader is None:
        raise UsageError(f"--format {name!r} is unknown", hint=f"Use auto or one of {', '.join(FORMATS)}")
    given = {"mesh": mesh, "color_camera": color_camera, **options}
    given = {key: Path(value) if isinstance(value, str) else value for key, value in given.items() if value is not None}
    foreign = [key for key in given if key not in reader.options]
    if foreign:
        raise UsageError(
            f"{path} is a {name} scene, which has no option {foreign[0]}", hint=f"It takes {', '.join(reader.options)}"
        )
    scene = reader.module().read(path, **given)
    logger.info("%s: %s scene with %d views", path, name, len(scene.views))
    return scene
