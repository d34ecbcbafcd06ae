"""Where the demo's photographs are taken from, and how wrong the written cameras may be."""

from dataclasses import replace

import numpy as np

from neuraltex.demo.lighting import look_at
from neuraltex.geometry.camera import Camera

FOCAL = 0.86
"""Focal length as a share of the image width: a horizontal field of view of 60 degrees."""
MILD_DISTORTION = (-0.11, 0.035, 0.0008, -0.0006)
"""Brown parameters k1, k2, p1, p2 of the distorted lens."""
STOPS = np.array(
    [
        [2.85, 2.85, 1.55, 0.70, 0.70, 0.80],
        [2.75, 1.90, 1.40, 0.90, 0.30, 0.80],
        [2.60, 1.25, 1.15, 1.60, 0.10, 0.90],
        [1.80, 1.45, 1.50, 1.25, 0.10, 1.20],
        [1.45, 1.50, 1.20, 1.10, 0.20, 0.75],
        [1.75, 2.20, 1.30, 0.40, 0.60, 0.60],
        [1.25, 1.75, 1.05, 0.35, 0.95, 0.62],
        [1.70, 1.15, 0.95, 0.30, 1.35, 0.70],
        [1.95, 2.05, 1.35, 0.05, 1.65, 1.25],
        [1.75, 2.80, 1.20, 0.35, 1.55, 0.65],
        [1.15, 2.75, 1.45, 1.15, 1.30, 0.10],
        [2.35, 2.75, 1.50, 1.35, 1.35, 0.10],
        [2.95, 2.10, 1.05, 1.70, 0.90, 0.30],
        [2.95, 1.50, 1.75, 1.10, 0.60, 0.90],
        [2.20, 2.95, 1.80, 0.30, 0.80, 1.10],
        [2.60, 2.60, 1.30, 0.80, 0.60, 0.80],
    ]
)
"""Eye and target at equal steps along the walk through the room [world]."""


def walk(count: int, width: int, height: int, *, distorted: bool = False) -> tuple[Camera, ...]:
    """Return cameras spaced evenly along a smooth path through the room."""
    from scipy.interpolate import PchipInterpolator  # noqa: PLC0415

    path = PchipInterpolator(np.linspace(0, 1, len(STOPS)), STOPS)(np.linspace(0, 1, max(count, 2)))[:count]
    focal, middle = FOCAL * width, (width / 2, height / 2)
    views = (Camera(width, height, focal, focal, *middle, look_at(stop[:3], stop[3:])) for stop in path)
    return tuple(replace(view, lens="brown", distortion=MILD_DISTORTION) if distorted else view for view in views)


def disturb(camera: Camera, points: np.ndarray, pixels: float, generator: np.random.Generator) -> Camera:
    """Move and turn a camera at random such that points it sees are reprojected wrongly by ``pixels`` rms [px]."""
    from scipy.spatial.transform import Rotation  # noqa: PLC0415

    exact, _ = camera.project(points)
    inside = ((exact >= 0) & (exact < (camera.width, camera.height))).all(1)
    seen, exact = points[inside], exact[inside]
    twist = generator.normal(size=6) * np.repeat([1 / camera.fx, 1.0 / camera.fx], 3)
    wrong = camera
    for _ in range(4):
        step = np.eye(4)
        step[:3, :3], step[:3, 3] = Rotation.from_rotvec(twist[:3]).as_matrix(), twist[3:]
        wrong = camera.with_pose(step @ camera.cam_from_world)
        offset = wrong.project(seen)[0] - exact
        twist *= pixels / np.sqrt(np.nanmean((offset**2).sum(1)))
    return wrong
