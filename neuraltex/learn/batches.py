"""Batches of training samples, cut from arrays in memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from neuraltex.core.errors import DataError
from neuraltex.learn.data.dataset import SampleSet
from neuraltex.learn.data.packed import pack, unpack
from neuraltex.learn.nets.inputs import ARRAYS, Inputs, inputs_from_arrays


class Batches:
    """Keeps samples in memory, a byte per number, and puts batches together.

    Args:
        samples: Where they come from.
        device: Where batches go.

    Raises:
        DataError: if there are no samples.
    """

    def __init__(self, samples: SampleSet, device: torch.device | str = "cpu") -> None:
        if not len(samples):
            raise DataError("there are no samples to learn from", source="--data", hint="Make more, or another split")
        self.device = device
        self._packed: dict[str, np.ndarray] = {}
        self._subject = np.array([samples.subject(index) for index in range(len(samples))])
        for index in range(len(samples)):
            arrays = samples.arrays(index)
            for name, packed in pack({name: arrays[name] for name in (*ARRAYS, "truth")}).items():
                if index == 0:
                    self._packed[name] = np.empty((len(samples), *packed.shape), packed.dtype)
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
        total = sum(truth.astype(np.float64) for truth in self._packed["truth"])
        return torch.from_numpy((total / (255 * len(self))).astype(np.float32)).movedim(-1, 0)

    def draw(
        self, count: int, generator: torch.Generator, jitter: float, *, pairs: bool = False
    ) -> tuple[Inputs, Float[Tensor, "N 3 H W"]]:
        """Return a random batch with random colors.

        Args:
            count: Samples.
            generator: Decides which.
            jitter: Largest change of the gain of each channel; above 0.5 channels are shuffled, too.
            pairs: Let the second half of the batch show the subjects of the first half, in the same colors.
        """
        half = count - count // 2 if pairs else count
        index = torch.randint(len(self), (half,), generator=generator).numpy()
        if pairs:
            index = np.concatenate([index, self._others(index[: count // 2], generator)])
        inputs, truth = self.take(index)
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
            same = np.flatnonzero(self._subject == self._subject[own])
            same = same[same != own] if len(same) > 1 else same
            found.append(same[int(torch.randint(len(same), (1,), generator=generator))])
        return np.array(found, np.int64)

    def take(self, index: Int[np.ndarray, " N"] | Sequence[int]) -> tuple[Inputs, Float[Tensor, "N 3 H W"]]:
        """Return certain samples and their true textures."""
        arrays = unpack({name: values[index] for name, values in self._packed.items()})
        truth = torch.from_numpy(arrays.pop("truth")).movedim(-1, 1).contiguous().to(self.device)
        return inputs_from_arrays(arrays, self.device), truth


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
