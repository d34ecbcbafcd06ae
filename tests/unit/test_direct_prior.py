"""A prior in the direct fit against dense algebra, and that it keeps out of what is seen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from box_scene import write_box_scene
from direct_cases import dense_system, fit_config, no_seams, random_pixels
from plane_scene import SIZE, write_plane_scene
from scipy.ndimage import binary_dilation

from neuraltex.config.prior import PriorConfig
from neuraltex.config.schema import DirectConfig
from neuraltex.fit.direct.alone import DirectOnly
from neuraltex.fit.direct.cells import DOWN, RIGHT, link_cells
from neuraltex.fit.direct.equations import NormalEquations
from neuraltex.fit.direct.prior_rows import PriorRows
from neuraltex.fit.direct.solve import solve, unknowns
from neuraltex.fit.loop import GradientFit
from neuraltex.fit.prior import Prior
from neuraltex.fit.surface import Surface


def add_densely(matrix: torch.Tensor, right: torch.Tensor, cells: np.ndarray, rows: PriorRows, smooth: float) -> None:
    """Add the equations of a prior to a dense system of all texels, pair by pair."""
    height, width = cells.shape
    target = rows.target.reshape(-1, 3).astype(np.float64)
    for i in range(height):
        for j in range(width):
            a = i * width + j
            matrix[a, a] += float(rows.weight[i, j])
            right[a] += torch.from_numpy(float(rows.weight[i, j]) * target[a])
            for mark, v, u in ((RIGHT, i, j + 1), (DOWN, i + 1, j)):
                if not cells[i, j] & mark:
                    continue
                b = v * width + u
                slope = float(min(rows.slope[i, j], rows.slope[v, u]))
                pull = slope + smooth * float(min(rows.openness[i, j], rows.openness[v, u]))
                for x, y, sign in ((a, b, 1), (b, a, -1)):
                    matrix[x, x] += slope
                    matrix[x, y] -= slope
                    right[x] += torch.from_numpy(sign * pull * (target[a] - target[b]))


@pytest.mark.parametrize("levels", [1, 3])
def test_solution_with_a_prior_is_that_of_dense_algebra(levels: int) -> None:
    size, smooth = (24, 28), 0.1
    charts = np.ones(size, np.int32)
    charts[:, 14:] = 2
    uv, color, weight, footprint = random_pixels(3000)
    hole = (np.abs(uv - (0.4, 0.5)) < 0.22).all(1)
    equations = NormalEquations(size, levels)
    equations.add(uv[~hole], color[~hole], weight[~hole], footprint[~hole])
    random = np.random.default_rng(3)
    prior = Prior(random.random((*size, 3)).astype(np.float32), random.uniform(0.2, 1, size).astype(np.float32))
    surface = Surface(charts, random.uniform(0.5, 2, size).astype(np.float32))
    rows = PriorRows.of(prior, equations.coverage(), surface, PriorConfig(weight=0.3, gradient_weight=0.2))
    assert rows is not None
    assert (rows.openness > 0.5).sum() > 20
    assert (rows.openness == 0).sum() > 100
    matrix, right, free = dense_system(equations, charts, smooth)
    assert free.all()
    add_densely(matrix, right, link_cells(charts), rows, smooth)
    exact = torch.linalg.solve(matrix, right)
    before = equations.coverage()
    seams = no_seams(size[1])
    settings = replace(DirectConfig(), smoothness=smooth, tolerance=1e-7, max_iterations=300)
    cells = unknowns(equations, charts, seams)
    solution = solve(equations, cells, seams, settings, prior=rows)
    assert solution.residual < 1e-5
    np.testing.assert_allclose(solution.texture.reshape(-1, 3), exact.numpy(), atol=2e-3)
    np.testing.assert_allclose(equations.coverage() - rows.weight, before, atol=1e-4)


def prior_of(scene_size: int, value: np.ndarray) -> Prior:
    return Prior(value.astype(np.float32), np.ones((scene_size, scene_size), np.float32))


@pytest.mark.parametrize("settings", [{}, {"base_level": 3, "half_first": True}, {"passes": 1, "penalty": "l2"}])
def test_unseen_texels_become_the_prior(tmp_path: Path, settings: dict[str, object]) -> None:
    scene = write_plane_scene(tmp_path, cover=0.5)
    base = replace(fit_config(**settings), prior=PriorConfig(kind="diffusion"))
    base = replace(base, loop=replace(base.loop, steps=0))
    stripes = 0.5 + 0.3 * np.sign(np.sin(np.arange(SIZE) * 0.8))
    prior = prior_of(SIZE, np.broadcast_to(stripes[:, None, None], (SIZE, SIZE, 3)))
    without, fitted = DirectOnly(replace(base, prior=PriorConfig()))(scene), DirectOnly(base)(scene, prior)
    assert np.array_equal(without.seen, fitted.seen)
    assert np.array_equal(fitted.predicted, ~fitted.seen)
    last = int(np.flatnonzero(fitted.seen.any(0)).max())
    first = last + (12 if "base_level" not in settings else 28)  # colors in the large change within two blocks of 8
    np.testing.assert_allclose(fitted.texture[:, first:], prior.texture[:, first:], atol=0.03)
    well = ~binary_dilation(~fitted.seen, iterations=3)
    assert np.sqrt(np.square(fitted.texture - without.texture)[well].mean()) < 1 / 255


def test_prior_changes_no_bit_where_everything_is_covered(tmp_path: Path) -> None:
    scene = write_box_scene(tmp_path)
    config = replace(fit_config(), prior=PriorConfig(kind="diffusion", full_coverage=1e-6, off_above=0.0))
    config = replace(config, loop=replace(config.loop, steps=0))
    without = DirectOnly(replace(config, prior=PriorConfig()))(scene)
    prior = Prior(np.zeros((128, 128, 3), np.float32), without.seen.astype(np.float32))
    fitted = DirectOnly(config)(scene, prior)
    assert np.array_equal(fitted.texture, without.texture)
    assert np.array_equal(fitted.seen, without.seen)


def test_gradient_fit_starts_from_the_direct_fit_with_its_prior(tmp_path: Path) -> None:
    scene = write_plane_scene(tmp_path, cover=0.5)
    config = replace(fit_config(), prior=PriorConfig(kind="diffusion"))
    config = replace(config, loop=replace(config.loop, steps=0))
    prior = prior_of(SIZE, np.full((SIZE, SIZE, 3), 0.9))
    alone, looped = DirectOnly(config)(scene, prior), GradientFit(config)(scene, prior)
    np.testing.assert_array_equal(alone.texture, looped.texture)
    np.testing.assert_array_equal(alone.predicted, looped.predicted)
