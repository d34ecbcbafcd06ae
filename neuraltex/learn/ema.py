"""A moving average of a network's weights, which predicts better than the last step's.

B. Polyak, A. Juditsky, "Acceleration of stochastic approximation by averaging", SIAM J. Control Optim. 1992, with
exponentially falling weights.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from neuraltex.core.errors import ResumeError


class Ema:
    """The average of a network's parameters and buffers over the steps.

    After n updates the decay is min(``decay``, (1 + n) / (10 + n)), so that the first weights are soon forgotten.
    Whole numbers among the buffers are copied.

    Args:
        network: The network that is trained, as it is now.
        decay: Share that the average keeps in each step, in the long run.
    """

    def __init__(self, network: nn.Module, decay: float = 0.999) -> None:
        self.network, self.decay, self.updates = network, decay, 0
        self.average = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the present weights in; call once after each step."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - decay)
            else:
                self.average[name].copy_(value)

    @contextmanager
    def swapped(self) -> Iterator[nn.Module]:
        """Give the network the average's weights within a block, and its own back after it, whatever happens."""
        own = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict(self.average)
        try:
            yield self.network
        finally:
            self.network.load_state_dict(own)

    def state_dict(self) -> dict[str, object]:
        """Return what :meth:`load_state_dict` needs."""
        return {"updates": self.updates, "average": self.average}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on from a saved average.

        Raises:
            ResumeError: if it is of another network.
        """
        average = state["average"]
        if not isinstance(average, Mapping) or not _fits(average, self.average):
            raise ResumeError("the moving average is of another network", hint="Resume with the settings of the run")
        for name, value in average.items():
            self.average[name].copy_(value)
        self.updates = int(state["updates"])  # type: ignore[call-overload]


def _fits(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> bool:
    return found.keys() == wanted.keys() and all(found[name].shape == wanted[name].shape for name in wanted)
