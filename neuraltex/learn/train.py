"""The training of a sampler, or of a refiner on top of a finished sampler."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuraltex.config.learn import LearnConfig
from neuraltex.core.errors import DivergenceError
from neuraltex.core.runtime import logger, multiplies_bfloat16, progress, rank, world_size
from neuraltex.fit.distributed import sum_over_processes
from neuraltex.fit.guards import LossGuard, StopRequest, deferred_interrupt
from neuraltex.fit.monitor import Monitor
from neuraltex.learn.batches import Batches
from neuraltex.learn.blur import blur_sample
from neuraltex.learn.ema import Ema
from neuraltex.learn.nets.inputs import Inputs
from neuraltex.learn.nets.outputs import Refined, Sampled
from neuraltex.learn.networks import TextureNetworks, autocast, detached, freeze
from neuraltex.learn.objective import Terms, blended, refiner_terms, sampler_terms
from neuraltex.learn.perceptual import PerceptualTerms


@dataclass(frozen=True, eq=False)
class Outcome:
    """What networks made of a batch."""

    sampled: Sampled
    refined: Refined | None

    @property
    def result(self) -> Float[Tensor, "N 3 H W"]:
        """The textures."""
        return self.sampled.color if self.refined is None else blended(self.sampled, self.refined)


class Training:
    """Lowers the loss of the sampler, or of the refiner if there is one; then the sampler is left as it is.

    Args:
        config: Settings.
        networks: Sampler and, to train that, refiner.
        data: Training samples.
        folder: Where TensorBoard and states go; ``None`` keeps everything in memory.
        device: Where to work.
        perceptual: Perceptual terms.
    """

    def __init__(
        self,
        config: LearnConfig,
        networks: TextureNetworks,
        data: Batches,
        folder: Path | None = None,
        device: torch.device | str = "cpu",
        perceptual: PerceptualTerms | None = None,
    ) -> None:
        self.config, self.data, self.device = config, data, torch.device(device)
        self.networks = networks.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.learner: nn.Module = networks.sampler if networks.refiner is None else networks.refiner
        if networks.refiner is not None:
            freeze(networks.sampler)
        train = config.train
        self.optimizer = torch.optim.Adam(self.learner.parameters(), train.lr, (train.beta1, 0.999))
        self.ema = Ema(self.learner, train.ema)
        self.monitor = Monitor(None if folder is None else folder / "tb")
        self.step = 0
        self._perceptual = perceptual or PerceptualTerms(config, self.device)
        self._amp = train.amp and multiplies_bfloat16(self.device.type)
        self._guard = LossGuard(0)

    def run(self) -> None:
        """Take all steps.

        Raises:
            DivergenceError: if the loss became NaN.
            KeyboardInterrupt: after the user's Ctrl-C, with the state saved.
        """
        start = time.monotonic()
        with deferred_interrupt() as stop:
            for _ in progress(range(self.step, self.config.train.steps), label="train", unit="step"):
                self._advance()
                self._after_step(stop)
        logger.info("trained %d steps in %.0f s", self.step, time.monotonic() - start)

    def draw(self) -> tuple[Inputs, Float[Tensor, "N 3 H W"]]:
        """Return this process's share of the batch of the present step; the same whenever it is asked for."""
        train = self.config.train
        seed = (train.seed * 1_000_003 + self.step) * world_size() + rank()
        generator = torch.Generator().manual_seed(seed)
        return self.data.draw(max(1, train.batch // world_size()), generator, train.color_jitter)

    def forward(self, inputs: Inputs) -> Outcome:
        """Apply the networks as they are being trained."""
        with autocast(self.device, enabled=self._amp):
            if self.networks.refiner is None:
                return Outcome(self.networks.sampler(inputs), None)
            with torch.no_grad():
                sampled = detached(self.networks.sampler(inputs))
            return Outcome(sampled, self.networks.refiner(inputs, sampled))

    def terms(self, inputs: Inputs, truth: Float[Tensor, "N 3 H W"], outcome: Outcome) -> Terms:
        """Return the unweighted terms of the loss."""
        sampled, refined, loss = outcome.sampled, outcome.refined, self.config.loss
        if refined is None:
            found = sampler_terms(sampled, inputs, truth, loss)
        else:
            found = refiner_terms(sampled, refined, inputs, truth, loss)
        return found | self._perceptual(self.step, outcome.result, truth, inputs["inside"])

    def _advance(self) -> None:
        train = self.config.train
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.config)
        inputs, truth = blur_sample(*self.draw(), self._blur())
        terms = self.terms(inputs, truth, self.forward(inputs))
        total = torch.stack([getattr(self.config.loss, name) * value for name, value in terms.items()]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self._share_gradients()
        problem = self._guard.verdict(float(total.detach()))
        if problem:
            raise DivergenceError(
                f"{problem} at step {self.step + 1}", source="train", hint="Lower --train.lr, then go on with --resume"
            )
        self.optimizer.step()
        self.ema.update()
        self.step += 1
        if self.step % train.log_every == 0 or self.step == train.steps:
            values = {f"train/loss/{name}": float(value.detach()) for name, value in terms.items()}
            self.monitor.scalars(self.step, {**values, "train/loss": float(total.detach())})

    def _blur(self) -> float:
        """Return the standard deviation by which samples are blurred in the present step [texel]."""
        train = self.config.train
        return train.blur * max(0.0, 1 - self.step / max(train.blur_share * train.steps, 1))

    def _share_gradients(self) -> None:
        gradients = [parameter.grad for parameter in self.learner.parameters() if parameter.grad is not None]
        if world_size() > 1:
            sum_over_processes(gradients)
            for gradient in gradients:
                gradient.div_(world_size())

    def _after_step(self, stop: StopRequest) -> None:
        if stop.requested:
            raise KeyboardInterrupt


def learning_rate(step: int, config: LearnConfig) -> float:
    """Return the rate of a step: a linear rise, then constant, then a fall over the last share of the steps."""
    train = config.train
    rise = min(1.0, (step + 1) / max(train.warmup_steps, 1))
    falling = max(1.0, train.decay_share * train.steps)
    left = min(1.0, (train.steps - step) / falling)
    fall = {"none": 1.0, "linear": left, "cosine": 0.5 - 0.5 * float(np.cos(np.pi * left))}[train.decay]
    return train.lr * rise * fall
