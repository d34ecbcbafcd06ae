"""Plain threads for work that releases the interpreter's lock."""

import threading
from collections.abc import Callable

from neuraltex.core.runtime import cpu_threads


def run_threads(work: Callable[[int], None], threads: int) -> None:
    """Call ``work(0..threads-1)`` at once, and raise what one of them raised.

    Plain threads start in a tenth of the time of a pool, and a pool would not survive a fork of the process.
    """
    errors: list[BaseException] = []

    def run(index: int) -> None:
        try:
            work(index)
        except BaseException as error:  # raised again below, in the thread of the caller
            errors.append(error)

    others = [threading.Thread(target=run, args=(index,)) for index in range(1, threads)]
    for thread in others:
        thread.start()
    run(0)
    for thread in others:
        thread.join()
    if errors:
        raise errors[0]


def run_blocks(work: Callable[[int, int], None], count: int, per_block: int, threads: int = 0) -> None:
    """Call ``work(begin, end)`` on blocks that cover ``count`` items, at once on as many as there are threads.

    Args:
        work: What to do.
        count: Number of items.
        per_block: Items per block.
        threads: Threads to use; 0 is all there are.
    """
    begins = iter(range(0, count, max(1, per_block)))  # shared: whoever is free takes the next one

    def run(_: int) -> None:
        for begin in begins:
            work(begin, min(begin + max(1, per_block), count))

    run_threads(run, min(threads or cpu_threads(), max(1, -(-count // max(1, per_block)))))


def block_size(count: int, least: int = 1, per_thread: int = 1) -> int:
    """Items per block that make ``per_thread`` blocks for every thread, but no smaller ones than ``least``."""
    return max(least, -(-count // (cpu_threads() * per_thread)))
