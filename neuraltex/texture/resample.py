"""Textures brought to another size."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from neuraltex.core.errors import DataError, ShapeError
from neuraltex.io.images import read_exr, read_texture


def resample(image: Float[np.ndarray, "Ht Wt *C"], size: tuple[int, int]) -> Float[np.ndarray, "h w *C"]:
    """Resample bilinearly, averaging where the result is smaller (a tent as wide as its texels).

    Args:
        image: Colors or one map, float32.
        size: (Ht, Wt) of the result.

    Raises:
        ShapeError: if the image is empty or has no two axes.
    """
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise ShapeError(f"a texture of shape {image.shape} cannot be resampled")
    if image.shape[:2] == size:
        return np.array(image, np.float32)
    planes = np.moveaxis(np.atleast_3d(image), -1, 0)
    out = np.stack([_resample_plane(plane, size) for plane in planes], -1)
    return out if image.ndim == 3 else out[..., 0]


def read_texture_as(path: Path, size: int) -> Float[np.ndarray, "Ht Wt 3"]:
    """Read a square texture, PNG, JPEG or EXR, as float32 of a given size.

    Raises:
        DataError: if it cannot be read or is not square.
    """
    image = read_exr(path) if path.suffix.lower() == ".exr" else read_texture(path).astype(np.float32) / 255
    if image.shape[0] != image.shape[1]:
        raise DataError(
            f"the texture has {image.shape[1]} x {image.shape[0]} texels and is not square",
            source=str(path),
            hint="Give a texture that covers the unit square of the mesh's uvs",
        )
    colors = image[..., :3] if image.shape[2] >= 3 else image[..., :1].repeat(3, 2)
    return resample(colors, (size, size))


def _resample_plane(plane: Float[np.ndarray, "Ht Wt"], size: tuple[int, int]) -> Float[np.ndarray, "h w"]:
    from PIL import Image  # noqa: PLC0415

    picture = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR))
