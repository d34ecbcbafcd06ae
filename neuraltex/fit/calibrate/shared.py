"""What all photographs of a camera share (rig offset, intrinsics), by variable projection.

A wrong rig moves all photographs alike, so the texture moves with them, and a step against a fixed texture would be far
too short. Here the texture follows: the residual of a photograph is its color minus the mean of all others in the same
square of the texture, ``r_i = I_i - mean_{j != i} I_j``, and the Jacobian is that of both (G. Golub and V. Pereyra,
"Separable nonlinear least squares: the variable projection method", 2003): rows are averaged as colors are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from neuraltex.fit.calibrate import kernels
from neuraltex.fit.calibrate.cameras import improvement
from neuraltex.fit.calibrate.parameters import SharedModel
from neuraltex.fit.calibrate.rounds import MIN_OTHERS, Cast, Match, Photo
from neuraltex.geometry.camera import Camera

STEPS = 4
MAX_LENGTH = 32
DAMPING = 1e-5
SCALE = 0.08
"""Residual at which a point has a quarter of its weight [color in 0 to 1]."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Which square of the texture each point of one photograph lies in.

    Args:
        place: Index of each point into ``cell``.
        cell: The squares that this photograph sees, numbered over all photographs.
    """

    place: Int[np.ndarray, " P"]
    cell: Int[np.ndarray, " Q"]


@dataclass(frozen=True, eq=False)
class Sight:
    """One photograph of the shared problem; surface points stay where they were cast."""

    photo: Photo
    cast: Cast
    match: Match
    cells: Cells

    def sample(self, camera: Camera, model: SharedModel | None) -> Float[np.ndarray, "P K"]:
        """Return, per point, its weight, and times the weight: the color the texture would have, and its derivatives.

        Args:
            camera: The reduced camera.
            model: Parameters to differentiate by; ``None`` for colors only.
        """
        points = self.cast.points
        columns = np.zeros((len(points), 2, 0)) if model is None else model.columns(camera, points)
        color, rows = np.empty((len(points), 3)), np.empty((len(points), 3, columns.shape[2]))
        pixels = camera.project(points)[0]
        kernels.sample_rows(self.photo.image, pixels, np.ascontiguousarray(columns), color, rows)
        outside = np.isnan(color[:, 0])
        weight = np.where(outside, 0, self.cast.weight[self.cast.chosen])[:, None]
        color = self.match.to_texture(color)
        rows = rows.reshape(len(points), -1) / np.repeat(self.match.gain, columns.shape[2])
        return np.nan_to_num(np.concatenate([weight, weight * color, weight * rows], 1)).astype(np.float32)


def refine_shared(sights: Sequence[Sight], cameras: Sequence[Camera], model: SharedModel) -> tuple[list[Camera], float]:
    """Refine what all cameras share, poses relative to it fixed.

    Args:
        sights: What every photograph shows.
        cameras: Their (reduced) cameras.
        model: What is shared.

    Returns:
        The cameras, and the robust error of the checked points before divided by after (at least 1).
    """
    current = list(cameras)
    first = lowest = disagreement(sights, current)
    for _ in range(STEPS):
        matrix, gradient = _equations(sights, current, model)
        step = -np.linalg.solve(matrix + DAMPING * np.diag(np.diag(matrix)), gradient)
        before = lowest
        current, lowest = _search(sights, current, model, step, lowest)
        if lowest > 0.999 * before:
            break
    return current, improvement(first, lowest)


def _search(
    sights: Sequence[Sight], cameras: list[Camera], model: SharedModel, step: np.ndarray, lowest: float
) -> tuple[list[Camera], float]:
    """Double the step as long as the error falls.

    Where photographs do not agree yet, most of the gradients that enter ``J'J`` have no counterpart in the mean of the
    others, so that the step has the right direction but is several times too short.
    """
    best, length = cameras, 1.0
    while length <= MAX_LENGTH:
        candidate = [model.apply(camera, step * length) for camera in cameras]
        value = disagreement(sights, candidate)
        if not value < lowest:
            break
        best, lowest, length = candidate, value, 2 * length
    return best, lowest


def find_cells(uvs: Sequence[Float[np.ndarray, "P 2"]], size: int) -> list[Cells]:
    """Sort the points of all photographs into a grid of ``size x size`` squares over the texture."""
    keys = [(np.minimum(uv * size, size - 1).astype(np.int64) @ np.array([1, size])) for uv in uvs]
    seen = np.unique(np.concatenate(keys))
    found = []
    for key in keys:
        own, place = np.unique(key, return_inverse=True)
        found.append(Cells(place, np.searchsorted(seen, own)))
    return found


def _differences(samples: list[np.ndarray], sights: Sequence[Sight]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return own minus mean of the others for every point, and its weight."""
    count = 1 + max(int(sight.cells.cell.max(initial=0)) for sight in sights)
    total = np.zeros((count, samples[0].shape[1]), np.float32)
    own = []
    for sample, sight in zip(samples, sights, strict=True):
        part = np.zeros((len(sight.cells.cell), sample.shape[1]), np.float32)
        kernels.add_rows(sample, sight.cells.place, part)
        total[sight.cells.cell] += part
        own.append(part)
    found = []
    for sample, sight, part in zip(samples, sights, own, strict=True):
        others = (total[sight.cells.cell] - part)[sight.cells.place]
        weight = np.where(others[:, 0] > MIN_OTHERS, sample[:, 0], 0)
        mean = others[:, 1:] / np.maximum(others[:, :1], 1e-6)
        found.append((sample[:, 1:] / np.maximum(sample[:, :1], 1e-6) - mean, weight))
    return found


def disagreement(sights: Sequence[Sight], cameras: Sequence[Camera]) -> float:
    """Robust error of the checked points, all photographs together, with the texture that follows the cameras."""
    samples = [sight.sample(camera, None) for sight, camera in zip(sights, cameras, strict=True)]
    total = weights = 0.0
    for sight, (difference, weight) in zip(sights, _differences(samples, sights), strict=True):
        checked = weight * sight.cast.checked
        square = np.square(difference).sum(1)
        total += float((checked * square / (1 + square / SCALE**2)).sum())
        weights += float(checked.sum())
    return total / max(weights, 1e-12)


def _equations(sights: Sequence[Sight], cameras: Sequence[Camera], model: SharedModel) -> tuple[np.ndarray, np.ndarray]:
    samples = [sight.sample(camera, model) for sight, camera in zip(sights, cameras, strict=True)]
    count = model.size(cameras[0])
    matrix, gradient = np.zeros((count, count)), np.zeros(count)
    for sight, (difference, weight) in zip(sights, _differences(samples, sights), strict=True):
        residual, rows = difference[:, :3], difference[:, 3:].reshape(-1, 3, count)
        share = 1 / (1 + np.square(residual).sum(1) / SCALE**2)
        weighted = (rows * (weight * ~sight.cast.checked * share**2)[:, None, None]).reshape(-1, count).T
        matrix += weighted @ rows.reshape(-1, count)
        gradient += weighted @ residual.reshape(-1)
    return matrix, gradient
