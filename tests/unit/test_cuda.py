"""What runs on CUDA gives what the CPU gives."""

from pathlib import Path

import pytest
import torch
from plane_scene import write_plane_scene

from neuraltex.config.schema import FitConfig, LoopConfig, LossConfig, TextureConfig
from neuraltex.fit.loop import GradientFit
from neuraltex.losses import photometric
from neuraltex.texture.sample import build_mip_pyramid, sample_bilinear, sample_mip, splat_bilinear

pytestmark = pytest.mark.gpu


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(32, 48, 3, generator=generator), torch.rand(500, 2, generator=generator)


def test_bilinear_sampling_forward_and_backward(inputs):
    texture, uv = inputs
    results = []
    for device in ("cpu", "cuda"):
        leaf = texture.to(device, copy=True).requires_grad_()
        sampled = sample_bilinear(leaf, uv.to(device))
        sampled.square().sum().backward()
        results.append((sampled.detach().cpu(), leaf.grad.cpu()))
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-5)


def test_mip_sampling_and_splatting(inputs):
    texture, uv = inputs
    footprint = torch.linspace(0.2, 9, len(uv))
    cpu = sample_mip(build_mip_pyramid(texture, 3), uv, footprint)
    gpu = sample_mip(build_mip_pyramid(texture.cuda(), 3), uv.cuda(), footprint.cuda())
    torch.testing.assert_close(cpu, gpu.cpu(), rtol=1e-4, atol=1e-5)
    ours = splat_bilinear(sampled := cpu, uv, (32, 48))[0]
    torch.testing.assert_close(ours, splat_bilinear(sampled.cuda(), uv.cuda(), (32, 48))[0].cpu(), rtol=1e-4, atol=1e-4)


def test_losses(inputs):
    texture = inputs[0]
    mask = torch.rand(32, 48) > 0.3
    for loss in (photometric.l1, photometric.l2, photometric.charbonnier, photometric.gradient_difference):
        cpu = loss(texture[None], 1 - texture[None], mask[None])
        gpu = loss(texture[None].cuda(), 1 - texture[None].cuda(), mask[None].cuda())
        torch.testing.assert_close(cpu, gpu.cpu(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["plain", "pyramid", "neural"])
def test_fit(tmp_path: Path, kind: str):
    scene = write_plane_scene(tmp_path)
    config = FitConfig(
        texture=TextureConfig(kind=kind, levels=3, features=4),
        loss=LossConfig(l1=10.0, gradient=5.0),
        loop=LoopConfig(steps=10, batch=0, crop=0, lr=0.01, checkpoint_every=0, decay_steps=0),
    )
    textures = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)  # The decoder of a neural texture starts at random.
        textures.append(torch.from_numpy(GradientFit(config, device)(scene).texture))
    cpu, gpu = textures
    assert (cpu - gpu).abs().mean() < (1e-3 if kind != "neural" else 1e-2)
