"""The solution of normal equations against dense algebra."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from direct_cases import dense_system, folded_mesh, random_pixels, solve_charts

from neuraltex.fit.direct.chain import ColorChain
from neuraltex.fit.direct.equations import NormalEquations, Robust
from neuraltex.fit.direct.seam_matrix import FinestSeams
from neuraltex.fit.direct.seams import seam_equations
from neuraltex.fit.distributed import process_group
from neuraltex.geometry.seams import cut_edges
from neuraltex.metrics.seams import median_seam_jump
from neuraltex.texture.fill import number_charts
from neuraltex.texture.sample import sample_mip


def test_sums_do_not_depend_on_the_number_of_threads() -> None:
    pixels, found = random_pixels(150_000), []
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            equations = NormalEquations((256, 256), 4)
            equations.add(*pixels)
            texture = solve_charts(equations, np.ones((256, 256), np.int32), max_iterations=2).texture
            found.append(texture)
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(found[0], found[1])


@pytest.mark.parametrize("size", [(32, 32), (26, 22), (15, 17)])
@pytest.mark.parametrize("levels", [1, 3])
def test_solution_is_that_of_dense_algebra(size: tuple[int, int], levels: int) -> None:
    charts = np.ones(size, np.int32)
    charts[:, size[1] // 2 :] = 2
    uv, color, weight, footprint = random_pixels(6000)
    hole = (np.abs(uv - (0.25, 0.5)) < 0.12).all(1)  # no pixel there: smoothness alone fills it
    equations = NormalEquations(size, levels)
    equations.add(uv[~hole], color[~hole], weight[~hole], footprint[~hole])
    matrix, right, free = dense_system(equations, charts, 0.1)
    exact = torch.zeros(len(free), 3, dtype=torch.float64)
    exact[free] = torch.linalg.solve(matrix, right)
    settings = {"smoothness": 0.1, "tolerance": 1e-6, "max_iterations": 300}
    solution = solve_charts(equations, charts, **settings)
    assert solution.residual < 1e-5
    np.testing.assert_allclose(solution.texture.reshape(-1, 3), exact.numpy(), atol=2e-3)


def test_solver_converges_within_few_iterations() -> None:
    equations = NormalEquations((512, 512), 4)
    uv, color, weight, footprint = random_pixels(1_000_000, largest=3.0)
    equations.add(uv, color, weight, footprint)
    solution = solve_charts(equations, np.ones((512, 512), np.int32))
    assert solution.residual <= 1e-3
    assert solution.iterations <= 25


def test_other_charts_and_background_do_not_leak_in() -> None:
    """A distant photograph of a chart reads coarse texels that lie half outside of it."""
    charts = np.zeros((32, 32), np.int32)
    charts[6:27, 5:20] = 1
    equations = NormalEquations((32, 32), 4)
    random = np.random.default_rng(0)
    uv = random.uniform((6 / 32, 6 / 32), (19 / 32, 25 / 32), (4000, 2))
    equations.add(uv, np.full((4000, 3), 0.7), np.ones(4000), np.full(4000, 5.0))
    texture = solve_charts(equations, charts, tolerance=1e-6, max_iterations=100).texture
    np.testing.assert_allclose(texture[charts > 0], 0.7, atol=2e-3)


def test_seam_rows_read_the_same_place_on_both_sides() -> None:
    mesh = folded_mesh()
    here, there = cut_edges(mesh)
    assert len(here) == 1
    np.testing.assert_allclose(here[0] + 0.5, there[0])
    rows = seam_equations(mesh, (64, 64))
    y, x = np.divmod(rows.texels, 64)
    position = np.stack([(rows.weights * (x + 0.5)).sum(1), -(rows.weights * (y + 0.5)).sum(1)], 1) / 64
    np.testing.assert_allclose(position, -0.5, atol=1e-6)
    assert rows.strength.sum() == pytest.approx(np.hypot(0.4, 0.4) * 64, rel=1e-5)


def test_seams_say_the_same_on_all_levels() -> None:
    """The part of a color that is constant on 2x2 texels sees the same seams on the coarser level."""
    fine = FinestSeams(seam_equations(folded_mesh(), (64, 64)).times(3))
    coarse = fine.coarser()
    for matrix, size, block in ((fine, 64, 2), (coarse, 32, 1)):
        x = np.random.default_rng(0).random((32, 32, 3)).astype(np.float32).repeat(block, 0).repeat(block, 1)
        right, zero, diagonal = np.zeros((size, size, 8), np.float32), np.zeros_like(x), np.zeros_like(x)
        matrix.hold(right)
        matrix.refresh(right, x)
        matrix.stiffen(diagonal)
        applied = diagonal[..., :1] * x - right[..., 5:]  # m x - (m - S) x
        sums = applied.reshape(32, block, 32, block, 3).sum((1, 3))
        if block == 2:
            expected = sums
        matrix.refresh(right, zero)
        assert not right.any()
    np.testing.assert_allclose(sums, expected, atol=1e-4)
    assert np.abs(expected).max() > 0.1


def test_seam_closes_what_photographs_leave_open() -> None:
    mesh, jumps = folded_mesh(), []
    charts, rows = number_charts(mesh, (64, 64)), seam_equations(mesh, (64, 64))
    assert charts.max() == 2
    for seam in (0.0, 100.0):
        equations = NormalEquations((64, 64))
        uv = np.random.default_rng(0).uniform(0.06, 0.94, (20_000, 2))
        equations.add(uv, np.where(uv[:, :1] < 0.5, 0.4, 0.6).repeat(3, 1), np.ones(len(uv)))
        texture = solve_charts(equations, charts, rows, seam=seam, max_iterations=100).texture
        jumps.append(median_seam_jump(mesh, texture))
    assert jumps[0] > 40
    assert jumps[1] < 2


def test_seam_system_is_that_of_dense_algebra() -> None:
    mesh = folded_mesh()
    charts, rows = number_charts(mesh, (32, 32)), seam_equations(mesh, (32, 32))
    equations = NormalEquations((32, 32))
    equations.add(*random_pixels(5000)[:3])
    charts[charts == 0] = 3
    matrix, right, _ = dense_system(equations, charts, 0.01)
    dense = torch.zeros(len(rows.texels), 32 * 32, dtype=torch.float64)
    for row, (texels, values) in enumerate(zip(rows.texels, rows.weights, strict=True)):
        dense[row].index_add_(0, torch.from_numpy(texels), torch.from_numpy(values).double())
    matrix += 5 * dense.T @ (torch.from_numpy(rows.strength).double()[:, None] * dense)
    exact = torch.linalg.solve(matrix, right).numpy()
    found = solve_charts(equations, charts, rows, seam=5.0, smoothness=0.01, tolerance=1e-6, max_iterations=300).texture
    np.testing.assert_allclose(found.reshape(-1, 3), exact, atol=2e-3)


def test_l1_agrees_with_the_optimum_of_the_gradient_fit() -> None:
    uv, _, _, _ = random_pixels(3000)
    random = np.random.default_rng(5)
    color = np.repeat(np.where(random.random((3000, 1)) < 0.3, 1.0, 0.3) + 0.1 * uv[:, :1], 3, 1).astype(np.float32)
    charts, equations = np.ones((16, 16), np.int32), NormalEquations((16, 16))
    chain = ColorChain(equations.layout)
    settings = {"smoothness": 1e-4, "tolerance": 1e-5, "max_iterations": 50}
    image = np.clip(color * 255, 0, 255).astype(np.uint8)[None]
    color = image[0] / np.float32(255)
    texture = np.zeros((16, 16, 3), np.float32)
    for index in range(30):
        equations.clear()
        robust = Robust(chain, "l1", 0.1) if index else None
        ramp = np.repeat(np.arange(256)[:, None] / 255, 3, 1)
        ones = np.full((1, 3000), 255, np.uint8)
        equations.add_photo(image, uv[None], ones, np.ones((1, 3000), np.float16), ramp, None, robust)
        solution = solve_charts(equations, charts, **settings)
        texture = solution.texture
        chain.fill(texture, solution.cells)

    def loss(x: torch.Tensor) -> torch.Tensor:
        return (sample_mip([x], torch.from_numpy(uv), torch.ones(3000)) - torch.from_numpy(color)).abs().mean()

    best = torch.full((16, 16, 3), 0.5, requires_grad=True)
    optimizer = torch.optim.Adam([best], lr=0.02)
    for step in range(600):
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / 600)
        optimizer.zero_grad()
        loss(best).backward()
        optimizer.step()
    assert float(loss(torch.from_numpy(texture))) < 1.01 * float(loss(best.detach()))


def _half_of_the_pixels(rank: int, folder: str) -> None:
    import os

    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29533"}
    equations, pixels = NormalEquations((64, 64), 3), random_pixels(20_000)
    with process_group(torch.device("cpu")):
        equations.add(*(array[rank::2] for array in pixels))
        equations.sum_over_processes()
    texture = solve_charts(equations, np.ones((64, 64), np.int32)).texture
    np.save(Path(folder) / f"{rank}.npy", texture)


def test_two_processes_find_the_texture_of_one(tmp_path: Path) -> None:
    mp.spawn(_half_of_the_pixels, (str(tmp_path),), 2)
    equations = NormalEquations((64, 64), 3)
    equations.add(*random_pixels(20_000))
    texture = solve_charts(equations, np.ones((64, 64), np.int32)).texture
    for rank in range(2):
        np.testing.assert_allclose(np.load(tmp_path / f"{rank}.npy"), texture, atol=1e-5)
