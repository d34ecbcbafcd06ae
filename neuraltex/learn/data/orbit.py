"""Cameras on a circle around a mesh."""

import numpy as np

from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh

AZIMUTHS = tuple(range(-90, 91, 10))
"""The 19 azimuths of the published training set [degree]."""


def orbit_camera(
    mesh: Mesh, azimuth: float, size: int, *, elevation: float = 0.0, fill: float = 0.9, distance: float = 3.0
) -> Camera:
    """Return a camera that looks at the middle of a mesh.

    Convention:
        +y is up. At azimuth 0 it looks along -z, at the front of a body that faces +z; it moves towards +x as the
        azimuth grows.

    Args:
        mesh: What it looks at.
        azimuth: Degrees.
        size: Side of the square image [px].
        elevation: Degrees above the horizon.
        fill: Share of the image that the larger of height and width takes up at the middle of the mesh.
        distance: From that middle, in multiples of the larger extent.
    """
    low, high = mesh.vertices[mesh.faces].min((0, 1)), mesh.vertices[mesh.faces].max((0, 1))
    height, across = high[1] - low[1], float(np.hypot(high[0] - low[0], high[2] - low[2]))
    extent = max(height, across)
    turn, lift = np.radians(azimuth), np.radians(elevation)
    back = np.array([np.sin(turn) * np.cos(lift), np.sin(lift), np.cos(turn) * np.cos(lift)])
    right = np.array([np.cos(turn), 0.0, -np.sin(turn)])
    rotation = np.stack([right, -np.cross(back, right), -back])
    center = (low + high) / 2 + back * distance * extent
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ center
    focal = fill * size * distance
    return Camera(size, size, focal, focal, size / 2, size / 2, pose)
