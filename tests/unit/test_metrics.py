import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from neuraltex.core.errors import DataError
from neuraltex.io.images import read_rgb
from neuraltex.metrics.image import fit_color, psnr, score_view, sharpness, ssim


def pair(shape: tuple[int, int] = (70, 90), seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    photo = rng.random((*shape, 3)).astype(np.float32)
    return (0.7 * photo + 0.2 + rng.normal(0, 0.05, photo.shape)).clip(0, 1).astype(np.float32), photo


def test_psnr_equals_scikit_image():
    image, photo = pair()
    assert psnr(image, photo) == pytest.approx(peak_signal_noise_ratio(photo, image, data_range=1), abs=1e-4)


def test_psnr_over_a_mask_by_hand():
    image, photo = np.zeros((4, 4, 3)), np.zeros((4, 4, 3))
    image[0, 0] = 0.1
    image[3, 3] = 1
    mask = np.zeros((4, 4), bool)
    mask[0, 0] = True
    assert psnr(image, photo, mask) == pytest.approx(20, abs=1e-4)
    assert psnr(photo, photo) == 120


def test_ssim_equals_scikit_image():
    image, photo = pair()
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "full": True}
    expected = structural_similarity(image, photo, data_range=1, channel_axis=2, **options)[1].mean(2)
    mask = np.random.default_rng(1).random(expected.shape) > 0.5
    assert ssim(image, photo) == pytest.approx(expected.mean(), abs=1e-5)
    assert ssim(image, photo, mask) == pytest.approx(expected[mask].mean(), abs=1e-5)


def test_scores_take_tensors_and_8_bit_images():
    image, photo = pair()
    bytes_image, bytes_photo = ((item * 255).round().astype(np.uint8) for item in (image, photo))
    for metric in (psnr, ssim, sharpness):
        expected = metric(bytes_image / 255, bytes_photo / 255)
        assert metric(bytes_image, bytes_photo) == pytest.approx(expected, rel=1e-5)
        assert metric(torch.from_numpy(bytes_image), torch.from_numpy(bytes_photo)) == pytest.approx(expected, rel=1e-5)


def test_sharpness_is_relative_to_the_photograph():
    ramp = np.repeat(np.linspace(0, 1, 32)[None, :, None], 32, 0).repeat(3, 2).astype(np.float32)
    assert sharpness(ramp * 0.5, ramp) == pytest.approx(0.5, rel=1e-5)
    assert sharpness(ramp, ramp, np.zeros((32, 32), bool)) == 0


def test_color_fit_removes_gain_and_bias_inside_the_mask_only():
    _, photo = pair()
    mask = np.zeros(photo.shape[:2], bool)
    mask[10:60, 20:70] = True
    image = (photo - np.float32([0.1, 0.2, 0.05])) / np.float32([0.8, 0.6, 0.9])
    fitted = fit_color(image, photo, mask)
    np.testing.assert_allclose(fitted[mask], photo[mask], atol=1e-5)
    np.testing.assert_array_equal(fitted[~mask], image[~mask])


def test_color_fit_of_a_flat_image_only_shifts_it():
    flat, (_, photo) = np.full((20, 20, 3), 0.3, np.float32), pair((20, 20))
    mask = np.ones((20, 20), bool)
    np.testing.assert_allclose(fit_color(flat, photo, mask)[0, 0], photo.mean((0, 1)), atol=1e-5)


def test_empty_mask_is_refused():
    image, photo = pair()
    with pytest.raises(DataError, match="no pixel"):
        score_view(image, np.ones(image.shape[:2]), photo, np.zeros(image.shape[:2], bool))


def test_too_few_covered_pixels_skip_the_color_fit():
    image, photo = pair()
    scores = score_view(image, np.full(image.shape[:2], 0.5), photo, np.ones(image.shape[:2], bool))
    assert scores["psnr"] == scores["psnr_fit"]
    assert scores["coverage"] == 0.5
    assert set(scores) == {"coverage", "psnr", "ssim", "sharpness", "psnr_fit", "ssim_fit", "sharpness_fit"}


def coverage_and_mask(shape: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    coverage = (rng.random(shape[:2]) + 0.7).clip(0, 1).astype(np.float32)
    mask = np.zeros(shape[:2], bool)
    mask[shape[0] // 5 : -3, shape[1] // 6 : shape[1] // 2] = True
    return coverage, mask & (rng.random(shape[:2]) > 0.02)


def agree(ours: dict[str, float], theirs: dict[str, float], tolerance: float = 1e-4) -> None:
    keys = set(ours) & set(theirs)
    assert keys == set(ours)
    assert {key: ours[key] for key in keys} == pytest.approx({key: theirs[key] for key in keys}, abs=tolerance)


@pytest.mark.data
@pytest.mark.parametrize("seed", [0, 1])
def test_scores_equal_the_neutral_evaluator_on_random_images(evaluator, seed):
    image, photo = pair((120, 96), seed)
    coverage, mask = coverage_and_mask(image.shape, seed)
    agree(score_view(image, coverage, photo, mask), evaluator.score(image * 255, coverage, photo * 255, mask))


@pytest.mark.data
@pytest.mark.parametrize("name", ["kitchen/frames/frame-000045.color.jpg", "castle/images/00003.jpg"])
def test_scores_equal_the_neutral_evaluator_on_photographs(evaluator, test_data, name):
    photo = read_rgb(test_data / name)[:1000, :1200]
    image = (0.8 * np.roll(photo / 255, 2, 1) + 0.08).clip(0, 1).astype(np.float32)
    coverage, mask = coverage_and_mask(image.shape)
    agree(score_view(image, coverage, photo, mask), evaluator.score(image * 255, coverage, photo, mask))


@pytest.mark.data
def test_perceptual_scores_equal_the_neutral_evaluator_after_reduction(evaluator, real_lpips, test_data):
    """The image is longer than 1416 px, so that both reduce it by two; the crop has an odd size."""
    photo = read_rgb(test_data / "castle" / "images" / "00003.jpg")[900:1100, 600:2040]
    image = (0.8 * np.roll(photo / 255, 2, 1) + 0.08).clip(0, 1).astype(np.float32)
    coverage, mask = np.ones(photo.shape[:2], np.float32), np.zeros(photo.shape[:2], bool)
    mask[51:140, 40:191] = True
    ours = score_view(image, coverage, photo, mask, real_lpips)
    agree(ours, evaluator.score(image * 255, coverage, photo, mask, evaluator.LPIPS(str(test_data / "weights"))))
    assert 0 < ours["lpips_fit"] < ours["lpips"] + 0.05
