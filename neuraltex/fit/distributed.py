"""Data parallelism under torchrun: N processes take the steps that one would take."""

import contextlib
import mmap
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from jaxtyping import Float

from neuraltex.core.runtime import is_main, is_one_machine, rank, world_size

if TYPE_CHECKING:
    import torch
    from torch import Tensor

T = TypeVar("T")

SHARED_BYTES = 1 << 24
"""CPU tensors of at least this size are summed through so much memory that processes share; it fits into caches."""
SHARED_FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where files stay in memory; elsewhere the system decides."""


@contextlib.contextmanager
def process_group(device: "torch.device | str") -> Iterator[None]:
    """Join the other processes that torchrun started (NCCL on CUDA, else gloo); does nothing when alone."""
    if world_size() == 1 or _group() is not None:
        yield
        return
    import torch  # noqa: PLC0415
    import torch.distributed as dist  # noqa: PLC0415

    on_cuda = torch.device(device).type == "cuda"
    if on_cuda:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if on_cuda else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def own_share(items: Sequence[T]) -> Sequence[T]:
    """Return every ``world_size``-th item, starting with this process's rank."""
    return items if _group() is None else items[rank() :: world_size()]


def sum_arrays_over_processes(arrays: Iterable[np.ndarray]) -> None:
    """Add arrays over all processes, in place."""
    if _group() is not None:
        import torch  # noqa: PLC0415

        sum_over_processes(map(torch.from_numpy, arrays))


def sum_over_processes(tensors: "Iterable[Tensor]") -> None:
    """Add tensors over all processes, in place."""
    dist = _group()
    if dist is None:
        return
    for tensor in tensors:
        values = tensor.contiguous()  # gloo sums memory, whatever the strides
        is_large = values.nbytes >= SHARED_BYTES and values.device.type == "cpu"
        memory = _shared_memory() if is_large and is_one_machine() else None
        if memory is None:
            dist.all_reduce(values)
        else:
            _sum_through(memory, values.view(-1))
        if values is not tensor:
            tensor.copy_(values)


def _sum_through(memory: mmap.mmap, values: "Float[Tensor, ' N']") -> None:
    """Add values over processes through memory that they share, several times as fast as through a network.

    Every process writes a part of its values, waits for the others and adds all up. Parts go into two places by turns,
    so that nobody writes to where another one still reads.
    """
    import torch  # noqa: PLC0415

    count = len(memory) // (2 * world_size() * values.element_size())
    places = torch.frombuffer(memory, dtype=values.dtype)[: 2 * world_size() * count].view(2, world_size(), count)
    for index, part in enumerate(values.split(count)):
        place = places[index % 2, :, : len(part)]
        place[rank()] = part
        wait_for_all()
        torch.sum(place, 0, out=part)
    wait_for_all()


def _shared_memory() -> mmap.mmap | None:
    """Return memory that all processes of this machine share; ``None`` where there is too little of it.

    It lies in a file whose name is gone at once, so that nothing is left behind whatever happens.
    """
    with contextlib.ExitStack() as stack:
        name: list[str | None] = [None]
        if is_main():
            with contextlib.suppress(OSError):
                file = stack.enter_context(tempfile.NamedTemporaryFile(dir=SHARED_FOLDER))
                os.posix_fallocate(file.fileno(), 0, SHARED_BYTES)
                name = [file.name]
        _group().broadcast_object_list(name)
        if name[0] is None:
            return None
        with open(name[0], "r+b") as opened:
            memory = mmap.mmap(opened.fileno(), SHARED_BYTES)
        wait_for_all()
        return memory


def wait_for_all() -> None:
    """Go on when every process has come here."""
    dist = _group()
    if dist is not None:
        dist.barrier()


def _group() -> Any:
    """Return ``torch.distributed`` if processes have joined; who works alone need not wait until it is loaded."""
    dist = sys.modules.get("torch.distributed")
    return dist if dist is not None and dist.is_available() and dist.is_initialized() else None
