"""A texture as far as one photograph (or several) shows it, with everything the networks are told beside it."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from neuraltex.core.errors import DataError, ShapeError
from neuraltex.core.files import read_json, write_json
from neuraltex.io.npz import read_npz, write_npz
from neuraltex.texture.layout import Layout

FILE = "partial.npz"
"""The arrays in a partial texture's folder; pictures of them lie beside it."""


@dataclass(frozen=True, eq=False)
class Partial:
    """A partial texture.

    Every texel inside a chart is of one class: *direct* (a photograph shows it), *mirrored* (a photograph shows its
    mirror image on the body) or unseen.

    Args:
        color: What is known, direct and mirrored, in [0, 1]; 0 elsewhere (float32).
        direct: Texels that a photograph shows.
        mirrored: Texels known from their mirror image only.
        confidence: How far each color is trusted, in [0, 1]; 0 where unseen (float32).
        source: Where in the photograph each direct or mirrored texel was read, in [0, 1] of its width and height with
            the origin in its upper left corner; NaN elsewhere (float32).
        inside: Texels in charts.
        normals: Unit normals of the target mesh in its world axes; 0 outside charts (float32).
        positions: Surface points of the target mesh in its canonical box
            (:func:`neuraltex.texture.atlas.canonical_positions`); 0 outside charts (float32).
        layout: The uv layout.
    """

    color: Float[np.ndarray, "Ht Wt 3"]
    direct: Bool[np.ndarray, "Ht Wt"]
    mirrored: Bool[np.ndarray, "Ht Wt"]
    confidence: Float[np.ndarray, "Ht Wt"]
    source: Float[np.ndarray, "Ht Wt 2"]
    inside: Bool[np.ndarray, "Ht Wt"]
    normals: Float[np.ndarray, "Ht Wt 3"]
    positions: Float[np.ndarray, "Ht Wt 3"]
    layout: Layout

    def __post_init__(self) -> None:
        for name, depth in _DEPTH.items():
            shape = getattr(self, name).shape
            if shape != (*self.inside.shape, *depth):
                raise ShapeError(f"{name} has shape {shape}, the charts {self.inside.shape}")

    @property
    def known(self) -> Bool[np.ndarray, "Ht Wt"]:
        """Texels with a color."""
        return self.direct | self.mirrored

    @property
    def unseen(self) -> Bool[np.ndarray, "Ht Wt"]:
        """Texels inside charts without a color."""
        return self.inside & ~self.known


_DEPTH: dict[str, tuple[int, ...]] = {
    "color": (3,),
    "direct": (),
    "mirrored": (),
    "confidence": (),
    "source": (2,),
    "normals": (3,),
    "positions": (3,),
}


def write_partial(folder: Path, partial: Partial) -> Path:
    """Write the arrays of a partial texture into a folder; returns their file."""
    arrays = {item.name: getattr(partial, item.name) for item in fields(partial) if item.name != "layout"}
    write_json(folder / "layout.json", partial.layout.to_plain())
    return write_npz(folder / FILE, arrays)


def read_partial(path: Path) -> Partial:
    """Read a partial texture from its folder or file.

    Raises:
        DataError: if it is missing, truncated or not a partial texture.
    """
    folder = path if path.is_dir() else path.parent
    if not (folder / FILE).is_file():
        raise DataError(f"{folder} holds no {FILE}", hint="Make one with: neuraltex partial")
    arrays = read_npz(folder / FILE)
    missing = {item.name for item in fields(Partial)} - {"layout", *arrays}
    if missing:
        raise DataError(f"{folder / FILE} lacks {', '.join(sorted(missing))}", hint="Make it again: neuraltex partial")
    return Partial(layout=Layout(**read_json(folder / "layout.json")), **arrays)
