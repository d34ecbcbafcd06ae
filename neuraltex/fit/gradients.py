"""The gradients of one step: those of the mean over all valid pixels of the batch, in all processes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from neuraltex.fit.calibrate.exposure import ColorMatch
from neuraltex.fit.check import Render
from neuraltex.fit.data import ViewStore
from neuraltex.fit.distributed import own_share, sum_over_processes
from neuraltex.fit.objective import Objective
from neuraltex.fit.sampler import Window
from neuraltex.fit.tiles import Tile

GROUP_PIXELS = 4_000_000
"""Pixels whose samples are in memory at once [px]; a full batch is worked off in groups of whole windows."""


@dataclass(frozen=True)
class Job:
    """A window of a step, and the factor of its perceptual terms (0: it is spared them)."""

    window: Window
    perceptual: float


class BatchGradients:
    """Fills the gradients of a texture.

    Args:
        store: The photographs.
        objective: What to lower.
        num_perceptual: Windows per step with perceptual terms; 0 takes all.
    """

    def __init__(self, store: ViewStore, objective: Objective, num_perceptual: int) -> None:
        self._store, self._objective, self._num_perceptual = store, objective, num_perceptual

    def jobs(self, windows: Sequence[Window], *, perceptual: bool = True) -> list[Job]:
        """Give the perceptual terms, if any, to the first windows of a step, with the weight of those that go without.

        The order of windows is random, so every part of every photograph gets its turn.
        """
        count = (min(self._num_perceptual, len(windows)) or len(windows)) if perceptual else 0
        return [Job(window, len(windows) / count if index < count else 0.0) for index, window in enumerate(windows)]

    def __call__(
        self, jobs: Sequence[Job], render: Render, colors: ColorMatch, parameters: Sequence[Tensor], flag: bool
    ) -> tuple[dict[str, float], bool]:
        """Back-propagate the data terms of a step.

        Args:
            jobs: Windows of the step, of all processes.
            render: The texture as a window sees it.
            colors: How photographs see it.
            parameters: What receives gradients; they are set, not added to.
            flag: Something one process wants all to know.

        Returns:
            The unweighted terms, each a mean over valid pixels, and whether any process raised the flag.
        """
        names = self._objective.data_names
        sums = torch.zeros(len(names) + 2, dtype=torch.float64, device=self._store.device)
        for group in _groups(list(own_share(jobs))):
            sums[:-1] += self._accumulate(group, render, colors)
        sums[-1] = float(flag)
        gradients = [_gradient_of(parameter) for parameter in parameters]
        sum_over_processes([*gradients, sums])
        weight = max(float(sums[-2]), 1e-12)
        for gradient in gradients:
            gradient.div_(weight)
        terms = {name: value / weight for name, value in zip(names, sums.tolist(), strict=False)}
        return terms, bool(sums[-1] > 0)

    def _accumulate(self, jobs: list[Job], render: Render, colors: ColorMatch) -> Tensor:
        """Back-propagate the sum over valid pixels of every loss; returns those sums and the number of pixels.

        All windows are sampled, and their gradients splatted into the texture, at once; losses run window by window, so
        that the activations of one window only are in memory.
        """
        tiles = [self._store.tile(job.window) for job in jobs]
        rendered = render(_joined(tiles))
        leaf = rendered.detach().requires_grad_()
        sums = torch.zeros(len(self._objective.data_names) + 1, dtype=torch.float64, device=leaf.device)
        for job, tile, part in zip(jobs, tiles, leaf.split([tile.weight.numel() for tile in tiles]), strict=True):
            weight = tile.weight.sum()
            if not weight:
                continue
            image = colors.to_photo(part.reshape(tile.image.shape), tile.view, tile.radius2)
            terms = self._objective.data_terms(image, tile, job.perceptual)
            if terms:
                (self._objective.total(terms) * weight).backward()
            nothing = weight.new_zeros(())
            values = torch.stack([terms.get(name, nothing).detach() for name in self._objective.data_names])
            sums += torch.cat([values * weight, weight[None]])
        if leaf.grad is not None:
            rendered.backward(leaf.grad)
        return sums


def _joined(tiles: list[Tile]) -> Tile:
    """Return the places of all windows as one list of pixels [P]."""
    uv = torch.cat([tile.uv.reshape(-1, 2) for tile in tiles])
    return replace(tiles[0], uv=uv, footprint=torch.cat([tile.footprint.reshape(-1) for tile in tiles]))


def _gradient_of(parameter: Tensor) -> Tensor:
    """Return the gradient of a parameter; zeros if this process saw no window."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def _groups(jobs: list[Job]) -> list[list[Job]]:
    """Split the jobs into groups of at most :data:`GROUP_PIXELS` (at least one window each)."""
    groups: list[list[Job]] = []
    used = GROUP_PIXELS
    for job in jobs:
        pixels = job.window.height * job.window.width
        if used + pixels > GROUP_PIXELS:
            groups.append([])
            used = 0
        groups[-1].append(job)
        used += pixels
    return groups
