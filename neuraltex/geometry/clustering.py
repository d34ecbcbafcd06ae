"""Cutting a surface into few, flat, compact pieces: the charts of the fast unwrap.

Neighboring clusters are merged bottom-up, as in Garland, Willmott and Heckbert 2001, "Hierarchical face clustering on
polygonal surfaces", but many at a time: in every round each cluster names the neighbor it would merge with at the least
cost, and those that name each other merge. A cluster is known by four sums (area, normal, perimeter), so a round is a
few operations on the shrinking list of borders.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numba import njit
from scipy.sparse import coo_matrix

from neuraltex.core.compiled import kernel
from neuraltex.geometry.topology import components_within

COMPACTNESS = 0.06
"""Cost of a ragged outline, against the variance of the normals."""
CRUMB = 0.02
"""Clusters below this share of the mean cluster may join a neighbor although they stand askew of it."""


@dataclass(frozen=True)
class Limits:
    """How far clusters may grow.

    Args:
        variance: Largest variance of unit normals in a cluster, ``1 - |mean|``: 0 is flat, 0.29 a half cylinder.
        crumb_variance: The same for merging crumbs.
    """

    variance: float = 0.1
    crumb_variance: float = 0.25


def smooth_normals(
    normals: Float[np.ndarray, "F 3"],
    areas: Float[np.ndarray, " F"],
    adjacency: Int[np.ndarray, "E 2"],
    rounds: int,
) -> Float[np.ndarray, "F 3"]:
    """Average the normals of neighboring faces by area, ``rounds`` times; what is left is shape, not noise."""
    ones = np.ones(len(adjacency))
    shape = (len(normals), len(normals))
    graph = coo_matrix((ones, (adjacency[:, 0], adjacency[:, 1])), shape=shape).tocsr()
    graph = graph + graph.T
    for _ in range(rounds):
        weighted = normals * areas[:, None]
        summed = weighted + graph @ weighted
        normals = summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-300)
    return normals


def cluster_faces(
    normals: Float[np.ndarray, "F 3"],
    areas: Float[np.ndarray, " F"],
    adjacency: Int[np.ndarray, "E 2"],
    lengths: Float[np.ndarray, " E"],
    limits: Limits,
) -> Int[np.ndarray, " F"]:
    """Merge faces into clusters of similar normals and short outlines.

    Args:
        normals: Unit normals, smoothed where the surface is noisy.
        areas: Areas [world^2].
        adjacency: Pairs of faces that share an edge.
        lengths: Length of that edge [world].
        limits: Where merging ends.

    Returns:
        Cluster of each face, numbered from 0 without gaps; every cluster is connected.
    """
    label = np.arange(len(areas))
    perimeter = np.bincount(adjacency.reshape(-1), np.repeat(lengths, 2), len(areas))
    sums = np.column_stack([normals * areas[:, None], areas, perimeter])
    borders = (np.sort(adjacency, axis=1), lengths)
    for limit, crumb in ((limits.variance, 0.0), (limits.crumb_variance, CRUMB)):
        while True:
            size = crumb * areas.sum() / len(sums)
            target = _choose_pairs(borders[0], borders[1], sums, limit, size)
            if (target == np.arange(len(target))).all():
                break
            keep, following = np.unique(target, return_inverse=True)
            sums, borders = _merge(sums, borders, following, len(keep))
            label = following[label]
    return components_within(adjacency, label)


def _choose_pairs(
    pairs: Int[np.ndarray, "E 2"], lengths: Float[np.ndarray, " E"], sums: np.ndarray, limit: float, crumb_area: float
) -> Int[np.ndarray, " K"]:
    """Cluster that each one becomes part of; with ``crumb_area`` only smaller clusters may give themselves up."""
    best, cost, target = np.full(len(sums), -1), np.full(len(sums), np.inf), np.arange(len(sums))
    _find_best(pairs, lengths, sums, limit, crumb_area, best, cost)
    mutual = (best > target) & (best[best] == target)
    target[best[mutual]] = target[mutual]
    return target


@kernel
def _find_best(pairs, lengths, sums, limit, crumb_area, best, cost_of):  # type: ignore[no-untyped-def]
    for index in range(len(pairs)):
        a, b = pairs[index, 0], pairs[index, 1]
        if crumb_area > 0 and min(sums[a, 3], sums[b, 3]) > crumb_area:
            continue
        cost = _cost(sums[a], sums[b], lengths[index], limit)
        if cost < cost_of[a]:
            best[a], cost_of[a] = b, cost
        if cost < cost_of[b]:
            best[b], cost_of[b] = a, cost


@njit(cache=True, inline="always")
def _cost(a: np.ndarray, b: np.ndarray, border: float, limit: float) -> float:
    """Variance of the normals of both together plus a price of their outline; infinite beyond the limit."""
    x, y, z, area = a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]
    variance = 1.0 - np.sqrt(x * x + y * y + z * z) / area
    if variance > limit:
        return np.inf
    outline = a[4] + b[4] - 2.0 * border
    return variance + COMPACTNESS * outline * outline / (4.0 * np.pi * area)


def _merge(
    sums: np.ndarray, borders: tuple[np.ndarray, np.ndarray], following: np.ndarray, count: int
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Add up the sums of merged clusters and the borders between the same two; inner borders leave the outline."""
    pairs, lengths = np.sort(following[borders[0]], axis=1), borders[1]
    merged = np.stack([np.bincount(following, column, count) for column in sums.T], 1)
    inside = pairs[:, 0] == pairs[:, 1]
    merged[:, 4] -= 2 * np.bincount(pairs[inside, 0], lengths[inside], count)
    key, inverse = np.unique(pairs[~inside, 0] * count + pairs[~inside, 1], return_inverse=True)
    return merged, (np.stack([key // count, key % count], 1), np.bincount(inverse, lengths[~inside], len(key)))
