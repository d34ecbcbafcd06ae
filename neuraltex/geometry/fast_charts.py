"""The fast way to cut a surface into charts: cluster its faces, flatten each cluster, cut off what resists."""

import numpy as np
from jaxtyping import Float, Int

from neuraltex.core.runtime import logger
from neuraltex.geometry.charts import Charts, flatten_each, triangle_areas
from neuraltex.geometry.clustering import Limits, cluster_faces, smooth_normals
from neuraltex.geometry.flatten import flatten_clusters
from neuraltex.geometry.mesh import Mesh
from neuraltex.geometry.topology import components_within, manifold_pairs

VARIANCE = 0.07
"""Largest variance of normals within a chart; more gives fewer charts that stretch more and fold more often."""
MIN_SQUEEZE = 0.2
"""Faces narrowed below this share of their true size (smallest singular value), or flipped, leave their chart."""
ATTEMPTS = 3
NORMAL_ROUNDS = {False: 2, True: 4}
"""Rounds of averaging normals, for smooth and rough surfaces."""


def fast_charts(
    vertices: Float[np.ndarray, "V 3"], faces: Int[np.ndarray, "F 3"], proxy: Float[np.ndarray, "V 3"], *, rough: bool
) -> Charts:
    """Cut a surface into charts that keep lengths, in about a second per 100,000 faces.

    Faces that a chart flips or squeezes become clusters of their own, and everything is flattened again. A few may
    stay, and charts may overlap themselves: see :mod:`neuraltex.geometry.repair`.

    Args:
        vertices: Positions [world].
        faces: Connectivity without non-manifold edges; faces need an area.
        proxy: Smoother positions of the same vertices, which decide where charts are cut.
        rough: Whether normals need much smoothing.
    """
    corners, pairs = vertices[faces], manifold_pairs(faces)
    adjacency, smooth = pairs // 3, Mesh(proxy, faces)
    start, stop = faces.reshape(-1)[pairs[:, 0]], np.roll(faces, -1, axis=1).reshape(-1)[pairs[:, 0]]
    lengths = np.linalg.norm(vertices[start] - vertices[stop], axis=1)
    areas = np.maximum(smooth.face_areas, 1e-6 * triangle_areas(corners))
    normals = smooth_normals(smooth.face_normals, areas, adjacency, NORMAL_ROUNDS[rough])
    label = cluster_faces(normals, areas, adjacency, lengths, Limits(VARIANCE))
    for attempt in range(ATTEMPTS):
        charts = flatten_clusters(corners, proxy, faces, label)
        bad = squeeze(flatten_each(corners).corners, charts.corners) < MIN_SQUEEZE
        logger.debug("%d charts, %d faces are flipped or squeezed", charts.num_charts, bad.sum())
        if not bad.any() or attempt + 1 == ATTEMPTS:
            break
        label = components_within(adjacency, label * 2 + bad)
    return charts


def squeeze(true: Float[np.ndarray, "F 3 2"], flat: Float[np.ndarray, "F 3 2"]) -> Float[np.ndarray, " F"]:
    """Smallest singular value of the map of every triangle from its true shape into the chart, negative if flipped."""
    before, after = (np.stack([t[:, 1] - t[:, 0], t[:, 2] - t[:, 0]], 2) for t in (true, flat))
    det = before[:, 0, 0] * before[:, 1, 1] - before[:, 0, 1] * before[:, 1, 0]
    inverse = np.stack([before[:, 1, 1], -before[:, 0, 1], -before[:, 1, 0], before[:, 0, 0]], 1).reshape(-1, 2, 2)
    jacobian = after @ inverse / np.maximum(det, 1e-300)[:, None, None]
    a, b, c, d = jacobian.reshape(-1, 4).T
    return (np.hypot(a + d, c - b) - np.hypot(a - d, c + b)) / 2
