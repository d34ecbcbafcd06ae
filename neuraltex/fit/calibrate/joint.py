"""The poses of all photographs in one step, with a texture that follows them.

Photograph by photograph against the texture of the others, an error that neighbors share dies out slowly: each is held
in place by the rest. Here the color of every square of the texture is the robust mean of what the photographs show
there and is eliminated, as in bundle adjustment the points are (B. Triggs et al., "Bundle adjustment - a modern
synthesis", 1999, section 6.1). What remains are six equations per photograph, coupled with those of all photographs
that see the same squares.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from neuraltex.fit.calibrate import kernels
from neuraltex.fit.calibrate.cameras import improvement
from neuraltex.fit.calibrate.parameters import POSE_SIZE, SharedModel, move
from neuraltex.fit.calibrate.shared import SCALE, Sight, disagreement
from neuraltex.geometry.camera import Camera

STEPS = 2
LENGTHS = (1, 2, 4)
"""Multiples of a step that are tried while the error falls: gradients without a counterpart make steps too short."""
DAMPING = 1e-3
MIN_WEIGHT = 1e-3
"""Weight in a square below which a photograph does not see it."""
POSE = SharedModel(rig=True, intrinsics=False)
"""The parameters of a pose, here not shared."""


def refine_together(sights: Sequence[Sight], cameras: Sequence[Camera]) -> tuple[list[Camera], float]:
    """Refine all poses at once.

    Args:
        sights: What every photograph shows.
        cameras: Their (reduced) cameras.

    Returns:
        The cameras, and the robust error of the checked points before divided by after (at least 1).
    """
    current = list(cameras)
    first = lowest = disagreement(sights, current)
    for _ in range(STEPS):
        matrix, gradient = _equations(sights, current)
        diagonal = np.diag(matrix)
        step = -np.linalg.solve(matrix + np.diag(DAMPING * diagonal + 1e-9 * diagonal.max() + 1e-12), gradient)
        before = lowest
        for length in LENGTHS:
            twists = length * step.reshape(-1, POSE_SIZE)
            candidate = [move(camera, twist) for camera, twist in zip(current, twists, strict=True)]
            value = disagreement(sights, candidate)
            if not value < lowest:
                break
            best, lowest = candidate, value
        if lowest == before:
            break
        current = best
    return current, improvement(first, lowest)


def _equations(
    sights: Sequence[Sight], cameras: Sequence[Camera]
) -> tuple[Float[np.ndarray, "6N 6N"], Float[np.ndarray, " 6N"]]:
    """Return ``J'WJ`` and ``J'Wr`` over the points that are not checked."""
    cells, views, parts = [], [], []
    for index, (sight, camera) in enumerate(zip(sights, cameras, strict=True)):
        sample = sight.sample(camera, POSE)
        sample[sight.cast.checked] = 0
        sums = np.zeros((len(sight.cells.cell), sample.shape[1]), np.float32)
        kernels.add_rows(sample, sight.cells.place, sums)
        seen = sums[:, 0] > MIN_WEIGHT
        cells.append(sight.cells.cell[seen])
        views.append(np.full(len(cells[-1]), index))
        parts.append(sums[seen])
    cell = np.concatenate(cells)
    order = np.argsort(cell, kind="stable")
    start = np.concatenate([[0], np.flatnonzero(np.diff(cell[order])) + 1, [len(cell)]])
    size = POSE_SIZE * len(cameras)
    matrix, gradient = np.zeros((size, size)), np.zeros(size)
    rows = np.concatenate(parts)[order]
    kernels.coupled_equations(start, np.concatenate(views)[order], rows, SCALE, matrix, gradient)
    block = np.arange(size) // POSE_SIZE
    lower = np.where(block[:, None] > block, matrix, 0)
    return matrix + lower.T, gradient
