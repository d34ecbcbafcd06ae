"""Making charts valid: no flipped, vanishing or overlapping face survives."""

import numpy as np
from jaxtyping import Float

from neuraltex.core.runtime import logger
from neuraltex.geometry.charts import Charts, assemble, flatten_each, signed_areas, triangle_areas
from neuraltex.geometry.overlaps import overlapping_in_chart
from neuraltex.geometry.pack import lay_out_in_rows

MIN_AREA_RATIO = 1e-3
"""Faces that a chart squeezes below this fraction of their true area are flattened on their own."""
ROUNDS = 8
COHERENT_ROUNDS = 4
"""Rounds in which faces that overlap are cut off in connected pieces; then one by one, which always ends."""


def drop_bad_faces(charts: Charts, corners: Float[np.ndarray, "F 3 3"]) -> Charts:
    """Scale charts to the surface [world], mirror reversed ones, and flatten flipped or vanishing faces on their own.

    Args:
        charts: Flat pieces of arbitrary scale.
        corners: The surface they cover [world].
    """
    areas = triangle_areas(corners)
    charts = charts.to_world_scale(areas)
    reversed_charts = np.bincount(charts.label, signed_areas(charts.corners), charts.num_charts) < 0
    mirror = np.where(reversed_charts[charts.uv_label], -1.0, 1.0)
    charts = Charts(charts.uvs * np.stack([mirror, np.ones_like(mirror)], 1), charts.uv_faces, charts.label)
    return flatten_faces(charts, signed_areas(charts.corners) <= MIN_AREA_RATIO * areas, corners)


def flatten_faces(charts: Charts, faces: np.ndarray, corners: Float[np.ndarray, "F 3 3"]) -> Charts:
    """Make each of some faces (a mask) a chart of its own in its true shape."""
    index = np.flatnonzero(faces)
    if not len(index):
        return charts
    single = flatten_each(corners[index])
    uv_faces, label = charts.uv_faces.copy(), charts.label.copy()
    uv_faces[index] = single.uv_faces + len(charts.uvs)
    label[index] = single.label + charts.num_charts
    return Charts(np.concatenate([charts.uvs, single.uvs]), uv_faces, label).tidy()


def remove_overlaps(charts: Charts, corners: Float[np.ndarray, "F 3 3"]) -> Charts:
    """Cut faces off that lie upon others of the same chart, those farther from its middle; then none overlap.

    What is cut off keeps together where it can; what overlaps again after that is flattened face by face.

    Args:
        charts: Flat pieces [world].
        corners: The surface they cover [world].
    """
    suspects = np.ones(len(charts.label), np.bool_)
    for attempt in range(ROUNDS):
        index = np.flatnonzero(suspects)
        part = lay_out_in_rows(assemble(charts.uvs, charts.uv_faces[index], charts.label[index]))
        upper = np.zeros(len(suspects), np.bool_)
        upper[index] = overlapping_in_chart(part.corners, part.label, _distance_to_middle(part))
        if not upper.any():
            break
        logger.debug("round %d: %d faces overlap in their chart", attempt, upper.sum())
        charts = charts.detach(upper) if attempt < COHERENT_ROUNDS else flatten_faces(charts, upper, corners)
        suspects = np.isin(charts.label, charts.label[upper]) if attempt < COHERENT_ROUNDS else suspects & ~upper
    return charts


def _distance_to_middle(charts: Charts) -> Float[np.ndarray, " F"]:
    """Distance of every face from the mean of its chart."""
    centers = charts.corners.mean(1)
    count = np.maximum(np.bincount(charts.label, minlength=charts.num_charts), 1)
    middle = np.stack([np.bincount(charts.label, column, charts.num_charts) / count for column in centers.T], 1)
    return np.linalg.norm(centers - middle[charts.label], axis=1)
