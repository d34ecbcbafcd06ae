"""Edges along which a mesh is cut in its texture layout."""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float

from neuraltex.core.compiled import kernel
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


_cut_edges: WeakKeyDictionary[Mesh, tuple[np.ndarray, np.ndarray]] = WeakKeyDictionary()


def cut_edges(mesh: Mesh) -> tuple[Float[np.ndarray, "E 2 2"], Float[np.ndarray, "E 2 2"]]:
    """Return the uvs of both ends of every edge that is cut in the layout, once for each of its two sides.

    They are kept for as long as the mesh: a fit asks for them at several sizes of its texture.

    Raises:
        DataError: if the mesh has no uvs.
    """
    if mesh not in _cut_edges:
        _cut_edges[mesh] = _find_cut_edges(mesh)
    return _cut_edges[mesh]


def _find_cut_edges(mesh: Mesh) -> tuple[Float[np.ndarray, "E 2 2"], Float[np.ndarray, "E 2 2"]]:
    uvs = mesh.corner_uvs.reshape(-1, 2)
    pairs = manifold_pairs(weld(mesh.vertices, mesh.faces))
    cut = np.empty(len(pairs), np.bool_)
    _tell_cut(uvs, pairs, cut)
    first, second = pairs[cut].T
    return uvs[np.stack([first, next_corner(first)], 1)], uvs[np.stack([next_corner(second), second], 1)]


@kernel
def _tell_cut(uvs, pairs, cut):  # type: ignore[no-untyped-def]
    """Tell of pairs of half edges whether their uvs differ and are all finite."""
    for k in range(len(pairs)):
        a, b = pairs[k, 0], pairs[k, 1]
        after_a, after_b = a - a % 3 + (a + 1) % 3, b - b % 3 + (b + 1) % 3
        finite, differs = True, False
        for c in range(2):
            from_a, to_a, from_b, to_b = uvs[a, c], uvs[after_a, c], uvs[b, c], uvs[after_b, c]
            finite &= np.isfinite(from_a) and np.isfinite(to_a) and np.isfinite(from_b) and np.isfinite(to_b)
            differs |= from_a != to_b or to_a != from_b
        cut[k] = finite and differs


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
