"""The gradient fit: Adam on a texture seen through fixed uv maps."""

import time
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from neuraltex.config.schema import FitConfig, LoopConfig
from neuraltex.core.errors import DivergenceError
from neuraltex.core.runtime import is_main, logger, peak_memory_gb, progress
from neuraltex.fit import checkpoint as ckpt
from neuraltex.fit.base import Fitted
from neuraltex.fit.data import Tile, ViewStore
from neuraltex.fit.distributed import own_share, sum_over_processes, wait_for_all
from neuraltex.fit.exposure import fit_colors
from neuraltex.fit.guards import LossGuard, StopRequest, deferred_interrupt
from neuraltex.fit.initialize import initial_texture
from neuraltex.fit.monitor import Monitor, held_out_scores
from neuraltex.fit.objective import Objective, build_objective
from neuraltex.fit.sampler import Window, WindowSampler
from neuraltex.fit.signature import run_signature
from neuraltex.fit.state import State, build_optimizer, build_texture, learning_rate, restore_state
from neuraltex.io.prepared import PreparedScene

GROUP_PIXELS = 4_000_000
"""Pixels whose samples are in memory at once [px]; a full batch is worked off in groups of whole windows."""
MIN_SEEN = 1e-3
"""Sum of pixel weights from which a texel counts as seen."""


class GradientFit:
    """A :class:`~neuraltex.fit.base.Fit` by gradient descent.

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

    def __call__(self, scene: PreparedScene) -> Fitted:
        """Fit the training views.

        Raises:
            DivergenceError: if the loss became NaN or grew too much; the last good state is saved.
            ResumeError: if there is nothing to resume, or it does not match.
            KeyboardInterrupt: after the user's Ctrl-C, with the state saved.
        """
        start, loop = time.monotonic(), self.config.loop
        self._prepare(scene)
        earlier = self.state.seconds
        with deferred_interrupt() as stop:
            steps = range(self.state.step, loop.steps)
            for step in progress(steps, label="optimize", unit="step"):
                self._advance(step, stop)
                self.state.seconds = earlier + time.monotonic() - start
                done = step + 1
                if (
                    stop.requested
                    or done == loop.steps
                    or (loop.checkpoint_every and done % loop.checkpoint_every == 0)
                ):
                    self.save()
                if stop.requested:
                    self.monitor.close()
                    raise KeyboardInterrupt
                self._report(done, loop)
        self.monitor.close()
        stats = {"steps": loop.steps, "seconds": round(earlier + time.monotonic() - start, 2)}
        stats["peak_memory_gb"] = round(peak_memory_gb(), 3)
        return Fitted(self.state.texture.bake(), self.state.seen > MIN_SEEN, self.monitor.history, stats)

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
                colors={"gain": state.colors.gain, "bias": state.colors.bias},
                seen=state.seen,
                history=self.monitor.history,
                signature=self._signature,
                seconds=state.seconds,
            )
            ckpt.write_checkpoint(self.folder / "ckpts", content)
        wait_for_all()

    def _prepare(self, scene: PreparedScene) -> None:
        config = self.config
        size = config.texture.size or scene.texture_size
        self._texel_scale = size / scene.texture_size
        self._held_out = scene.split("test")[: config.loop.val_views]
        self.store = ViewStore(scene.split("train"), config.pixels, config.loop.cache_gb, self.device)
        self.sampler = WindowSampler(self.store.sizes, config.loop.batch, config.loop.crop, config.seed)
        self.guard = LossGuard(config.loop.max_loss_growth)
        self._signature = run_signature(config, size, [view.name for view in self.store.views])
        if config.loop.steps:
            self.objective = self._build_objective()
        resumed = ckpt.latest_checkpoint(self.folder / "ckpts") if self._resume and self.folder else None
        tensorboard = None if self.folder is None else self.folder / "tb"
        self.monitor = Monitor(tensorboard, resumed.history if resumed else ())
        texture = build_texture(config.texture, size).to(self.device)
        if resumed is None:
            image, seen, colors = initial_texture(self.store, size, config.texture, config.color)
            texture.initialize_(image)
            self.state = State(texture, build_optimizer(texture, config.loop), colors, seen)
        else:
            ckpt.check_signature(resumed.signature, self._signature, Path(self.folder or ".") / "ckpts")
            self.state = restore_state(texture, build_optimizer(texture, config.loop), resumed, self.device)
            logger.info("resuming after step %d", resumed.step)

    def _build_objective(self) -> Objective:
        config = self.config
        return build_objective(
            config.loss,
            self.device,
            amp=config.loop.amp,
            vgg_weights=config.vgg_weights,
            lpips_weights=config.lpips_weights,
        )

    def _advance(self, step: int, stop: StopRequest) -> None:
        """Take one step; the state stays as it was if the numbers are bad."""
        state, config = self.state, self.config
        if config.color.every and step and step % config.color.every == 0:
            state.colors = fit_colors(self.store, self.render, config.color.model).centered()
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
        """Fill the gradients with those of the mean over all valid pixels of the batch, in all processes."""
        state = self.state
        state.optimizer.zero_grad(set_to_none=True)
        names = self.objective.data_names
        sums = torch.zeros(len(names) + 2, dtype=torch.float64)
        for windows in _groups(list(own_share(self.sampler.windows(step)))):
            sums[:-1] += self._accumulate([self.store.tile(window) for window in windows])
        sums[-1] = float(stop.requested)
        gradients = [_gradient_of(parameter) for parameter in state.texture.parameters()]
        sum_over_processes([*gradients, sums])
        stop.requested = bool(sums[-1] > 0)
        weight = max(float(sums[-2]), 1e-12)
        for gradient in gradients:
            gradient.div_(weight)
        terms = {name: float(value) / weight for name, value in zip(names, sums, strict=False)}
        extra = self.objective.texture_terms(state.texture)
        if extra:
            self.objective.total(extra).backward()
        terms |= {name: float(value.detach()) for name, value in extra.items()}
        return terms, sum(getattr(self.config.loss, name) * value for name, value in terms.items())

    def _accumulate(self, tiles: list[Tile]) -> Tensor:
        """Back-propagate the sum over valid pixels of every loss; returns those sums and the number of pixels.

        All windows are sampled, and their gradients splatted into the texture, at once; losses run window by window, so
        that the activations of one window only are in memory.
        """
        uv = torch.cat([tile.uv.reshape(-1, 2) for tile in tiles])
        joined = replace(tiles[0], uv=uv, footprint=torch.cat([tile.footprint.reshape(-1) for tile in tiles]))
        colors = self.render(joined)
        leaf = colors.detach().requires_grad_()
        sums = torch.zeros(len(self.objective.data_names) + 1, dtype=torch.float64)
        for tile, part in zip(tiles, leaf.split([tile.weight.numel() for tile in tiles]), strict=True):
            weight = tile.weight.sum()
            if not weight:
                continue
            render = self.state.colors.to_photo(part.reshape(tile.image.shape), tile.view)
            terms = self.objective.data_terms(render, tile)
            (self.objective.total(terms) * weight).backward()
            values = torch.stack([terms[name].detach() for name in self.objective.data_names])
            sums += torch.cat([values * weight, weight[None]]).cpu()
        if leaf.grad is not None:
            colors.backward(leaf.grad)
        return sums

    def _bad_gradient(self) -> str:
        sums = [parameter.grad.sum() for parameter in self.state.texture.parameters() if parameter.grad is not None]
        return "" if all(bool(torch.isfinite(value)) for value in sums) else "a gradient became NaN or infinite"

    def _report(self, done: int, loop: LoopConfig) -> None:
        last = done == loop.steps
        if is_main() and self._held_out and (last or (loop.val_every and done % loop.val_every == 0)):
            scores, image = held_out_scores(self._held_out, self.config.pixels, self.render, self.device)
            self.monitor.scalars(done, scores)
            if image is not None:
                self.monitor.picture(done, "val/render", image)
        if last or (loop.image_every and done % loop.image_every == 0):
            self.monitor.picture(done, "texture", self.state.texture.bake())


def _gradient_of(parameter: Tensor) -> Tensor:
    """Return the gradient of a parameter; zeros if this process saw no window."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def _groups(windows: list[Window]) -> list[list[Window]]:
    """Split windows into groups of at most :data:`GROUP_PIXELS` (at least one window each)."""
    groups: list[list[Window]] = []
    used = GROUP_PIXELS
    for window in windows:
        pixels = window.height * window.width
        if used + pixels > GROUP_PIXELS:
            groups.append([])
            used = 0
        groups[-1].append(window)
        used += pixels
    return groups
