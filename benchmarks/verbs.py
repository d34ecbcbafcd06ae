"""Run verbs of the program in processes of their own and say what they cost."""

import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_REPORT_PEAK = (
    "import resource, runpy, sys\n"
    "try: runpy.{call}(sys.argv.pop(1), run_name='__main__')\n"
    "finally: print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
)


def timed_verb(*arguments: str | Path, threads: int = 0) -> dict[str, Any]:
    """Run ``neuraltex ARGUMENTS``; see :func:`timed`."""
    return timed(_REPORT_PEAK.format(call="run_module"), ["neuraltex", *map(str, arguments)], threads)


def timed_script(script: Path, *arguments: str | Path) -> dict[str, Any]:
    """Run a Python script; see :func:`timed`."""
    return timed(_REPORT_PEAK.format(call="run_path"), [str(script), *map(str, arguments)])


def timed(code: str, arguments: Sequence[str], threads: int = 0) -> dict[str, Any]:
    """Run code in a new interpreter.

    Args:
        code: Prints ``peak KILOBYTES`` as its last line on stderr.
        arguments: What it finds in ``sys.argv[1:]``.
        threads: Limit of threads; 0 sets none.

    Returns:
        ``seconds`` of wall time, ``cpu_seconds`` of the process and its children, ``peak_gb`` of the process itself and
        ``load_average_before``.

    Raises:
        SystemExit: with the end of its log, if it fails.
    """
    load, used, start = os.getloadavg()[0], _cpu_of_children(), time.perf_counter()
    command = [sys.executable, "-c", code, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=limited(threads))
    seconds, cpu = time.perf_counter() - start, _cpu_of_children() - used
    if result.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{result.stderr[-4000:]}")
    memory = int(re.findall(r"^peak (\d+)$", result.stderr, re.M)[-1]) / 2**20
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "peak_gb": round(memory, 2),
        "load_average_before": round(load, 2),
    }


def limited(threads: int) -> dict[str, str]:
    """Return the environment with a limit of threads for all libraries; 0 changes nothing."""
    names = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS") if threads else ()
    return {**os.environ, **dict.fromkeys(names, str(threads))}


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
