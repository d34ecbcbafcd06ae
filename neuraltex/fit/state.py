"""What a gradient fit changes from step to step, and how it is made."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from neuraltex.config.schema import LoopConfig, TextureConfig
from neuraltex.fit import checkpoint as ckpt
from neuraltex.fit.calibrate.exposure import ColorMatch


@dataclass
class State:
    """What changes while fitting."""

    texture: Any  # one of the modules of neuraltex.texture
    loop: LoopConfig
    colors: ColorMatch
    seen: Float[Tensor, "Ht Wt"]
    step: int = 0
    seconds: float = 0.0

    @cached_property
    def optimizer(self) -> torch.optim.Optimizer:
        """Adam in its fused form: a texture has millions of parameters, and one pass over them is enough.

        Made when first needed, since loading it takes a second that a fit without steps need not spend.
        """
        betas = (self.loop.beta1, self.loop.beta2)
        return torch.optim.Adam(self.texture.parameters(), lr=self.loop.lr, betas=betas, fused=True)


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


def restore_state(texture: Any, loop: LoopConfig, checkpoint: ckpt.Checkpoint, device: torch.device) -> State:
    """Put a checkpoint into a fresh texture."""
    texture.load_state_dict(checkpoint.model)
    colors = ColorMatch.from_tensors(checkpoint.colors)
    state = State(texture, loop, colors, checkpoint.seen.to(device), checkpoint.step, checkpoint.seconds)
    state.optimizer.load_state_dict(checkpoint.optimizer)
    return state


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
