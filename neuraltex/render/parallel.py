"""Rows of an image shared among threads; the work itself must release the GIL (numba, embree)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch


def for_row_blocks(work: Callable[[int, int], None], num_rows: int, rows_per_block: int = 0) -> None:
    """Call ``work(begin, end)`` on disjoint blocks that cover ``num_rows`` rows.

    Uses as many threads as torch does. Blocks are small enough (eight per thread by default) to even out the load.
    """
    threads = max(1, torch.get_num_threads())
    size = rows_per_block or max(1, -(-num_rows // (8 * threads)))
    blocks = [(begin, min(begin + size, num_rows)) for begin in range(0, num_rows, size)]
    if threads == 1 or len(blocks) == 1:
        for begin, end in blocks:
            work(begin, end)
        return
    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(work, begin, end) for begin, end in blocks]:
            future.result()
