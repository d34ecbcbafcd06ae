"""The weighted sum of losses."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from neuraltex.config.schema import LossConfig
from neuraltex.core.errors import ConfigError, DataError
from neuraltex.fit.gradients import BatchGradients
from neuraltex.fit.objective import Objective, build_objective, scaled_loss
from neuraltex.fit.sampler import Window
from neuraltex.fit.tiles import Tile
from neuraltex.io.images import write_rgb
from neuraltex.losses import photometric
from neuraltex.losses.perceptual import VggFeatures
from neuraltex.losses.regularizers import Anchor
from neuraltex.metrics import image as metrics
from neuraltex.texture.plain import PlainTexture

SIDE = 48


def tile(masked: bool = True) -> Tile:
    generator = torch.Generator().manual_seed(0)
    weight = torch.ones(SIDE, SIDE)
    if masked:
        weight[:, : SIDE // 3] = 0
    image = torch.rand(SIDE, SIDE, 3, generator=generator)
    return Tile(0, image, torch.rand(SIDE, SIDE, 2, generator=generator), weight, torch.ones(SIDE, SIDE))


def random_weights(kind: str, path: Path | None) -> dict[str, torch.Tensor]:
    """VGG16's shapes with random values: enough to test the plumbing."""
    generator, state, channels = torch.Generator().manual_seed(1), {}, 3
    plan = [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0]
    index = 0
    for width in plan:
        if width:
            weight = torch.randn(width, channels, 3, 3, generator=generator) * (2 / (9 * channels)) ** 0.5
            state |= {f"features.{index}.weight": weight, f"features.{index}.bias": torch.zeros(width)}
            channels, index = width, index + 2
        else:
            index += 1
    return state


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuraltex.fit.objective.load_vgg_weights", random_weights)


def test_nothing_to_lower_is_a_usage_error() -> None:
    with pytest.raises(ConfigError, match=r"every loss has weight 0.*--loss.l1 10"):
        Objective(LossConfig(tv=1.0))


def test_total_is_the_weighted_sum() -> None:
    objective = Objective(LossConfig(l1=10.0, l2=2.0, charbonnier=1.0, gradient=20.0))
    sample = tile()
    terms = objective.data_terms(torch.full_like(sample.image, 0.5), sample)
    assert set(terms) == {"l1", "l2", "charbonnier", "gradient"} == set(objective.data_names)
    expected = 10 * terms["l1"] + 2 * terms["l2"] + terms["charbonnier"] + 20 * terms["gradient"]
    torch.testing.assert_close(objective.total(terms), expected)


def test_masked_pixels_change_nothing(offline: None) -> None:
    """The original compared an unmasked render with a masked target."""
    losses = LossConfig(l1=1.0, gradient=1.0, vgg_content=1.0, vgg_style=1.0, style_layers=("relu1_1", "relu2_1"))
    objective, sample = build_objective(losses, torch.device("cpu")), tile()
    render = torch.full_like(sample.image, 0.4)
    other = torch.where(sample.mask[..., None], render, 0.9)
    for name, value in objective.data_terms(render, sample).items():
        torch.testing.assert_close(objective.data_terms(other, sample)[name], value, msg=name)
    leaf = render.clone().requires_grad_()
    objective.total(objective.data_terms(leaf, sample)).backward()
    assert leaf.grad[~sample.mask].abs().max() == 0
    assert leaf.grad[sample.mask].abs().min() > 0


def test_a_perfect_render_costs_nothing(offline: None) -> None:
    losses = LossConfig(l1=1.0, l2=1.0, charbonnier=1.0, gradient=1.0, vgg_content=1.0, vgg_style=1.0)
    objective, sample = build_objective(losses, torch.device("cpu")), tile(masked=False)
    for name, value in objective.data_terms(sample.image, sample).items():
        assert abs(float(value)) < 1e-9, name


def test_style_image_replaces_the_photograph(offline: None, tmp_path: Path) -> None:
    style = np.random.default_rng(5).integers(0, 255, (40, 30, 3), np.uint8)
    losses = {"vgg_style": 1.0, "style_layers": ("relu1_1",)}
    own = build_objective(LossConfig(**losses), torch.device("cpu"))
    path = write_rgb(tmp_path / "style ä.png", style)
    other = build_objective(LossConfig(**losses, style_image=path), torch.device("cpu"))
    sample = tile(masked=False)
    assert own.data_terms(sample.image, sample)["vgg_style"] < 1e-9
    assert other.data_terms(sample.image, sample)["vgg_style"] > 1e-6


def test_missing_style_image_is_named(offline: None, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere.png does not exist"):
        build_objective(LossConfig(vgg_style=1.0, style_image=tmp_path / "nowhere.png"), torch.device("cpu"))


def test_perceptual_crop_looks_at_the_middle(offline: None) -> None:
    objective = build_objective(LossConfig(vgg_content=1.0, perceptual_crop=16), torch.device("cpu"))
    sample = tile(masked=False)
    leaf = torch.full_like(sample.image, 0.5).requires_grad_()
    objective.data_terms(leaf, sample)["vgg_content"].backward()
    touched = leaf.grad.abs().sum(-1) > 0
    low, high = SIDE // 2 - 8, SIDE // 2 + 8
    assert touched[low:high, low:high].any()
    touched[low:high, low:high] = False
    assert not touched.any()


def test_perceptual_reduce_compares_box_averages(offline: None) -> None:
    sample = tile(masked=False)
    render = (sample.image * 0.8 + 0.1).detach()
    reduced = build_objective(LossConfig(vgg_content=1.0, perceptual_reduce=2), torch.device("cpu"), amp=False)
    plain = build_objective(LossConfig(vgg_content=1.0), torch.device("cpu"), amp=False)

    def half(image: torch.Tensor) -> torch.Tensor:
        return image.reshape(SIDE // 2, 2, SIDE // 2, 2, -1).mean((1, 3))

    small = Tile(0, half(sample.image), half(sample.uv), half(sample.weight[..., None])[..., 0], sample.footprint)
    expected = plain.data_terms(half(render), small)["vgg_content"]
    torch.testing.assert_close(reduced.data_terms(render, sample)["vgg_content"], expected)


def test_perceptual_reduce_keeps_masked_pixels_out(offline: None) -> None:
    """A block with some valid pixels counts by their share, and shows the photograph in the others."""
    objective = build_objective(LossConfig(vgg_content=1.0, perceptual_reduce=3), torch.device("cpu"))
    sample = tile()
    leaf = torch.full_like(sample.image, 0.5).requires_grad_()
    objective.data_terms(leaf, sample)["vgg_content"].backward()
    assert leaf.grad[~sample.mask].abs().max() == 0
    assert leaf.grad[sample.mask].abs().max() > 0


def test_perceptual_factor_scales_or_leaves_out(offline: None) -> None:
    objective, sample = build_objective(LossConfig(l1=1.0, vgg_content=1.0), torch.device("cpu")), tile()
    render = torch.full_like(sample.image, 0.5)
    full, double = (objective.data_terms(render, sample, factor) for factor in (1.0, 2.0))
    assert set(objective.data_terms(render, sample, 0.0)) == {"l1"}
    assert double["l1"] == full["l1"]
    torch.testing.assert_close(double["vgg_content"], 2 * full["vgg_content"])


def test_bfloat16_points_the_same_way(offline: None) -> None:
    config, sample, gradients = LossConfig(vgg_content=1.0), tile(), []
    for amp in (False, True):
        vgg = VggFeatures(random_weights("vgg16", None), config.content_layers)
        leaf = (sample.image * 0.7).requires_grad_()
        Objective(config, vgg, amp=amp).data_terms(leaf, sample)["vgg_content"].backward()
        gradients.append(leaf.grad.flatten())
    assert torch.cosine_similarity(*gradients, dim=0) > 0.9


def test_jobs_of_a_step_keep_the_weight_of_the_perceptual_terms() -> None:
    windows = [Window(0, 0, left, 8, 8) for left in range(6)]
    for count, expected in ((0, [1.0] * 6), (2, [3.0, 3.0, 0, 0, 0, 0]), (9, [1.0] * 6)):
        jobs = BatchGradients(None, None, count).jobs(windows)  # type: ignore[arg-type]
        assert [job.perceptual for job in jobs] == expected
        assert [job.window for job in jobs] == windows
    before = BatchGradients(None, None, 2).jobs(windows, perceptual=False)  # type: ignore[arg-type]
    assert [job.perceptual for job in before] == [0.0] * 6


def test_large_photographs_are_reduced_as_for_scores() -> None:
    config = LossConfig(lpips=1.0, perceptual_reduce=0)
    assert scaled_loss(config, [(480, 640)]).perceptual_reduce == 1
    assert scaled_loss(config, [(480, 640), (2128, 2832)]).perceptual_reduce == 2
    assert scaled_loss(LossConfig(lpips=1.0, perceptual_reduce=3), [(480, 640)]).perceptual_reduce == 3


def test_ssim_equals_the_metric_and_ignores_what_is_masked() -> None:
    rng = np.random.default_rng(0)
    x, y = (gaussian_filter(rng.random((40, 50, 3)), (2, 2, 0)).astype(np.float32) for _ in range(2))
    mask = np.zeros((40, 50), bool)
    mask[8:30, 10:40] = True
    pred = torch.from_numpy(x).requires_grad_()
    loss = photometric.ssim(pred, torch.from_numpy(y), torch.from_numpy(mask))
    expected = 1 - metrics.ssim(np.where(mask[..., None], x, y), y, mask)
    assert float(loss.detach()) == pytest.approx(expected, abs=2e-5)
    loss.backward()
    assert pred.grad is not None
    assert not pred.grad[~torch.from_numpy(mask)].any()
    assert pred.grad.abs().sum() > 0


@pytest.mark.parametrize("level", [0, 1])
def test_anchor_pulls_seen_texels_back_to_the_start(level: int) -> None:
    texture, start = PlainTexture(8), torch.full((8, 8, 3), 0.5)
    mask = torch.ones(8, 8, dtype=torch.bool)
    mask[:, :4] = False
    with torch.no_grad():
        texture.texels[2:4, 2:6] = 0.9
    anchor = Anchor.at(start, mask, level)
    objective = Objective(LossConfig(l1=1.0, anchor=1.0))
    value = objective.texture_terms(texture, anchor)["anchor"]
    value.backward()
    assert value.item() == pytest.approx(0.4**2 * 4 / 32)
    assert texture.texels.grad[2:4, 4:6].min() > 0
    assert texture.texels.grad[:, :4].abs().max() == 0


def test_anchor_above_the_finest_level_leaves_detail_free() -> None:
    texture = PlainTexture(8)
    with torch.no_grad():
        texture.texels[::2] += 0.2
        texture.texels[1::2] -= 0.2
    start, mask = torch.full((8, 8, 3), 0.5), torch.ones(8, 8, dtype=torch.bool)
    assert Anchor.at(start, mask, 0).distance(texture.texels) > 0.03
    assert Anchor.at(start, mask, 1).distance(texture.texels) < 1e-9


def test_texture_terms_reach_the_texels() -> None:
    texture = PlainTexture(8)
    with torch.no_grad():
        texture.texels[3, 3] = 1.0
    terms = Objective(LossConfig(l1=1.0, tv=2.0)).texture_terms(texture)
    terms["tv"].backward()
    assert texture.texels.grad[3, 3].min() > 0
    assert texture.texels.grad[6, 6].abs().max() == 0


@pytest.mark.data
def test_real_networks_prefer_the_sharp_image(test_data: Path) -> None:
    folder = test_data / "weights"
    weights = {
        "vgg_weights": folder / "vgg16_features_torchvision.pth",
        "lpips_weights": folder / "vgg16_lpips_lin_v0.1.pth",
    }
    objective = build_objective(LossConfig(lpips=1.0, vgg_content=1.0), torch.device("cpu"), **weights)
    sample = tile(masked=False)
    flat = sample.image.mean((0, 1)).expand_as(sample.image)
    near = (sample.image + 0.02).clamp(0, 1)
    far, close = objective.data_terms(flat, sample), objective.data_terms(near, sample)
    assert all(close[name] < 0.5 * far[name] for name in ("lpips", "vgg_content"))
