"""Photographs, masks, depth images and float images on disk."""

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8

from neuraltex.core.errors import DataError
from neuraltex.core.files import atomic_path

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".ppm")
MAX_PIXELS = 1 << 30
"""Largest image that is opened: a texture of 32768 x 32768."""
STRIP_PIXELS = 1 << 17
"""Pixels that are taken out of a decoded image at a time: Pillow makes three copies on the way."""
EXIF_ORIENTATION = 0x0112
SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""


def read_rgb(path: Path, size: tuple[int, int] | None = None) -> UInt8[np.ndarray, "H W 3"]:
    """Read a photograph as 8 bit sRGB.

    Grey is repeated, 16 bit is scaled down, alpha is dropped and CMYK is converted.

    Convention:
        Without ``size`` the rotation in the EXIF data is applied. With ``size`` the pixels stay as stored if that is
        their size, because reconstruction programs (COLMAP among them) ignore EXIF rotation; it is applied only if
        nothing but the rotated image has that size.

    Args:
        path: File.
        size: Expected (width, height) [px].

    Raises:
        DataError: if the file is missing, truncated, or of another size.
    """
    from PIL import ImageOps  # noqa: PLC0415

    with _opened(path) as image:
        turn = size is None or _must_turn(path, image, size)
        return _rgb8(ImageOps.exif_transpose(image) if turn else image)


def read_rgb_reduced(path: Path, size: tuple[int, int], longer: int) -> UInt8[np.ndarray, "H W 3"]:
    """Read a photograph no smaller than ``longer`` on its longer side; a JPEG is decoded at that scale only.

    Args:
        path: File.
        size: Expected (width, height) of the file [px].
        longer: Wanted size of the longer side [px]; the result may have up to twice as much, or be the original.

    Raises:
        DataError: as :func:`read_rgb`.
    """
    from PIL import ImageOps  # noqa: PLC0415

    with _opened(path) as image:
        turn = _must_turn(path, image, size)
        scale = min(1.0, longer / max(image.size))
        image.draft("RGB", (round(image.width * scale), round(image.height * scale)))
        return _rgb8(ImageOps.exif_transpose(image) if turn else image)


def check_image(path: Path, size: tuple[int, int]) -> None:
    """Check the size of a photograph by its header, then that it decodes to the end, as cheaply as the format allows.

    Raises:
        DataError: as :func:`read_rgb`.
    """
    with _opened(path) as image:
        _must_turn(path, image, size)
        # A JPEG then decodes to an eighth of its size: all of its data is read, but few pixels are made.
        image.draft("RGB", (max(1, image.width // 8), max(1, image.height // 8)))
        image.load()


@contextlib.contextmanager
def _opened(path: Path) -> "Iterator[Image.Image]":  # type: ignore[name-defined]
    """Open an image lazily; whatever goes wrong while it is used becomes a DataError."""
    from PIL import Image  # noqa: PLC0415

    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist", hint="Restore the image, or pass --skip-bad-images") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path} cannot be read as an image ({error})", hint="Restore the file, or pass --skip-bad-images"
        ) from error


def _must_turn(path: Path, image: "Image.Image", size: tuple[int, int]) -> bool:  # type: ignore[name-defined]
    """Return whether the EXIF rotation must be applied to get ``size``."""
    if image.size == tuple(size):
        return False
    if image.size[::-1] == tuple(size) and image.getexif().get(EXIF_ORIENTATION, 1) in SIDEWAYS:
        return True
    raise DataError(
        f"{path} is {image.width}x{image.height} but its camera says {size[0]}x{size[1]}",
        hint="Pass the image folder the cameras were computed for, or --skip-bad-images",
    )


def _rgb8(image: "Image.Image") -> UInt8[np.ndarray, "H W 3"]:  # type: ignore[name-defined]
    """Convert any mode; integers above 8 bit are scaled by 65535, floats by 1 if none is larger."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.nan_to_num(np.asarray(image, np.float64))
        largest = values.max(initial=0)
        peak = 65535.0 if largest > 255 or image.mode.startswith("I;16") else 255.0
        peak = 1.0 if image.mode == "F" and largest <= 1 else peak
        return np.repeat(np.round(values.clip(0, peak) * (255 / peak)).astype(np.uint8)[..., None], 3, axis=2)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    step = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, step):
        strip = image.crop((0, top, image.width, min(top + step, image.height)))
        pixels[top : top + step] = strip if strip.mode == "RGB" else strip.convert("RGB")
    return pixels


def read_texture(path: Path) -> UInt8[np.ndarray, "Ht Wt C"]:
    """Read a texture as 8 bit RGB, or RGBA where the file has transparency; never rotated, row 0 is v = 1.

    Raises:
        DataError: if the file is missing or broken.
    """
    with _opened(path) as image:
        alpha = "A" in image.getbands() or "transparency" in image.info
        return np.array(image.convert("RGBA")) if alpha else _rgb8(image)


def to_uint8(texture: Shaped[np.ndarray, "*B C"]) -> UInt8[np.ndarray, "*B C"]:
    """Round color in [0, 1] to 8 bit; 8 bit input is returned as it is."""
    if texture.dtype == np.uint8:
        return texture
    return np.round(np.clip(texture, 0, 1) * 255).astype(np.uint8)


def write_rgb(path: Path, pixels: UInt8[np.ndarray, "H W C"], quality: int = 95) -> Path:
    """Write an 8 bit image atomically; the suffix chooses the format."""
    from PIL import Image  # noqa: PLC0415

    options: dict[str, Any] = {"quality": quality, "subsampling": 0} if path.suffix.lower() in (".jpg", ".jpeg") else {}
    with atomic_path(path) as temporary:
        Image.fromarray(pixels).save(temporary, **options)
    return path


def read_mask(path: Path, shape: tuple[int, ...]) -> Bool[np.ndarray, "H W"]:
    """Read a mask; anything above half of the range (0 to 255, or 0 to 1) means 'use this pixel'. EXIF is ignored.

    Raises:
        DataError: if it cannot be read or its size is not ``shape`` (height, width).
    """
    with _opened(path) as image:
        values = _rgb8(image)[..., 0]
    mask = values > (127 if values.max(initial=0) > 1 else 0)
    if mask.shape != tuple(shape):
        raise DataError(
            f"{path} is {mask.shape[1]}x{mask.shape[0]} but its photograph is {shape[1]}x{shape[0]}",
            hint="Masks must have the size of their photographs",
        )
    return mask


def write_exr(path: Path, pixels: Float[np.ndarray, "H W C"], *, compress: bool = True) -> Path:
    """Write a float32 OpenEXR file with channels RGB (or RGBA), losslessly compressed (ZIP) or not at all.

    Compression takes a texture's noise down by a tenth only, for ten times the time; uv maps shrink a lot.
    """
    import OpenEXR

    kind = OpenEXR.ZIP_COMPRESSION if compress else OpenEXR.NO_COMPRESSION
    header = {"compression": kind, "type": OpenEXR.scanlineimage}
    name = "RGBA" if pixels.shape[2] == 4 else "RGB"
    with atomic_path(path) as temporary, OpenEXR.File(header, {name: np.ascontiguousarray(pixels, np.float32)}) as file:
        file.write(str(temporary))
    return path


def read_exr(path: Path) -> Float[np.ndarray, "H W C"]:
    """Read an OpenEXR file as float32 RGB(A).

    Raises:
        DataError: if the file is missing or broken.
    """
    import OpenEXR

    try:
        with OpenEXR.File(str(path)) as file:
            channels = file.channels()
            joined = next((channels[name].pixels for name in ("RGBA", "RGB") if name in channels), None)
            if joined is None:
                joined = np.dstack([channels[name].pixels for name in ("R", "G", "B") if name in channels])
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise DataError(f"{path} cannot be read as OpenEXR ({error})", hint="Write the file again") from error
    return np.asarray(joined, np.float32)
