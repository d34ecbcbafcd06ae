"""Sums over processes."""

import os
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp

from neuraltex.fit import distributed
from neuraltex.fit.distributed import SHARED_BYTES, process_group, sum_over_processes

SIZE = SHARED_BYTES // 4 + 12_345
"""Float32 numbers that go through shared memory in several parts, the last of which is smaller."""


def _values(rank: int) -> torch.Tensor:
    return torch.rand(SIZE, generator=torch.Generator().manual_seed(rank))


def _sum(rank: int, folder: str, port: int, has_room: bool) -> None:
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    if not has_room:
        distributed.SHARED_FOLDER = f"{folder}/absent"
    small, large, strided = torch.full((3,), float(rank + 1)), _values(rank), _values(rank)[:SIZE:2]
    with process_group(torch.device("cpu")):
        sum_over_processes([small, large, strided])
    torch.save((small, large, strided), Path(folder) / f"{rank}.pt")


@pytest.mark.parametrize(("has_room", "port"), [(True, 29541), (False, 29542)])
def test_large_tensors_are_summed_with_and_without_shared_memory(tmp_path: Path, has_room: bool, port: int) -> None:
    mp.spawn(_sum, (str(tmp_path), port, has_room), 2)
    expected = _values(0) + _values(1)
    for rank in range(2):
        small, large, strided = torch.load(tmp_path / f"{rank}.pt")
        assert small.tolist() == [3.0, 3.0, 3.0]
        assert torch.equal(large, expected)
        assert torch.equal(strided, expected[::2])
