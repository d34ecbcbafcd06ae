"""Priors of a fit: coverage, weights, terms by hand, refresh, resume."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from plane_scene import SIZE, true_texture, write_plane_scene

from neuraltex.config.prior import PriorConfig
from neuraltex.config.schema import FitConfig, LoopConfig, LossConfig, PixelConfig, TextureConfig
from neuraltex.core.errors import ConfigError, ResumeError, ShapeError
from neuraltex.fit.archive import list_states
from neuraltex.fit.checkpoint import latest_checkpoint
from neuraltex.fit.data import ViewStore
from neuraltex.fit.finish import PREDICTED, SEEN, finish_texture
from neuraltex.fit.initialize import initial_texture
from neuraltex.fit.loop import GradientFit
from neuraltex.fit.prior import Leaning, Prior, blend_in, predicted_texels
from neuraltex.fit.prior_term import HUBER, PriorTerm
from neuraltex.fit.surface import Surface
from neuraltex.geometry.mesh import Mesh
from neuraltex.io.images import write_exr, write_rgb
from neuraltex.io.prepared import PreparedScene


class Recolor:
    """A refresh that counts how often it is asked and answers with a color of its own."""

    def __init__(self) -> None:
        self.coverage: list[np.ndarray] = []

    def __call__(self, texture: np.ndarray, coverage: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.coverage.append(coverage)
        color = np.float32(0.1 * len(self.coverage)) + 0.5 * texture
        return color, np.ones(texture.shape[:2], np.float32)


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> PreparedScene:
    """Photographs that leave about half of the texture unseen."""
    return write_plane_scene(tmp_path_factory.mktemp("half"), cover=0.5)


def grey_prior(value: float = 0.7, refresh: Recolor | None = None) -> Prior:
    return Prior(np.full((SIZE, SIZE, 3), value, np.float32), np.ones((SIZE, SIZE), np.float32), refresh)


def config(**prior: object) -> FitConfig:
    return FitConfig(
        texture=TextureConfig(init="mean"),
        pixels=PixelConfig(margin=0),
        loss=LossConfig(l1=10.0, tv=1.0),
        loop=LoopConfig(steps=12, batch=3, crop=0, lr=0.02, decay_steps=6, checkpoint_every=0, log_every=1),
        prior=PriorConfig(kind="diffusion", **prior),  # type: ignore[arg-type]
    )


def flat(charts: np.ndarray) -> Surface:
    """Texels that all cover the same area."""
    return Surface(charts, np.ones(charts.shape, np.float32))


def test_texels_of_a_magnified_chart_need_fewer_pixels() -> None:
    """Two triangles of one size, one laid out at twice the scale, as seen by one photograph."""
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [3, 0, 0], [4, 0, 0], [3, 1, 0]])
    faces = np.arange(6).reshape(2, 3)
    uvs = np.array([[0.05, 0.05], [0.35, 0.05], [0.05, 0.35], [0.4, 0.35], [0.99, 0.35], [0.4, 0.94]])
    surface = Surface.of(Mesh(corners, faces, uvs, faces), (128, 128))
    areas = [np.unique(surface.area[surface.charts == chart]) for chart in (1, 2)]
    assert [len(area) for area in areas] == [1, 1]
    ratio = (0.59 / 0.3) ** 2
    assert areas[0][0] / areas[1][0] == pytest.approx(ratio, rel=1e-4)
    leaning = Leaning.of(np.where(surface.charts == 1, ratio, 1.0) * 0.1, surface, PriorConfig(full_coverage=2.0))
    assert len(np.unique(leaning.coverage[surface.charts > 0].round(4))) == 1


def test_coverage_is_relative_to_the_median_of_seen_texels() -> None:
    weights = np.array([[0.0, 0.05, 0.1, 0.4], [0.4, 0.4, 0.4, 9.0]], np.float32)
    surface = flat(np.array([[1, 1, 1, 1], [1, 2, 2, 0]]))
    leaning = Leaning.of(weights, surface, PriorConfig(full_coverage=0.5, off_above=0.9))
    np.testing.assert_allclose(leaning.unit, 0.2)
    np.testing.assert_allclose(leaning.coverage, [[0, 0.25, 0.5, 1], [1, 1, 1, 1]])
    confidence = np.array([[1, 0.5, 0, 1], [1, 1, 1, 1]], np.float32)
    np.testing.assert_allclose(leaning.weight(confidence)[0], [1, 0.375, 0, 0])
    np.testing.assert_allclose(leaning.openness(confidence)[0], [1, 0.75, 0, 0])


def test_texels_above_the_limit_are_off_exactly() -> None:
    weights = np.array([[1.0, 0.97, 0.99, 1.0]], np.float32)
    leaning = Leaning.of(weights, flat(np.ones((1, 4), int)), PriorConfig(full_coverage=1.0, off_above=0.98))
    assert leaning.coverage[0, 2] == 1
    assert 0 < leaning.weight(np.ones((1, 4), np.float32))[0, 1] < 0.04


def term_of(texture: np.ndarray, weights: np.ndarray, charts: np.ndarray, **changes: object) -> PriorTerm:
    settings = replace(config(full_coverage=1.0, **changes), loss=LossConfig(l1=4.0))
    prior = Prior(texture.astype(np.float32), np.ones(charts.shape, np.float32))
    return PriorTerm(prior, torch.from_numpy(weights.astype(np.float32)), flat(charts), settings)


def test_terms_are_those_of_the_formula() -> None:
    """Three texels in a row: the first unseen, the second covered by half, the third another chart."""
    prior = np.array([[[0.5] * 3, [0.6] * 3, [0.9] * 3]])
    term = term_of(prior, np.array([[0.0, 0.5, 1.0]]), np.array([[1, 1, 2]]))
    np.testing.assert_allclose(term._leaning.unit, 0.75)
    texture = torch.tensor([[[0.52] * 3, [0.9] * 3, [0.1] * 3]])
    found = term.terms(texture)
    share = 1 - 0.5 / 0.75
    color = (0.02**2 / (2 * HUBER) + share * (0.3 - HUBER / 2)) / 3
    assert float(found["prior"]) == pytest.approx(color, rel=1e-4)
    assert float(found["prior_gradient"]) == pytest.approx(share * (0.38 - 0.1) / 3, rel=1e-4)


def test_weight_falls_as_a_cosine_relative_to_the_color_terms() -> None:
    term = term_of(np.zeros((1, 2, 3)), np.zeros((1, 2)), np.ones((1, 2), int), weight=0.1, final_weight=0.02)
    weights = [term.factors(step)["prior"] for step in (0, 6, 12)]
    np.testing.assert_allclose(weights, [0.4, 0.24, 0.08])
    assert term.factors(3)["prior_gradient"] == pytest.approx(4 * 0.05)


def test_nothing_is_asked_of_the_seen() -> None:
    term = term_of(np.zeros((2, 2, 3)), np.ones((2, 2)), np.ones((2, 2), int))
    assert not term.is_on
    texture = torch.rand(2, 2, 3, requires_grad=True)
    sum(term.terms(texture).values()).backward()
    assert not texture.grad.any()


def test_prior_of_another_size_is_refused() -> None:
    with pytest.raises(ShapeError, match="prior has shape"):
        Prior(np.zeros((4, 4, 3), np.float32), np.zeros((3, 4), np.float32))


def test_unseen_texels_become_the_prior_and_seen_ones_stay(half: PreparedScene) -> None:
    settings = config()
    without = GradientFit(replace(settings, prior=PriorConfig()))(half)
    fitted = GradientFit(settings)(half, grey_prior())
    unseen = ~fitted.seen
    assert 0.2 < unseen.mean() < 0.7
    assert np.array_equal(fitted.predicted, unseen)
    assert without.predicted is None
    far = unseen & ~_grown(fitted.seen, 16)
    assert far.mean() > 0.1
    np.testing.assert_allclose(fitted.texture[far], 0.7, atol=1 / 255)
    truth, well = true_texture().numpy(), ~_grown(unseen, 3)
    errors = [np.square(result.texture - truth)[well].mean() for result in (fitted, without)]
    assert 10 * np.log10(errors[0] / errors[1]) < 0.1


def _grown(mask: np.ndarray, rings: int) -> np.ndarray:
    from scipy.ndimage import binary_dilation

    return binary_dilation(mask, iterations=rings)


def test_prior_changes_no_bit_where_everything_is_covered(half: PreparedScene) -> None:
    """Everything that is seen counts as covered, and nothing is predicted elsewhere."""
    settings = config(full_coverage=1e-6, off_above=0.0)
    seen = GradientFit(replace(settings, prior=PriorConfig()))(half)
    prior = Prior(np.zeros((SIZE, SIZE, 3), np.float32), seen.seen.astype(np.float32))
    fitted = GradientFit(settings)(half, prior)
    assert np.array_equal(fitted.texture, seen.texture)
    assert not fitted.predicted.any()


def test_refresh_keeps_its_schedule_and_average(half: PreparedScene) -> None:
    refresh = Recolor()
    fit = GradientFit(config(refresh_every=5, ema=0.75))
    fit(half, grey_prior(0.4, refresh))
    assert len(refresh.coverage) == 2  # before steps 5 and 10
    assert refresh.coverage[0].min() == 0
    assert refresh.coverage[0].max() == 1
    never = Recolor()
    GradientFit(config(refresh_every=0))(half, grey_prior(0.4, never))
    assert not never.coverage
    prior = grey_prior(0.4, Recolor()).refreshed(np.zeros((SIZE, SIZE, 3), np.float32), refresh.coverage[0], 0.75)
    np.testing.assert_allclose(prior.texture, 0.75 * 0.4 + 0.25 * 0.1, atol=1e-6)


def test_resumed_fit_with_a_prior_is_bit_exact(half: PreparedScene, tmp_path: Path) -> None:
    base = config(refresh_every=4)
    base = replace(base, loop=replace(base.loop, checkpoint_every=5))

    def prior() -> Prior:
        def refresh(texture: np.ndarray, coverage: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return texture * np.float32(0.9), coverage

        return Prior(np.full((SIZE, SIZE, 3), 0.6, np.float32), np.ones((SIZE, SIZE), np.float32), refresh)

    straight = GradientFit(base)(half, prior())
    GradientFit(base, folder=tmp_path)(half, prior())
    list_states(tmp_path / "ckpts")[-1].unlink()
    assert latest_checkpoint(tmp_path / "ckpts").step == 10
    resumed = GradientFit(base, folder=tmp_path, resume=True)(half, prior())
    assert np.array_equal(straight.texture, resumed.texture)
    other = replace(base, prior=replace(base.prior, ema=0.1))
    with pytest.raises(ResumeError, match=r"prior.ema = 0.7, not 0.1"):
        GradientFit(other, folder=tmp_path, resume=True)(half, prior())
    with pytest.raises(ResumeError, match=r"prior.kind = 'diffusion', not None|prior\."):
        GradientFit(replace(base, prior=PriorConfig()), folder=tmp_path, resume=True)(half)


@pytest.mark.parametrize("suffix", [".png", ".exr"])
def test_fit_starts_from_a_file_of_any_size(half: PreparedScene, tmp_path: Path, suffix: str) -> None:
    ramp = np.linspace(0.1, 0.9, 32, dtype=np.float32)[None, :, None].repeat(32, 0).repeat(3, 2)
    path = tmp_path / f"start{suffix}"
    if suffix == ".png":
        write_rgb(path, np.round(ramp * 255).astype(np.uint8))
    else:
        write_exr(path, ramp)
    settings = replace(config(), texture=TextureConfig(init_file=path), prior=PriorConfig())
    store = ViewStore(half.split("train"), settings.pixels, 1.0)
    start = initial_texture(store, SIZE, half, settings)
    expected = (np.arange(SIZE) + 0.5) / 2 - 0.5
    np.testing.assert_allclose(start.texture[5, :, 0], np.interp(expected, range(32), ramp[0, :, 0]), atol=3e-3)
    seen = np.asarray(start.weights > 1e-3)
    assert np.array_equal(predicted_texels(settings, None, seen), ~seen)


def test_start_that_nothing_predicts_is_an_error(half: PreparedScene) -> None:
    settings = replace(config(), texture=TextureConfig(init="learned"))
    store = ViewStore(half.split("train"), settings.pixels, 1.0)
    with pytest.raises(ConfigError, match="nothing predicts"):
        initial_texture(store, SIZE, half, settings)
    assert float(initial_texture(store, SIZE, half, settings, prior=grey_prior(0.3)).texture.std()) < 1e-6


def test_finished_texture_keeps_what_is_predicted(half: PreparedScene) -> None:
    seen = np.zeros((SIZE, SIZE), bool)
    seen[:, :20] = True
    predicted = ~seen
    predicted[:, 50:] = False
    texture = np.where(seen[..., None], 0.2, np.full((SIZE, SIZE, 3), 0.8)).astype(np.float32)
    done = finish_texture(texture.copy(), seen, half.mesh, TextureConfig(seam_strip=0), predicted)
    np.testing.assert_array_equal(done.texture[:, :50], texture[:, :50])
    assert np.unique(done.coverage[:, 20:50]) == PREDICTED
    assert np.unique(done.coverage[:, :20]) == SEEN
    assert not done.coverage[:, 50:].any()


def test_step_to_the_prediction_fades() -> None:
    seen = np.zeros((16, 48), bool)
    seen[:, :16] = True
    texture = np.full((16, 48, 3), 0.2, np.float32)
    prior = Prior(np.full((16, 48, 3), 0.8, np.float32), np.ones((16, 48), np.float32))
    blended = blend_in(texture, seen, prior)
    np.testing.assert_array_equal(blended[seen], np.float32(0.2))
    assert (np.diff(blended[8, 15:, 0]) >= 0).all()
    assert np.diff(blended[8, :, 0]).max() < 0.25
    np.testing.assert_allclose(blended[:, 40:], 0.8, atol=1e-3)
