"""Import and help time, beside their floor: starting the same Python and importing the same libraries.

Run: python benchmarks/startup.py
"""

import subprocess
import sys

from machine import measure, write_result

CASES = {
    "python_alone": ["-c", "pass"],
    "import_neuraltex": ["-c", "import neuraltex"],
    "import_tyro_and_numpy": ["-c", "import tyro, numpy"],
    "help": ["-m", "neuraltex", "--help"],
    "help_of_optimize": ["-m", "neuraltex", "optimize", "--help"],
    "help_of_prepare": ["-m", "neuraltex", "prepare", "--help"],
    "import_torch": ["-c", "import torch"],
}


def main() -> None:
    """Time every case in a fresh process and write the result."""
    timings = {
        name: measure(
            lambda arguments=arguments: subprocess.run([sys.executable, *arguments], capture_output=True, check=True),
            repeats=7,
        )
        for name, arguments in CASES.items()
    }
    print(write_result("startup", {"unit": "s", "target": {"help": 0.5}, "timings": timings}))


if __name__ == "__main__":
    main()
