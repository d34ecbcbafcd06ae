"""The training of a sampler, or of a refiner on top of a finished sampler."""

import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuraltex.config.learn import LearnConfig
from neuraltex.core.errors import DivergenceError
from neuraltex.core.runtime import is_main, logger, multiplies_bfloat16, progress, rank, world_size
from neuraltex.fit.archive import check_signature
from neuraltex.fit.distributed import sum_over_processes, wait_for_all
from neuraltex.fit.guards import LossGuard, StopRequest, deferred_interrupt
from neuraltex.fit.monitor import Monitor
from neuraltex.learn.adversary import Adversary
from neuraltex.learn.batches import Batches, Fusing
from neuraltex.learn.blur import blur_sample
from neuraltex.learn.curriculum import Curriculum
from neuraltex.learn.ema import Ema
from neuraltex.learn.nets.inputs import SHIFT, Inputs
from neuraltex.learn.nets.outputs import Refined, Sampled
from neuraltex.learn.networks import TextureNetworks, autocast, detached, freeze
from neuraltex.learn.objective import Terms, blended, consistency_term, places_term, refiner_terms, sampler_terms
from neuraltex.learn.part_weights import part_l1
from neuraltex.learn.perceptual import PerceptualTerms
from neuraltex.learn.trainer_state import TrainerState, latest_trainer_state, write_trainer_state
from neuraltex.learn.validation import contact_sheet, region_psnr

STATES = "states"
"""Folder of the states to resume from, in that of a training."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What networks made of a batch."""

    sampled: Sampled
    refined: Refined | None

    @property
    def result(self) -> Float[Tensor, "N 3 H W"]:
        """The textures."""
        return blended(self.sampled, self.refined)


@dataclass(frozen=True, eq=False)
class Material:
    """What a training works with.

    Args:
        train: Training samples.
        held_back: Samples of other subjects to watch it on, if any.
        curriculum: Makes the inputs of each step.
        perceptual: Perceptual terms, if their weights are wanted.
        parts: Weight map of the parts of the layout (:mod:`neuraltex.learn.part_weights`), if their term is wanted.
        signature: What must be equal for a state to be resumed, besides the settings of the networks.
    """

    train: Batches
    held_back: Batches | None = None
    curriculum: Curriculum | None = None
    perceptual: PerceptualTerms | None = None
    parts: Float[Tensor, "H W"] | None = None
    signature: tuple[str, ...] = ()


class Training:
    """Lowers the loss of the sampler, or of the refiner if there is one; then the sampler is left as it is.

    Args:
        config: Settings.
        networks: Sampler and, to train that, refiner.
        material: Samples and what shapes them.
        folder: Where TensorBoard and states go; ``None`` keeps everything in memory.
        device: Where to work.
        resume: Go on from the newest state in the folder.

    Raises:
        ResumeError: if there is nothing to resume, or it does not match.
    """

    def __init__(
        self,
        config: LearnConfig,
        networks: TextureNetworks,
        material: Material,
        folder: Path | None = None,
        device: torch.device | str = "cpu",
        *,
        resume: bool = False,
    ) -> None:
        self.config, self.material, self.folder, self.device = config, material, folder, torch.device(device)
        self.networks = networks.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.learner: nn.Module = networks.sampler if networks.refiner is None else networks.refiner
        if networks.refiner is not None:
            freeze(networks.sampler)
        train, loss = config.train, config.loss
        self.optimizer = torch.optim.Adam(self.learner.parameters(), train.lr, (train.beta1, 0.999))
        self.ema = Ema(self.learner, train.ema)
        self.adversary = Adversary(config, material.train.size[0], self.device) if loss.gan or loss.matching else None
        self.step, self._seconds, self._guard = 0, 0.0, LossGuard(0)
        self._amp = train.amp and multiplies_bfloat16(self.device.type)
        history = self._resume() if resume else []
        self.monitor = Monitor(None if folder is None else folder / "tb", history)

    def run(self) -> None:
        """Take all steps.

        Raises:
            DivergenceError: if the loss became NaN.
            KeyboardInterrupt: after the user's Ctrl-C, with the state saved.
        """
        clock = time.monotonic() - self._seconds
        with deferred_interrupt() as stop:
            for _ in progress(range(self.step, self.config.train.steps), label="train", unit="step"):
                self.advance()
                self._seconds = time.monotonic() - clock
                self._after_step(stop)
        self.monitor.close()
        logger.info("trained %d steps in %.0f s", self.step, self._seconds)

    def advance(self) -> None:
        """Take one step.

        Raises:
            DivergenceError: if the loss is not finite; the weights stay as they were.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.config)
        inputs, truth = self._draw()
        terms = self._terms(inputs, truth, self._forward(inputs))
        total = torch.stack([getattr(self.config.loss, name) * value for name, value in terms.items()]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        share_gradients(self.learner)
        problem = self._guard.verdict(float(total.detach()))
        if problem:
            raise DivergenceError(
                f"{problem} at step {self.step + 1}", source="train", hint="Lower --train.lr and go on with --resume"
            )
        self.optimizer.step()
        self.ema.update()
        self.step += 1
        if self.step % self.config.train.log_every == 0 or self.step == self.config.train.steps:
            values = {f"train/loss/{name}": float(value.detach()) for name, value in terms.items()}
            self.monitor.scalars(self.step, {**values, "train/loss": float(total.detach())})

    def finished(self) -> TextureNetworks:
        """Return the networks with the averaged weights."""
        self.learner.load_state_dict(self.ema.average)
        freeze(self.networks)
        return self.networks

    def _draw(self) -> tuple[Inputs, Float[Tensor, "N 3 H W"]]:
        """Return this process's share of the batch of the present step; the same whenever it is asked for."""
        train = self.config.train
        seed = (train.seed * 1_000_003 + self.step) * world_size() + rank()
        generator = torch.Generator().manual_seed(seed)
        count = max(1, train.batch // world_size())
        pairs = self.config.loss.consistency > 0
        fusing = Fusing(train.fused, train.fused_views) if train.fused else None
        inputs, truth = self.material.train.draw(count, generator, train.color_jitter, pairs=pairs, fusing=fusing)
        if self.material.curriculum is not None:
            inputs = self.material.curriculum.apply(inputs, truth, self._progress, generator)
        return blur_sample(inputs, truth, train.blur * self._fading(train.blur_share))

    @property
    def _progress(self) -> float:
        """Share of the steps that are taken."""
        return self.step / max(self.config.train.steps, 1)

    def _fading(self, share: float) -> float:
        """Return what falls from 1 to 0 over a share of the steps."""
        return max(0.0, 1 - self._progress / max(share, 1e-9))

    def _forward(self, inputs: Inputs) -> Outcome:
        with autocast(self.device, enabled=self._amp):
            if self.networks.refiner is None:
                return Outcome(self.networks.sampler(inputs), None)
            with torch.no_grad():
                sampled = detached(self.networks.sampler(inputs))
            return Outcome(sampled, self.networks.refiner(inputs, sampled))

    def _terms(self, inputs: Inputs, truth: Float[Tensor, "N 3 H W"], outcome: Outcome) -> Terms:
        """Return the unweighted terms of the loss."""
        sampled, refined, loss, inside = outcome.sampled, outcome.refined, self.config.loss, inputs["inside"]
        if refined is None:
            found = sampler_terms(sampled, inputs, truth, loss)
            fading = self._fading(self.config.train.places_share)
            if loss.places and fading and SHIFT in inputs:
                found["places"] = fading * places_term(sampled, inputs, wrap=self.config.sampler.wrap)
        else:
            found = refiner_terms(sampled, refined, inputs, truth, loss)
        if self.material.parts is not None:
            found["parts"] = part_l1(outcome.result, truth, self.material.parts)
        if loss.consistency:
            found["consistency"] = consistency_term(outcome.result, inside)
        if self.material.perceptual is not None:
            found |= self.material.perceptual(self.step, outcome.result, truth, inside)
        if self.adversary is not None:
            found |= self.adversary.terms(self.step, outcome.result, truth, inside)
        return found

    def _after_step(self, stop: StopRequest) -> None:
        """Score, save and stop where it is time to."""
        train, last = self.config.train, self.step == self.config.train.steps
        if self.material.held_back is not None and (last or (train.val_every and self.step % train.val_every == 0)):
            self._score(self.material.held_back)
        if last or stop.requested or (train.checkpoint_every and self.step % train.checkpoint_every == 0):
            self._save()
        if stop.requested:
            self.monitor.close()
            raise KeyboardInterrupt

    def _score(self, samples: Batches) -> None:
        """Score averaged weights on real partial textures of other subjects."""
        if not is_main():
            return
        with self.ema.swapped():
            scores = region_psnr(self.networks, samples, self.config.train.val_samples)
            picture = contact_sheet(self.networks, samples)
        self.monitor.scalars(self.step, {f"val/psnr_{name}": value for name, value in scores.items()})
        self.monitor.picture(self.step, "val/input_sampled_refined_blend_result_truth", picture)
        logger.info("step %d: %s", self.step, ", ".join(f"{name} {value:.2f} dB" for name, value in scores.items()))

    def _save(self) -> None:
        if self.folder is not None and is_main():
            optimizers = {"network": self.optimizer.state_dict()}
            networks = {"network": self.learner.state_dict()}
            if self.adversary is not None:
                networks["critic"] = self.adversary.critic.state_dict()
                optimizers["critic"] = self.adversary.optimizer.state_dict()
            averages = {"network": self.ema.state_dict()}
            state = TrainerState(
                self.step, networks, optimizers, averages, {}, self.monitor.history, self._signature(), self._seconds
            )
            write_trainer_state(self.folder / STATES, state)
        wait_for_all()

    def _resume(self) -> list[dict[str, float]]:
        """Go on from the newest state; returns its history."""
        assert self.folder is not None
        state = latest_trainer_state(self.folder / STATES)
        check_signature(state.signature, self._signature(), self.folder / STATES)
        self.learner.load_state_dict(state.networks["network"])
        self.optimizer.load_state_dict(state.optimizers["network"])
        self.ema.load_state_dict(state.averages["network"])
        if self.adversary is not None:
            self.adversary.critic.load_state_dict(state.networks["critic"])
            self.adversary.optimizer.load_state_dict(state.optimizers["critic"])
        self.step, self._seconds = state.step, state.seconds
        logger.info("resuming after step %d", state.step)
        return state.history

    def _signature(self) -> dict[str, Any]:
        """Return what must not change between a state and the training that goes on from it, as plain values."""
        part = self.config.sampler if self.networks.refiner is None else self.config.refiner
        network = {f"network.{item.name}": getattr(part, item.name) for item in fields(part)}
        train = {f"train.{name}": getattr(self.config.train, name) for name in ("batch", "seed", "curriculum")}
        return {**network, **train, "data": list(self.material.signature), "size": list(self.material.train.size)}


def share_gradients(network: nn.Module) -> None:
    """Average gradients over the processes that torchrun started."""
    if world_size() == 1:
        return
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    sum_over_processes(gradients)
    for gradient in gradients:
        gradient.div_(world_size())


def learning_rate(step: int, config: LearnConfig) -> float:
    """Return the rate of a step: a linear rise, then constant, then a fall over the last share of the steps."""
    train = config.train
    rise = min(1.0, (step + 1) / max(train.warmup_steps, 1))
    left = min(1.0, (train.steps - step) / max(1.0, train.decay_share * train.steps))
    fall = {"none": 1.0, "linear": left, "cosine": 0.5 - 0.5 * float(np.cos(np.pi * left))}[train.decay]
    return train.lr * rise * fall
