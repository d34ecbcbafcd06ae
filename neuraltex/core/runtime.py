"""Facts of the running process: logger, progress, memory, seeds, ranks, device.

The only module that reads the environment.
"""

import contextlib
import ctypes
import gc
import logging
import os
import random
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from neuraltex.core.errors import UsageError

T = TypeVar("T")

logger = logging.getLogger("neuraltex")

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
SMALLEST_MAPPED, LARGEST_KEPT = 1 << 20, 1 << 25  # [byte]; glibc starts at 128 KiB and ends at the second
GPU_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/nvmap", "/dev/kfd")
"""One of these exists where Linux has a driver that torch can use: NVIDIA's, on WSL, on Tegra, AMD's."""


def configure_logging(verbosity: int = 0) -> None:
    """Send log lines to stderr; ``verbosity`` -1 warns only, 0 informs, 1 debugs. ``NEURALTEX_LOG=DEBUG`` wins."""
    level = os.environ.get("NEURALTEX_LOG") or {-1: "WARNING", 0: "INFO"}.get(max(verbosity, -1), "DEBUG")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("[%(asctime)s %(name)s %(levelname)s] %(message)s", "%H:%M:%S"))
    logger.handlers[:] = [handler]
    logger.setLevel(level if rank() == 0 else "ERROR")
    logger.propagate = False


def progress(items: Iterable[T], *, total: int | None = None, label: str = "", unit: str = "it") -> Iterator[T]:
    """Iterate with one bar (rate and ETA) on stderr; without a TTY, one log line per tenth of the work."""
    total = len(items) if total is None and hasattr(items, "__len__") else total  # type: ignore[arg-type]
    if sys.stderr.isatty() and rank() == 0:
        from tqdm import tqdm  # noqa: PLC0415

        yield from tqdm(items, total=total, desc=label, unit=unit, leave=False)
        return
    start, step = time.monotonic(), max(1, (total or 10) // 10)
    for index, item in enumerate(items, 1):
        yield item
        if index % step == 0 or index == total:
            logger.info("%s %d/%s (%.1f s)", label, index, total or "?", time.monotonic() - start)


def collect_rarely() -> None:
    """Let Python look for cycles of references rarely: the modules of a run are many, and hardly any object is garbage.

    At the usual thresholds that takes two seconds of a fit that takes 15.
    """
    gc.set_threshold(100_000, 20, 100)


def peak_memory_gb() -> float:
    """Peak resident memory of this process so far [GB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def trim_memory() -> None:
    """Give freed memory back to the system, where the C library keeps it and can be asked to (glibc).

    Young cycles of references are freed first: compiling a kernel, in the first run ever, leaves some with arrays.
    """
    gc.collect(1)
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


@contextlib.contextmanager
def freeing_at_once() -> Iterator[None]:
    """Give large blocks back to the system as soon as they are freed (glibc).

    By itself the C library keeps ever larger ones for reuse, which is fast where the same ones are needed in every step
    and fills memory with holes where a few huge ones come and go. Afterwards it keeps as many as it ever would.
    """
    _set_malloc(SMALLEST_MAPPED)
    try:
        yield
    finally:
        trim_memory()
        _set_malloc(LARGEST_KEPT)


def _set_malloc(threshold: int) -> None:
    """Map blocks of this size [byte] and above, each by itself; keep at most twice as much free memory elsewhere."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            library = ctypes.CDLL(None)
            library.mallopt(M_MMAP_THRESHOLD, threshold)
            library.mallopt(M_TRIM_THRESHOLD, 2 * threshold)


@contextlib.contextmanager
def timed(label: str, sink: dict[str, float] | None = None) -> Iterator[None]:
    """Log how long a block took [s] and optionally add it to ``sink[label]``."""
    start = time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    logger.debug("%s took %.2f s", label, seconds)
    if sink is not None:
        sink[label] = sink.get(label, 0.0) + seconds


def cpu_threads() -> int:
    """Threads for work on the CPU: torch's own setting once torch is loaded, else ``OMP_NUM_THREADS`` or all cores."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return max(1, int(torch.get_num_threads()))
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(asked) if asked.isdigit() and int(asked) > 0 else len(os.sched_getaffinity(0))


def rank() -> int:
    """Index of this process under torchrun; 0 when alone."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """Number of processes under torchrun; 1 when alone."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_one_machine() -> bool:
    """Whether all processes that torchrun started run on this machine."""
    return os.environ.get("LOCAL_WORLD_SIZE") == str(world_size())


def is_main() -> bool:
    """Whether this process writes files and logs."""
    return rank() == 0


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch."""
    import numpy as np  # noqa: PLC0415
    import torch  # noqa: PLC0415

    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.manual_seed(seed)


def resolve_device(name: str) -> str:
    """Turn ``auto|cpu|cuda`` into the name of a torch device; under torchrun each local rank takes its own GPU.

    Raises:
        UsageError: if CUDA is asked for where torch finds none.
    """
    if name == "auto":
        name = "cuda" if _has_gpu_driver() and _has_cuda() else "cpu"
    elif name == "cuda" and not _has_cuda():
        raise UsageError("torch finds no CUDA device", source="--device cuda or --gpu", hint="Leave it out")
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if name == "cuda" else name


def _has_gpu_driver() -> bool:
    """Whether there may be a GPU, as far as can be told without torch, which takes a second to load."""
    return sys.platform != "linux" or any(map(os.path.exists, GPU_FILES))


def _has_cuda() -> bool:
    import torch  # noqa: PLC0415

    return bool(torch.cuda.is_available())


def multiplies_bfloat16(device: str) -> bool:
    """Whether a kind of device (``cpu``, ``cuda``) multiplies matrices of bfloat16 faster than those of float32."""
    import torch  # noqa: PLC0415

    if device != "cpu":
        return device == "cuda"
    known = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(ask() for ask in known if ask is not None)


def cache_dir() -> str:
    """Folder for downloaded weights: ``NEURALTEX_CACHE``, else ``~/.cache/neuraltex``."""
    return os.environ.get("NEURALTEX_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "neuraltex")
