"""Shared by all benchmarks: what machine it was, how to time, where results go.

Run a benchmark as ``python benchmarks/NAME.py``; then ``from machine import ...`` finds this file.
"""

import datetime
import os
import platform
import subprocess
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from neuraltex.core.files import write_json

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
LIBRARIES = ("torch", "numpy", "embreex", "xatlas")


def data_dir() -> Path:
    """Folder of the real scenes: ``NEURALTEX_TEST_DATA``, else ``../shared/data`` beside the repository."""
    return Path(os.environ.get("NEURALTEX_TEST_DATA") or ROOT.parent / "shared" / "data")


def describe_machine() -> dict[str, Any]:
    """Return what a timing depends on; the load average tells how far to trust it."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "ram_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: _version(name) for name in LIBRARIES},
        "commit": _commit(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def measure(
    function: Callable[[], Any], *, repeats: int = 5, warmup: int = 1, setup: Callable[[], Any] | None = None
) -> dict[str, Any]:
    """Time a call.

    Args:
        function: What is timed.
        repeats: Number of timed calls.
        warmup: Calls before them that do not count.
        setup: Called before every call, not timed.

    Returns:
        ``seconds`` (median), ``iqr`` (distance of the quartiles) and ``best``, all [s], and ``repeats``.
    """
    seconds = []
    for index in range(warmup + repeats):
        if setup is not None:
            setup()
        start = time.perf_counter()
        function()
        if index >= warmup:
            seconds.append(time.perf_counter() - start)
    low, median, high = np.percentile(seconds, (25, 50, 75))
    return {
        "seconds": round(float(median), 6),
        "iqr": round(float(high - low), 6),
        "best": round(min(seconds), 6),
        "repeats": repeats,
    }


def write_result(name: str, payload: dict[str, Any], path: Path | None = None) -> Path:
    """Write ``results/NAME.json`` (or ``path``): the machine first, then ``payload`` of plain JSON values."""
    return write_json(path or RESULTS / f"{name}.json", {"benchmark": name, "machine": describe_machine(), **payload})


def _cpu_name() -> str:
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return names[0] if names else platform.processor()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str:
    git = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return git.stdout.strip() or "unknown"
