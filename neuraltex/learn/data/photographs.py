"""Partial textures of a whole folder of photographs, as training samples."""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from neuraltex.config.partial import PartialConfig, PartialSources
from neuraltex.core.errors import DataError
from neuraltex.core.runtime import logger
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.io.camera_file import read_cameras
from neuraltex.io.discover import MESH_SUFFIXES
from neuraltex.io.images import PHOTO_SUFFIXES, read_texture
from neuraltex.io.meshes import read_mesh
from neuraltex.io.nerfstudio import FILE_NAME
from neuraltex.io.subject import read_subject
from neuraltex.learn.data.files import write_sample, write_subject
from neuraltex.learn.extract import extract_partial, find_symmetry
from neuraltex.texture.layout import layout_of
from neuraltex.texture.mirror import SymmetryMap


def extract_folder(sources: PartialSources, folder: Path, config: PartialConfig, angle: str) -> int:
    """Write the partial textures of all photographs; returns how many there are.

    Photographs that show nothing of their mesh are left out with a warning.

    Args:
        sources: Inputs.
        folder: To write to, see :mod:`neuraltex.learn.data.files`.
        config: Size and tolerances.
        angle: Name of the view under which the samples are filed.

    Raises:
        DataError: if there are no photographs, a file is missing or broken, or no photograph shows anything.
    """
    images = _list_images(sources.images)
    symmetry = _rest_symmetry(sources, config, images[0])
    config = replace(config, mirror=symmetry is not None)
    written = 0
    for image, camera in _pairs(sources, images):
        try:
            _extract_one(sources, image, camera, folder, config, symmetry, angle)
            written += 1
        except DataError as error:
            logger.warning("left out %s: %s", image.name, error)
    if not written:
        raise DataError(f"none of the {len(images)} photographs in {sources.images} could be used", hint="See above")
    return written


def _extract_one(
    sources: PartialSources,
    image: Path,
    camera: Camera,
    folder: Path,
    config: PartialConfig,
    symmetry: SymmetryMap | None,
    angle: str,
) -> None:
    mesh = _mesh_of(sources.mesh, image)
    matte = _beside(sources.mattes, image, PHOTO_SUFFIXES) if sources.mattes else None
    photo, mask = read_subject(image, camera, matte)
    partial = extract_partial(photo, mesh, camera, config, mask, symmetry)
    write_sample(folder, image.stem, angle, partial, photo)
    if sources.textures:
        truth = _resized(read_texture(_beside(sources.textures, image, PHOTO_SUFFIXES))[..., :3], config.size)
        write_subject(folder, image.stem, truth)


def _resized(texture: UInt8[np.ndarray, "h w 3"], size: int) -> UInt8[np.ndarray, "Ht Wt 3"]:
    from PIL import Image  # noqa: PLC0415

    return np.asarray(Image.fromarray(texture).resize((size, size), Image.Resampling.BOX))


def _rest_symmetry(sources: PartialSources, config: PartialConfig, first: Path) -> SymmetryMap | None:
    """Mirror images of the texels, from the rest mesh, else from the mesh of the first photograph."""
    if not config.mirror:
        return None
    mesh = _mesh_of(sources.mesh, first)
    rest = read_mesh(sources.rest_mesh) if sources.rest_mesh else mesh
    layout_of(mesh).require(layout_of(rest), str(sources.rest_mesh))
    return find_symmetry(rest, config)


def _pairs(sources: PartialSources, images: list[Path]) -> Iterator[tuple[Path, Camera]]:
    return zip(images, read_cameras(sources.cameras or sources.images, images), strict=True)


def _list_images(folder: Path) -> list[Path]:
    inner = folder / "images" if (folder / FILE_NAME).is_file() and (folder / "images").is_dir() else folder
    images = sorted(file for file in inner.glob("*") if file.suffix.lower() in PHOTO_SUFFIXES)
    if not images:
        raise DataError(f"{folder} holds no photographs", hint=f"They end in {' '.join(PHOTO_SUFFIXES)}")
    return images


def _mesh_of(path: Path, image: Path) -> Mesh:
    return _read_mesh(_beside(path, image, MESH_SUFFIXES))


@lru_cache(maxsize=1)
def _read_mesh(path: Path) -> Mesh:
    return read_mesh(path)


def _beside(path: Path, image: Path, suffixes: tuple[str, ...]) -> Path:
    """Return the file itself, or the one in a folder that is named like a photograph."""
    if not path.is_dir():
        return path
    found = next((file for suffix in suffixes if (file := path / f"{image.stem}{suffix}").is_file()), None)
    if found is None:
        raise DataError(f"{path} holds nothing named {image.stem}", hint=f"Suffixes tried: {' '.join(suffixes)}")
    return found
