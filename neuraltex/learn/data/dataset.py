"""Training data read from a folder, whoever wrote it, into memory."""

from collections.abc import Sequence
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import Bool

from neuraltex.config.avatars import AvatarConfig
from neuraltex.core.errors import DataError
from neuraltex.core.files import read_json
from neuraltex.core.runtime import logger
from neuraltex.geometry.mesh import Mesh
from neuraltex.io.images import read_texture
from neuraltex.io.meshes import read_mesh
from neuraltex.learn.data.avatars import BODIES, INDEX, THUMBNAIL
from neuraltex.learn.data.files import INSIDE, LAYOUT, read_layout, texture_file
from neuraltex.learn.data.packed import Arrays, unpack
from neuraltex.learn.data.read_sample import SampleReader, find_samples
from neuraltex.learn.data.skins import read_skin, thumbnail
from neuraltex.learn.data.split import SPLITS, group_variants, split_groups
from neuraltex.texture.fill import rasterize_charts
from neuraltex.texture.layout import Layout, layout_of


class SampleSet(Protocol):
    """Samples of one split over one uv layout."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def arrays(self, index: int) -> Arrays:
        """Return one sample.

        ``color``, ``confidence``, ``normals``, ``positions`` and ``truth`` are float32, ``direct``, ``mirrored`` and
        ``inside`` are masks, all as in :class:`neuraltex.learn.partial.Partial`.
        """
        ...

    def subject(self, index: int) -> str:
        """Return the name of its subject."""
        ...

    def azimuth(self, index: int) -> float:
        """Return the side it was photographed from [deg]; NaN if that is not known."""
        ...

    @property
    def layout(self) -> Layout:
        """The uv layout of all samples."""
        ...

    @property
    def rest_mesh(self) -> Mesh | None:
        """A mesh with that layout in a symmetric pose, if there is one."""
        ...


class FolderSet:
    """The samples of one split of a folder that ``make-avatars``, ``partial`` or published code wrote, in memory.

    Without ``avatars.json`` subjects are split here, as ``make-avatars`` would. Without ``direct`` masks every known
    texel counts as direct, without ``confidence`` as fully trusted; without ``position_map`` positions are 0.

    Args:
        folder: See :mod:`neuraltex.learn.data.files`.
        split: ``train``, ``val`` or ``test``, or ``all`` of them.
        subjects: Pattern of the subjects' names, such as ``core_*``.
        angles: Names of the views; all by default.
        mesh: Mesh with the uv layout, for folders that do not say which texels lie in charts.
        size: Side of the textures [texel]; a whole fraction of what is there, which is the default.

    Raises:
        DataError: if the folder holds no such samples, or a file is broken.
    """

    def __init__(
        self,
        folder: Path,
        split: str = "train",
        *,
        subjects: str = "*",
        angles: Sequence[str | int] = (),
        mesh: Mesh | None = None,
        size: int = 0,
    ) -> None:
        if split not in (*SPLITS, "all"):
            raise DataError(f"{split!r} is no split", hint=f"Use {', '.join(SPLITS)} or all")
        self.folder, self._mesh = folder, mesh
        self._present = find_samples(folder)
        wanted = {str(angle) for angle in angles}
        self._items = [
            (subject, angle)
            for subject, angle in self._present
            if (not wanted or angle in wanted)
            and fnmatch(subject, subjects)
            and split in (self.splits.get(subject), "all")
        ]
        if not self._items:
            raise DataError(
                f"{folder} holds no such samples with a whole texture",
                source=f"split {split}, subjects {subjects}, angles {', '.join(sorted(wanted)) or 'all'}",
                hint="Make some with: neuraltex make-avatars",
            )
        stored = len(read_skin(texture_file(folder, self._items[0][0])))
        reader = SampleReader(folder, self._inside(stored), size)
        self._packed = [reader.read(*item) for item in self._items]

    def __len__(self) -> int:
        return len(self._items)

    def arrays(self, index: int) -> Arrays:
        """Return one sample, see :class:`SampleSet`."""
        return unpack(self._packed[index])

    def subject(self, index: int) -> str:
        """Return the name of a sample's subject."""
        return self._items[index][0]

    def angle(self, index: int) -> str:
        """Return the name of a sample's view."""
        return self._items[index][1]

    def azimuth(self, index: int) -> float:
        """Return the side a sample was photographed from [deg], which is the name of its view; NaN if that is none."""
        try:
            return float(self.angle(index))
        except ValueError:
            return float("nan")

    @property
    def license(self) -> str:
        """What the folder says about the license of its textures; empty if nothing."""
        return str(self._index.get("license", ""))

    @cached_property
    def splits(self) -> dict[str, str]:
        """The split of every subject of the folder."""
        known: dict[str, str] | None = self._index.get("split")
        return self._make_splits() if known is None else known

    @cached_property
    def layout(self) -> Layout:
        """The uv layout of all samples.

        Raises:
            DataError: if the folder does not say and no mesh was given.
        """
        if self._mesh is not None and not (self.folder / LAYOUT).is_file():
            return layout_of(self._mesh)
        return read_layout(self.folder)

    @cached_property
    def rest_mesh(self) -> Mesh | None:
        """The mesh that was given, else the first body of the folder."""
        bodies = self._index.get("bodies", [])
        return self._mesh if self._mesh or not bodies else read_mesh(self.folder / BODIES / f"{bodies[0]}.obj")

    @cached_property
    def _index(self) -> dict[str, Any]:
        return read_json(self.folder / INDEX) if (self.folder / INDEX).is_file() else {}

    def _make_splits(self) -> dict[str, str]:
        defaults, inside = AvatarConfig(), self._inside(THUMBNAIL)
        subjects = {subject for subject, _ in self._present}
        small = {name: thumbnail(read_skin(texture_file(self.folder, name)), inside) for name in subjects}
        groups = group_variants(small, defaults.duplicate_rms)
        return split_groups(groups, defaults.test_share, defaults.val_share)

    def _inside(self, size: int) -> Bool[np.ndarray, "Ht Wt"]:
        """Return the texels in charts; all of them, with a warning, where nothing tells."""
        if (self.folder / INSIDE).is_file():
            mask = read_texture(self.folder / INSIDE)[..., 0] > 127
            rows = ((np.arange(size) + 0.5) * len(mask) / size).astype(int)
            return mask[np.ix_(rows, rows)]
        if self.rest_mesh is not None:
            return rasterize_charts(self.rest_mesh, size)
        logger.warning("%s does not say which texels lie in charts, so all do: give the mesh", self.folder)
        return np.ones((size, size), np.bool_)
