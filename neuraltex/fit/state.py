"""What a gradient fit changes from step to step, and how it is made."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuraltex.config.schema import LoopConfig, TextureConfig
from neuraltex.fit import checkpoint as ckpt
from neuraltex.fit.calibrate.exposure import ColorMatch


@dataclass
class State:
    """What changes while fitting."""

    texture: Any  # one of the modules of neuraltex.texture
    optimizer: torch.optim.Optimizer
    colors: ColorMatch
    seen: Float[Tensor, "Ht Wt"]
    step: int = 0
    seconds: float = 0.0


def build_texture(config: TextureConfig, size: int) -> Any:
    """Make the texture of a kind; imports only that kind."""
    match config.kind:
        case "plain":
            from neuraltex.texture.plain import PlainTexture  # noqa: PLC0415

            return PlainTexture(size)
        case "pyramid":
            from neuraltex.texture.pyramid import PyramidTexture  # noqa: PLC0415

            return PyramidTexture(size, config.levels)
        case "neural":
            from neuraltex.texture.neural import NeuralTexture  # noqa: PLC0415

            return NeuralTexture(size, config.features)


def build_optimizer(texture: nn.Module, loop: LoopConfig) -> torch.optim.Optimizer:
    """Adam in its fused form: a texture has millions of parameters, and one pass over them is enough."""
    return torch.optim.Adam(texture.parameters(), lr=loop.lr, betas=(loop.beta1, loop.beta2), fused=True)


def restore_state(
    texture: nn.Module, optimizer: torch.optim.Optimizer, checkpoint: ckpt.Checkpoint, device: torch.device
) -> State:
    """Put a checkpoint into fresh objects."""
    texture.load_state_dict(checkpoint.model)
    optimizer.load_state_dict(checkpoint.optimizer)
    colors = ColorMatch(**{name: value.to(device) for name, value in checkpoint.colors.items()})
    return State(texture, optimizer, colors, checkpoint.seen.to(device), checkpoint.step, checkpoint.seconds)


def learning_rate(step: int, loop: LoopConfig) -> float:
    """Return the learning rate of a step (from 0): linear warm-up, constant, then decay over the last steps."""
    rate = loop.lr * min(1.0, (step + 1) / max(loop.warmup_steps, 1))
    progress_left = min(1.0, (loop.steps - step) / (loop.decay_steps + 1))
    match loop.decay:
        case "linear":
            return rate * progress_left
        case "cosine":
            return rate * 0.5 * (1 - float(torch.cos(torch.tensor(torch.pi * progress_left))))
        case _:
            return rate
