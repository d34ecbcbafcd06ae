import pytest
import torch

from neuraltex.core.errors import DataError, UsageError
from neuraltex.io.weights import load_vgg_weights
from neuraltex.losses.perceptual import VggFeatures, content_loss, gram, show_outside, style_loss

WIDTHS = (4, 6, 8, 8, 8)  # of the five blocks of a toy network


def toy_state(convolutions: tuple[int, ...] = (2, 2, 3, 3, 3)) -> dict[str, torch.Tensor]:
    """A narrow VGG16 (or VGG19) with random weights under torchvision's names."""
    generator = torch.Generator().manual_seed(0)
    state, index, channels = {}, 0, 3
    for width, count in zip(WIDTHS, convolutions, strict=True):
        for _ in range(count):
            state[f"features.{index}.weight"] = torch.randn(width, channels, 3, 3, generator=generator) / channels
            state[f"features.{index}.bias"] = torch.randn(width, generator=generator) * 0.1
            index, channels = index + 2, width
        index += 1
    return state


def images(count: int = 2, height: int = 32, width: int = 48, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(seed))


def half_mask(count: int = 2, height: int = 32, width: int = 48) -> torch.Tensor:
    mask = torch.zeros(count, height, width, dtype=torch.bool)
    mask[:, :, : width // 2] = True
    return mask


def test_layers_come_in_the_order_asked_for():
    vgg = VggFeatures(toy_state(), ("relu3_3", "relu1_1"))
    assert [tuple(item.shape) for item in vgg(images())] == [(2, 8, 8, 12), (2, 4, 32, 48)]
    assert len(vgg.network) == 16  # nothing beyond the deepest layer is built


def test_vgg19_has_a_fourth_convolution():
    vgg = VggFeatures(toy_state((2, 2, 4, 4, 4)), ("relu3_4", "relu5_4"))
    assert [tuple(item.shape) for item in vgg(images())] == [(2, 8, 8, 12), (2, 8, 2, 3)]


def test_network_is_frozen_but_images_receive_gradients():
    vgg, image = VggFeatures(toy_state(), ("relu2_2",)), images().requires_grad_()
    vgg(image)[0].sum().backward()
    assert image.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in vgg.parameters())


def test_unknown_layers_and_weights_are_refused():
    with pytest.raises(UsageError, match=r"'relu3_4' does not exist.*relu3_3"):
        VggFeatures(toy_state(), ("relu3_4",))
    with pytest.raises(DataError, match=r"not those of VGG16 or VGG19"):
        VggFeatures({"features.0.weight": torch.zeros(1, 3, 3, 3)})


def test_losses_of_identical_images_are_zero():
    vgg = VggFeatures(toy_state(), ("relu1_2", "relu3_1"))
    features = vgg(images())
    assert content_loss(features, features, half_mask()).item() == 0
    assert style_loss(features, features, half_mask(), half_mask()).item() == 0


@pytest.mark.parametrize("loss", [content_loss, lambda a, b, m: style_loss(a, b, m, m)])
def test_masked_loss_ignores_far_invalid_pixels_and_does_not_depend_on_their_number(loss):
    vgg = VggFeatures(toy_state(), ("relu1_1",))
    pred, target, mask = images(seed=1), images(seed=2), half_mask()
    other = pred.clone()
    other[:, :, 26:] = 0.9  # beyond the reach of a 3x3 window
    value = loss(vgg(pred), vgg(target), mask)
    torch.testing.assert_close(loss(vgg(other), vgg(target), mask), value)
    left = [images(seed=seed)[:, :, :24] for seed in (1, 2)]
    alone = loss(vgg(left[0]), vgg(left[1]), None)
    assert value.item() == pytest.approx(alone.item(), rel=0.3)  # they differ in the column at the border only


def test_content_without_mask_is_the_mean_squared_error_summed_over_layers():
    vgg = VggFeatures(toy_state(), ("relu1_2", "relu2_2"))
    pred, target = vgg(images(seed=1)), vgg(images(seed=2))
    expected = sum(torch.nn.functional.mse_loss(a, b) for a, b in zip(pred, target, strict=True))
    torch.testing.assert_close(content_loss(pred, target), expected)


def test_gram_by_hand_and_normalized_by_valid_positions():
    features = torch.tensor([[[[1.0, 5.0]], [[2.0, 7.0]]]])  # two channels, two positions
    first = torch.tensor([[[True, False]]])
    torch.testing.assert_close(gram(features, first)[0], torch.tensor([[1.0, 2], [2, 4]]) / 2)
    torch.testing.assert_close(gram(features)[0], torch.tensor([[26.0, 37], [37, 53]]) / 4)


def test_gram_does_not_depend_on_the_size_of_a_repeating_image():
    vgg = VggFeatures(toy_state(), ("relu1_1",))
    tile = images(1, 8, 8).repeat(1, 8, 8, 1)
    small, large = (vgg(tile[:, :size, :size])[0][:, :, 1:-1, 1:-1] for size in (34, 66))
    torch.testing.assert_close(gram(small), gram(large), rtol=0.05, atol=0.01)


def test_one_style_image_of_another_size_serves_the_batch():
    vgg = VggFeatures(toy_state(), ("relu2_1",))
    value = style_loss(vgg(images(3)), vgg(images(1, 20, 64, seed=5)))
    separate = [style_loss(vgg(images(3)[i : i + 1]), vgg(images(1, 20, 64, seed=5))) for i in range(3)]
    torch.testing.assert_close(value, torch.stack(separate).mean())


def test_nothing_valid_gives_zero_content_and_finite_style():
    vgg = VggFeatures(toy_state(), ("relu1_2",))
    nothing = torch.zeros(2, 32, 48, dtype=torch.bool)
    pred = images(seed=1).requires_grad_()
    content = content_loss(vgg(pred), vgg(images()), nothing)
    (content + style_loss(vgg(pred), vgg(images()), nothing, nothing)).backward()
    assert content.item() == 0
    assert torch.isfinite(pred.grad).all()


def test_show_outside_joins_both_images():
    joined = show_outside(torch.zeros(2, 32, 48, 3), torch.ones(2, 32, 48, 3), half_mask())
    assert joined[:, :, :24].max() == 0
    assert joined[:, :, 24:].min() == 1


def test_gradcheck_of_content_and_style():
    vgg = VggFeatures(toy_state(), ("relu1_2",)).double()
    target, mask = vgg(images(1, 4, 4).double()), torch.eye(4)[None] == 0

    def loss(image):
        return content_loss(vgg(image), target, mask) + style_loss(vgg(image), target, mask)

    image = images(1, 4, 4, seed=3).double().requires_grad_()
    assert torch.autograd.gradcheck(loss, image, eps=1e-7, atol=1e-5)


def test_features_equal_a_plain_evaluation_of_the_weights():
    state, image = toy_state(), images(1)
    x = (image.permute(0, 3, 1, 2) - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor(
        [0.229, 0.224, 0.225]
    )[:, None, None]
    for index in (0, 2, 5):
        x = torch.nn.functional.max_pool2d(x, 2) if index == 5 else x
        x = torch.nn.functional.conv2d(x, state[f"features.{index}.weight"], state[f"features.{index}.bias"], padding=1)
        x = x.relu()
    torch.testing.assert_close(VggFeatures(state, ("relu2_1",))(image)[0], x, rtol=1e-4, atol=1e-4)


@pytest.mark.data
def test_real_vgg16_fits(test_data):
    state = load_vgg_weights(path=test_data / "weights" / "vgg16_features_torchvision.pth")
    with torch.no_grad():
        features = VggFeatures(state, ("relu1_1", "relu5_3"))(images(1, 64, 64))
    assert [tuple(item.shape) for item in features] == [(1, 64, 64, 64), (1, 512, 4, 4)]
    assert all(0.01 < (item > 0).float().mean() < 0.9 for item in features)
