"""Child process that runs xatlas on one block of faces at a time.

xatlas can neither report progress nor be interrupted, and it may crash on bad geometry; in a child it can be killed.
Messages on the pipes are little-endian: two int64 counts, then the two arrays.
"""

import os
import struct
import sys
from typing import IO

import numpy as np
from jaxtyping import Float, Int

HEADER = struct.Struct("<qq")
FACES_PER_CHART = 100
"""Blocks with larger charts than this on average are good enough at the first trial."""
TRIALS: tuple[dict[str, float], ...] = ({}, {"max_cost": 4.0, "normal_deviation_weight": 0.5}, {"max_cost": 4.0})
"""Charting costs to try, as changes of xatlas's defaults."""


def write_message(stream: IO[bytes], values: np.ndarray, indices: np.ndarray) -> None:
    """Send float32 ``values`` and int32 ``indices``; both arrive as flat arrays."""
    stream.write(HEADER.pack(values.size, indices.size))
    stream.write(np.ascontiguousarray(values, "<f4").tobytes())
    stream.write(np.ascontiguousarray(indices, "<i4").tobytes())
    stream.flush()


def read_message(stream: IO[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Receive what :func:`write_message` sent.

    Raises:
        EOFError: if the other side has gone.
    """
    num_values, num_indices = HEADER.unpack(_read_exactly(stream, HEADER.size))
    values = np.frombuffer(_read_exactly(stream, 4 * num_values), "<f4")
    return values, np.frombuffer(_read_exactly(stream, 4 * num_indices), "<i4")


def chart_block(
    vertices: Float[np.ndarray, "V 3"], faces: Int[np.ndarray, "F 3"]
) -> tuple[Float[np.ndarray, "U 2"], Int[np.ndarray, "F 4"]]:
    """Cut one block into charts and flatten them with xatlas.

    Where a chart cannot be flattened, xatlas shatters it into crumbs; other costs often need a tenth of the charts.
    So a block with suspiciously many is tried again and the fewest charts win.

    Args:
        vertices: Positions, scaled so that edges are about 1 long (xatlas drops faces below fixed areas).
        faces: Connectivity.

    Returns:
        uvs in arbitrary units; per face its three uv indices and its chart, -1 where xatlas dropped the face.
    """
    best = _run_xatlas(vertices, faces, TRIALS[0])
    for costs in TRIALS[1:]:
        if _num_pieces(best[1]) * FACES_PER_CHART <= len(faces):
            break
        best = min(best, _run_xatlas(vertices, faces, costs), key=lambda trial: _num_pieces(trial[1]))
    return best


def _num_pieces(rows: np.ndarray) -> int:
    return int(rows[:, 3].max() + 1 + (rows[:, 3] < 0).sum())


def _run_xatlas(vertices: np.ndarray, faces: np.ndarray, costs: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    import xatlas

    atlas = xatlas.Atlas()
    atlas.add_mesh(vertices.astype(np.float32), faces.astype(np.uint32))
    charting, packing = xatlas.ChartOptions(), xatlas.PackOptions()
    for name, value in costs.items():
        setattr(charting, name, value)
    packing.resolution = 256  # charts are packed again later, jointly; a small atlas costs next to nothing
    packing.padding = 0
    atlas.generate(charting, packing)
    _, uv_faces, uvs = atlas[0]
    chart = np.full(len(faces), -1)
    for index in range(atlas.get_mesh_chart_count(0)):
        chart[np.asarray(atlas.get_mesh_chart(0, index).faces)] = index
    return uvs * (atlas.width, atlas.height), np.column_stack([uv_faces.astype(np.int64), chart])


def serve() -> None:
    """Answer blocks from stdin on stdout until stdin ends; whatever xatlas prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            vertices, faces = read_message(sys.stdin.buffer)
        except EOFError:
            return
        write_message(answers, *chart_block(vertices.reshape(-1, 3), faces.reshape(-1, 3)))


def _read_exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise EOFError
    return data
