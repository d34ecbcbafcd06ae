"""Normal equations and their solution against dense algebra and readable twins."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from plane_scene import SIZE, true_texture, write_plane_scene

from neuraltex.config.schema import ColorConfig, DirectConfig, FitConfig, LossConfig, PixelConfig, TextureConfig
from neuraltex.core.errors import ConfigError, DataError
from neuraltex.fit.calibrate.exposure import ColorMatch
from neuraltex.fit.data import ViewStore
from neuraltex.fit.direct import operators, reference
from neuraltex.fit.direct.archive import SavedEquations, read_equations, write_equations
from neuraltex.fit.direct.cells import coarsen_cells, link_cells
from neuraltex.fit.direct.equations import NormalEquations, Robust
from neuraltex.fit.direct.penalty import weights
from neuraltex.fit.direct.seams import SeamRows, seam_equations
from neuraltex.fit.direct.solve import solve
from neuraltex.fit.direct.start import direct_start
from neuraltex.fit.direct.stream import DirectFit, memory_gb
from neuraltex.fit.distributed import process_group
from neuraltex.fit.initialize import initial_texture
from neuraltex.geometry.mesh import Mesh
from neuraltex.geometry.seams import cut_edges
from neuraltex.metrics.seams import median_seam_jump
from neuraltex.texture.fill import number_charts
from neuraltex.texture.sample import build_mip_pyramid, sample_mip

Pixels = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def random_pixels(count: int, seed: int = 0, largest: float = 6.0) -> Pixels:
    """uv (some beyond the border), color, weight, footprint."""
    random = np.random.default_rng(seed)
    uv = random.uniform(-0.02, 1.02, (count, 2))
    arrays = (uv, random.random((count, 3)), random.random(count), random.uniform(0.3, largest, count))
    return tuple(array.astype(np.float32) for array in arrays)  # type: ignore[return-value]


def no_seams(width: int) -> SeamRows:
    return SeamRows(np.zeros((0, 8), np.int64), np.zeros((0, 8), np.float32), np.zeros(0, np.float32), width)


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


@pytest.mark.parametrize(("size", "levels"), [((16, 24), 1), ((16, 24), 3), ((10, 6), 4), ((7, 9), 3)])
def test_kernels_add_what_the_readable_twin_adds(size: tuple[int, int], levels: int) -> None:
    equations, pixels = NormalEquations(size, levels), random_pixels(2000)
    equations.add(*pixels)
    twin = [torch.zeros(image.shape, dtype=torch.float64) for image in equations.images]
    reference.accumulate(twin, *(torch.from_numpy(array).double() for array in pixels))
    for ours, theirs in zip(equations.images, twin, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-4)


def test_equations_are_the_adjoint_of_sampling() -> None:
    """<A x, w y> = <x, A' w y> and x' A' W A x = |W^(1/2) A x|^2 for the mip-mapped lookup A of the gradient fit."""
    uv, color, weight, footprint = random_pixels(3000)
    equations = NormalEquations((32, 32), 3)
    equations.add(uv, color, weight, footprint)
    x = torch.rand(32, 32, 3, generator=torch.Generator().manual_seed(1))
    pyramid = build_mip_pyramid(x, 3)
    seen = sample_mip(pyramid, torch.from_numpy(uv), torch.from_numpy(footprint)).double().numpy()
    left = (seen * color * weight[:, None]).sum()
    right = sum(
        float((image[..., 5:] * level.numpy()).sum()) for image, level in zip(equations.images, pyramid, strict=True)
    )
    assert right == pytest.approx(left, rel=1e-4)

    coarsest = [NormalEquations((32, 32), 1), random_pixels(3000, largest=1.0)]
    coarsest[0].add(*coarsest[1])  # type: ignore[union-attr]
    matrix = reference.matrix_of(torch.from_numpy(coarsest[0].images[0]).double())  # type: ignore[union-attr]
    flat = x.reshape(-1, 3).double()
    seen = sample_mip([x], torch.from_numpy(coarsest[1][0]), torch.ones(3000)).double().numpy()  # type: ignore[index]
    energy = ((seen**2) * coarsest[1][2][:, None]).sum()  # type: ignore[index]
    assert float((flat * (matrix @ flat)).sum()) == pytest.approx(energy, rel=1e-4)


def test_photograph_in_bytes_is_the_same_as_floats() -> None:
    random = np.random.default_rng(3)
    image, weight = random.integers(0, 256, (40, 50, 3), np.uint8), random.integers(0, 256, (40, 50), np.uint8)
    uv = random.random((40, 50, 2)).astype(np.float32)
    footprint = random.uniform(0.5, 5, (40, 50)).astype(np.float16)
    falloff = random.uniform(0.6, 1, (40, 50)).astype(np.float32)
    colors = (np.arange(1024)[:, None] / 255 * (0.8, 1.0, 1.1) - 0.02).astype(np.float32)
    ours, floats = NormalEquations((32, 32), 3), NormalEquations((32, 32), 3)
    robust = Robust(ours.layout.zeros(3), "cauchy", 0.2)
    ours.add_photo(image, uv, weight, footprint, colors, falloff, robust, scale=1.5)
    color = image / 255 / falloff[..., None] * (0.8, 1.0, 1.1) - 0.02
    trust = weight / 255 * weights("cauchy", color, 0.2)
    floats.add(uv.reshape(-1, 2), color.reshape(-1, 3), trust.reshape(-1), footprint.reshape(-1).astype(float) * 1.5)
    np.testing.assert_allclose(ours.rows, floats.rows, atol=1e-4)


def test_sums_do_not_depend_on_the_number_of_threads() -> None:
    pixels, found = random_pixels(150_000), []
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            equations = NormalEquations((256, 256), 4)
            equations.add(*pixels)
            charts = np.ones((256, 256), np.int32)
            texture = solve(equations, charts, no_seams(256), DirectConfig(max_iterations=2)).texture
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
    config = DirectConfig(smoothness=0.1, tolerance=1e-6, max_iterations=300)
    solution = solve(equations, charts, no_seams(size[1]), config)
    assert solution.residual < 1e-5
    np.testing.assert_allclose(solution.texture.reshape(-1, 3), exact.numpy(), atol=2e-3)


def test_solver_converges_within_few_iterations() -> None:
    equations = NormalEquations((512, 512), 4)
    uv, color, weight, footprint = random_pixels(1_000_000, largest=3.0)
    equations.add(uv, color, weight, footprint)
    solution = solve(equations, np.ones((512, 512), np.int32), no_seams(512), DirectConfig())
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
    texture = solve(equations, charts, no_seams(32), DirectConfig(tolerance=1e-6, max_iterations=100)).texture
    np.testing.assert_allclose(texture[charts > 0], 0.7, atol=2e-3)


def folded_mesh() -> Mesh:
    """Two triangles of a square, laid out apart: the diagonal is cut."""
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    uvs = np.array([[0.05, 0.05], [0.45, 0.05], [0.45, 0.45], [0.55, 0.55], [0.95, 0.95], [0.55, 0.95]])
    return Mesh(vertices, np.array([[0, 1, 2], [0, 2, 3]]), uvs, np.array([[0, 1, 2], [3, 4, 5]]))


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


def test_seam_closes_what_photographs_leave_open() -> None:
    mesh, jumps = folded_mesh(), []
    charts, rows = number_charts(mesh, (64, 64)), seam_equations(mesh, (64, 64))
    assert charts.max() == 2
    for seam in (0.0, 100.0):
        equations = NormalEquations((64, 64))
        uv = np.random.default_rng(0).uniform(0.06, 0.94, (20_000, 2))
        equations.add(uv, np.where(uv[:, :1] < 0.5, 0.4, 0.6).repeat(3, 1), np.ones(len(uv)))
        texture = solve(equations, charts, rows, DirectConfig(seam=seam, max_iterations=100)).texture
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
    found = solve(
        equations, charts, rows, DirectConfig(seam=5.0, smoothness=0.01, tolerance=1e-6, max_iterations=300)
    ).texture
    np.testing.assert_allclose(found.reshape(-1, 3), exact, atol=2e-3)


def test_penalties_have_the_weights_they_promise() -> None:
    at = np.array([[0.1] * 3, [0.2] * 3])
    assert weights("l2", at, 0.1).tolist() == [1, 1]
    np.testing.assert_allclose(weights("l1", at, 0.1), [1, 0.5])
    np.testing.assert_allclose(weights("huber", at, 0.1), [1, 0.5])
    np.testing.assert_allclose(weights("cauchy", at, 0.1), [0.5, 0.2])
    np.testing.assert_allclose(weights("geman_mcclure", at, 0.1), [0.25, 0.04])


def test_l1_agrees_with_the_optimum_of_the_gradient_fit() -> None:
    uv, _, _, _ = random_pixels(3000)
    random = np.random.default_rng(5)
    color = np.repeat(np.where(random.random((3000, 1)) < 0.3, 1.0, 0.3) + 0.1 * uv[:, :1], 3, 1).astype(np.float32)
    charts, equations, chain = np.ones((16, 16), np.int32), NormalEquations((16, 16)), None
    config = DirectConfig(smoothness=1e-4, tolerance=1e-5, max_iterations=50)
    image = np.clip(color * 255, 0, 255).astype(np.uint8)[None]
    color = image[0] / np.float32(255)
    texture = np.zeros((16, 16, 3), np.float32)
    for _ in range(30):
        equations.clear()
        robust = None if chain is None else Robust(chain, "l1", 0.1)
        ramp = np.repeat(np.arange(256)[:, None] / 255, 3, 1)
        ones = np.full((1, 3000), 255, np.uint8)
        equations.add_photo(image, uv[None], ones, np.ones((1, 3000), np.float16), ramp, None, robust)
        texture = solve(equations, charts, no_seams(16), config).texture
        chain = texture.reshape(-1, 3)

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


def fit_config(**direct: object) -> FitConfig:
    return FitConfig(
        texture=TextureConfig(init="direct"),
        pixels=PixelConfig(margin=0),
        color=ColorConfig(),
        loss=LossConfig(),
        direct=replace(DirectConfig(), **direct),
    )


def test_direct_start_recovers_the_texture(tmp_path: Path) -> None:
    scene = write_plane_scene(tmp_path)
    store = ViewStore(scene.split("train"), PixelConfig(margin=0), 1.0)
    texture, seen, matches = initial_texture(store, SIZE, scene, fit_config(smoothness=1e-3))
    error = (texture - true_texture()).abs()[seen > 0.5]
    assert error.mean() < 0.012
    assert len(matches) == len(store)


def test_distractor_in_one_photograph_loses_its_weight(tmp_path: Path) -> None:
    scene = write_plane_scene(tmp_path, num_views=16)
    store = ViewStore(scene.split("train"), PixelConfig(margin=0), 1.0)
    store.load(0).image[10:30, 10:30] = (0, 255, 0)
    errors = []
    for penalty in ("l2", "geman_mcclure"):
        fit = DirectFit(scene.mesh, SIZE, fit_config(penalty=penalty).direct)
        fit.run(store, ColorMatch.identity(len(store)))
        result = fit.finish()
        errors.append(np.abs(result.texture - true_texture().numpy())[result.weights > 0.5].mean())
    assert errors[1] < 0.5 * errors[0]


def test_extended_equations_equal_those_of_all_photographs(tmp_path: Path) -> None:
    scene = write_plane_scene(tmp_path / "scene")
    config, views = fit_config(penalty="l2", save_equations=True), scene.split("train")
    first = ViewStore(views[:3], config.pixels, 1.0)
    result, _ = direct_start(first, SIZE, scene, config, tmp_path)
    from neuraltex.io.images import write_exr

    write_exr(tmp_path / "texture.exr", result.texture)
    everything = ViewStore(views, config.pixels, 1.0)
    whole, _ = direct_start(everything, SIZE, scene, config)
    more = replace(config, direct=replace(config.direct, extend=tmp_path))
    extended, _ = direct_start(everything, SIZE, scene, more, tmp_path)
    seen = whole.weights > 0.5
    assert np.abs(extended.texture - whole.texture)[seen].max() < 0.02
    assert np.abs(result.weights - whole.weights).max() > 0.5
    np.testing.assert_allclose(extended.weights, whole.weights, atol=1e-4)
    assert read_equations(tmp_path / "equations.npz").names == tuple(view.name for view in views)
    again, _ = direct_start(everything, SIZE, scene, more)  # nothing is new: nothing is added twice
    np.testing.assert_allclose(again.weights, whole.weights, atol=1e-4)
    with pytest.raises(ConfigError, match="equations are for"):
        direct_start(everything, 2 * SIZE, scene, more)


def test_broken_equations_are_refused(tmp_path: Path) -> None:
    path = write_equations(tmp_path / "equations.npz", SavedEquations(NormalEquations((8, 8)), ("a",)))
    assert read_equations(path).names == ("a",)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="holds no equations"):
        read_equations(path)


def _half_of_the_pixels(rank: int, folder: str) -> None:
    import os

    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29533"}
    equations, pixels = NormalEquations((64, 64), 3), random_pixels(20_000)
    with process_group(torch.device("cpu")):
        equations.add(*(array[rank::2] for array in pixels))
        equations.sum_over_processes()
    texture = solve(equations, np.ones((64, 64), np.int32), no_seams(64), DirectConfig()).texture
    np.save(Path(folder) / f"{rank}.npy", texture)


def test_two_processes_find_the_texture_of_one(tmp_path: Path) -> None:
    mp.spawn(_half_of_the_pixels, (str(tmp_path),), 2)
    equations = NormalEquations((64, 64), 3)
    equations.add(*random_pixels(20_000))
    texture = solve(equations, np.ones((64, 64), np.int32), no_seams(64), DirectConfig()).texture
    for rank in range(2):
        np.testing.assert_allclose(np.load(tmp_path / f"{rank}.npy"), texture, atol=1e-5)


@pytest.mark.parametrize("size", [1024, pytest.param(8192, marks=pytest.mark.slow)])
def test_memory_stays_below_the_formula(size: int, tmp_path: Path) -> None:
    scene = write_plane_scene(tmp_path)
    store = ViewStore(scene.split("train")[:2], PixelConfig(margin=0), 1.0)
    for index in range(len(store)):
        store.load(index)
    tracemalloc.start()
    fit = DirectFit(scene.mesh, size, fit_config(max_iterations=1).direct, size / SIZE)
    fit.run(store, ColorMatch.identity(len(store)))
    fit.finish()
    peak = tracemalloc.get_traced_memory()[1] / 1024**3
    tracemalloc.stop()
    assert peak < 1.1 * memory_gb(size) + 0.02
    assert memory_gb(16384) < 24
