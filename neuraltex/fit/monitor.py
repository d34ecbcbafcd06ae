"""History, TensorBoard and held-out scores of a running fit."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from neuraltex.config.schema import PixelConfig
from neuraltex.core.conventions import chw_from_hwc
from neuraltex.core.runtime import is_main
from neuraltex.fit.calibrate.color_fit import robust_affine
from neuraltex.fit.data import ViewStore
from neuraltex.fit.tiles import Tile
from neuraltex.io.prepared import PreparedView

MAX_PICTURE = 1024
"""Longest side of a picture in TensorBoard [px]."""

Render = Callable[[Tile], Float[Tensor, "H W 3"]]


class Monitor:
    """Collects what happened; only the first process writes.

    Args:
        folder: TensorBoard folder; ``None`` keeps the history only.
        history: Entries of an earlier part of the run.
    """

    def __init__(self, folder: Path | None, history: Sequence[dict[str, float]] = ()) -> None:
        self.history = list(history)
        self._folder = folder if is_main() else None
        self._purge = int(self.history[-1]["step"]) + 1 if self.history else None

    @cached_property
    def _writer(self) -> Any:
        """TensorBoard's, made when there is something to write: a fit without steps has nothing."""
        if self._folder is None:
            return None
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415

        return SummaryWriter(str(self._folder), purge_step=self._purge)

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Log values by tag, e.g. ``train/loss/l1``, ``train/lr``, ``val/psnr``."""
        if self.history and self.history[-1]["step"] == step:
            self.history[-1].update(values)
        else:
            self.history.append({"step": step, **values})
        if self._writer is not None:
            for tag, value in values.items():
                self._writer.add_scalar(tag, value, step)

    def picture(self, step: int, tag: str, image: Float[Tensor, "H W 3"]) -> None:
        """Log a picture, thinned to :data:`MAX_PICTURE`."""
        if self._writer is not None:
            stride = max(1, -(-max(image.shape[:2]) // MAX_PICTURE))
            thin = image[::stride, ::stride].detach().clamp(0, 1).cpu()
            self._writer.add_image(tag, chw_from_hwc(thin), step)

    def close(self) -> None:
        """Flush everything to disk."""
        if self.__dict__.get("_writer") is not None:
            self._writer.close()


def held_out_scores(
    views: Sequence[PreparedView], pixels: PixelConfig, render: Render, device: torch.device
) -> tuple[dict[str, float], Tensor | None]:
    """Score held-out photographs: mean PSNR [dB], raw and after a per-photograph color fit, and the last render.

    A quick look at one sample per pixel and at trusted pixels only; ``neuraltex compare`` measures properly.
    """
    store = ViewStore(views, replace(pixels, outlier_regions=0), budget_gb=0, device=device)
    scores: dict[str, list[float]] = {"val/psnr": [], "val/psnr_fit": []}
    image = None
    for index in range(len(store)):
        tile = store.whole(index)
        if not tile.mask.any():
            continue
        with torch.no_grad():
            image = render(tile)
        x, y = image[tile.mask].clamp(0, 1), tile.image[tile.mask]
        ones = np.ones(len(x), np.float32)
        fitted = robust_affine(x.cpu().numpy(), y.cpu().numpy(), ones, with_bias=True)
        gain, bias = map(x.new_tensor, fitted)
        scores["val/psnr"].append(_psnr(x, y))
        scores["val/psnr_fit"].append(_psnr((gain * x + bias).clamp(0, 1), y))
    return {tag: sum(values) / len(values) for tag, values in scores.items() if values}, image


def _psnr(x: Tensor, y: Tensor) -> float:
    return float(-10 * torch.log10((x - y).square().mean().clamp(min=1e-12)))
