"""Many procedural samples, made once."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neuraltex.core.runtime import progress
from neuraltex.geometry.mesh import Mesh
from neuraltex.io.npz import read_npz, write_npz
from neuraltex.learn.data.packed import Arrays, pack, sample_arrays, unpack
from neuraltex.learn.data.procedural import Flaws, KindName, procedural_layout, procedural_sample, template_mesh
from neuraltex.texture.layout import Layout

VERSION = 5
"""Rises whenever the procedure changes, so that no cache of an older one is read."""
FIRST_SEED = {"train": 0, "val": 10_000_000, "test": 20_000_000, "ood": 30_000_000}
"""Splits differ by seed; ``ood`` also wears the pattern that no other split does."""


def split_seeds(split: str, count: int) -> range:
    """Return the seeds of the first samples of a split; no two splits share one."""
    return range(FIRST_SEED[split], FIRST_SEED[split] + min(count, 10_000_000))


class ProceduralSet:
    """Procedural samples of one family, held in memory; see :class:`neuraltex.learn.data.dataset.SampleSet`.

    Args:
        seeds: One per sample; those of :func:`split_seeds` keep splits apart.
        size: Side of the textures [texel].
        kind: Family.
        cache: Folder to keep them in and to read them from the next time.
        options: Further arguments of :func:`neuraltex.learn.data.procedural.procedural_sample`.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        size: int = 64,
        *,
        kind: KindName = "figure",
        cache: Path | None = None,
        **options: Any,
    ) -> None:
        self.seeds, self.size, self.kind = tuple(seeds), size, kind
        self._packed = _load(self.seeds, size, kind, cache, options)

    def __len__(self) -> int:
        return len(self.seeds)

    @property
    def layout(self) -> Layout:
        """The uv layout of all samples."""
        return procedural_layout(self.kind)

    @property
    def rest_mesh(self) -> Mesh:
        """A mesh with that layout whose landmarks are those of the template."""
        return template_mesh(self.kind)

    def subject(self, index: int) -> str:
        """Return the name of a sample's subject."""
        return f"{self.kind}_{self.seeds[index]}"

    def azimuth(self, index: int) -> float:
        """Return NaN: one photograph per subject, from a random side."""
        return float("nan")

    def arrays(self, index: int | slice | np.ndarray) -> Arrays:
        """Return one sample, or several with a leading axis, unpacked."""
        return unpack({name: array[index] for name, array in self._packed.items()})


def procedural_split(
    split: str, count: int, size: int = 64, *, kind: KindName = "figure", cache: Path | None = None
) -> ProceduralSet:
    """Return the first samples of ``train``, ``val``, ``test`` or ``ood`` (out of distribution)."""
    return ProceduralSet(split_seeds(split, count), size, kind=kind, cache=cache, held_out_pattern=split == "ood")


def _load(seeds: tuple[int, ...], size: int, kind: KindName, cache: Path | None, options: dict[str, Any]) -> Arrays:
    asked = (VERSION, seeds, size, kind, sorted({"flaws": Flaws(), **options}.items()))
    key = hashlib.sha256(repr(asked).encode()).hexdigest()[:16]
    path = None if cache is None else cache / f"{kind}_{len(seeds)}x{size}_{key}.npz"
    if path is not None and path.is_file():
        return read_npz(path)
    packed = _make(seeds, size, kind, options)
    if path is not None:
        write_npz(path, packed)
    return packed


def _make(seeds: tuple[int, ...], size: int, kind: KindName, options: dict[str, Any]) -> Arrays:
    samples = []
    for seed in progress(seeds, label=f"procedural {kind}"):
        sample = procedural_sample(seed, size, kind=kind, **options)
        samples.append(pack(sample_arrays(sample.partial, sample.truth, sample.shift)))
    return {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}
