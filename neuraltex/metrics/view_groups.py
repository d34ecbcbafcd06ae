"""From which side held-out cameras look, relative to where the training cameras stand."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh

Side = Literal["front", "side", "back"]
SIDES: tuple[Side, ...] = get_args(Side)
FRONT, BACK = 60.0, 120.0
"""Azimuth from the training cameras' mean up to which a camera looks at the front, and from which at the back [deg]."""
CONCENTRATED = 0.4
"""Length of the mean of the training cameras' directions below which they stand all around and there is no front."""

NEAR_AXIS = 0.8
"""Cosine between up and a coordinate axis from which on it is taken to be that axis."""


def view_sides(mesh: Mesh, training: Sequence[Camera], cameras: Sequence[Camera]) -> list[Side] | None:
    """Sort cameras by their azimuth around the mesh; ``None`` where training cameras stand all around it.

    The axis is the mean of the directions that are up in the training photographs, or the coordinate axis near it.

    Args:
        mesh: What they look at.
        training: Cameras of the photographs that are fitted to.
        cameras: Cameras to sort.
    """
    if not training:
        return None
    corners = mesh.corners.reshape(-1, 3)
    middle = (corners.min(0) + corners.max(0)) / 2
    up = _snapped(_unit(np.mean([-camera.world_from_cam[:3, 1] for camera in training], 0)))
    mean = np.mean([_heading(camera, middle, up) for camera in training], 0)
    if np.linalg.norm(mean) < CONCENTRATED:
        return None
    cosines = [float(_heading(camera, middle, up) @ _unit(mean)) for camera in cameras]
    angles = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    return ["front" if angle <= FRONT else "side" if angle < BACK else "back" for angle in angles]


def _snapped(up: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " 3"]:
    """Return the coordinate axis next to a direction if it is near: photographs are often taken looking down a bit."""
    axis = int(np.abs(up).argmax())
    return np.eye(3)[axis] * np.sign(up[axis]) if abs(up[axis]) > NEAR_AXIS else up


def _heading(camera: Camera, middle: Float[np.ndarray, " 3"], up: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " 3"]:
    """Return the horizontal unit direction from the mesh to a camera; 0 straight above or below."""
    away = camera.center - middle
    return _unit(away - (away @ up) * up)


def _unit(vector: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " 3"]:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 1e-9 else np.zeros(3)
