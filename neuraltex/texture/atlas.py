"""Which point of the surface each texel shows, and what of the surface can be read off as maps."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from neuraltex.core.conventions import texel_from_uv
from neuraltex.geometry.mesh import Mesh
from neuraltex.texture.fill import number_faces


@dataclass(frozen=True, eq=False)
class Atlas:
    """The faces of a mesh laid out on its texture; poses of one topology share it.

    Args:
        face_idx: Face whose uv triangle holds the center of each texel, -1 between charts (int32).
        bary: Barycentric coordinates of that center, 0 between charts (float32).
    """

    face_idx: Int[np.ndarray, "Ht Wt"]
    bary: Float[np.ndarray, "Ht Wt 3"]

    @property
    def inside(self) -> Bool[np.ndarray, "Ht Wt"]:
        """Texels whose center lies in a chart."""
        return self.face_idx >= 0

    def interpolate(self, corner_values: Float[np.ndarray, "F 3 C"]) -> Float[np.ndarray, "Ht Wt C"]:
        """Return values given at the corners of every face at the texel centers; 0 between charts (float32)."""
        inside = self.inside
        found = np.zeros((*inside.shape, corner_values.shape[-1]), np.float32)
        found[inside] = np.einsum("tk,tkc->tc", self.bary[inside], corner_values[self.face_idx[inside]])
        return found

    def positions(self, mesh: Mesh) -> Float[np.ndarray, "Ht Wt 3"]:
        """Return the surface point of every texel [world]; 0 between charts."""
        return self.interpolate(mesh.corners)

    def normals(self, mesh: Mesh) -> Float[np.ndarray, "Ht Wt 3"]:
        """Return the smooth unit normal of every texel; 0 between charts."""
        return _unit(self.interpolate(mesh.vertex_normals[mesh.faces]))


def make_atlas(mesh: Mesh, size: int | tuple[int, int]) -> Atlas:
    """Lay out the faces of a mesh with uvs on a texture.

    Args:
        mesh: Mesh with uvs.
        size: Side of a square texture or (Ht, Wt).

    Raises:
        DataError: if the mesh has no uvs.
    """
    height, width = (size, size) if isinstance(size, int) else size
    face_idx = number_faces(mesh, (height, width)) - 1
    bary = np.zeros((height, width, 3), np.float32)
    rows, columns = np.nonzero(face_idx >= 0)
    corners = np.stack(texel_from_uv(mesh.corner_uvs, width, height), -1)[face_idx[rows, columns]]
    bary[rows, columns] = _barycentric(corners, np.stack([columns, rows], -1).astype(np.float64))
    return Atlas(face_idx, bary)


def canonical_positions(
    positions: Float[np.ndarray, "Ht Wt 3"], inside: Bool[np.ndarray, "Ht Wt"]
) -> Float[np.ndarray, "Ht Wt 3"]:
    """Move and scale a position map, all axes alike, so that its box is centered and its longest side is [-1, 1]."""
    points = positions[inside]
    if not len(points):
        return np.zeros_like(positions)
    low, high = points.min(0), points.max(0)
    half = max(float((high - low).max()) / 2, 1e-12)
    return np.where(inside[..., None], (positions - (low + high) / 2) / half, 0).astype(np.float32)


def _barycentric(corners: Float[np.ndarray, "P 3 2"], points: Float[np.ndarray, "P 2"]) -> Float[np.ndarray, "P 3"]:
    a, b, c = np.moveaxis(corners, 1, 0)

    def area(p: np.ndarray, q: np.ndarray, r: np.ndarray) -> np.ndarray:
        return (q[:, 0] - p[:, 0]) * (r[:, 1] - p[:, 1]) - (q[:, 1] - p[:, 1]) * (r[:, 0] - p[:, 0])

    weights = np.stack([area(points, b, c), area(a, points, c), area(a, b, points)], -1)
    total = weights.sum(-1, keepdims=True)
    return np.divide(weights, total, out=np.full_like(weights, 1 / 3), where=total != 0)


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
