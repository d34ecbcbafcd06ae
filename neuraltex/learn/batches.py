"""Batches of training samples, cut from arrays in memory."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from neuraltex.core.errors import DataError
from neuraltex.learn.nets.inputs import ARRAYS, Inputs, inputs_from_arrays

COLORS = ("color", "truth")
"""Arrays that color augmentation changes alike."""


class Samples(Protocol):
    """Training or test samples over one uv layout."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def arrays(self, index: int) -> Mapping[str, np.ndarray]:
        """Return one sample: the fields of a partial texture and ``truth`` [Ht, Wt, 3] in [0, 1]."""
        ...


class Batches:
    """Keeps samples in memory, a byte per number, and puts batches together.

    Args:
        samples: Where they come from.
        device: Where batches go.

    Raises:
        DataError: if there are no samples.
    """

    def __init__(self, samples: Samples, device: torch.device | str = "cpu") -> None:
        if not len(samples):
            raise DataError("there are no samples to learn from", source="--data", hint="Make more, or another split")
        self.device = device
        self._packed: dict[str, np.ndarray] = {}
        for index in range(len(samples)):
            arrays = samples.arrays(index)
            for name in (*ARRAYS, "truth"):
                packed = _pack(name, arrays[name])
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

    def draw(self, count: int, generator: torch.Generator, jitter: float) -> tuple[Inputs, Float[Tensor, "N 3 H W"]]:
        """Return a random batch with random colors.

        Args:
            count: Samples.
            generator: Decides which.
            jitter: Largest change of the gain of each channel; above 0.5 channels are shuffled, too.
        """
        index = torch.randint(len(self), (count,), generator=generator).numpy()
        inputs, truth = self.take(index)
        return _jitter(inputs, truth, generator, jitter) if jitter else (inputs, truth)

    def take(self, index: Int[np.ndarray, " N"] | Sequence[int]) -> tuple[Inputs, Float[Tensor, "N 3 H W"]]:
        """Return certain samples and their true textures."""
        arrays = {name: _unpack(name, self._packed[name][index]) for name in self._packed}
        truth = torch.from_numpy(arrays.pop("truth")).movedim(-1, 1).contiguous().to(self.device)
        return inputs_from_arrays(arrays, self.device), truth


def _jitter(
    inputs: Inputs, truth: Float[Tensor, "N 3 H W"], generator: torch.Generator, jitter: float
) -> tuple[Inputs, Tensor]:
    gain = 1 + jitter * (2 * torch.rand(len(truth), 3, 1, 1, generator=generator) - 1)
    order = torch.stack([torch.randperm(3, generator=generator) for _ in range(len(truth))])
    if jitter <= 0.5:
        order = torch.arange(3).expand_as(order)
    pick = order[:, :, None, None].to(truth.device)

    def change(color: Tensor) -> Tensor:
        return (color.gather(1, pick.expand_as(color)) * gain.to(color.device)).clamp(0, 1)

    return {**inputs, "color": change(inputs["color"])}, change(truth)


def _pack(name: str, values: np.ndarray) -> np.ndarray:
    if name in ("normals", "positions"):
        return np.round(np.clip(values, -1, 1) * 32767).astype(np.int16)
    return values.astype(np.uint8) if values.dtype == bool else np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)


def _unpack(name: str, values: np.ndarray) -> Float[np.ndarray, "N _ _ _"]:
    if name in ("direct", "mirrored", "inside"):
        return values.astype(np.float32)
    return values.astype(np.float32) / (32767 if name in ("normals", "positions") else 255)
