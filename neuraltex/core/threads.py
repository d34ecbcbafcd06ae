"""Plain threads for work that releases the interpreter's lock."""

import threading
from collections.abc import Callable

from neuraltex.core.runtime import cpu_threads


def run_threads(work: Callable[[int], None], threads: int) -> None:
    """Call ``work(0..threads-1)`` at once; plain threads, because a pool would not survive a fork of the process."""
    others = [threading.Thread(target=work, args=(index,)) for index in range(1, threads)]
    for thread in others:
        thread.start()
    work(0)
    for thread in others:
        thread.join()


def run_blocks(work: Callable[[int, int], None], count: int, per_block: int) -> None:
    """Call ``work(begin, end)`` on blocks that cover ``count`` items, at once on as many as there are threads."""
    begins = iter(range(0, count, max(1, per_block)))  # shared: whoever is free takes the next one

    def run(_: int) -> None:
        for begin in begins:
            work(begin, min(begin + max(1, per_block), count))

    run_threads(run, min(cpu_threads(), max(1, -(-count // max(1, per_block)))))


def block_size(count: int, least: int = 1, per_thread: int = 1) -> int:
    """Items per block that make ``per_thread`` blocks for every thread, but no smaller ones than ``least``."""
    return max(least, -(-count // (cpu_threads() * per_thread)))
