"""Object file format of Geomview: OFF, COFF, NOFF and the STOFF of NeuralTexGen (per-vertex uv), text only.

Columns of a vertex: position, then normal (N), color (C: 3 or 4 values, 0-255 or 0-1), texture coordinates (ST).
"""

import re
from pathlib import Path

import numpy as np

from neuraltex.core.errors import DataError
from neuraltex.core.files import write_text
from neuraltex.geometry.mesh import Mesh, TexturedMesh
from neuraltex.io.polygons import HINT, fan, format_rows, line_starts, parse_numbers, split_seams, tokens_per_line


def read(path: Path) -> TexturedMesh:
    """Read any text OFF file.

    Raises:
        DataError: if the header or the counts do not fit the content.
    """
    text = path.read_bytes()
    if b"#" in text:
        text = re.sub(rb"#[^\n]*", b"", text)
    header = re.match(rb"\s*(ST)?(C)?(N)?OFF\s+(\d+)\s+(\d+)(?:[ \t]+\d+)?", text)
    if header is None:
        raise DataError(
            f"{path} does not start with OFF, COFF, NOFF or STOFF and two counts",
            hint="Only text OFF files in 3D are supported",
        )
    has_uv, has_color, has_normal = (header[group] is not None for group in (1, 2, 3))
    num_vertices, num_polygons = int(header[4]), int(header[5])
    rows, counts = _body(path, text[header.end() :], num_vertices, num_polygons)
    least = 3 + 3 * has_normal + 3 * has_color + 2 * has_uv
    width = int(counts[0]) if num_vertices else least
    if width < least or (counts[:num_vertices] != width).any():
        raise DataError(f"{path}: a vertex line does not hold the {max(width, least)} numbers it should", hint=HINT)
    table = rows[: num_vertices * width].reshape(num_vertices, width)
    faces = _faces(path, rows[num_vertices * width :], counts[num_vertices:])
    mesh = Mesh(table[:, :3], faces)
    if has_uv:
        mesh = mesh.with_uv(table[:, -2:], faces)
    return TexturedMesh(mesh, vertex_colors=_colors(table[:, 3 + 3 * has_normal :][:, :3]) if has_color else None)


def write(path: Path, mesh: Mesh, *, uv: bool = False) -> Path:
    """Write OFF, or STOFF with per-vertex uv (a vertex on a seam is repeated; order of faces is kept).

    Raises:
        DataError: if ``uv`` is asked for and the mesh has none.
    """
    if not uv:
        head = f"OFF\n{len(mesh.vertices)} {mesh.num_faces} 0\n"
        return write_text(path, head + format_rows("%.10g %.10g %.10g\n", mesh.vertices) + _face_text(mesh.faces))
    positions, uvs, faces, _ = split_seams(mesh)
    table = np.concatenate([positions, uvs], axis=1)
    head = f"STOFF\n{len(table)} {mesh.num_faces} 0\n"
    body = format_rows("%.10g %.10g %.10g %.10g %.10g\n", table)
    return write_text(path, head + body + _face_text(faces))


def _face_text(faces: np.ndarray) -> str:
    return format_rows("3 %d %d %d\n", faces)


def _body(path: Path, text: bytes, num_vertices: int, num_polygons: int) -> tuple[np.ndarray, np.ndarray]:
    """Return all numbers and how many stand on each non-empty line, cut to the lines the header announces."""
    counts = tokens_per_line(text)
    full = np.flatnonzero(counts)
    wanted = num_vertices + num_polygons
    if len(full) < wanted:
        raise DataError(f"{path} promises {wanted} lines of vertices and faces but holds {len(full)}", hint=HINT)
    if len(full) > wanted:
        text = text[: line_starts(text)[full[wanted]]]
    return parse_numbers(text, path, "the body"), counts[full[:wanted]]


def _faces(path: Path, rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Gather the corners of every face line ``n i0 i1 ... [color]`` and fan them."""
    starts = np.cumsum(counts) - counts
    sizes = rows[starts].astype(np.int64)
    if (sizes < 0).any() or (sizes + 1 > counts).any():
        raise DataError(f"{path}: a face announces more corners than its line holds", hint=HINT)
    flat_start = np.cumsum(sizes) - sizes
    position = np.repeat(starts + 1 - flat_start, sizes) + np.arange(sizes.sum())
    return rows[position].astype(np.int64)[fan(sizes)[0]]


def _colors(values: np.ndarray) -> np.ndarray:
    return values / 255 if values.max(initial=0) > 1 else values
