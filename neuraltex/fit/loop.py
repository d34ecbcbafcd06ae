"""The gradient fit: Adam on a texture seen through fixed uv maps."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from neuraltex.config.schema import FitConfig
from neuraltex.core.errors import DivergenceError
from neuraltex.core.runtime import is_main, logger, peak_memory_gb, progress
from neuraltex.fit import checkpoint as ckpt
from neuraltex.fit.archive import check_signature
from neuraltex.fit.base import MIN_SEEN, Fitted
from neuraltex.fit.calibrate.color_fit import fit_colors
from neuraltex.fit.calibrate.exposure import ColorMatch
from neuraltex.fit.check import BestState, KeptOutPixels
from neuraltex.fit.data import ViewStore, training_store
from neuraltex.fit.distributed import wait_for_all
from neuraltex.fit.gradients import BatchGradients
from neuraltex.fit.guards import LossGuard, StopRequest, deferred_interrupt
from neuraltex.fit.initialize import initial_texture
from neuraltex.fit.kept_out import KeptOut
from neuraltex.fit.monitor import Monitor, held_out_scores
from neuraltex.fit.objective import Objective, build_objective, scaled_loss
from neuraltex.fit.prior import Prior, blend_in, is_used, predicted_texels
from neuraltex.fit.prior_term import PriorTerm, restored
from neuraltex.fit.sampler import WindowSampler
from neuraltex.fit.signature import run_signature
from neuraltex.fit.state import State, build_texture, learning_rate, restore_state
from neuraltex.fit.surface import Surface
from neuraltex.fit.tiles import Tile
from neuraltex.io.prepared import PreparedScene
from neuraltex.losses.regularizers import Anchor


class GradientFit:
    """A :class:`~neuraltex.fit.base.Fit` by gradient descent.

    With ``loop.check_share`` some training pixels are kept out of everything; the fit ends with the state that looked
    best on them, which is the initial texture if no step improved it.

    Args:
        config: All settings.
        device: Where to work.
        folder: Run folder for checkpoints and TensorBoard; ``None`` keeps everything in memory.
        resume: Go on from the newest checkpoint in ``folder``.
    """

    objective: Objective

    def __init__(
        self, config: FitConfig, device: torch.device | str = "cpu", folder: Path | None = None, *, resume: bool = False
    ) -> None:
        self.config, self.device, self.folder, self._resume = config, torch.device(device), folder, resume

    def __call__(self, scene: PreparedScene, prior: Prior | None = None) -> Fitted:
        """Fit the training views.

        Args:
            scene: Where they come from.
            prior: What is predicted of the texture: to start from, or to lean on where photographs say little.

        Raises:
            DivergenceError: if the loss became NaN or grew too much; the last good state is saved.
            ResumeError: if there is nothing to resume, or it does not match.
            KeyboardInterrupt: after the user's Ctrl-C, with the state saved.
        """
        self._clock, self._given = time.monotonic(), prior
        self._prepare(scene)
        self._clock -= self.state.seconds
        with deferred_interrupt() as stop:
            for step in progress(range(self.state.step, self.config.loop.steps), label="optimize", unit="step"):
                if self.best is not None and self.best.is_final:
                    logger.info("stopping after step %d: no improvement in %d looks", step, self.best.misses)
                    break
                self._advance(step, stop)
                self._after_step(stop)
        self._end()
        self.monitor.close()
        stats = {"steps": self.state.step, "seconds": round(self._seconds(), 2), **self._start_stats}
        if self.best is not None:
            stats["best_step"] = self.best.step
        stats["peak_memory_gb"] = round(peak_memory_gb(), 3)
        texture, seen = self.state.texture.bake().cpu().numpy(), (self.state.seen > MIN_SEEN).cpu().numpy()
        if self._prior is not None and self.state.step:  # what a start without steps holds is blended already
            texture = blend_in(texture, seen, self._prior.now)
        predicted = predicted_texels(self.config, self._given, seen)
        return Fitted(texture, seen, self.monitor.history, stats, predicted)

    def render(self, tile: Tile) -> Float[Tensor, "H W 3"]:
        """Return the texture as a window sees it, before colors are matched."""
        return self.state.texture(tile.uv, tile.footprint * self._texel_scale if self.config.texture.mip else None)

    def save(self) -> None:
        """Write a checkpoint."""
        if self.folder is not None and is_main():
            state = self.state
            content = ckpt.Checkpoint(
                step=state.step,
                model=state.texture.state_dict(),
                optimizer=state.optimizer.state_dict(),
                colors=state.colors.tensors(),
                seen=state.seen,
                history=self.monitor.history,
                signature=self._signature,
                seconds=state.seconds,
                best=None if self.best is None else self.best.to_plain(),
                anchor=None if self._anchor is None else self._anchor.to_plain(),
                prior=None if self._prior is None else self._prior.to_plain(),
            )
            ckpt.write_checkpoint(self.folder / "ckpts", content)
        wait_for_all()

    def _prepare(self, scene: PreparedScene) -> None:
        config = self.config
        size = config.texture.size or scene.texture_size
        self._texel_scale = size / scene.texture_size
        self._held_out = scene.split("test")[: config.loop.val_views]
        kept_out = KeptOut(config.loop.check_share if config.loop.steps else 0, config.seed)
        use = kept_out.rest if kept_out.share else None
        self.store = training_store(scene, config, self.device, use)
        self._loss = scaled_loss(config.loss, self.store.sizes)
        self._first_perceptual = max(config.loop.steps - (config.loop.perceptual_steps or config.loop.steps), 0)
        self.sampler = WindowSampler(self.store.sizes, config.loop.batch, config.loop.crop, config.seed)
        self.guard = LossGuard(config.loop.max_loss_growth)
        self._signature = run_signature(config, size, [view.name for view in self.store.views])
        if config.loop.steps:
            self.objective = self._build_objective()
            self._backward = BatchGradients(self.store, self.objective, self._loss.perceptual_windows)
        self.best: BestState | None = None
        self._anchor: Anchor | None = None
        self._prior: PriorTerm | None = None
        self._begin(scene, size)
        if kept_out.share:
            self._begin_checks(kept_out)

    def _begin(self, scene: PreparedScene, size: int) -> None:
        """Make the state, or take it from the newest checkpoint."""
        config = self.config
        resumed = ckpt.latest_checkpoint(self.folder / "ckpts") if self._resume and self.folder else None
        tensorboard = None if self.folder is None else self.folder / "tb"
        self.monitor = Monitor(tensorboard, resumed.history if resumed else ())
        self._start_stats: dict[str, Any] = {}
        if resumed is None:
            image, seen, colors, self._start_stats = initial_texture(
                self.store, size, scene, config, self.folder, self._given
            )
            texture = build_texture(config.texture, size).to(self.device)  # not before, when memory is scarce
            texture.initialize_(image)
            self.state = State(texture, config.loop, colors, seen)
            if config.loss.anchor:
                self._anchor = Anchor.at(image, seen > MIN_SEEN, config.loss.anchor_level)
            self._lean_on(self._given, scene, size)
            return
        texture = build_texture(config.texture, size).to(self.device)
        check_signature(resumed.signature, self._signature, Path(self.folder or ".") / "ckpts")
        self.state = restore_state(texture, config.loop, resumed, self.device)
        if resumed.anchor is not None:
            self._anchor = Anchor(**{name: value.to(self.device) for name, value in resumed.anchor.items()})
        if resumed.best is not None:
            self.best = BestState.from_plain(resumed.best, self.device)
        if self._given is not None and resumed.prior is not None:
            self._lean_on(restored(self._given, resumed.prior), scene, size)
        logger.info("resuming after step %d", resumed.step)

    def _lean_on(self, prior: Prior | None, scene: PreparedScene, size: int) -> None:
        """Add the terms of a prior if settings say so and photographs leave anything open."""
        if prior is None or not is_used(self.config.prior, prior):
            return
        term = PriorTerm(prior, self.state.seen, Surface.of(scene.mesh, (size, size)), self.config)
        self._prior = term if term.is_on else None

    def _begin_checks(self, kept_out: KeptOut) -> None:
        loop = self.config.loop
        pixels = replace(self.config.pixels, footprint_power=0, sharpness_power=0, outlier_regions=0)
        store = ViewStore(self.store.views, pixels, 0, self.device, kept_out.pixels)
        self._kept_out = KeptOutPixels(store, self.store, self._loss)
        if self.best is None:
            self.best = BestState()
            self._look()
        self.best.patience, self.best.loss_db = loop.check_patience, loop.check_loss_db

    def _look(self) -> None:
        """Score the texture on the pixels kept out, and remember it if it is the best so far."""
        assert self.best is not None
        look = self._kept_out.look(self.render, self.state.colors, self.objective)
        self.best.judge(self.state.step, look, self.state.texture, self.state.colors)
        name = "lpips" if self.config.loss.lpips else "objective"
        self.monitor.scalars(self.state.step, {"check/psnr_fit": look.psnr_fit, f"check/{name}": look.distance})

    def _build_objective(self) -> Objective:
        config = self.config
        return build_objective(
            self._loss,
            self.device,
            amp=config.loop.amp,
            vgg_weights=config.vgg_weights,
            lpips_weights=config.lpips_weights,
        )

    def _advance(self, step: int, stop: StopRequest) -> None:
        """Take one step; the state stays as it was if the numbers are bad."""
        state, config = self.state, self.config
        if config.color.every and step and step % config.color.every == 0:
            state.colors = fit_colors(self.store, self.render, config.color)
        if self._prior is not None and self._prior.is_due(step):
            self._prior.refresh(state.texture.bake())
        lr = learning_rate(step, config.loop)
        for group in state.optimizer.param_groups:
            group["lr"] = lr
        terms, total = self._gradients(step, stop)
        problem = self.guard.verdict(total) or self._bad_gradient()
        if problem:
            self.save()
            raise DivergenceError(
                f"{problem} at step {step + 1}; the state before it was saved",
                source="optimize",
                hint="Lower --loop.lr or the largest loss weight, then go on with --resume",
            )
        state.optimizer.step()
        state.step = step + 1
        if state.step % config.loop.log_every == 0 or state.step in (1, config.loop.steps):
            losses = {f"train/loss/{name}": value for name, value in terms.items()}
            self.monitor.scalars(state.step, {**losses, "train/loss": total, "train/lr": lr})

    def _gradients(self, step: int, stop: StopRequest) -> tuple[dict[str, float], float]:
        """Fill the gradients of all terms; returns the unweighted terms and their weighted sum."""
        state = self.state
        state.optimizer.zero_grad(set_to_none=True)
        jobs = self._backward.jobs(self.sampler.windows(step), perceptual=step >= self._first_perceptual)
        parameters = list(state.texture.parameters())
        terms, stop.agreed = self._backward(jobs, self.render, state.colors, parameters, stop.requested)
        extra, factors = self._texture_terms(step)
        if extra:
            torch.stack([factors[name] * value for name, value in extra.items()]).sum().backward()
        terms |= {name: float(value.detach()) for name, value in extra.items()}
        return terms, sum(factors[name] * value for name, value in terms.items())

    def _texture_terms(self, step: int) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Return the unweighted terms that concern the texture alone, and the weights of all terms."""
        texture, prior, factors = self.state.texture, self._prior, dict(vars(self.config.loss))
        if prior is None:
            return self.objective.texture_terms(texture, self._anchor), factors
        terms = self.objective.texture_terms(texture, self._anchor, prior.slopes)
        return terms | prior.terms(texture.image()), factors | prior.factors(step)

    def _bad_gradient(self) -> str:
        sums = [parameter.grad.sum() for parameter in self.state.texture.parameters() if parameter.grad is not None]
        return "" if all(bool(torch.isfinite(value)) for value in sums) else "a gradient became NaN or infinite"

    def _seconds(self) -> float:
        return time.monotonic() - self._clock

    def _after_step(self, stop: StopRequest) -> None:
        """Look, save and report where it is time to."""
        loop, done = self.config.loop, self.state.step
        last = done == loop.steps
        if self.best is not None and (last or (done % loop.check_every == 0 and done > self._first_perceptual)):
            self._look()
            last = last or self.best.is_final
        self.state.seconds = self._seconds()
        if stop.agreed or last or (loop.checkpoint_every and done % loop.checkpoint_every == 0):
            self.save()
        if stop.agreed:
            self.monitor.close()
            raise KeyboardInterrupt
        if not last and loop.val_every and done % loop.val_every == 0:
            self._score_held_out()
        if not last and loop.image_every and done % loop.image_every == 0:
            self.monitor.picture(done, "texture", self.state.texture.bake())

    def _end(self) -> None:
        """Go back to the best state and report on it."""
        if self.best is not None:
            self.state.texture.load_state_dict(self.best.model)
            self.state.colors = ColorMatch.from_tensors(self.best.colors)
        if self.config.loop.steps:
            self._score_held_out()
            self.monitor.picture(self.state.step, "texture", self.state.texture.bake())

    def _score_held_out(self) -> None:
        if not is_main() or not self._held_out:
            return
        scores, image = held_out_scores(self._held_out, self.config.pixels, self.render, self.device)
        self.monitor.scalars(self.state.step, scores)
        if image is not None:
            self.monitor.picture(self.state.step, "val/render", image)
