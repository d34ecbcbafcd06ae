"""Looks at the pixels kept out of a fit, and the memory of the best state seen so far."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuraltex.config.schema import LossConfig
from neuraltex.fit.calibrate.exposure import ColorMatch
from neuraltex.fit.data import ViewStore
from neuraltex.fit.distributed import own_share, sum_over_processes
from neuraltex.fit.objective import Objective
from neuraltex.fit.sampler import Window, WindowSampler
from neuraltex.fit.tiles import Tile

MAX_WINDOWS = 16
"""Windows that the objective is evaluated on: a bounded effort however many photographs there are."""
WINDOW = 256
"""Side of these windows, after --loss.perceptual-reduce [px]."""
MAX_PIXELS = 100_000
"""Kept-out pixels of a photograph whose colors are compared; of more, an even selection."""
MIN_PIXELS = 100
"""Photographs with fewer of them are left out."""

Render = Callable[[Tile], Float[Tensor, "*B 3"]]


@dataclass(frozen=True)
class Look:
    """What was seen at one step: color-fitted PSNR [dB], and a distance from the photographs (less is better)."""

    psnr_fit: float
    distance: float


class KeptOutPixels:
    """The pixels kept out, in memory: colors of all photographs for the PSNR, and a few whole windows.

    Args:
        store: Views whose weights are 0 everywhere but on the pixels kept out; each is read once or twice.
        rest: The same views with the pixels of the fit. Networks see the render there too, or the borders of the blocks
            would be what they judge.
        config: What decides the size of the windows.
    """

    def __init__(self, store: ViewStore, rest: ViewStore, config: LossConfig) -> None:
        self._device, self._samples = store.device, list[Tile]()
        side = (config.perceptual_crop or WINDOW) * config.perceptual_reduce
        sampler = WindowSampler(store.sizes, 0, side, 0)
        grid: dict[int, list[Window]] = {}
        for window in sampler.windows(0):
            grid.setdefault(window.view, []).append(window)
        ranked: list[tuple[int, int, Window]] = []
        for index, data in store.stream():
            counts = [int((data.weight[_area(window)] > 0).sum()) for window in grid[index]]
            order = sorted(range(len(counts)), key=lambda i: -counts[i])
            ranked += [(rank, -counts[i], grid[index][i]) for rank, i in enumerate(order) if counts[i] >= MIN_PIXELS]
            tile = _thinned(store.cut(data, Window(index, 0, 0, *store.sizes[index])))
            if tile.weight.numel() >= MIN_PIXELS:
                self._samples.append(tile)
        chosen = [window for *_, window in sorted(ranked, key=lambda entry: entry[:2])[:MAX_WINDOWS]]
        chosen.sort(key=lambda window: window.view)
        self._windows = [store.tile(window) for window in chosen]
        self._shown = [tile.mask | rest.tile(window).mask for tile, window in zip(self._windows, chosen, strict=True)]

    @torch.no_grad()
    def look(self, render: Render, colors: ColorMatch, objective: Objective) -> Look:
        """Compare the texture as it is with the photographs; the same in all processes.

        The distance is LPIPS where it is part of the objective, else the objective itself.
        """
        sums = torch.zeros(4, dtype=torch.float64, device=self._device)
        for tile in own_share(self._samples):
            sums[0] += _fitted_psnr(render(tile), tile.image)
            sums[1] += 1
        for tile, shown in own_share(list(zip(self._windows, self._shown, strict=True))):
            image = colors.to_photo(render(tile), tile.view, tile.radius2)
            terms = objective.data_terms(image, tile, shown=shown)
            distance = terms["lpips"] if "lpips" in terms else objective.total(terms)
            pixels = tile.mask.sum()
            sums[2] += distance * pixels
            sums[3] += pixels
        sum_over_processes([sums])
        return Look(float(sums[0] / sums[1].clamp(min=1)), float(sums[2] / sums[3].clamp(min=1)))


@dataclass
class BestState:
    """Remembers the state with the least distance among those whose PSNR is not much below the start's.

    Args:
        patience: Looks without an improvement after which to stop.
        loss_db: How far below the start's PSNR a state may lie [dB].
        start_psnr: PSNR of the first state judged [dB].
        distance: Least distance so far.
        step: Where it was seen.
        misses: Looks since then.
        model: ``state_dict`` of the texture there.
        colors: How photographs saw it.
    """

    patience: int = 3
    loss_db: float = 0.1
    start_psnr: float = float("nan")
    distance: float = float("inf")
    step: int = -1
    misses: int = 0
    model: dict[str, Tensor] = field(default_factory=dict)
    colors: dict[str, Tensor] = field(default_factory=dict)

    def judge(self, step: int, look: Look, texture: nn.Module, colors: ColorMatch) -> None:
        """Keep a copy of the state if it is the best so far; the first one judged is the start."""
        if self.step < 0:
            self.start_psnr = look.psnr_fit
        if self.step < 0 or (look.distance < self.distance and look.psnr_fit >= self.start_psnr - self.loss_db):
            self.step, self.distance, self.misses = step, look.distance, 0
            self.model = {name: value.detach().clone() for name, value in texture.state_dict().items()}
            self.colors = colors.tensors()
        else:
            self.misses += 1

    @property
    def is_final(self) -> bool:
        """Whether patience is exhausted."""
        return self.misses >= self.patience

    def to_plain(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return dict(vars(self))

    @classmethod
    def from_plain(cls, plain: dict[str, Any], device: torch.device) -> "BestState":
        """Take over what a checkpoint kept."""
        moved = {name: {key: part.to(device) for key, part in plain[name].items()} for name in ("model", "colors")}
        return cls(**{**plain, **moved})


def _area(window: Window) -> tuple[slice, slice]:
    return slice(window.top, window.top + window.height), slice(window.left, window.left + window.width)


def _thinned(tile: Tile) -> Tile:
    """Return the pixels that count as a list [P], at most :data:`MAX_PIXELS` of them."""
    used = tile.mask
    stride = max(1, -(-int(used.sum()) // MAX_PIXELS))
    parts = (tile.image, tile.uv, tile.weight, tile.footprint)
    image, uv, weight, footprint = (part[used][::stride].contiguous() for part in parts)
    return replace(tile, image=image, uv=uv, weight=weight, footprint=footprint, radius2=None)


def _fitted_psnr(x: Float[Tensor, "P 3"], y: Float[Tensor, "P 3"]) -> float:
    """Return the PSNR [dB] after the least-squares gain and bias of every channel."""
    dx, dy = x.double() - x.double().mean(0), y.double() - y.double().mean(0)
    gain = (dx * dy).mean(0) / dx.square().mean(0).clamp(min=1e-12)
    return float(-10 * torch.log10((gain * dx - dy).square().mean().clamp(min=1e-12)))
