"""The critic of a training, learning beside the network that it judges."""

import torch
from jaxtyping import Float
from torch import Tensor

from neuraltex.config.learn import LearnConfig
from neuraltex.learn.nets.critic import PatchCritic
from neuraltex.losses.adversarial import critic_loss, feature_matching, fooling_loss

LAYERS = 4
"""Halvings of the published critic; fewer for textures that are too small for them."""


class Adversary:
    """Judges textures inside charts; takes no part before ``train.gan_warmup`` of the steps are over.

    Args:
        config: Settings.
        size: Side of the textures [texel].
        device: Where to work.
    """

    def __init__(self, config: LearnConfig, size: int, device: torch.device) -> None:
        self._mode, train = config.train.gan_mode, config.train
        self._first = round(train.gan_warmup * train.steps)
        layers = max(1, min(LAYERS, size.bit_length() - 5))
        self.critic = PatchCritic(width=config.train.critic_width, num_layers=layers).to(device)
        self.optimizer = torch.optim.Adam(self.critic.parameters(), train.lr, (train.beta1, 0.999))

    def terms(
        self, step: int, result: Float[Tensor, "N 3 H W"], truth: Float[Tensor, "N 3 H W"], inside: Tensor
    ) -> dict[str, Tensor]:
        """Let the critic learn from a batch, then return the terms ``gan`` and ``matching`` of what made it."""
        if step < self._first:
            return {}
        real, fake = truth * inside, result * inside
        self.optimizer.zero_grad(set_to_none=True)
        critic_loss(self.critic(real), self.critic(fake.detach()), self._mode).backward()
        self.optimizer.step()
        for parameter in self.critic.parameters():
            parameter.requires_grad_(False)
        with torch.no_grad():
            on_real = self.critic(real)
        on_fake = self.critic(fake)
        terms = {"gan": fooling_loss(on_fake, self._mode), "matching": feature_matching(on_real, on_fake)}
        for parameter in self.critic.parameters():
            parameter.requires_grad_(True)
        return terms
