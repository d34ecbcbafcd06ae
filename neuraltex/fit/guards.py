"""What stops a fit early: the user, or numbers that went wrong."""

import contextlib
import math
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from neuraltex.core.runtime import logger

FIRST_LOSSES = 10
"""Losses that the growth of later ones is measured against."""


class StopRequest:
    """What the first Ctrl-C asks for; the second one interrupts at once.

    Attributes:
        requested: Set by the signal, at any time.
        agreed: Whether a process had been asked when the last step was taken; the same in all of them.
    """

    def __init__(self) -> None:
        self.requested = self.agreed = False

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Signal handler."""
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        logger.warning("interrupted: finishing this step and saving; press Ctrl-C again to stop at once")


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[StopRequest]:
    """Catch Ctrl-C in the main thread for the length of the block."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    previous = signal.signal(signal.SIGINT, request.handle)
    try:
        yield request
    finally:
        signal.signal(signal.SIGINT, previous)


class LossGuard:
    """Judges whether losses still make sense.

    Args:
        max_growth: Multiple of the largest of the first losses that counts as divergence; 0 never does.
    """

    def __init__(self, max_growth: float) -> None:
        self._max_growth, self._first = max_growth, [0.0]

    def verdict(self, loss: float) -> str:
        """Return what is wrong with a loss, or an empty string."""
        if not math.isfinite(loss):
            return f"the loss became {loss}"
        if len(self._first) <= FIRST_LOSSES:
            self._first.append(loss)
        elif self._max_growth > 0 and loss > self._max_growth * max(self._first) > 0:
            return f"the loss grew from {max(self._first):.4g} to {loss:.4g}"
        return ""
