"""Charting blocks of faces with xatlas in child processes that may hang, crash or run out of time."""

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from neuraltex.core.errors import MissingDependency
from neuraltex.core.runtime import logger
from neuraltex.geometry.chart_worker import read_message, write_message
from neuraltex.geometry.charts import Charts, assemble, flatten_each

Block = tuple[Float[np.ndarray, "V 3"], Int[np.ndarray, "F 3"]]


def chart_blocks(blocks: Sequence[Block], *, seconds: float, workers: int) -> Iterator[tuple[int, Charts | None]]:
    """Chart every block, several at a time, and yield ``(index, charts)`` as they are done.

    Args:
        blocks: Positions and faces of each.
        seconds: Time for all blocks together [s].
        workers: Number of child processes.

    Yields:
        Index of the block and its charts; None where xatlas crashed or time ran out.

    Raises:
        MissingDependency: if xatlas is not installed.
    """
    if find_spec("xatlas") is None:
        raise MissingDependency("unwrapping needs xatlas, which is not installed", hint="Run: pip install xatlas")
    todo: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index in sorted(range(len(blocks)), key=lambda i: -len(blocks[i][1])):
        todo.put(index)
    done: queue.SimpleQueue[tuple[int, Charts | None]] = queue.SimpleQueue()
    team = [_Worker(blocks, todo, done, time.monotonic() + seconds) for _ in range(min(workers, len(blocks)))]
    try:
        for member in team:
            member.start()
        for _ in blocks:
            yield done.get()
    finally:
        for member in team:
            member.stop()


class _Worker(threading.Thread):
    """Feeds one child process until the queue is empty; a child that dies costs its block and is replaced."""

    def __init__(
        self, blocks: Sequence[Block], todo: queue.SimpleQueue, done: queue.SimpleQueue, deadline: float
    ) -> None:
        super().__init__(daemon=True)
        self.blocks, self.todo, self.done, self.deadline = blocks, todo, done, deadline
        self.child: subprocess.Popen[bytes] | None = None
        self.stopped = threading.Event()

    def run(self) -> None:
        while True:
            try:
                index = self.todo.get_nowait()
            except queue.Empty:
                self.stop()
                return
            charts = None
            try:
                charts = self._chart(*self.blocks[index])
            except (OSError, EOFError) as error:
                self._kill()
                if time.monotonic() < self.deadline:
                    logger.warning(
                        "xatlas failed on block %d of %d (%s)", index, len(self.blocks), error or "it crashed"
                    )
            finally:
                self.done.put((index, charts))

    def stop(self) -> None:
        """End the child; blocks that were not done come back as None."""
        self.stopped.set()
        self._kill()

    def _kill(self) -> None:
        child, self.child = self.child, None
        if child is not None:
            child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout):
                _close(stream)

    def _chart(self, vertices: np.ndarray, faces: np.ndarray) -> Charts | None:
        remaining = self.deadline - time.monotonic()
        if remaining <= 0 or self.stopped.is_set():
            return None
        child = self.child = self.child or _spawn()
        assert child.stdin is not None
        assert child.stdout is not None
        alarm = threading.Timer(remaining, child.kill)
        alarm.start()
        try:
            write_message(child.stdin, vertices, faces)
            uvs, rows = read_message(child.stdout)
        finally:
            alarm.cancel()
        rows = rows.reshape(-1, 4).astype(np.int64)
        return _from_reply(vertices, faces, uvs.reshape(-1, 2).astype(np.float64), rows)


def _spawn() -> "subprocess.Popen[bytes]":
    """Start a child that imports the worker from where this package lies, installed or not."""
    root = str(Path(__file__).resolve().parents[2])
    code = f"import sys; sys.path.insert(0, {root!r}); from neuraltex.geometry.chart_worker import serve; serve()"
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)


def _close(stream: object) -> None:
    try:
        stream.close()  # type: ignore[attr-defined]
    except BrokenPipeError:  # what was still buffered for a dead child is of no use
        logger.debug("a chart worker died with data in its pipe")


def _from_reply(vertices: np.ndarray, faces: np.ndarray, uvs: np.ndarray, rows: np.ndarray) -> Charts:
    """Turn the worker's answer into charts; faces that xatlas dropped become charts of their own."""
    uv_faces, label = rows[:, :3].copy(), rows[:, 3].copy()
    dropped = np.flatnonzero(label < 0)
    if len(dropped):
        single = flatten_each(vertices[faces[dropped]].astype(np.float64))
        uv_faces[dropped] = single.uv_faces + len(uvs)
        label[dropped] = label.max() + 1 + single.label
        uvs = np.concatenate([uvs, single.uvs])
    return assemble(uvs, uv_faces, label)
