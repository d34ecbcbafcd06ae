"""Numbers in text files and polygons, vectorized: shared by the mesh readers."""

import warnings
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from neuraltex.core.errors import DataError
from neuraltex.geometry.mesh import Mesh

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
    size = rows.dtype.itemsize * rows.shape[1]
    keys = rows.view(np.uint64 if size == 8 else np.dtype((np.void, size))).ravel()  # integers sort much faster
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return rows[first], inverse.ravel()


def split_seams(
    mesh: Mesh,
) -> tuple[Float[np.ndarray, "S 3"], Float[np.ndarray, "S 2"], Int[np.ndarray, "F 3"], Int[np.ndarray, " S"]]:
    """Duplicate vertices along uv seams for formats with one uv per vertex.

    Returns:
        Positions [world], uvs (v up), faces in their old order, and the original vertex of each new one.

    Raises:
        DataError: if the mesh has no uvs.
    """
    if mesh.uvs is None or mesh.uv_faces is None:
        raise DataError("the mesh has no texture coordinates", hint="Unwrap it first: neuraltex prepare does")
    keys = mesh.faces * len(mesh.uvs) + mesh.uv_faces
    distinct, inverse = np.unique(keys.reshape(-1), return_inverse=True)
    vertex, uv = np.divmod(distinct, len(mesh.uvs))
    return mesh.vertices[vertex], mesh.uvs[uv], inverse.reshape(-1, 3), vertex


def format_rows(pattern: str, values: np.ndarray) -> str:
    """Format every row of a table with a ``%`` pattern; many times faster than a loop."""
    return (pattern * len(values)) % tuple(values.ravel().tolist())
