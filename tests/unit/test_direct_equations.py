"""Normal equations against their readable twin and the lookups they stand for."""

from pathlib import Path

import numpy as np
import pytest
import torch
from direct_cases import random_pixels, solve_charts

from neuraltex.core.errors import DataError
from neuraltex.fit.data import ViewData
from neuraltex.fit.direct import equations as equations_module
from neuraltex.fit.direct import reference
from neuraltex.fit.direct.archive import SavedEquations, read_equations, write_equations
from neuraltex.fit.direct.cells import KNOT
from neuraltex.fit.direct.chain import ColorChain
from neuraltex.fit.direct.device import DeviceSums
from neuraltex.fit.direct.equations import NormalEquations, Robust
from neuraltex.fit.direct.penalty import Penalty, weights
from neuraltex.fit.direct.trust import trust_in
from neuraltex.texture.sample import build_mip_pyramid, sample_mip


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


Photo = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def random_photo() -> Photo:
    """Image, uv, weight, footprint; no multiple of the squares that photographs are walked through in."""
    random = np.random.default_rng(3)
    image, weight = random.integers(0, 256, (40, 50, 3), np.uint8), random.integers(0, 256, (40, 50), np.uint8)
    uv = random.random((40, 50, 2)).astype(np.float32)
    return image, uv, weight, random.uniform(0.5, 5, (40, 50)).astype(np.float16)


COLORS = (np.arange(1024)[:, None] / 255 * (0.8, 1.0, 1.1) - 0.02).astype(np.float32)


def black_chain(equations: NormalEquations) -> ColorChain:
    chain = ColorChain(equations.layout)
    chain.fill(np.zeros((*equations.size, 3), np.float32), np.full(equations.size, KNOT, np.uint8))
    return chain


def test_photograph_in_bytes_is_the_same_as_floats() -> None:
    image, uv, weight, footprint = random_photo()
    falloff = np.random.default_rng(4).uniform(0.6, 1, (40, 50)).astype(np.float32)
    ours, floats = NormalEquations((32, 32), 3), NormalEquations((32, 32), 3)
    robust = Robust(black_chain(ours), "cauchy", 0.2)
    ours.add_photo(image, uv, weight, footprint, COLORS, falloff, robust, scale=1.5)
    color = image / 255 / falloff[..., None] * (0.8, 1.0, 1.1) - 0.02
    trust = weight / 255 * weights("cauchy", color, 0.2)
    floats.add(uv.reshape(-1, 2), color.reshape(-1, 3), trust.reshape(-1), footprint.reshape(-1).astype(float) * 1.5)
    np.testing.assert_allclose(ours.rows, floats.rows, atol=1e-4)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("penalty", [None, "l2", "l1", "huber", "cauchy", "geman_mcclure"])
@pytest.mark.parametrize("alike", [False, True])
def test_sums_in_torch_are_those_of_the_kernels(device: str, penalty: Penalty | None, alike: bool) -> None:
    photo, falloff = random_photo(), np.random.default_rng(4).uniform(0.6, 1, (40, 50)).astype(np.float32)
    ours, theirs = NormalEquations((32, 32), 3), NormalEquations((32, 32), 3)
    chain = ColorChain(ours.layout)
    chain.fill(np.random.default_rng(5).random((32, 32, 3)).astype(np.float32), np.full((32, 32), KNOT, np.uint8))
    robust = None if penalty is None else Robust(chain, penalty, 0.2)
    ours.add_photo(*photo, COLORS, falloff, robust, scale=1.2, alike=alike)
    sums = DeviceSums(theirs, torch.device(device))
    sums.add_photo(*photo, COLORS, falloff, robust, scale=1.2, alike=alike)
    sums.flush()
    np.testing.assert_allclose(theirs.rows, ours.rows, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("size", [(200, 120), (16, 16)])
def test_the_number_of_threads_changes_no_sum(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(equations_module, "_num_threads", lambda pixels, threads=threads: threads)
        equations = NormalEquations(size, 4)
        equations.add_photo(*random_photo(), COLORS, scale=3.0)
        equations.add(*random_pixels(500))
        found.append(equations.rows.copy())
    assert found[0].any()
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_squares_of_pixels_lose_weight(device: str) -> None:
    image, uv, weight, footprint = (part[:39, :49] for part in random_photo())
    factors = np.random.default_rng(6).random((19, 24)).astype(np.float32)
    each = np.pad(np.kron(factors, np.ones((2, 2), np.float32)), ((0, 1), (0, 1)), mode="edge")
    ours, theirs, floats = (NormalEquations((32, 32), 3) for _ in range(3))
    ours.add_photo(image, uv, weight, footprint, COLORS, None, factors)
    sums = DeviceSums(theirs, torch.device(device))
    sums.add_photo(image, uv, weight, footprint, COLORS, None, factors)
    sums.flush()
    color, trust = image / 255 * (0.8, 1.0, 1.1) - 0.02, weight / 255 * each
    floats.add(uv.reshape(-1, 2), color.reshape(-1, 3), trust.reshape(-1), footprint.reshape(-1).astype(float))
    np.testing.assert_allclose(ours.rows, floats.rows, atol=1e-4)
    np.testing.assert_allclose(theirs.rows, floats.rows, atol=1e-3)


@pytest.mark.parametrize("shaded", [False, True])
def test_photographs_lose_the_weight_that_the_penalty_says(shaded: bool) -> None:
    image, uv, weight, footprint = random_photo()
    falloff = np.random.default_rng(4).uniform(0.6, 1, (40, 50)).astype(np.float32) if shaded else None
    robust = Robust(black_chain(NormalEquations((32, 32), 3)), "l1", 0.2)
    found = trust_in(ViewData(image, uv, weight, footprint), COLORS, falloff, robust, 1.5)
    color = image / 255 / (1 if falloff is None else falloff[..., None]) * (0.8, 1.0, 1.1) - 0.02
    np.testing.assert_allclose(found, np.where(weight > 0, weights("l1", color, 0.2), 1), rtol=1e-3)


def test_a_near_photograph_does_not_outvote_a_far_one_if_all_count_alike() -> None:
    """Twice as near is four times as many pixels of a quarter of the area."""
    found = []
    for alike in (False, True):
        equations = NormalEquations((16, 16))
        for color, pixels, size in ((200, 64, 0.5), (100, 32, 1.0)):
            v, u = np.mgrid[:pixels, :pixels].astype(np.float32)
            uv = np.stack([(u + 0.5) / pixels, (v + 0.5) / pixels], -1)
            image, ones = np.full((pixels, pixels, 3), color, np.uint8), np.full((pixels, pixels), 255, np.uint8)
            footprint = np.full((pixels, pixels), size, np.float16)
            equations.add_photo(image, uv, ones, footprint, COLORS, alike=alike)
        charts = np.ones((16, 16), np.int32)
        texture = solve_charts(equations, charts, smoothness=1e-3, tolerance=1e-6, max_iterations=100).texture
        found.append((texture[8, 8, 1] + 0.02) * 255)
    np.testing.assert_allclose(found, [(4 * 200 + 100) / 5, 150], atol=0.5)


def test_penalties_have_the_weights_they_promise() -> None:
    at = np.array([[0.1] * 3, [0.2] * 3])
    assert weights("l2", at, 0.1).tolist() == [1, 1]
    np.testing.assert_allclose(weights("l1", at, 0.1), [1, 0.5])
    np.testing.assert_allclose(weights("huber", at, 0.1), [1, 0.5])
    np.testing.assert_allclose(weights("cauchy", at, 0.1), [0.5, 0.2])
    np.testing.assert_allclose(weights("geman_mcclure", at, 0.1), [0.25, 0.04])


def test_broken_equations_are_refused(tmp_path: Path) -> None:
    path = write_equations(tmp_path / "equations.npz", SavedEquations(NormalEquations((8, 8)), ("a",)))
    assert read_equations(path).names == ("a",)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="holds no equations"):
        read_equations(path)
