"""Checkpoints of the gradient fit."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from neuraltex.fit.archive import latest_state, read_state, write_state

VERSION = 3


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything a fit needs to go on bit by bit; the order of the photographs follows from the step.

    Args:
        step: Steps done.
        model: ``state_dict`` of the texture.
        optimizer: ``state_dict`` of the optimizer.
        colors: Gain and bias of every photograph.
        seen: Sum of pixel weights of every texel.
        history: Logged so far.
        signature: What must be equal for the state to make sense (texture, scene, seed), as plain values.
        seconds: Time spent so far [s].
        best: The best state seen on the pixels kept out, if any are.
        anchor: What the texture is held to, if it is.
        prior: The prediction it leans on, if it does.
    """

    step: int
    model: dict[str, Any]
    optimizer: dict[str, Any]
    colors: dict[str, torch.Tensor]
    seen: torch.Tensor
    history: list[dict[str, float]]
    signature: dict[str, Any]
    seconds: float
    best: dict[str, Any] | None = None
    anchor: dict[str, torch.Tensor] | None = None
    prior: dict[str, torch.Tensor] | None = None


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write ``step-%09d.pt`` into a folder and remove all but the newest ones."""
    content = {item.name: getattr(checkpoint, item.name) for item in fields(Checkpoint)}
    return write_state(folder, checkpoint.step, content, VERSION)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        ResumeError: if the file is corrupt, holds anything else, or was written by another version.
    """
    return Checkpoint(**read_state(path, [item.name for item in fields(Checkpoint)], VERSION))


def latest_checkpoint(folder: Path) -> Checkpoint:
    """Read the newest checkpoint of a folder.

    Raises:
        ResumeError: if there is none, or it cannot be used.
    """
    return read_checkpoint(latest_state(folder))
