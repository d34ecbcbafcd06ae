"""Markdown, as the pages need it."""

from collections.abc import Sequence
from typing import Any


def table(head: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"
