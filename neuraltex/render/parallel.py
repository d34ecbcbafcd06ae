"""Work shared among threads; the work itself must release the GIL (numba, embree)."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from neuraltex.core.runtime import cpu_threads
from neuraltex.core.threads import run_blocks

T = TypeVar("T")
R = TypeVar("R")

_worker = threading.local()


def num_threads() -> int:
    """Threads that a call made here may use: one within a worker of :func:`map_threads`, which keeps all cores busy."""
    return 1 if getattr(_worker, "busy", False) else cpu_threads()


def for_row_blocks(work: Callable[[int, int], None], num_rows: int, rows_per_block: int = 0) -> None:
    """Call ``work(begin, end)`` on disjoint blocks that cover ``num_rows`` rows.

    Blocks are small enough (eight per thread by default) to even out the load.
    """
    threads = num_threads()
    run_blocks(work, num_rows, rows_per_block or -(-num_rows // (8 * threads)), threads)


def map_threads(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield ``work(item)`` in order, as many items at a time as there are threads; no more results wait than that."""
    threads = num_threads()
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads, initializer=_mark_worker) as pool:
        try:
            for item in items:
                if len(waiting) > threads:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(work, item))
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _mark_worker() -> None:
    _worker.busy = True
