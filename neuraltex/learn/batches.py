"""Batches of training samples, cut from arrays in memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from neuraltex.core.errors import DataError
from neuraltex.learn.baselines import mean_texture
from neuraltex.learn.data.dataset import SampleSet
from neuraltex.learn.data.packed import pack, unpack
from neuraltex.learn.fused_batch import fuse_views
from neuraltex.learn.nets.inputs import ARRAYS, SHIFT, Inputs, inputs_from_arrays

_MIN_ARC = 30.0  # views at most so far to either side are always fused; random scenes reach up to 180 degrees


class Batches:
    """Keeps samples in memory, a byte per number, and puts batches together.

    Args:
        samples: Where they come from.
        device: Where batches go.
        first: Samples that are drawn; the others only join them when photographs are fused. All by default.

    Raises:
        DataError: if there are no samples.
    """

    def __init__(
        self,
        samples: SampleSet,
        device: torch.device | str = "cpu",
        first: Bool[np.ndarray, " N"] | None = None,
    ) -> None:
        self._first = np.arange(len(samples)) if first is None else np.flatnonzero(first)
        if not len(self._first):
            raise DataError("there are no samples to learn from", source="--data", hint="Make more, or another split")
        self.device = device
        self._packed: dict[str, np.ndarray] = {}
        self._subject = np.array([samples.subject(index) for index in range(len(samples))])
        self._azimuth = np.array([samples.azimuth(index) for index in range(len(samples))])
        for index in range(len(samples)):
            arrays = samples.arrays(index)
            wanted = {name: arrays[name] for name in (*ARRAYS, "truth", SHIFT) if name in arrays}
            if index and SHIFT not in wanted:  # known of some samples only
                self._packed.pop(SHIFT, None)
            for name, packed in pack(wanted).items():
                if index == 0:
                    self._packed[name] = np.empty((len(samples), *packed.shape), packed.dtype)
                if name in self._packed:
                    self._packed[name][index] = packed

    def __len__(self) -> int:
        return len(self._packed["truth"])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the textures [texel]."""
        height, width = self._packed["truth"].shape[1:3]
        return height, width

    def mean(self) -> Float[Tensor, "3 H W"]:
        """Return the mean of all true textures."""
        truths = (unpack({"truth": truth})["truth"] for truth in self._packed["truth"])
        return torch.from_numpy(mean_texture(truths)).movedim(-1, 0)

    def draw(
        self,
        count: int,
        generator: torch.Generator,
        jitter: float,
        *,
        pairs: bool = False,
        fusing: "Fusing | None" = None,
    ) -> tuple[Inputs, Float[Tensor, "N 3 H W"]]:
        """Return a random batch with random colors.

        Args:
            count: Samples.
            generator: Decides which.
            jitter: Largest change of the gain of each channel; above 0.5 channels are shuffled, too.
            pairs: Let the second half of the batch show the subjects of the first half, in the same colors.
            fusing: How many samples show several photographs.
        """
        half = count - count // 2 if pairs else count
        index = self._first[torch.randint(len(self._first), (half,), generator=generator).numpy()]
        if pairs:
            index = np.concatenate([index, self._others(index[: count // 2], generator)])
        inputs, truth = self.take(index)
        if fusing is not None:
            inputs = self._fuse(inputs, index, fusing, generator)
        if not jitter:
            return inputs, truth
        change = draw_change(half, generator, jitter, truth.device)
        if pairs:
            change = change[[*range(half), *range(count // 2)]]
        return {**inputs, "color": change(inputs["color"])}, change(truth)

    def _others(self, index: Int[np.ndarray, " N"], generator: torch.Generator) -> Int[np.ndarray, " N"]:
        """Return for every sample a random one of the same subject, another one where there is any."""
        found = []
        for own in index:
            same = self._first[self._subject[self._first] == self._subject[own]]
            same = same[same != own] if len(same) > 1 else same
            found.append(same[int(torch.randint(len(same), (1,), generator=generator))])
        return np.array(found, np.int64)

    def _fuse(
        self, inputs: Inputs, index: Int[np.ndarray, " N"], fusing: "Fusing", generator: torch.Generator
    ) -> Inputs:
        """Give some samples more photographs of their subjects; geometry stays that of the first."""
        chosen = (torch.rand(len(index), generator=generator) < fusing.share).nonzero()[:, 0]
        if not len(chosen):
            return inputs
        groups = [self._views(int(index[row]), fusing.views, generator) for row in chosen]
        owner = torch.repeat_interleave(torch.arange(len(groups)), torch.tensor([len(group) for group in groups]))
        views, _ = self.take(np.concatenate(groups))
        fused = fuse_views(views, owner.to(self.device), len(groups))
        places = chosen.to(self.device)
        changed = {name: inputs[name].index_copy(0, places, value) for name, value in fused.items()}
        if SHIFT in inputs:
            changed[SHIFT] = inputs[SHIFT].index_fill(0, places, torch.nan)
        return {**inputs, **changed}

    def _views(self, own: int, most: int, generator: torch.Generator) -> Int[np.ndarray, " M"]:
        """Return a sample and random others of its subject, two at least where there are so many.

        They come from a random part of the way around: some scenes are photographed from all sides, others from one.
        """
        others = np.flatnonzero(self._subject == self._subject[own])
        others = others[others != own]
        turned = np.abs((self._azimuth[others] - self._azimuth[own] + 180) % 360 - 180)
        near = turned <= _MIN_ARC + (180 - _MIN_ARC) * float(torch.rand((), generator=generator))
        others = others[near] if near.any() else others
        count = int(torch.randint(2, max(most, 2) + 1, (1,), generator=generator)) - 1
        picked = torch.randperm(len(others), generator=generator)[:count].numpy()
        return np.concatenate([[own], others[picked]]).astype(np.int64)

    def take(self, index: Int[np.ndarray, " N"] | Sequence[int]) -> tuple[Inputs, Float[Tensor, "N 3 H W"]]:
        """Return certain samples and their true textures."""
        arrays = unpack({name: values[index] for name, values in self._packed.items()})
        truth = torch.from_numpy(arrays.pop("truth")).movedim(-1, 1).contiguous().to(self.device)
        return inputs_from_arrays(arrays, self.device), truth


@dataclass(frozen=True)
class Fusing:
    """How many samples of a batch show several photographs of their subject.

    Args:
        share: Of the samples.
        views: Largest number of photographs; the number is drawn between 2 and this.
    """

    share: float
    views: int


@dataclass(frozen=True, eq=False)
class ColorChange:
    """An order of the channels and a gain of each, for every sample of a batch."""

    order: Int[Tensor, "N 3 1 1"]
    gain: Float[Tensor, "N 3 1 1"]

    def __getitem__(self, index: list[int]) -> "ColorChange":
        return ColorChange(self.order[index], self.gain[index])

    def __call__(self, color: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N 3 H W"]:
        """Change colors."""
        return (color.gather(1, self.order.expand_as(color)) * self.gain).clamp(0, 1)


def draw_change(count: int, generator: torch.Generator, jitter: float, device: torch.device | str) -> ColorChange:
    """Draw gains of up to ``1 + jitter`` for every channel; above 0.5 channels change places, too."""
    gain = 1 + jitter * (2 * torch.rand(count, 3, 1, 1, generator=generator) - 1)
    order = torch.stack([torch.randperm(3, generator=generator) for _ in range(count)])
    if jitter <= 0.5:
        order = torch.arange(3).expand_as(order)
    return ColorChange(order[:, :, None, None].to(device), gain.to(device))
