"""Data parallelism under torchrun: N processes take the steps that one would take."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from neuraltex.core.runtime import rank, world_size

T = TypeVar("T")


@contextlib.contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the other processes that torchrun started (NCCL on CUDA, else gloo); does nothing when alone."""
    if world_size() == 1 or dist.is_initialized():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def own_share(items: Sequence[T]) -> Sequence[T]:
    """Return every ``world_size``-th item, starting with this process's rank."""
    return items[rank() :: world_size()] if dist.is_initialized() else items


def sum_over_processes(tensors: Iterable[Tensor]) -> None:
    """Add tensors over all processes, in place."""
    if dist.is_initialized():
        for tensor in tensors:
            dist.all_reduce(tensor)


def wait_for_all() -> None:
    """Go on when every process has come here."""
    if dist.is_initialized():
        dist.barrier()
