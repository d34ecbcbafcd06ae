import pytest
import torch

from neuraltex.losses.photometric import charbonnier, gradient_difference, l1, l2

LOSSES = [l1, l2, charbonnier, gradient_difference]


def images(seed: int = 0, shape: tuple[int, ...] = (2, 9, 11, 3)) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pred, target = (torch.rand(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    return pred, target, torch.rand(shape[:-1], generator=generator) > 0.4


def test_values_by_hand():
    pred, target = torch.zeros(1, 2, 3), torch.tensor([[[1.0, 2, 3], [4, 5, 6]]])
    mask = torch.tensor([[True, False]])
    assert l1(pred, target).item() == 3.5
    assert l1(pred, target, mask).item() == 2
    assert l2(pred, target, mask).item() == pytest.approx(14 / 3)
    assert charbonnier(pred, target, mask, epsilon=1e-6).item() == pytest.approx(2, abs=1e-5)


@pytest.mark.parametrize("loss", [l1, l2, charbonnier])
def test_normalization_is_not_inverted(loss):
    """A constant error gives the same loss however little is valid (the original multiplied by the share)."""
    pred, target = torch.zeros(8, 8, 3), torch.full((8, 8, 3), 0.5)
    few = torch.zeros(8, 8, dtype=torch.bool)
    few[0, :3] = True
    assert loss(pred, target, few).item() == pytest.approx(loss(pred, target).item(), rel=1e-6)


def test_gradient_loss_sees_no_edge_along_the_mask():
    """The original compared the differences of an unmasked render with those of a masked photograph."""
    target = torch.full((1, 6, 6, 3), 0.8)
    pred = target.clone()
    mask = torch.ones(1, 6, 6, dtype=torch.bool)
    mask[:, 2:4, 2:4] = False
    pred[:, 2:4, 2:4] = 0.1
    assert gradient_difference(pred, target).item() > 0
    assert gradient_difference(pred, target, mask).item() == 0


def test_gradient_loss_is_the_mean_over_pairs_valid_on_both_sides():
    pred, target, mask = images()
    expected = 0.0
    for axis in (-3, -2):
        size = pred.shape[axis]
        d = (pred - target).narrow(axis, 1, size - 1) - (pred - target).narrow(axis, 0, size - 1)
        pair = mask.narrow(axis + 1, 1, size - 1) & mask.narrow(axis + 1, 0, size - 1)
        expected += d[pair].abs().mean()
    torch.testing.assert_close(gradient_difference(pred, target, mask), expected)


def test_gradient_loss_ignores_a_constant_offset():
    pred, target, mask = images()
    assert gradient_difference(target + 0.2, target, mask).item() == pytest.approx(0, abs=1e-12)
    assert gradient_difference(pred, target, mask).item() > 0.1


@pytest.mark.parametrize("loss", LOSSES)
def test_pixels_outside_the_mask_change_neither_value_nor_gradient(loss):
    pred, target, mask = images()
    expected = loss(pred, target, mask)
    spoiled = torch.where(mask[..., None], pred, float("nan")).requires_grad_()
    value = loss(spoiled, target, mask)
    value.backward()
    torch.testing.assert_close(value, expected)
    assert torch.isfinite(spoiled.grad).all()
    assert (spoiled.grad[~mask] == 0).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_valid_is_zero_with_a_gradient(loss):
    pred, target, mask = images()
    value = loss(pred.requires_grad_(), target, torch.zeros_like(mask))
    value.backward()
    assert value.item() == 0
    assert (pred.grad == 0).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_weights_of_one_are_a_mask(loss):
    pred, target, mask = images()
    torch.testing.assert_close(loss(pred, target, mask.double()), loss(pred, target, mask))
    torch.testing.assert_close(loss(pred, target, mask.double() * 0.3), loss(pred, target, mask))


@pytest.mark.parametrize("loss", LOSSES)
def test_gradcheck(loss):
    pred, target, mask = images(shape=(1, 4, 5, 2))
    assert torch.autograd.gradcheck(lambda p: loss(p, target, mask), pred.requires_grad_())


def test_lists_of_pixels_are_as_good_as_images():
    pred, target, mask = images()
    torch.testing.assert_close(l1(pred[mask], target[mask]), l1(pred, target, mask))
