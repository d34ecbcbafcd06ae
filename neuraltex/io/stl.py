"""STL, binary and text; equal corners are merged into shared vertices."""

import re
from pathlib import Path

import numpy as np

from neuraltex.core.errors import DataError
from neuraltex.core.files import atomic_path
from neuraltex.geometry.mesh import Mesh, TexturedMesh
from neuraltex.io.polygons import HINT, merge_equal, parse_numbers

RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
HEADER_BYTES = 84


def read(path: Path) -> TexturedMesh:
    """Read an STL file.

    Raises:
        DataError: if it is truncated or neither binary nor text STL.
    """
    data = path.read_bytes()
    count = int.from_bytes(data[80:HEADER_BYTES], "little")
    if len(data) >= HEADER_BYTES + count * RECORD.itemsize and len(data) > HEADER_BYTES and not _is_text(data):
        corners = np.frombuffer(data, RECORD, count, HEADER_BYTES)["corners"].astype(np.float64).reshape(-1, 3)
    elif _is_text(data):
        corners = _read_text(path, data)
    else:
        raise DataError(f"{path} promises {count} triangles but ends early", hint=HINT)
    vertices, faces = merge_equal(corners)
    return TexturedMesh(Mesh(vertices, faces.reshape(-1, 3)))


def write(path: Path, mesh: Mesh) -> Path:
    """Write binary STL (float32)."""
    records = np.zeros(mesh.num_faces, RECORD)
    records["normal"], records["corners"] = mesh.face_normals, mesh.corners
    with atomic_path(path) as temporary:
        temporary.write_bytes(bytes(80) + len(records).to_bytes(4, "little") + records.tobytes())
    return path


def _is_text(data: bytes) -> bool:
    """Some binary files start with 'solid' too; only text ones go on with 'facet' or 'endsolid'."""
    return data[:5] == b"solid" and (b"facet" in data[:1000] or b"endsolid" in data[:1000])


def _read_text(path: Path, data: bytes) -> np.ndarray:
    if b"endsolid" not in data[-1000:]:
        raise DataError(f"{path} ends before its endsolid line", hint=HINT)
    lines = re.findall(rb"^\s*vertex\s+([^\n]+)", data, re.MULTILINE)
    numbers = parse_numbers(b"\n".join(lines), path, "vertices")
    if len(numbers) != 3 * len(lines) or len(lines) % 3:
        raise DataError(f"{path}: a facet does not have three corners of three numbers", hint=HINT)
    return numbers.reshape(-1, 3)
