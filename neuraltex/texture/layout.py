"""What tells one uv layout from another, whatever pose the mesh that wears it is in."""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from neuraltex.core.errors import DataError
from neuraltex.geometry.mesh import Mesh
from neuraltex.texture.fill import rasterize_charts

SIDE = 64
"""Side of the raster on which layouts of other triangulations are compared [texel]."""
AGREEMENT = 0.98
"""Share of these texels that must agree."""


@dataclass(frozen=True)
class Layout:
    """A uv layout.

    Args:
        name: What people call it; not compared.
        num_uvs: Texture coordinates.
        num_faces: Triangles.
        topology: Hash of how texture coordinates form triangles.
        coverage: Which texels of a small raster lie in charts, packed, in hexadecimal digits.
    """

    name: str
    num_uvs: int
    num_faces: int
    topology: str
    coverage: str

    def matches(self, other: "Layout") -> bool:
        """Whether textures of one fit the other: equal topology, or, for another triangulation, equal coverage."""
        if self.topology == other.topology:
            return True
        ours, theirs = (np.frombuffer(bytes.fromhex(item.coverage), np.uint8) for item in (self, other))
        different = np.unpackbits(ours ^ theirs).sum() if ours.shape == theirs.shape else SIDE * SIDE
        return bool(different <= (1 - AGREEMENT) * SIDE * SIDE)

    def require(self, found: "Layout", source: str) -> None:
        """Check that something has this layout.

        Raises:
            DataError: if it has another one; names both.
        """
        if not self.matches(found):
            raise DataError(
                f"the uv layout is {found}, expected {self}",
                source=source,
                hint="Use a mesh with the expected layout, or a checkpoint trained for this one",
            )

    def to_plain(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.name or 'unnamed'} ({self.num_uvs} uvs, {self.num_faces} faces, hash {self.topology[:8]})"


def layout_of(mesh: Mesh, name: str = "") -> Layout:
    """Return the layout of a mesh.

    Raises:
        DataError: if the mesh has no uvs.
    """
    covered = rasterize_charts(mesh, SIDE)
    assert mesh.uvs is not None
    topology = hashlib.sha256(np.ascontiguousarray(mesh.uv_faces, "<i8").tobytes()).hexdigest()
    return Layout(name, len(mesh.uvs), mesh.num_faces, topology, np.packbits(covered).tobytes().hex())
