"""Work shared among plain threads."""

import threading

import pytest

from neuraltex.core.threads import run_blocks, run_threads


def test_blocks_cover_everything_once():
    for count, per_block, threads in ((10, 3, 2), (4, 4, 3), (7, 100, 2), (0, 5, 2), (5, 0, 2)):
        seen = []
        run_blocks(lambda begin, end, seen=seen: seen.extend(range(begin, end)), count, per_block, threads)
        assert sorted(seen) == list(range(count))


@pytest.mark.parametrize("bad", [0, 1])
def test_what_a_thread_raises_reaches_the_caller_when_all_have_ended(bad):
    done, started = [], threading.Barrier(3)

    def work(index):
        started.wait(10)
        if index == bad:
            raise ValueError(f"thread {index}")
        done.append(index)

    with pytest.raises(ValueError, match=f"thread {bad}"):
        run_threads(work, 3)
    assert sorted(done) == sorted({0, 1, 2} - {bad})
