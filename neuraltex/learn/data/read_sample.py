"""Samples read from the folders that :mod:`neuraltex.learn.data.files` describes, packed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Shaped

from neuraltex.core.errors import DataError
from neuraltex.io.images import read_mask
from neuraltex.io.npz import read_npz
from neuraltex.learn.data.files import decode_unit, sample_file, texture_file
from neuraltex.learn.data.packed import Arrays, pack
from neuraltex.learn.data.skins import read_skin

_FIRST = "symmetry"


def find_samples(folder: Path, angles: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
    """Return subject and angle of every sample whose whole texture is there, sorted.

    Args:
        folder: Of all samples.
        angles: Names of views; all if empty.
    """
    found = []
    for path in sorted((folder / _FIRST).glob(f"*/*_{_FIRST}.png")):
        subject, angle = path.name.removesuffix(f"_{_FIRST}.png"), path.parent.name
        if (not angles or angle in angles) and texture_file(folder, subject).is_file():
            found.append((subject, angle))
    return sorted(found)


class SampleReader:
    """Reads samples of one folder; maps that several share are read and kept once.

    Args:
        folder: Of all samples.
        inside: Texels in charts, at the size of the files.
        size: Side of the textures [texel]; a whole fraction of the files', or 0 for all of it.

    Raises:
        DataError: if the size is no whole fraction.
    """

    def __init__(self, folder: Path, inside: Bool[np.ndarray, "Ht Wt"], size: int = 0) -> None:
        self._folder, self._charts = folder, inside
        self._factor, rest = divmod(len(inside), size or len(inside))
        if rest or not self._factor:
            raise DataError(
                f"{folder} holds textures of size {len(inside)}, not a multiple of {size}",
                hint=f"Use {len(inside)} or a whole fraction of it",
            )
        self._inside = reduce_mean(inside[..., None], inside, self._factor)[1]
        self._kept: dict[tuple[str, object], np.ndarray] = {}

    def read(self, subject: str, angle: str) -> Arrays:
        """Return one sample, packed.

        Raises:
            DataError: if a file is missing, broken or of another size.
        """
        return {
            **pack({**self._seen(subject, angle), **self._shift(subject, angle)}),
            "inside": self._inside,
            "normals": self._shared("normals", sample_file(self._folder, "normal_map", angle, subject), self._normals),
            "positions": self._shared(
                "positions", sample_file(self._folder, "position_map", angle, subject), self._positions
            ),
            "truth": self._shared("truth", texture_file(self._folder, subject), self._picture),
        }

    def _seen(self, subject: str, angle: str) -> Arrays:
        """What the photograph shows, completed by its mirror image."""
        files = {name: sample_file(self._folder, name, angle, subject) for name in (_FIRST, "mask_symm", "direct")}
        known = self._mask(files["mask_symm"]) & self._charts
        direct = known & self._mask(files["direct"]) if files["direct"].is_file() else known
        color, seen = self._reduce(self._read_rgb(files[_FIRST]), known)
        share, _ = self._reduce(direct[..., None].astype(np.float32), known)
        confidence, _ = self._reduce(self._confidence(subject, angle), known)
        directly = seen & (share[..., 0] >= 0.5)
        return {"color": color, "confidence": confidence[..., 0], "direct": directly, "mirrored": seen & ~directly}

    def _confidence(self, subject: str, angle: str) -> Float[np.ndarray, "Ht Wt 1"]:
        path = sample_file(self._folder, "confidence", angle, subject)
        return self._read_rgb(path)[..., :1] if path.is_file() else np.ones((*self._charts.shape, 1), np.float32)

    def _shift(self, subject: str, angle: str) -> Arrays:
        """Where the color of each texel truly lies, for samples that know."""
        path = sample_file(self._folder, "shift", angle, subject)
        if not path.is_file():
            return {}
        values = self._checked(read_npz(path)["shift"], path)
        return {"shift": self._reduce(values.astype(np.float32), self._charts)[0]}

    def _picture(self, path: Path) -> Float[np.ndarray, "ht wt 3"]:
        return self._reduce(self._read_rgb(path), self._charts)[0]

    def _normals(self, path: Path) -> Float[np.ndarray, "ht wt 3"]:
        normals, inside = self._reduce(self._read_rgb(path) * 2 - 1, self._charts)
        length = np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6)
        return normals / length * inside[..., None]

    def _positions(self, path: Path) -> Float[np.ndarray, "ht wt 3"]:
        if not path.is_file():
            return np.zeros((*self._inside.shape, 3), np.float32)
        values = self._checked(decode_unit(read_npz(path)["position_map"]), path)
        return self._reduce(values * 2 - 1, self._charts)[0]

    def _shared(self, name: str, path: Path, read: Callable[[Path], np.ndarray]) -> np.ndarray:
        """Return a packed map; files that are links to one another are read once."""
        state = path.stat() if path.is_file() else None
        key = (name, None if state is None else (state.st_dev, state.st_ino))
        if key not in self._kept:
            self._kept[key] = pack({name: read(path)})[name]
        return self._kept[key]

    def _reduce(self, values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return reduce_mean(values, mask, self._factor)

    def _mask(self, path: Path) -> Bool[np.ndarray, "Ht Wt"]:
        return read_mask(path, self._charts.shape)

    def _read_rgb(self, path: Path) -> Float[np.ndarray, "Ht Wt 3"]:
        return self._checked(read_skin(path), path).astype(np.float32) / 255

    def _checked(self, values: Shaped[np.ndarray, "Ht Wt C"], path: Path) -> Shaped[np.ndarray, "Ht Wt C"]:
        if values.shape[:2] != self._charts.shape:
            height, width = self._charts.shape
            raise DataError(
                f"{path} is {values.shape[1]}x{values.shape[0]}, the other maps {width}x{height}",
                hint="Write the samples again at one size",
            )
        return values


def reduce_mean(
    values: Shaped[np.ndarray, "Ht Wt C"], mask: Bool[np.ndarray, "Ht Wt"], factor: int
) -> tuple[Float[np.ndarray, "ht wt C"], Bool[np.ndarray, "ht wt"]]:
    """Return the means of blocks of texels over a mask, and the blocks of which it covers half; 0 in all others."""
    height, width = (side // factor for side in mask.shape)
    shape = (height, factor, width, factor)
    weight = mask.reshape(shape).mean((1, 3), dtype=np.float32)
    total = np.where(mask[..., None], values, 0).reshape(*shape, -1).mean((1, 3), dtype=np.float32)
    covered = weight >= 0.5
    return np.where(covered[..., None], total / np.maximum(weight, 1e-6)[..., None], 0), covered
