"""Cases that the tests of the direct fit share."""

from dataclasses import replace

import numpy as np
import torch

from neuraltex.config.schema import ColorConfig, DirectConfig, FitConfig, LossConfig, PixelConfig, TextureConfig
from neuraltex.fit.direct import operators, reference
from neuraltex.fit.direct.cells import coarsen_cells, link_cells
from neuraltex.fit.direct.equations import NormalEquations
from neuraltex.fit.direct.seams import SeamRows
from neuraltex.fit.direct.solve import Solution, solve, unknowns
from neuraltex.geometry.mesh import Mesh

Pixels = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def random_pixels(count: int, seed: int = 0, largest: float = 6.0) -> Pixels:
    """uv (some beyond the border), color, weight, footprint."""
    random = np.random.default_rng(seed)
    uv = random.uniform(-0.02, 1.02, (count, 2))
    arrays = (uv, random.random((count, 3)), random.random(count), random.uniform(0.3, largest, count))
    return tuple(array.astype(np.float32) for array in arrays)  # type: ignore[return-value]


def no_seams(width: int) -> SeamRows:
    return SeamRows(np.zeros((0, 8), np.int32), np.zeros((0, 8), np.float32), np.zeros(0, np.float32), width)


def dense_system(
    equations: NormalEquations, charts: np.ndarray, smoothness: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Matrix, right-hand side and unknowns of what solve() solves without seams, in float64."""
    cells = link_cells(charts.astype(np.int32))
    down = torch.eye(cells.size, dtype=torch.float64)
    free = torch.from_numpy(cells.reshape(-1) > 0)
    matrix = smoothness * reference.smoothness_of(torch.from_numpy(cells))
    right = torch.zeros(cells.size, 3, dtype=torch.float64)
    for level, image in enumerate(equations.images):
        own = image.copy()
        if level:
            down = reference.averaging(torch.from_numpy(cells)) @ down
            cells = coarsen_cells(cells)
            operators.fold(own, cells)
        stencil = torch.from_numpy(own).double()
        matrix += down.T @ reference.matrix_of(stencil) @ down
        right += down.T @ stencil[..., 5:].reshape(-1, 3)
    return matrix[free][:, free], right[free], free


def solve_charts(
    equations: NormalEquations, charts: np.ndarray, seams: SeamRows | None = None, **settings: object
) -> Solution:
    """Solve for the texels of charts; without ``seams`` there are none."""
    config = replace(DirectConfig(), **settings)
    rows = no_seams(charts.shape[1]) if seams is None else seams.times(config.seam)
    return solve(equations, unknowns(equations, charts, rows), rows, config)


def folded_mesh() -> Mesh:
    """Two triangles of a square, laid out apart: the diagonal is cut."""
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    uvs = np.array([[0.05, 0.05], [0.45, 0.05], [0.45, 0.45], [0.55, 0.55], [0.95, 0.95], [0.55, 0.95]])
    return Mesh(vertices, np.array([[0, 1, 2], [0, 2, 3]]), uvs, np.array([[0, 1, 2], [3, 4, 5]]))


def fit_config(**direct: object) -> FitConfig:
    return FitConfig(
        texture=TextureConfig(init="direct"),
        pixels=PixelConfig(margin=0),
        color=ColorConfig(),
        loss=LossConfig(),
        direct=replace(DirectConfig(), **direct),
    )
