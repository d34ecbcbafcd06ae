"""Both networks together, as they are trained, stored and used."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuraltex.config.learn import LearnConfig, RefinerConfig, SamplerConfig
from neuraltex.learn.nets.inputs import Inputs
from neuraltex.learn.nets.lite_refiner import LiteRefiner
from neuraltex.learn.nets.lite_sampler import LiteSampler
from neuraltex.learn.nets.outputs import Refined, Sampled
from neuraltex.learn.nets.paper_refiner import PaperRefiner
from neuraltex.learn.nets.paper_sampler import PaperSampler


class TextureNetworks(nn.Module):
    """A sampler and, once there is one, its refiner.

    Args:
        sampler: Fills a texture from what is known of it.
        refiner: Repairs that.
    """

    def __init__(self, sampler: nn.Module, refiner: nn.Module | None = None) -> None:
        super().__init__()
        self.sampler, self.refiner = sampler, refiner

    def forward(self, inputs: Inputs) -> tuple[Sampled, Refined | None]:
        """Return what both make of a batch."""
        sampled = self.sampler(inputs)
        return sampled, None if self.refiner is None else self.refiner(inputs, sampled)


def build_sampler(config: SamplerConfig, bases: Float[Tensor, "K H W 2"] | None = None) -> nn.Module:
    """Return a new sampler; ``bases`` are those of the uv layout, which only the lite one uses."""
    return PaperSampler() if config.kind == "paper" else LiteSampler(config, bases)


def build_refiner(config: RefinerConfig, mean: Float[Tensor, "3 H W"] | None = None) -> nn.Module:
    """Return a new refiner; ``mean`` is that of the training textures, which only the lite one uses."""
    return PaperRefiner() if config.kind == "paper" else LiteRefiner(config, mean)


def networks_from_tensors(config: LearnConfig, tensors: Mapping[str, Tensor]) -> TextureNetworks:
    """Return the networks that a checkpoint holds, without loading their weights.

    Buffers that depend on the uv layout get the shapes they have there.
    """
    bases, mean = tensors.get("sampler.bases"), tensors.get("refiner.mean")
    has_refiner = any(name.startswith("refiner.") for name in tensors)
    refiner = build_refiner(config.refiner, mean) if has_refiner else None
    return TextureNetworks(build_sampler(config.sampler, bases), refiner)


def count_parameters(network: nn.Module) -> int:
    """Return how many numbers are learned."""
    return sum(parameter.numel() for parameter in network.parameters())


def freeze(network: nn.Module) -> nn.Module:
    """Make a network one that is only used; returns it."""
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return network.eval()


def detached(sampled: Sampled) -> Sampled:
    """Cut a sample off from the graph that made it."""
    return Sampled(*(value.detach() for value in vars(sampled).values()))


def autocast(device: torch.device, *, enabled: bool) -> torch.autocast:
    """Evaluate convolutions in bfloat16 if asked to."""
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)
