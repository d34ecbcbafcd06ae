"""The published networks: their size, what they see and what reaches them."""

import pytest
import torch
from torch import Tensor, nn

from neuraltex.core.errors import ShapeError
from neuraltex.learn.nets.critic import MultiScaleCritic, PatchCritic, condition
from neuraltex.learn.nets.inputs import encoded_uv
from neuraltex.learn.nets.outputs import Sampled
from neuraltex.learn.nets.paper_blocks import ResidualBlock
from neuraltex.learn.nets.paper_refiner import PaperRefiner
from neuraltex.learn.nets.paper_sampler import PaperSampler
from neuraltex.learn.nets.sampling import identity_grid


def example(samples: int = 2, side: int = 64, known: float = 0.6) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)

    def draw(channels: int) -> Tensor:
        return torch.rand(samples, channels, side, side, generator=generator)

    mask = (draw(1) < known).float()
    mirrored = mask * (torch.arange(side) >= side // 2)
    geometry = {"normals": draw(3) * 2 - 1, "positions": draw(3), "inside": torch.ones_like(mask)}
    uv = encoded_uv(side, side).expand(samples, -1, -1, -1)
    seen = {"color": draw(3) * mask, "direct": mask - mirrored, "mirrored": mirrored, "confidence": mask}
    return {**seen, **geometry, "uv": uv}


def sampled(inputs: dict[str, Tensor]) -> Sampled:
    grid = identity_grid(*inputs["color"].shape[-2:]).expand(len(inputs["color"]), 1, -1, -1, -1)
    ones = torch.ones_like(inputs["confidence"])
    return Sampled(inputs["color"], inputs["confidence"], grid, ones, torch.zeros_like(grid))


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def loosen(network: PaperSampler) -> PaperSampler:
    """Give the offsets a size as after some training."""
    nn.init.normal_(network.to_offset.convolution.weight, 0, 0.05)
    return network.eval()


def normalized_biases(network: nn.Module) -> set[str]:
    """Names of biases that a normalization takes out again, so that no gradient reaches them."""
    blocks = {name: getattr(module, "norm", None) for name, module in network.named_modules()}
    return {f"{name}.convolution.bias" for name, norm in blocks.items() if isinstance(norm, nn.InstanceNorm2d)}


@pytest.mark.parametrize(
    ("network", "published"),
    [(PaperSampler, 37_361_762), (PaperRefiner, 23_591_816), (PatchCritic, 6_959_488)],
)
def test_networks_have_the_published_number_of_parameters(network, published):
    with torch.device("meta"):
        assert count(network()) == published


def test_sampler_returns_colors_and_one_hypothesis():
    torch.manual_seed(0)
    found = PaperSampler(4)(example())
    assert found.color.shape == (2, 3, 64, 64)
    assert found.confidence.shape == (2, 1, 64, 64)
    assert found.grids.shape == (2, 1, 64, 64, 2)
    assert (found.weights == 1).all()


def test_fresh_sampler_reads_every_texel_where_it_lies():
    torch.manual_seed(0)
    inputs = example(known=2.0)
    found = PaperSampler(8)(inputs)
    shift = (found.grids[:, 0] - identity_grid(64, 64)).abs() * 32  # texel
    assert shift.mean() < 1
    assert shift.max() > 0
    exact = PaperSampler(8, deviation=0.0)(inputs)
    torch.testing.assert_close(exact.color, inputs["color"], rtol=2e-3, atol=2e-3)


def test_offsets_reach_no_farther_than_told():
    torch.manual_seed(0)
    near, far = (PaperSampler(4, reach=reach, deviation=10.0)(example()) for reach in (0.1, 1.0))
    for found, reach in ((near, 0.1), (far, 1.0)):
        largest = (found.grids[:, 0] - identity_grid(64, 64)).abs().max().item()
        assert 0.9 * reach < largest <= reach + 1e-5


def test_sampler_sees_the_visibility_mask():
    """In the published code the mask changes nothing: a slice took a channel of the normals in its place."""
    torch.manual_seed(0)
    network, inputs = loosen(PaperSampler(8)), example()
    other = {**inputs, "direct": inputs["direct"] * (torch.arange(64) >= 8)}
    with torch.no_grad():
        change = (network(inputs).grids - network(other).grids).abs()
    assert change.max() > 1e-2
    assert change.mean() > 1e-3


def test_sampler_tells_black_from_unknown():
    torch.manual_seed(0)
    network, inputs = loosen(PaperSampler(8)), example(1)
    inputs["color"] = torch.zeros_like(inputs["color"])
    unknown = {**inputs, "direct": inputs["direct"] * 0, "mirrored": inputs["mirrored"] * 0}
    with torch.no_grad():
        assert network(inputs).confidence.mean() > 0.5
        assert network(unknown).confidence.max() == 0


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_sampler_sees_every_channel_of_the_normals(channel):
    torch.manual_seed(0)
    network, inputs = loosen(PaperSampler(8)), example()
    normals = inputs["normals"].clone()
    normals[:, channel] = normals[:, channel].flip(-1)
    with torch.no_grad():
        change = (network(inputs).grids - network({**inputs, "normals": normals}).grids).abs()
    assert change.max() > 1e-3


def test_unobserved_texels_do_not_darken_what_is_sampled():
    torch.manual_seed(0)
    inputs = example(known=0.3)
    inputs["color"] = (inputs["direct"] + inputs["mirrored"]).expand(-1, 3, -1, -1).clone()  # white where known
    found = loosen(PaperSampler(8))(inputs)
    somewhere = (found.confidence > 0.05).expand_as(found.color)
    assert found.color[somewhere].min() > 0.97


def test_gradients_reach_every_parameter_of_the_sampler():
    torch.manual_seed(0)
    network = PaperSampler(4)
    found = network(example())
    (found.color * torch.rand_like(found.color)).sum().backward()
    silent = normalized_biases(network)
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert name in silent or parameter.grad.abs().max() > 0, name


def test_gradients_reach_every_parameter_of_the_refiner():
    torch.manual_seed(0)
    network, inputs = PaperRefiner(4, num_blocks=2), example()
    found = network(inputs, sampled(inputs))
    (found.color * torch.rand_like(found.color)).sum().add(found.blend.square().sum()).backward()
    silent = normalized_biases(network)
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert name in silent or parameter.grad.abs().max() > 0, name


def test_refiner_returns_colors_and_a_blend():
    torch.manual_seed(0)
    inputs = example(side=32)
    found = PaperRefiner(4, num_blocks=1)(inputs, sampled(inputs))
    assert found.color.shape == (2, 3, 32, 32)
    assert found.blend.shape == (2, 1, 32, 32)
    for values in (found.color, found.blend):
        assert 0 < values.min() < values.max() < 1


def test_refiner_sees_colors_and_what_is_unseen():
    torch.manual_seed(0)
    network, inputs = PaperRefiner(8, num_blocks=1).eval(), example()
    found = network(inputs, sampled(inputs))
    hidden = {**inputs, "direct": inputs["direct"] * (torch.arange(64) >= 8)}
    darker = sampled({**inputs, "color": inputs["color"] * (torch.arange(64) / 64)})
    for other in (network(hidden, sampled(inputs)), network(inputs, darker)):
        assert (other.color - found.color).abs().max() > 1e-3


def test_sizes_that_cannot_be_halved_are_refused():
    with pytest.raises(ShapeError, match=r"sampler cannot work on textures of 48x48.*multiple of 32 and at least 64"):
        PaperSampler(2)(example(1, 48))
    with pytest.raises(ShapeError, match="textures of 32x32"):
        PaperSampler(2)(example(1, 32))
    inputs = example(1, 20)
    with pytest.raises(ShapeError, match=r"refiner cannot work on textures of 20x20.*multiple of 8"):
        PaperRefiner(2, num_blocks=1)(inputs, sampled(inputs))


def test_blocks_change_resolution_as_named():
    values = torch.rand(1, 4, 16, 16)
    for sampling, side in (("same", 16), ("down", 8), ("up", 32)):
        assert ResidualBlock(4, 6, nn.ReLU(), sampling)(values).shape == (1, 6, side, side)


def test_critic_returns_a_list_of_layers_per_scale():
    textures = torch.rand(2, 3, 256, 256)
    (layers,) = PatchCritic(width=4)(textures)
    assert [tuple(layer.shape[1:]) for layer in layers] == [
        (4, 128, 128), (8, 64, 64), (16, 32, 32), (32, 16, 16), (32, 15, 15), (1, 14, 14),
    ]  # fmt: skip
    scales = MultiScaleCritic(width=4, num_scales=2)(textures[..., :128, :128])
    assert [len(layers) for layers in scales] == [6, 6]
    assert [layers[0].shape[-1] for layers in scales] == [64, 32]


def test_scales_have_critics_of_their_own():
    torch.manual_seed(0)
    critic = MultiScaleCritic(width=4)
    assert count(critic) == 2 * count(PatchCritic(width=4))
    flat = torch.full((1, 3, 128, 128), 0.3)
    fine, coarse = critic(flat)
    assert fine[0][0, 0, 4, 4] != coarse[0][0, 0, 4, 4]


def test_conditional_critic_sees_the_condition():
    torch.manual_seed(0)
    critic, textures = PatchCritic(4, width=4), torch.rand(1, 3, 64, 64)
    answers = [critic(condition(textures, torch.rand(1, 1, 64, 64)))[-1][-1] for _ in range(2)]
    assert not torch.equal(*answers)


def test_textures_too_small_for_a_critic_are_refused():
    with pytest.raises(ShapeError, match=r"cannot judge textures of 32x32.*at least 48 texels"):
        MultiScaleCritic(width=4)(torch.rand(1, 3, 64, 64))


def symmetric() -> tuple[dict[str, Tensor], Tensor]:
    """Symmetric textures of which the left half is known."""
    coarse = torch.rand(4, 3, 6, 3, generator=torch.Generator().manual_seed(0))
    half = nn.functional.interpolate(coarse, size=(64, 32), mode="bilinear", align_corners=False)
    target = torch.cat([half, half.flip(-1)], -1)
    known = (torch.arange(64) < 32).float().expand(4, 1, 64, 64)
    seen = {"color": target * known, "direct": known, "mirrored": known * 0, "confidence": known}
    return {**example(4), **seen}, target


def test_sampler_learns_to_look_at_what_is_known():
    torch.manual_seed(0)
    inputs, target = symmetric()
    network = PaperSampler(8)
    optimizer, losses = torch.optim.Adam(network.parameters(), 3e-4), []
    for _ in range(80):
        found = network(inputs)
        losses.append((found.color - target).abs().mean())
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.8 * losses[0]  # 0.24, then 0.13 to 0.16 by the number of threads
    assert found.confidence[..., 32:].mean() > 0.2  # nothing is known there, so it looks elsewhere


def test_refiner_learns_to_paint_what_is_unseen():
    torch.manual_seed(0)
    inputs, target = symmetric()
    network = PaperRefiner(8, num_blocks=2)
    optimizer, losses = torch.optim.Adam(network.parameters(), 3e-4), []
    for _ in range(40):
        found = network(inputs, sampled(inputs))
        result = inputs["color"] * found.blend + found.color * (1 - found.blend)
        losses.append((result - target).abs().mean())
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.6 * losses[0]  # 0.17, then 0.08
