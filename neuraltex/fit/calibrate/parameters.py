"""What refinement may change about a camera, and how a pixel moves when it does."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from neuraltex.geometry import lenses
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.rigid import rigid, rotation_from_vector

POSE_SIZE = 6


@dataclass(frozen=True)
class SharedModel:
    """Which parameters all photographs of one camera have in common.

    Args:
        rig: An offset of the camera from the poses (rotation vector [rad], translation [world]).
        intrinsics: Focal lengths and principal point [px], and two radial coefficients where the lens has them.
    """

    rig: bool
    intrinsics: bool

    def size(self, camera: Camera) -> int:
        """Number of shared parameters."""
        return POSE_SIZE * self.rig + self.intrinsics * len(intrinsic_steps(camera))

    def apply(self, camera: Camera, step: Float[np.ndarray, " S"]) -> Camera:
        """Return the camera after a step of the shared parameters."""
        if self.rig:
            camera = move(camera, step[:POSE_SIZE])
        return change_intrinsics(camera, step[POSE_SIZE * self.rig :]) if self.intrinsics else camera

    def columns(self, camera: Camera, points: Float[np.ndarray, "P 3"]) -> Float[np.ndarray, "P 2 S"]:
        """Return how the pixels of world points move per unit of every shared parameter [px]."""
        parts = [pose_columns(camera, points)] if self.rig else []
        return np.concatenate([*parts, intrinsic_columns(camera, points)], 2) if self.intrinsics else parts[0]


def move(camera: Camera, twist: Float[np.ndarray, "6"]) -> Camera:
    """Move world points in camera axes: rotate by ``twist[:3]`` [rad], then translate by ``twist[3:]`` [world]."""
    return camera.with_pose(rigid(rotation_from_vector(twist[:3]), twist[3:]) @ camera.cam_from_world)


def pose_columns(camera: Camera, points: Float[np.ndarray, "P 3"]) -> Float[np.ndarray, "P 2 6"]:
    """Return the derivative of the pixels of world points by the twist of :func:`move` at zero."""
    p = points @ camera.cam_from_world[:3, :3].T + camera.cam_from_world[:3, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y, inverse = p[:, 0] / p[:, 2], p[:, 1] / p[:, 2], 1 / p[:, 2]
    zero, one = np.zeros_like(x), np.ones_like(x)
    ideal = np.stack(
        [
            np.stack([-x * y, one + x * x, -y, inverse, zero, -x * inverse], 1),
            np.stack([-one - y * y, x * y, x, zero, inverse, -y * inverse], 1),
        ],
        1,
    )
    return _pixel_jacobian(camera, np.stack([x, y], 1)) @ ideal


def _pixel_jacobian(camera: Camera, normalized: Float[np.ndarray, "P 2"]) -> Float[np.ndarray, "P 2 2"]:
    """Return the derivative of pixels by ideal normalized coordinates; the lens by central differences."""
    matrix = camera.K[:2, :2]
    if camera.lens == "pinhole":
        return np.broadcast_to(matrix, (len(normalized), 2, 2))
    step, columns = 1e-4, []
    for axis in np.eye(2) * step:
        ahead = lenses.distort(camera.lens, camera.distortion, normalized + axis)
        behind = lenses.distort(camera.lens, camera.distortion, normalized - axis)
        columns.append((ahead - behind) / (2 * step))
    return matrix @ np.stack(columns, 2)


def intrinsic_steps(camera: Camera) -> Float[np.ndarray, " S"]:
    """Return steps of fx, fy, cx, cy (and k1, k2 of a pinhole or Brown lens) that move border pixels by about one."""
    focal = 2.0 * np.array([camera.fx / camera.width, camera.fy / camera.height])
    steps = np.concatenate([focal, [1.0, 1.0]])
    if camera.lens not in ("pinhole", "brown"):
        return steps
    radius = np.hypot(camera.width / camera.fx, camera.height / camera.fy) / 2
    return np.concatenate([steps, [1 / (camera.fx * radius**3), 1 / (camera.fx * radius**5)]])


def change_intrinsics(camera: Camera, step: Float[np.ndarray, " S"]) -> Camera:
    """Add to fx, fy, cx, cy and, if given, k1, k2; a pinhole camera becomes a Brown one then."""
    fx, fy, cx, cy = camera.fx + step[0], camera.fy + step[1], camera.cx + step[2], camera.cy + step[3]
    changed = replace(camera, fx=fx, fy=fy, cx=cx, cy=cy)
    if len(step) == 4 or not np.any(step[4:]):
        return changed
    radial = np.zeros(max(len(camera.distortion), 4))
    radial[: len(camera.distortion)] = camera.distortion
    radial[:2] += step[4:]
    return replace(changed, lens="brown", distortion=tuple(radial))


def intrinsic_columns(camera: Camera, points: Float[np.ndarray, "P 3"]) -> Float[np.ndarray, "P 2 S"]:
    """Return the derivative of the pixels of world points by the intrinsics, by central differences."""
    columns = []
    for index, step in enumerate(intrinsic_steps(camera)):
        change = np.zeros(len(intrinsic_steps(camera)))
        change[index] = step
        ahead = change_intrinsics(camera, change).project(points)[0]
        behind = change_intrinsics(camera, -change).project(points)[0]
        columns.append((ahead - behind) / (2 * step))
    return np.stack(columns, 2)
