"""Connectivity of triangle meshes: welding, half edges, components, splitting at non-manifold edges.

Half edge ``3 f + k`` runs from corner k of face f to the next corner; so it also numbers the corner it starts at.
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix

from neuraltex.core.compiled import kernel


def weld(vertices: Float[np.ndarray, "V 3"], faces: Int[np.ndarray, "F 3"]) -> Int[np.ndarray, "F 3"]:
    """Return faces in which vertices at exactly the same position share one index, that of the first of them."""
    first = np.empty(len(vertices), np.int64)
    table = np.full(1 << (2 * len(vertices)).bit_length(), -1, np.int64)
    positions = np.ascontiguousarray(vertices, np.float64) + 0.0  # one zero, not two
    _find_first(positions, positions.view(np.int64), table, first)
    return first[faces]


@kernel
def _find_first(positions, bits, table, first):  # type: ignore[no-untyped-def]
    """Write the first vertex at the same position as each; ``table`` is full of -1, at least twice as large."""
    for vertex in range(len(positions)):
        slot = np.int64(0)
        for k in range(3):
            slot = (slot ^ bits[vertex, k]) * np.int64(-7046029254386353131)  # 2^64 / golden ratio
            slot ^= slot >> 32
        slot &= len(table) - 1
        while table[slot] >= 0 and not _same_position(positions, table[slot], vertex):
            slot = (slot + 1) & (len(table) - 1)
        if table[slot] < 0:
            table[slot] = vertex
        first[vertex] = table[slot]


@kernel
def _same_position(positions, a, b):  # type: ignore[no-untyped-def]
    return (
        positions[a, 0] == positions[b, 0] and positions[a, 1] == positions[b, 1] and positions[a, 2] == positions[b, 2]
    )


def next_corner(corner: Int[np.ndarray, " *B"]) -> Int[np.ndarray, " *B"]:
    """Return the corner that follows in the same face."""
    return corner - corner % 3 + (corner + 1) % 3


def manifold_pairs(faces: Int[np.ndarray, "F 3"]) -> Int[np.ndarray, "E 2"]:
    """Pairs of half edges that make a manifold edge: exactly two faces, which run along it in opposite directions."""
    return _pair_half_edges(faces)[0]


def num_irregular_edges(faces: Int[np.ndarray, "F 3"]) -> int:
    """Number of edges with three or more faces or with two faces of opposite orientation."""
    pairs, num_shared = _pair_half_edges(faces)
    return num_shared - len(pairs)


def _pair_half_edges(faces: Int[np.ndarray, "F 3"]) -> tuple[Int[np.ndarray, "E 2"], int]:
    """Return the manifold pairs, ordered by the lower and the higher end, and the number of edges of several faces."""
    start, stop = faces.reshape(-1), np.roll(faces, -1, axis=1).reshape(-1)
    low, high = np.minimum(start, stop), np.maximum(start, stop)
    order = stable_order(low, stable_order(high))
    pairs = np.empty((len(order) // 2, 2), np.int64)
    num_pairs, num_shared = _match(order, start, low, high, pairs)
    return pairs[:num_pairs], num_shared


@kernel
def _match(order, start, low, high, pairs):  # type: ignore[no-untyped-def]
    """Write the pairs among half edges ordered by their ends; return how many, and how many edges are shared at all."""
    num_pairs = num_shared = first = 0
    while first < len(order):
        a, last = order[first], first + 1
        while last < len(order) and low[order[last]] == low[a] and high[order[last]] == high[a]:
            last += 1
        num_shared += last - first > 1
        if last - first == 2 and (start[a] != start[order[first + 1]] or low[a] == high[a]):
            pairs[num_pairs, 0], pairs[num_pairs, 1] = a, order[first + 1]
            num_pairs += 1
        first = last
    return num_pairs, num_shared


def stable_order(keys: Int[np.ndarray, " N"], before: Int[np.ndarray, " N"] | None = None) -> Int[np.ndarray, " N"]:
    """Return the stable order of small numbers from 0: what ``argsort`` says, in linear time.

    Args:
        keys: Numbers, not much larger than there are of them.
        before: Order that equal ones keep; by default that of their indices.
    """
    order = np.empty(len(keys), np.int64)
    place = np.zeros(int(keys.max(initial=-1)) + 2, np.int64)
    np.cumsum(np.bincount(keys, minlength=len(place) - 1), out=place[1:])
    _sort_by_count(keys, np.arange(len(keys)) if before is None else before, place, order)
    return order


@kernel
def _sort_by_count(keys, before, place, order):  # type: ignore[no-untyped-def]
    for index in before:
        order[place[keys[index]]] = index
        place[keys[index]] += 1


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
