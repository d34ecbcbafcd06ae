"""The simple unwrap that always works: regions of similar normals, projected onto planes."""

import numpy as np
from jaxtyping import Float, Int

from neuraltex.geometry.charts import Charts, assemble
from neuraltex.geometry.topology import components_within, face_adjacency

NUM_DIRECTIONS = 14
MIN_COSINE = 0.3
"""Faces steeper than this to their plane [cosine] are never projected onto it; bounds the stretch to 1 / 0.3."""


def planar_charts(vertices: Float[np.ndarray, "V 3"], faces: Int[np.ndarray, "F 3"], *, rounds: int = 12) -> Charts:
    """Project connected regions of similar orientation onto planes.

    Every face takes the nearest of 14 directions; then it repeatedly adopts the one most common among itself and its
    neighbors where the angle allows, which removes the crumbs that noise makes. No face is flipped.
    Charts may still overlap themselves (a spiral stair): see :func:`neuraltex.geometry.repair.remove_overlaps`.

    Args:
        vertices: Positions [world].
        faces: Connectivity; faces need an area.
        rounds: Number of rounds of adoption.
    """
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
    directions = _directions()
    cosine = normals @ directions.T
    adjacency = face_adjacency(faces)
    choice = _settle(cosine, adjacency, rounds)
    label = components_within(adjacency, choice)
    x_axis, y_axis = _plane_axes(directions)
    key, inverse = np.unique(faces * len(directions) + choice[:, None], return_inverse=True)
    points, plane = vertices[key // len(directions)], key % len(directions)
    uvs = np.stack([(points * x_axis[plane]).sum(1), (points * y_axis[plane]).sum(1)], 1)
    return assemble(uvs, inverse.reshape(-1, 3), label)


def _directions() -> Float[np.ndarray, "14 3"]:
    """The 6 axes and the 8 diagonals of a cube."""
    grid = np.stack(np.meshgrid(*[[-1.0, 0.0, 1.0]] * 3), -1).reshape(-1, 3)
    picked = grid[np.isin(np.abs(grid).sum(1), (1, 3))]
    return picked / np.linalg.norm(picked, axis=1, keepdims=True)


def _settle(cosine: np.ndarray, adjacency: np.ndarray, rounds: int) -> np.ndarray:
    choice = cosine.argmax(1)
    best = choice.copy()
    for _ in range(rounds):
        votes = np.zeros_like(cosine)
        for here, there in (adjacency.T, adjacency.T[::-1]):
            np.add.at(votes, (here, choice[there]), 1.0)
        votes[np.arange(len(votes)), choice] += 1.5
        adopted = np.where(cosine >= MIN_COSINE, votes + 0.1 * cosine, -1.0)
        adopted[np.arange(len(votes)), best] += 1.0
        following = adopted.argmax(1)
        if (following == choice).all():
            break
        choice = following
    return choice


def _plane_axes(normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Axes x, y of planes such that x, y, normal are right-handed."""
    helper = np.where(np.abs(normals[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    x_axis = np.cross(helper, normals)
    x_axis /= np.linalg.norm(x_axis, axis=1, keepdims=True)
    return x_axis, np.cross(normals, x_axis)
