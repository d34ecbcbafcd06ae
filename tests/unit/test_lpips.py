import numpy as np
import pytest
import torch

from neuraltex.core.errors import DataError
from neuraltex.io.images import read_rgb
from neuraltex.io.weights import load_vgg_weights
from neuraltex.losses.lpips import Lpips

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def photo(test_data) -> torch.Tensor:
    path = sorted((test_data / "kitchen" / "frames").glob("*.color.jpg"))[3]
    return torch.from_numpy(read_rgb(path)[100:196, 200:328] / np.float32(255))


@pytest.fixture(scope="module")
def noisy(photo) -> torch.Tensor:
    return (photo + 0.1 * torch.randn(photo.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)


@pytest.fixture(scope="module")
def published(evaluator, test_data):
    return evaluator.LPIPS(str(test_data / "weights"))


def masked_region(photo: torch.Tensor) -> torch.Tensor:
    mask = torch.zeros(photo.shape[:2], dtype=torch.bool)
    mask[17:80, 11:101] = True
    return mask


@torch.no_grad()
def test_masked_distance_equals_the_neutral_evaluator(real_lpips, published, photo, noisy):
    mask = masked_region(photo)
    shown = torch.where(mask[..., None], noisy, photo)
    expected = published(photo.numpy() * 255, [shown.numpy() * 255], mask.numpy())[0]
    assert real_lpips(noisy, photo, mask).item() == pytest.approx(expected, abs=1e-4)


@torch.no_grad()
def test_unmasked_distance_equals_the_neutral_evaluator(real_lpips, published, photo, noisy):
    expected = published(photo.numpy() * 255, [noisy.numpy() * 255], np.ones(photo.shape[:2]))[0]
    assert real_lpips(noisy, photo).item() == pytest.approx(expected, abs=1e-4)
    assert real_lpips(noisy, photo, torch.ones(photo.shape[:2])).item() == pytest.approx(expected, abs=1e-4)


@torch.no_grad()
def test_several_images_against_one_reference(real_lpips, photo, noisy):
    values = real_lpips(torch.stack([photo, noisy]), photo)
    assert values.shape == (2,)
    assert values[0].item() == pytest.approx(0, abs=1e-6)
    assert values[1].item() == pytest.approx(real_lpips(noisy, photo).item(), abs=1e-5)


@torch.no_grad()
def test_distance_grows_with_noise(real_lpips, photo):
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(photo.shape, generator=generator)
    values = [real_lpips(photo + amount * noise, photo).item() for amount in (0.02, 0.05, 0.2)]
    assert values == sorted(values)
    assert values[0] < 0.2 < values[2]


def test_gradient_is_finite_even_where_all_activations_vanish(real_lpips, photo):
    flat = torch.zeros(32, 32, 3, requires_grad=True)
    real_lpips(flat, photo[:32, :32]).backward()
    assert torch.isfinite(flat.grad).all()
    assert flat.grad.abs().sum() > 0


def test_pixels_outside_the_mask_receive_no_gradient(real_lpips, photo, noisy):
    mask = masked_region(photo)
    pred = noisy.clone().requires_grad_()
    real_lpips(pred, photo, mask).backward()
    assert (pred.grad[~mask] == 0).all()
    assert pred.grad[mask].abs().sum() > 0


@torch.no_grad()
def test_render_shown_around_what_counts_leaves_no_border(real_lpips, photo, noisy):
    """Blocks of a render pasted into the photograph would be judged by their borders."""
    mask, flat = masked_region(photo), photo.mean((0, 1)).expand_as(photo)
    everywhere = torch.ones_like(mask)
    pasted = real_lpips(flat, photo, mask, mask).item()
    assert pasted == real_lpips(flat, photo, mask).item()
    assert real_lpips(flat, photo, mask, everywhere).item() != pytest.approx(pasted, rel=1e-3)
    assert real_lpips(noisy, photo, everywhere, everywhere).item() == pytest.approx(real_lpips(noisy, photo).item())


def test_missing_head_is_named(test_data):
    vgg = load_vgg_weights(path=test_data / "weights" / "vgg16_features_torchvision.pth")
    with pytest.raises(DataError, match=r"lack lin0\.model\.1\.weight"):
        Lpips(vgg, {})
