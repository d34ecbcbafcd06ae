"""What every verb shares: common flags and the form of a result. Imports nothing heavy."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Optional

import tyro

Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]
"""A switch without a ``--no-`` twin."""

OptionalPath = Optional[Path]  # noqa: UP045  for ``Path | None`` tyro loads typeguard, a tenth of a second in every verb
"""A path that need not be given."""


@dataclass(frozen=True, kw_only=True)
class Common:
    """Flags that every verb understands."""

    overwrite: Flag = False
    """Replace results that are already in the output folder."""
    json: Flag = False
    """Print the result as JSON on stdout instead of a path."""
    verbose: Annotated[tyro.conf.UseCounterAction[int], tyro.conf.arg(aliases=["-v"])] = 0
    """Log more; may be repeated."""
    quiet: Annotated[Flag, tyro.conf.arg(aliases=["-q"])] = False
    """Log warnings only."""
    dry_run: Flag = False
    """Print the resolved configuration as YAML and stop."""


@dataclass(frozen=True)
class Result:
    """What a stage leaves.

    Args:
        path: The file or folder a user wants next; the last line on stdout.
        data: Plain JSON values: figures, warnings, further files.
        text: Printed on stdout before the path, for verbs whose result is a text.
        exit_code: What the process exits with.
    """

    path: Path | None
    data: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    exit_code: int = 0
