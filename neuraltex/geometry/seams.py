"""Edges along which a mesh is cut in its texture layout."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from neuraltex.geometry.mesh import Mesh
from neuraltex.geometry.topology import manifold_pairs, next_corner, weld


@dataclass(frozen=True, eq=False)
class SeamSamples:
    """Points on cut edges.

    Args:
        here: uv on one side.
        there: uv of the same point of the surface on the other side.
        length: Length of edge each stands for [texel].
    """

    here: Float[np.ndarray, "P 2"]
    there: Float[np.ndarray, "P 2"]
    length: Float[np.ndarray, " P"]


def cut_edges(mesh: Mesh) -> tuple[Float[np.ndarray, "E 2 2"], Float[np.ndarray, "E 2 2"]]:
    """Return the uvs of both ends of every edge that is cut in the layout, once for each of its two sides.

    Raises:
        DataError: if the mesh has no uvs.
    """
    uvs = mesh.corner_uvs.reshape(-1, 2)
    first, second = manifold_pairs(weld(mesh.vertices, mesh.faces)).T
    here = np.stack([uvs[first], uvs[next_corner(first)]], 1)
    there = np.stack([uvs[next_corner(second)], uvs[second]], 1)
    cut = (here != there).any((1, 2)) & np.isfinite(here).all((1, 2)) & np.isfinite(there).all((1, 2))
    return here[cut], there[cut]


def sample_cut_edges(mesh: Mesh, size: tuple[int, int]) -> SeamSamples:
    """Return points along every cut edge, about one per texel of its longer side.

    Args:
        mesh: Mesh with uvs.
        size: (Ht, Wt).

    Raises:
        DataError: if the mesh has no uvs.
    """
    here, there = cut_edges(mesh)
    height, width = size
    length = np.maximum(*(np.hypot(*((side[:, 1] - side[:, 0]) * (width, height)).T) for side in (here, there)))
    count = np.maximum(np.ceil(length), 1).astype(np.int64)
    edge = np.repeat(np.arange(len(count)), count)
    first = np.cumsum(count) - count
    share = ((np.arange(len(edge)) - first[edge] + 0.5) / count[edge])[:, None]
    sides = [side[edge, 0] * (1 - share) + side[edge, 1] * share for side in (here, there)]
    return SeamSamples(sides[0], sides[1], (length / count)[edge])
