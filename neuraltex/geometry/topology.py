"""Connectivity of triangle meshes: welding, half edges, components, splitting at non-manifold edges.

Half edge ``3 f + k`` runs from corner k of face f to the next corner; so it also numbers the corner it starts at.
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix

from neuraltex.core.compiled import kernel


def weld(vertices: Float[np.ndarray, "V 3"], faces: Int[np.ndarray, "F 3"]) -> Int[np.ndarray, "F 3"]:
    """Return faces in which vertices at exactly the same position share one index (of one of them)."""
    order = np.lexsort(vertices.T)
    ordered = vertices[order]
    starts = np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(1)])[: len(order)]
    representative = np.empty(len(vertices), np.int64)
    representative[order] = order[np.flatnonzero(starts)[np.cumsum(starts) - 1]]
    return representative[faces]


def next_corner(corner: Int[np.ndarray, " *B"]) -> Int[np.ndarray, " *B"]:
    """Return the corner that follows in the same face."""
    return corner - corner % 3 + (corner + 1) % 3


def manifold_pairs(faces: Int[np.ndarray, "F 3"]) -> Int[np.ndarray, "E 2"]:
    """Pairs of half edges that make a manifold edge: exactly two faces, which run along it in opposite directions."""
    start, stop = faces.reshape(-1), np.roll(faces, -1, axis=1).reshape(-1)
    key = np.minimum(start, stop) * (faces.max(initial=0) + 1) + np.maximum(start, stop)
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.concatenate([[True], np.diff(key[order]) != 0])[: len(order)])
    size = np.diff(np.append(first, len(order)))
    two = first[size == 2]
    pairs = np.stack([order[two], order[two + 1]], 1)
    return pairs[start[pairs[:, 0]] == stop[pairs[:, 1]]]


def num_irregular_edges(faces: Int[np.ndarray, "F 3"]) -> int:
    """Number of edges with three or more faces or with two faces of opposite orientation."""
    edges = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], 2).reshape(-1, 2), axis=1)
    _, count = np.unique(edges[:, 0] * (faces.max(initial=0) + 1) + edges[:, 1], return_counts=True)
    return int((count >= 2).sum() - len(manifold_pairs(faces)))


def split_non_manifold(faces: Int[np.ndarray, "F 3"]) -> tuple[Int[np.ndarray, "F 3"], Int[np.ndarray, " W"]]:
    """Cut a mesh along every non-manifold edge and at every vertex where fans of faces merely touch.

    Returns:
        The faces with new vertex indices and, for each new vertex, the index of the old one.
    """
    first, second = manifold_pairs(faces).T
    links = np.concatenate([np.stack([first, next_corner(second)]), np.stack([next_corner(first), second])], axis=1)
    _, label = components(links.T, faces.size)
    source = np.empty(label.max(initial=-1) + 1, np.int64)
    source[label] = faces.reshape(-1)
    return label.reshape(-1, 3), source


def face_adjacency(faces: Int[np.ndarray, "F 3"]) -> Int[np.ndarray, "E 2"]:
    """Pairs of faces that share a manifold edge."""
    return manifold_pairs(faces) // 3


def components(links: Int[np.ndarray, "E 2"], num_nodes: int) -> tuple[int, Int[np.ndarray, " N"]]:
    """Connected components of an undirected graph: their number and the component of each node.

    They are numbered in the order of their first nodes. SciPy's takes 11 MB to import, for which a direct fit at its
    limit of memory has no room.
    """
    label = np.arange(num_nodes, dtype=np.int64)
    return int(_join(np.asarray(links, np.int64).reshape(-1, 2), label)), label


@kernel
def _join(links, label):  # type: ignore[no-untyped-def]
    """Replace the numbers of nodes by those of their components (union-find with path halving); return how many."""
    for k in range(len(links)):
        a, b = links[k, 0], links[k, 1]
        while label[a] != a:
            label[a] = label[label[a]]
            a = label[a]
        while label[b] != b:
            label[b] = label[label[b]]
            b = label[b]
        label[max(a, b)] = min(a, b)  # the root of a tree is its first node
    for node in range(len(label)):
        label[node] = label[label[node]]  # earlier nodes name their root already
    count = 0
    for node in range(len(label)):
        root = label[node]
        if root == node:
            label[node] = count
            count += 1
        else:
            label[node] = label[root]
    return count


def components_within(links: Int[np.ndarray, "E 2"], label: Int[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """Split groups of nodes into their connected parts; ``label`` is the group of each node."""
    inside: Bool[np.ndarray, " E"] = label[links[:, 0]] == label[links[:, 1]]
    return components(links[inside], len(label))[1]


def smooth(
    vertices: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    iterations: int,
    *,
    shrink: float = 0.5,
    inflate: float = -0.53,
) -> Float[np.ndarray, "V 3"]:
    """Remove high-frequency noise with little shrinkage.

    Source: Taubin 1995, "A signal processing approach to fair surface design".

    Args:
        vertices: Positions [world].
        faces: Connectivity.
        iterations: Number of double steps; 0 returns the positions as they are.
        shrink: Step towards the mean of the neighbors.
        inflate: Negative step that follows.
    """
    edges = np.stack([faces, np.roll(faces, -1, axis=1)], 2).reshape(-1, 2)
    shape = (len(vertices), len(vertices))
    graph = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=shape).tocsr()
    graph = graph + graph.T
    degree = np.maximum(np.asarray(graph.sum(1)), 1)
    for step in (shrink, inflate) * iterations:
        vertices = vertices + step * (graph @ vertices / degree - vertices)
    return vertices
