"""Cameras of single photographs: a JSON file each, one file for all, or a ``transforms.json``.

A file of ours holds the keys of :func:`neuraltex.io.prepared.camera_to_json`: ``width height fx fy cx cy`` [px],
``cam_from_world`` (4x4, rows), and if need be ``skew lens distortion``. See ``docs/conventions.md``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neuraltex.core.errors import DataError, NeuralTexError
from neuraltex.core.files import read_json
from neuraltex.geometry.camera import Camera
from neuraltex.io import nerfstudio
from neuraltex.io.prepared import camera_from_json

KEYS = ("width", "height", "fx", "fy", "cx", "cy", "cam_from_world")


def read_camera(path: Path, image: Path) -> Camera:
    """Read the camera of one photograph; see :func:`read_cameras`."""
    return read_cameras(path, [image])[0]


def read_cameras(path: Path, images: Sequence[Path]) -> list[Camera]:
    """Read the cameras of photographs.

    Args:
        path: File with one camera, which then is everyone's; a ``transforms.json`` (or its folder), in which
            photographs are found by name; or a folder with one file per photograph, named like it.
        images: Photographs.

    Raises:
        DataError: if a file is missing or broken, or lists no camera for a photograph.
    """
    if path.is_dir() and not (path / nerfstudio.FILE_NAME).is_file():
        return [_plain(path / f"{image.stem}.json") for image in images]
    file = path / nerfstudio.FILE_NAME if path.is_dir() else path
    content = read_json(file)
    if isinstance(content, dict) and "frames" in content:
        return _named(file, images)
    return [_plain(file)] * len(images)


def _plain(file: Path) -> Camera:
    content: Any = read_json(file)
    content = content.get("camera", content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or (missing := [key for key in KEYS if key not in content]):
        what = f"lacks {', '.join(missing)}" if isinstance(content, dict) else "is not a mapping"
        raise DataError(
            f"{file} {what}", hint=f"Give {', '.join(KEYS)} of one camera, or a transforms.json with the photograph"
        )
    try:
        return camera_from_json(content)
    except (TypeError, ValueError, NeuralTexError) as error:
        raise DataError(f"{file} is no camera ({error})", hint="Write it again, see docs/conventions.md") from error


def _named(file: Path, images: Sequence[Path]) -> list[Camera]:
    views = nerfstudio.read(file).views
    by_name = {view.image.stem: view.camera for view in views} | {view.image.name: view.camera for view in views}
    found = [by_name.get(image.name, by_name.get(image.stem)) for image in images]
    missing = [image.name for image, camera in zip(images, found, strict=True) if camera is None]
    if missing:
        names = ", ".join(sorted(view.image.name for view in views)[:5])
        raise DataError(
            f"{file} lists no frame {missing[0]!r} ({len(missing)} missing); the first are {names}",
            hint="Give the transforms.json of this photograph",
        )
    return [camera for camera in found if camera is not None]
