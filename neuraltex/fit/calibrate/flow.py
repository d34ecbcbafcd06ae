"""A smooth displacement of every photograph for what a rigid camera cannot explain (rolling shutter, depth errors).

Bilinear grid of control points as in Zhou and Koltun (2014, section 5): data term as for poses, plus the squared
difference of neighboring control points (first order: a global shift is the pose's business) and a pull to zero.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy import sparse
from scipy.sparse.linalg import spsolve

from neuraltex.fit.calibrate import kernels
from neuraltex.fit.calibrate.cameras import Observation, improvement
from neuraltex.geometry.camera import Camera

STEPS = 4
SMOOTHNESS = 0.1
"""Weight of the smoothness per pair of neighbors, relative to the mean data weight of a control point."""
PULL = 0.02
"""Weight of the pull to zero, likewise."""


def grid_shape(camera: Camera, spacing: float) -> tuple[int, int]:
    """Return rows and columns of control points at most ``spacing`` apart [px]."""
    return max(2, 1 + round(camera.height / spacing)), max(2, 1 + round(camera.width / spacing))


def refine_flow(observation: Observation, camera: Camera, shape: tuple[int, int]) -> tuple[Camera, float]:
    """Refine the warp of one photograph by Gauss-Newton steps; each must lower the error on the checked points.

    Returns:
        The camera with its warp and the error before / after (at least 1).
    """
    scale = observation.scale(camera)
    if camera.warp is None or camera.warp.shape[:2] != shape:
        camera = replace(camera, warp=_resampled(camera, shape))
    first = lowest = _error(observation, camera, scale)
    for _ in range(STEPS):
        candidate = _step(observation, camera, scale)
        value = _error(observation, candidate, scale)
        if not value < lowest:
            break
        gain, camera, lowest = 1 - value / lowest, candidate, value
        if gain < 1e-3:
            break
    return camera, improvement(first, lowest)


def _error(observation: Observation, camera: Camera, scale: float) -> float:
    total, weight = observation.error(camera, scale)
    return total / weight if weight > 0 else np.inf


def _step(observation: Observation, camera: Camera, scale: float) -> Camera:
    """Solve for the change of all control points; moving a pixel by d needs the warp to change by -d."""
    assert camera.warp is not None
    rows, columns = camera.warp.shape[:2]
    matrix, gradient = np.zeros((rows - 1, columns - 1, 8, 8)), np.zeros((rows - 1, columns - 1, 8))
    cast, target = observation.cast, observation.target
    pixels, weight = camera.project(cast.points)[0], np.where(cast.checked, 0, target.weight)
    kernels.cell_equations(observation.photo.image, pixels, target.color, weight, scale, matrix, gradient)
    system, right = _assemble(matrix, gradient)
    penalty = _penalty(rows, columns) * system.diagonal().mean()
    shift = -camera.warp.reshape(-1)  # displacement of pixels at the moment
    change = spsolve((system + penalty).tocsc(), -right - penalty @ shift)
    return replace(camera, warp=-(shift + change).reshape(rows, columns, 2))


def _assemble(
    matrix: Float[np.ndarray, "h w 8 8"], gradient: Float[np.ndarray, "h w 8"]
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Sum the equations of all cells; unknowns are ordered row, column, (x, y)."""
    rows, columns = matrix.shape[0] + 1, matrix.shape[1] + 1
    index = np.arange(rows * columns * 2).reshape(rows, columns, 2)
    corners = np.concatenate([index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]], 2)
    i, j = np.broadcast_to(corners[..., :, None], matrix.shape), np.broadcast_to(corners[..., None, :], matrix.shape)
    system = sparse.coo_matrix((matrix.ravel(), (i.ravel(), j.ravel())), shape=(index.size,) * 2).tocsr()
    return system, np.bincount(corners.ravel(), gradient.ravel(), index.size)


def _penalty(rows: int, columns: int) -> sparse.csr_matrix:
    """Smoothness and pull for unit data weight; both coordinates alike."""

    def chain(count: int) -> sparse.csr_matrix:
        difference = sparse.diags([-np.ones(count - 1), np.ones(count - 1)], [0, 1], shape=(count - 1, count))
        return difference.T @ difference

    laplacian = sparse.kron(chain(rows), sparse.eye(columns)) + sparse.kron(sparse.eye(rows), chain(columns))
    points = SMOOTHNESS * laplacian + PULL * sparse.eye(rows * columns)
    return sparse.kron(points, sparse.eye(2)).tocsr()


def _resampled(camera: Camera, shape: tuple[int, int]) -> Float[np.ndarray, "h w 2"]:
    x, y = np.linspace(0, camera.width, shape[1]), np.linspace(0, camera.height, shape[0])
    return camera.displacement(np.stack(np.meshgrid(x, y), -1))
