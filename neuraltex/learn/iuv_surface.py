"""The surface of the body with both of its coordinates: DensePose's and those of the texture."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from neuraltex.core.errors import DataError
from neuraltex.geometry.mesh import Mesh
from neuraltex.io.densepose import DensePoseParts

_MIN_MATCHED = 0.99  # of DensePose's faces that a mesh must have; real ones lack or add a few at the toes


class Surface(NamedTuple):
    """Faces with two sets of coordinates.

    Args:
        part: Part of every face, 1 to 24.
        part_uv: Corners in the square of the part, in [0, 1].
        texture_uv: The same corners on the texture, in [0, 1], v up.
    """

    part: Int[np.ndarray, " F"]
    part_uv: Float[np.ndarray, "F 3 2"]
    texture_uv: Float[np.ndarray, "F 3 2"]


def lay_on_mesh(parts: DensePoseParts, mesh: Mesh, source: str = "mesh") -> Surface:
    """Give the faces of DensePose's body the texture coordinates of a mesh with the same vertices.

    Args:
        parts: The body.
        mesh: Mesh of SMPL's topology in any pose, with the uvs of the texture.
        source: Where it is from, for errors.

    Raises:
        DataError: if the mesh has no uvs or is not SMPL's.
    """
    found = _match_faces(parts.vertex_idx, mesh.faces, len(mesh.vertices))
    matched = found >= 0
    if matched.mean() < _MIN_MATCHED:
        raise DataError(
            f"the mesh has {matched.sum()} of DensePose's {len(matched)} faces",
            source=source,
            hint="Pass a mesh with the vertices of SMPL (6890, in their original order) and texture coordinates",
        )
    faces = found[matched]
    place = (mesh.faces[faces][:, None, :] == parts.vertex_idx[matched][:, :, None]).argmax(-1)
    return Surface(
        parts.part[matched], parts.part_uv[matched], np.take_along_axis(mesh.corner_uvs[faces], place[..., None], 1)
    )


def _match_faces(wanted: Int[np.ndarray, "D 3"], faces: Int[np.ndarray, "F 3"], count: int) -> Int[np.ndarray, " D"]:
    """Return the faces with the wanted vertices in any order, -1 where there is none."""
    base = max(count, int(wanted.max(initial=0)) + 1) ** np.arange(3, dtype=np.int64)
    ours, theirs = np.sort(faces, 1) @ base, np.sort(wanted, 1) @ base
    order = np.argsort(ours)
    place = order[np.minimum(np.searchsorted(ours, theirs, sorter=order), len(ours) - 1)]
    return np.where(ours[place] == theirs, place, -1)
