"""Rotations and rigid transforms."""

import numpy as np
from jaxtyping import Float


def rotation_from_vector(vector: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "3 3"]:
    """Return the rotation about ``vector`` by its length [rad] (Rodrigues' formula)."""
    vector = np.asarray(vector, np.float64)
    angle = float(np.linalg.norm(vector))
    x, y, z = vector / angle if angle > 0 else vector
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def vector_from_rotation(rotation: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, " 3"]:
    """Inverse of :func:`rotation_from_vector`, for angles below pi [rad]; stable near zero."""
    antisymmetric = np.array(
        [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
    )
    sine = np.linalg.norm(antisymmetric) / 2
    angle = np.arctan2(sine, (np.trace(rotation) - 1) / 2)
    return antisymmetric / 2 * (angle / sine if sine > 1e-12 else 1.0)


def rotation_angle(rotation: Float[np.ndarray, "3 3"]) -> float:
    """Angle of a rotation [rad], in [0, pi]."""
    return float(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1)))


def rigid(rotation: Float[np.ndarray, "3 3"], translation: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "4 4"]:
    """Join a rotation and a translation [world] to a 4x4 transform."""
    transform = np.eye(4)
    transform[:3, :3], transform[:3, 3] = rotation, translation
    return transform


def is_rigid(transform: np.ndarray, tolerance: float = 1e-2) -> bool:
    """Whether a 4x4 matrix is finite, right-handed and a rotation up to ``tolerance`` (files round)."""
    if np.shape(transform) != (4, 4) or not np.isfinite(transform).all():
        return False
    rotation = transform[:3, :3]
    orthonormal = np.abs(rotation @ rotation.T - np.eye(3)).max() < tolerance
    return bool(orthonormal and np.linalg.det(rotation) > 0 and np.allclose(transform[3], [0, 0, 0, 1]))
