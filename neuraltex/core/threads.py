"""Plain threads for work that releases the interpreter's lock."""

import threading
from collections.abc import Callable


def run_threads(work: Callable[[int], None], threads: int) -> None:
    """Call ``work(0..threads-1)`` at once; plain threads, because a pool would not survive a fork of the process."""
    others = [threading.Thread(target=work, args=(index,)) for index in range(1, threads)]
    for thread in others:
        thread.start()
    work(0)
    for thread in others:
        thread.join()
