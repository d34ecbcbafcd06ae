"""Photographs on their way into a prepared folder: safe names, links, resampling."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from neuraltex.core.errors import DataError
from neuraltex.geometry.camera import Camera
from neuraltex.io.discover import place_file
from neuraltex.io.images import read_mask, read_rgb, write_rgb

UNSAFE = re.compile(r'[\x00-\x1f/\\:*?"<>|]+')
MAX_BYTES = 180


def file_stems(names: Sequence[str]) -> dict[str, str]:
    """Give every view name a file name that any system accepts, unique also where case does not count.

    Letters of all scripts and spaces stay. ``a/b`` becomes ``a_b``; a clash gets a number: ``a_b-2``.

    Raises:
        DataError: if a name occurs twice.
    """
    stems: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        if name in stems:
            raise DataError(f"two views are named {name!r}", hint="Rename one of the photographs")
        base = UNSAFE.sub("_", name).strip(" .") or "view"
        base = base.encode()[:MAX_BYTES].decode(errors="ignore")
        stem, number = base, 2
        while stem.casefold() in taken:
            stem, number = f"{base}-{number}", number + 1
        taken.add(stem.casefold())
        stems[name] = stem
    return stems


def place_photo(source: Path, target: Path, camera: Camera, native: Camera) -> Path:
    """Put a photograph at ``target``: linked (else copied) if ``camera`` is as large as ``native``, else resampled.

    Raises:
        DataError: if it must be read and is broken, or has not the size of ``native``.
        OutputError: if it cannot be written.
    """
    if (camera.width, camera.height) == (native.width, native.height):
        return place_file(source, target)
    pixels = read_rgb(source, size=(native.width, native.height))
    return write_rgb(target, resample(pixels, camera.width, camera.height))


def place_mask(source: Path, target: Path, camera: Camera, native: Camera) -> Path:
    """Write a user mask as a PNG of the size of ``camera``, 255 where pixels may be used.

    A resampled pixel may be used only if all of the pixels it averages may.

    Raises:
        DataError: if the mask is broken or has not the size of ``native``, its photograph's camera.
    """
    mask = read_mask(source, (native.height, native.width))
    grey = resample(np.repeat(mask[..., None] * np.uint8(255), 3, 2), camera.width, camera.height)
    return write_rgb(target, np.where(grey[..., 0] == 255, np.uint8(255), np.uint8(0)))


def resample(pixels: UInt8[np.ndarray, "H W 3"], width: int, height: int) -> UInt8[np.ndarray, "h w 3"]:
    """Resample to another size: area average when shrinking, bicubic when growing; corners stay on corners."""
    from PIL import Image  # noqa: PLC0415

    if pixels.shape[:2] == (height, width):
        return pixels
    shrink = width <= pixels.shape[1] and height <= pixels.shape[0]
    filter_ = Image.Resampling.BOX if shrink else Image.Resampling.BICUBIC
    planes = (Image.fromarray(plane.astype(np.float32)) for plane in np.moveaxis(pixels, -1, 0))  # 8 bit rounds twice
    resized = np.stack([np.asarray(plane.resize((width, height), filter_)) for plane in planes], -1)
    return resized.round().clip(0, 255).astype(np.uint8)
