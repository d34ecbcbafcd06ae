"""Cutting a mesh into compact, mostly connected blocks of faces."""

import numpy as np
from jaxtyping import Float, Int

from neuraltex.geometry.topology import components_within

SMALL_PART = 0.1
"""Parts below this fraction of a block join the neighboring block they share most edges with."""


def spatial_blocks(
    points: Float[np.ndarray, "F D"], adjacency: Int[np.ndarray, "E 2"], block_faces: int
) -> Int[np.ndarray, " F"]:
    """Assign every face to a block of about ``block_faces`` faces.

    Space is halved at medians along the longest axis; then crumbs that a cut left behind join a neighbor, so that a
    block may grow somewhat beyond ``block_faces``.

    Args:
        points: One point per face, its centroid [world]; further columns (scaled normals) make cuts follow creases.
        adjacency: Pairs of faces that share an edge.
        block_faces: Wanted number of faces per block.

    Returns:
        Block of each face, numbered from 0 without gaps.
    """
    label = np.zeros(len(points), np.int64)
    for index, block in enumerate(_halve(points, np.arange(len(points)), block_faces)):
        label[block] = index
    for _ in range(4):
        merged = _merge_crumbs(label, adjacency, SMALL_PART * block_faces)
        if (merged == label).all():
            break
        label = merged
    return np.unique(label, return_inverse=True)[1].reshape(-1)


def _halve(points: np.ndarray, faces: np.ndarray, block_faces: int) -> list[np.ndarray]:
    parts = -(-len(faces) // block_faces)
    if parts <= 1:
        return [faces]
    axis = np.ptp(points[faces], axis=0).argmax()
    middle = len(faces) * (parts // 2) // parts
    order = faces[np.argpartition(points[faces, axis], middle)]
    return [*_halve(points, order[:middle], block_faces), *_halve(points, order[middle:], block_faces)]


def _merge_crumbs(label: np.ndarray, adjacency: np.ndarray, limit: float) -> np.ndarray:
    """Move every connected part with fewer than ``limit`` faces to the block it borders most."""
    part = components_within(adjacency, label)
    size = np.bincount(part)
    both = np.concatenate([adjacency, adjacency[:, ::-1]])
    border = both[(label[both[:, 0]] != label[both[:, 1]]) & (size[part[both[:, 0]]] < limit)]
    border = border[size[part[border[:, 0]]] <= size[part[border[:, 1]]]]
    if not len(border):
        return label
    num_blocks = label.max() + 1
    key, count = np.unique(part[border[:, 0]] * num_blocks + label[border[:, 1]], return_counts=True)
    order = np.lexsort([count, key // num_blocks])
    target = np.full(len(size), -1)
    target[key[order] // num_blocks] = key[order] % num_blocks
    return np.where(target[part] >= 0, target[part], label)
