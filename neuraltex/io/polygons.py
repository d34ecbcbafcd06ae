"""Numbers in text files and polygons, vectorized: shared by the mesh readers."""

import warnings
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from neuraltex.core.errors import DataError

HINT = "Export the mesh again; the file may be truncated"


def parse_numbers(text: bytes, path: Path, where: str) -> Float[np.ndarray, " N"]:
    """Parse whitespace-separated numbers (nan and inf included) as float64.

    Raises:
        DataError: if anything in ``text`` is not a number; names the file and the section.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        try:
            return np.fromstring(text, np.float64, sep=" ") if text.strip() else np.empty(0)
        except (DeprecationWarning, ValueError) as error:
            raise DataError(f"{path}: {where} holds something that is not a number", hint=HINT) from error


def line_starts(text: bytes) -> Int[np.ndarray, " L"]:
    """Return the byte offset at which every line of ``text`` starts."""
    newlines = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")) + 1
    starts = np.concatenate([[0], newlines])
    return starts[starts < len(text)]


def token_starts(text: bytes) -> Int[np.ndarray, " T"]:
    """Return the byte offset of every whitespace-separated token."""
    blank = np.frombuffer(text, np.uint8) <= ord(" ")
    begins = ~blank
    begins[1:] &= blank[:-1]
    return np.flatnonzero(begins)


def tokens_per_line(text: bytes, tokens: Int[np.ndarray, " T"] | None = None) -> Int[np.ndarray, " L"]:
    """Count the tokens of every line."""
    tokens = token_starts(text) if tokens is None else tokens
    bounds = np.append(np.searchsorted(tokens, line_starts(text)), len(tokens))
    return np.diff(bounds)


def fan(sizes: Int[np.ndarray, " P"]) -> tuple[Int[np.ndarray, "T 3"], Int[np.ndarray, " T"]]:
    """Cut polygons whose corners are stored one after the other into triangles around their first corner.

    Args:
        sizes: Number of corners per polygon; below 3 the polygon vanishes.

    Returns:
        Positions into the flat list of corners, and the polygon each triangle came from.
    """
    sizes = np.asarray(sizes, np.int64)
    first = np.cumsum(sizes) - sizes
    count = np.maximum(sizes - 2, 0)
    polygon = np.repeat(np.arange(len(sizes)), count)
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    start = first[polygon]
    return np.stack([start, start + step + 1, start + step + 2], axis=1), polygon


def merge_equal(points: Float[np.ndarray, "N C"]) -> tuple[Float[np.ndarray, "U C"], Int[np.ndarray, " N"]]:
    """Merge bitwise equal rows; returns the distinct rows and, for every input row, which of them it is."""
    rows = np.ascontiguousarray(points + 0.0)  # -0.0 becomes 0.0
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return rows[first], inverse.ravel()


def split_seams(
    faces: Int[np.ndarray, "F 3"], uv_faces: Int[np.ndarray, "F 3"]
) -> tuple[Int[np.ndarray, " N"], Int[np.ndarray, " N"], Int[np.ndarray, "F 3"]]:
    """Number the distinct pairs of vertex and uv, for formats in which a vertex has one uv.

    Returns:
        The vertex and the uv of each pair, and the faces in terms of pairs (same order, same corners).
    """
    num_uvs = int(uv_faces.max()) + 1
    distinct, inverse = np.unique((faces * num_uvs + uv_faces).ravel(), return_inverse=True)
    return distinct // num_uvs, distinct % num_uvs, inverse.reshape(-1, 3)


def format_rows(pattern: str, values: np.ndarray) -> str:
    """Format every row of a table with a ``%`` pattern; many times faster than a loop."""
    return (pattern * len(values)) % tuple(values.ravel().tolist())
