"""Pictures of a partial texture, to look at."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from neuraltex.io.images import to_uint8
from neuraltex.io.png import write_png
from neuraltex.learn.data.files import sample_pictures
from neuraltex.learn.partial import Partial

CLASS_COLORS = {"direct": (0, 158, 115), "mirrored": (0, 114, 178), "unseen": (213, 94, 0)}
"""Colors of the classes of texels (those of Okabe and Ito, which everyone can tell apart)."""


def class_picture(partial: Partial) -> UInt8[np.ndarray, "Ht Wt 3"]:
    """Return the classes of texels as colors, black outside charts."""
    picture = np.zeros((*partial.inside.shape, 3), np.uint8)
    for name, color in CLASS_COLORS.items():
        picture[getattr(partial, name)] = color
    return picture


def write_pictures(folder: Path, partial: Partial) -> list[Path]:
    """Write all pictures of a partial texture into a folder; returns their files."""
    pictures = {
        "texture": to_uint8(np.where(partial.direct[..., None], partial.color, 0)),
        **sample_pictures(partial),
        "classes": class_picture(partial),
    }
    return [write_png(folder / f"{name}.png", picture) for name, picture in pictures.items()]
