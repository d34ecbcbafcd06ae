"""Gauss-Newton steps on the pose of a photograph against the colors of a texture at fixed surface points.

The residual is ``I(project(X; camera)) - T(X)`` over surface points X that were cast before (Zhou and Koltun, "Color
map optimization for 3D reconstruction with consumer depth cameras", 2014, eq. 3). Levenberg-Marquardt damping; a step
counts only if it lowers the robust error on the tenth of the points that the step was not computed from.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from neuraltex.fit.calibrate import kernels
from neuraltex.fit.calibrate.parameters import POSE_SIZE, move, pose_columns
from neuraltex.fit.calibrate.rounds import Cast, Photo, Target
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.rigid import vector_from_rotation

T = TypeVar("T")

STEPS = 6
"""Gauss-Newton steps per round."""
DAMPING = 1e-3
PRIOR = 1e-3
"""Pull of a pose towards where it was, as a share of what a photograph full of edges says; fixes free directions."""
MIN_SCALE, MAX_SCALE = 0.03, 0.15
"""Limits of the residual at which a point has a quarter of its weight [color in 0 to 1]."""


@dataclass(frozen=True, eq=False)
class Observation:
    """One photograph of a round: its pixels, its surface points and their colors in the texture."""

    photo: Photo
    cast: Cast
    target: Target

    def thinned(self, count: int) -> "Observation":
        """Return the same with at most ``count`` of the points."""
        step = slice(None, None, max(1, len(self.cast.points) // count))
        cast = replace(self.cast, points=self.cast.points[step], checked=self.cast.checked[step])
        return Observation(self.photo, cast, Target(self.target.color[step], self.target.weight[step]))

    def scale(self, camera: Camera) -> float:
        """Return a robust scale of the residuals: 1.5 times their median."""
        pixels = camera.project(self.cast.points)[0]
        used = self.target.weight > 0
        inside = used & (pixels > 1).all(1) & (pixels < np.array([camera.width, camera.height]) - 1).all(1)
        if inside.sum() < 16:
            return MAX_SCALE
        nearest = pixels[inside].astype(int)
        shown = self.photo.image[nearest[:, 1], nearest[:, 0]]
        residual = np.linalg.norm(shown - self.target.color[inside], axis=1)
        return float(np.clip(1.5 * np.median(residual), MIN_SCALE, MAX_SCALE))

    def error(self, camera: Camera, scale: float) -> tuple[float, float]:
        """Return the robust error of the checked points and their weight."""
        weight = np.where(self.cast.checked, self.target.weight, 0)
        pixels = camera.project(self.cast.points)[0]
        return kernels.robust_cost(self.photo.image, pixels, self.target.color, weight, scale)

    def equations(
        self, camera: Camera, columns: Float[np.ndarray, "P 2 K"], scale: float
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Return J'WJ, J'Wr and the sum of weights over the points that are not checked."""
        size = columns.shape[2]
        matrix, gradient = np.zeros((size, size)), np.zeros(size)
        weight = np.where(self.cast.checked, 0, self.target.weight)
        pixels = camera.project(self.cast.points)[0]
        total = kernels.normal_equations(
            self.photo.image, pixels, np.ascontiguousarray(columns), self.target.color, weight, scale, matrix, gradient
        )
        return matrix, gradient, total


def refine_pose(observation: Observation, camera: Camera, anchor: Camera | None = None) -> tuple[Camera, float]:
    """Refine the pose of one photograph.

    Args:
        observation: What it shows and what it should show.
        camera: Start.
        anchor: Where a weak prior pulls the pose; the start by default.

    Returns:
        The camera and the robust error per weight of its checked points, before divided by after (at least 1).
    """
    scale = observation.scale(camera)
    anchor = anchor or camera

    def equations(current: Camera) -> tuple[np.ndarray, np.ndarray]:
        matrix, gradient, total = observation.equations(current, pose_columns(current, observation.cast.points), scale)
        return _with_prior(matrix, gradient, total, current, anchor, observation.cast.points)

    def error(current: Camera) -> float:
        return _mean_error([observation.error(current, scale)])

    return _descend(camera, equations, error, move)


def _descend(
    start: T,
    equations: Callable[[T], tuple[np.ndarray, np.ndarray]],
    error: Callable[[T], float],
    apply: Callable[[T, np.ndarray], T],
) -> tuple[T, float]:
    """Levenberg-Marquardt; a good step is doubled while the error falls, a bad one taken back and damped more."""
    current, lowest, damping = start, error(start), DAMPING
    first = lowest
    for _ in range(STEPS):
        matrix, gradient = equations(current)
        diagonal = np.diag(matrix)
        if not diagonal.any():
            break
        step = -np.linalg.solve(matrix + np.diag(damping * diagonal + 1e-9 * diagonal.max()), gradient)
        before = lowest
        for length in (1, 2, 4):
            candidate = apply(current, length * step)
            value = error(candidate)
            if not value < lowest:
                break
            best, lowest = candidate, value
        if lowest == before:
            damping *= 20
            continue
        current, damping = best, damping / 3
        if lowest > 0.9999 * before:
            break
    return current, improvement(first, lowest)


def improvement(before: float, after: float) -> float:
    """Return by what factor an error fell; 1 where there was none."""
    return before / after if after > 0 else 1.0


def _mean_error(parts: list[tuple[float, float]]) -> float:
    total, weight = sum(part[0] for part in parts), sum(part[1] for part in parts)
    return total / weight if weight > 0 else np.inf


def _with_prior(
    matrix: np.ndarray, gradient: np.ndarray, total: float, camera: Camera, anchor: Camera, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Add a pull to the anchor of so many squared pixels, in units in which each pose number moves pixels alike."""
    unit = np.square(pose_columns(anchor, points[:: max(1, len(points) // 500)])).sum(1).mean(0)
    difference = twist_between(anchor, camera)
    strength = PRIOR * total * 0.01 * unit
    return matrix + np.diag(strength), gradient + strength * difference


def twist_between(before: Camera, after: Camera) -> Float[np.ndarray, "6"]:
    """Return the twist that :func:`~neuraltex.fit.calibrate.parameters.move` needs from one pose to the other."""
    change = after.cam_from_world @ np.linalg.inv(before.cam_from_world)
    twist = np.zeros(POSE_SIZE)
    twist[:3], twist[3:] = vector_from_rotation(change[:3, :3]), change[:3, 3]
    return twist
