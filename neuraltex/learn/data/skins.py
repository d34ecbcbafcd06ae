"""Whole textures over one uv layout, as collections have them: of any size, with anything between the charts."""

import glob
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from neuraltex.core.errors import DataError
from neuraltex.io.images import PHOTO_SUFFIXES, read_texture, to_uint8
from neuraltex.texture.fill import dilate, push_pull

GUTTER = 8
"""Rings of texels around charts that continue them exactly; the rest is filled smoothly [texel]."""


def find_textures(sources: tuple[str, ...]) -> dict[str, Path]:
    """Return the image files of folders, file names and patterns by the name of their subject (sorted).

    Raises:
        DataError: if one holds none, or two files have one name.
    """
    found: dict[str, Path] = {}
    for source in sources:
        folder = Path(source)
        paths = sorted(folder.iterdir()) if folder.is_dir() else [Path(name) for name in sorted(glob.glob(source))]
        paths = [path for path in paths if path.suffix.lower() in PHOTO_SUFFIXES]
        if not paths:
            raise DataError(f"{source} holds no images", source="--textures", hint="Give a folder, files or a pattern")
        for path in paths:
            if found.setdefault(path.stem, path) != path:
                raise DataError(
                    f"{found[path.stem]} and {path} are both called {path.stem}",
                    source="--textures",
                    hint="Rename one: names tell subjects apart",
                )
    return dict(sorted(found.items()))


def read_skin(path: Path) -> UInt8[np.ndarray, "Ht Wt 3"]:
    """Read a texture without its transparency.

    Raises:
        DataError: if it is broken.
    """
    return np.ascontiguousarray(read_texture(path)[..., :3])


def fill_between_charts(
    texture: UInt8[np.ndarray, "Ht Wt 3"], inside: Bool[np.ndarray, "Ht Wt"]
) -> Float[np.ndarray, "Ht Wt 3"]:
    """Return a texture in [0, 1] whose texels between the charts continue them, whatever was there."""
    color, known = dilate(texture.astype(np.float32) / 255, inside, GUTTER)
    return push_pull(color, known, copy=False)


def resize_texture(texture: Float[np.ndarray, "Ht Wt 3"], size: int) -> Float[np.ndarray, "S S 3"]:
    """Return a texture of another size: the means of areas, or the texels as they are where it grows."""
    from PIL import Image  # noqa: PLC0415

    planes = [Image.fromarray(np.ascontiguousarray(texture[..., channel])) for channel in range(3)]
    resized = [np.asarray(plane.resize((size, size), Image.Resampling.BOX)) for plane in planes]
    return np.stack(resized, -1).astype(np.float32)


def thumbnail(texture: UInt8[np.ndarray, "Ht Wt 3"], inside: Bool[np.ndarray, "S S"]) -> Float[np.ndarray, "P 3"]:
    """Return the colors of a texture reduced to the size of a small mask, in it, in [0, 1]."""
    return resize_texture(texture.astype(np.float32) / 255, len(inside))[inside]


def as_bytes(texture: Float[np.ndarray, "Ht Wt 3"], inside: Bool[np.ndarray, "Ht Wt"]) -> UInt8[np.ndarray, "Ht Wt 3"]:
    """Return a texture as 8 bit, 0 between the charts."""
    return to_uint8(texture * inside[..., None])
