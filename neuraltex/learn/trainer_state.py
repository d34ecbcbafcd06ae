"""Everything that a training needs to go on bit by bit."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neuraltex.fit.archive import latest_state, read_state, write_state

VERSION = 1


@dataclass(frozen=True, eq=False)
class TrainerState:
    """The state of a training.

    Args:
        step: Steps done.
        networks: ``state_dict`` of each network that is trained, critics included, by name.
        optimizers: ``state_dict`` of each optimizer.
        averages: ``state_dict`` of each moving average (:class:`neuraltex.learn.ema.Ema`).
        generators: State of each random generator (:func:`generator_states`).
        history: Logged so far.
        signature: What must be equal for the state to make sense (networks, data, seed), as plain values.
        seconds: Time spent so far [s].
        best: Score, step and weights of the best state so far, if scores are taken.
    """

    step: int
    networks: dict[str, dict[str, Any]]
    optimizers: dict[str, dict[str, Any]]
    averages: dict[str, dict[str, Any]]
    generators: dict[str, Tensor]
    history: list[dict[str, float]]
    signature: dict[str, Any]
    seconds: float
    best: dict[str, Any] = field(default_factory=dict)


def write_trainer_state(folder: Path, state: TrainerState) -> Path:
    """Write a state into a folder, where the newest two stay."""
    return write_state(folder, state.step, {item.name: getattr(state, item.name) for item in fields(state)}, VERSION)


def read_trainer_state(path: Path) -> TrainerState:
    """Read a state.

    Raises:
        ResumeError: if the file is corrupt, holds more than tensors and plain values, or is of another version.
    """
    return TrainerState(**read_state(path, [item.name for item in fields(TrainerState)], VERSION))


def latest_trainer_state(folder: Path) -> TrainerState:
    """Read the newest state of a folder.

    Raises:
        ResumeError: if there is none, or it cannot be used.
    """
    return read_trainer_state(latest_state(folder))


def generator_states(**generators: torch.Generator) -> dict[str, Tensor]:
    """Return the states of torch's global generators and of others by name."""
    states = {"cpu": torch.get_rng_state()}
    states |= {f"cuda{index}": state for index, state in enumerate(_cuda_states())}
    return states | {f"own {name}": generator.get_state() for name, generator in generators.items()}


def restore_generators(states: dict[str, Tensor], **generators: torch.Generator) -> None:
    """Put generators into saved states; those of devices or names that are absent stay as they are."""
    torch.set_rng_state(states["cpu"])
    for index in range(len(_cuda_states())):
        if f"cuda{index}" in states:
            torch.cuda.set_rng_state(states[f"cuda{index}"], index)
    for name, generator in generators.items():
        if f"own {name}" in states:
            generator.set_state(states[f"own {name}"])


def _cuda_states() -> list[Tensor]:
    return torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else []
