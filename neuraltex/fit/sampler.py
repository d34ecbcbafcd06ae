"""Which windows of which photographs a step sees; a pure function of the step, so that resuming needs no state."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class Window:
    """A rectangle of a photograph [px]."""

    view: int
    top: int
    left: int
    height: int
    width: int


class WindowSampler:
    """Deals windows in epochs; an epoch shows every part of every photograph once, in an order of its own.

    Windows tile a photograph on a grid that is shifted at random in every epoch and pushed inside at the borders, so
    that no pixel always lies at a window's edge.

    Args:
        sizes: Height and width of every photograph [px].
        batch: Windows per step; 0 means an epoch per step.
        crop: Side of a window [px]; 0 takes photographs whole.
        seed: Seed of order and shifts.
    """

    def __init__(self, sizes: Sequence[tuple[int, int]], batch: int, crop: int, seed: int) -> None:
        self._sizes, self._crop, self._seed = list(sizes), crop, seed
        self._cells = [
            (view, row, column)
            for view, (height, width) in enumerate(self._sizes)
            for row in range(_count(height, crop))
            for column in range(_count(width, crop))
        ]
        self.batch = batch or len(self._cells)
        self._epoch = lru_cache(maxsize=2)(self._deal)

    @property
    def windows_per_epoch(self) -> int:
        """Number of windows that cover everything once."""
        return len(self._cells)

    def windows(self, step: int) -> list[Window]:
        """Return the windows of a step."""
        first = step * self.batch
        return [self._epoch(i // len(self._cells))[i % len(self._cells)] for i in range(first, first + self.batch)]

    def _deal(self, epoch: int) -> list[Window]:
        generator = np.random.default_rng((self._seed, epoch))
        shifts = generator.random((len(self._sizes), 2)) - 0.5
        order = generator.permutation(len(self._cells))
        return [self._window(self._cells[i], shifts[self._cells[i][0]]) for i in order]

    def _window(self, cell: tuple[int, int, int], shift: np.ndarray) -> Window:
        view, row, column = cell
        height, width = self._sizes[view]
        top, tall = _place(height, self._crop, row, shift[0])
        left, wide = _place(width, self._crop, column, shift[1])
        return Window(view, top, left, tall, wide)


def _count(length: int, crop: int) -> int:
    return 1 if crop == 0 or crop >= length else -(-length // crop)


def _place(length: int, crop: int, index: int, shift: float) -> tuple[int, int]:
    if crop == 0 or crop >= length:
        return 0, length
    return int(np.clip(round((index + shift) * crop), 0, length - crop)), crop
