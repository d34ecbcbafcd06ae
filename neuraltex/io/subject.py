"""A photograph of a person or object, and the matte that tells it from its background."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8

from neuraltex.core.errors import DataError
from neuraltex.geometry.camera import Camera
from neuraltex.io.discover import image_size
from neuraltex.io.images import read_mask, read_rgb, read_texture

WITH_ALPHA = (".png", ".webp", ".tif", ".tiff")


def read_subject(
    image: Path, camera: Camera | None = None, matte: Path | None = None
) -> tuple[UInt8[np.ndarray, "H W 3"], Bool[np.ndarray, "H W"] | None]:
    """Read a photograph and its matte: the file given, else the photograph's own transparency, else none.

    Args:
        image: Photograph, of the camera's size.
        camera: Its camera; without one the photograph is taken as it is stored, since what was made from it (an IUV
            map) has its pixels.
        matte: Image of the same size; bright pixels show the person.

    Raises:
        DataError: if a file is missing or broken, or has another size.
    """
    found = image_size(image)
    size = found if camera is None else (camera.width, camera.height)
    if sorted(found) != sorted(size):
        raise DataError(
            f"{image} is {found[0]}x{found[1]} but its camera says {size[0]}x{size[1]}",
            hint="Give the camera of this photograph, at its size",
        )
    pixels = read_rgb(image, size=size)
    if matte is not None:
        return pixels, read_mask(matte, pixels.shape[:2])
    return pixels, _own_alpha(image, pixels.shape[:2])


def _own_alpha(image: Path, shape: tuple[int, ...]) -> Bool[np.ndarray, "H W"] | None:
    if image.suffix.lower() not in WITH_ALPHA:
        return None
    pixels = read_texture(image)
    if pixels.shape[2] < 4 or pixels.shape[:2] != shape or (pixels[..., 3] == 255).all():
        return None
    return pixels[..., 3] > 127
