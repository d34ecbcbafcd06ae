"""Texels that no photograph shows: which lie in a chart, the gutter around charts, and filling the rest.

Works on NumPy arrays on the host; row 0 of every array is v = 1.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8

from neuraltex.core.conventions import texel_from_uv
from neuraltex.core.errors import ShapeError
from neuraltex.core.runtime import cpu_threads
from neuraltex.core.threads import block_size, run_blocks, run_threads
from neuraltex.geometry.charts import chart_components
from neuraltex.geometry.mesh import Mesh
from neuraltex.texture import fill_kernels

_SMOOTHING_SWEEPS = 8  # relaxation steps per pyramid level; enough to hide the grid of the level below
_TEXELS_PER_THREAD = 1 << 16  # below this, starting a thread costs more than it saves
_ROWS_PER_STEP = 128  # rows that a group of sweeps is ahead of the next one


def rasterize_charts(mesh: Mesh, size: int | tuple[int, int]) -> Bool[np.ndarray, "Ht Wt"]:
    """Return which texels have their center in a chart, borders included, whatever the orientation of the face.

    The sign of an edge is evaluated identically for both of its faces, so neighbors leave no gap.

    Args:
        mesh: Mesh with uvs; parts outside [0, 1] are cut off.
        size: Side of a square texture or (Ht, Wt).

    Raises:
        DataError: if the mesh has no uvs.
    """
    height, width = (size, size) if isinstance(size, int) else size
    inside = np.zeros((height, width), np.bool_)
    _mark(_texel_corners(mesh, height, width), np.ones(mesh.num_faces, np.bool_), inside)
    return inside


def number_charts(mesh: Mesh, size: tuple[int, int]) -> Int[np.ndarray, "Ht Wt"]:
    """Return the number of the chart that the center of each texel lies in, from 1; 0 where there is none (int32).

    Args:
        mesh: Mesh with uvs.
        size: (Ht, Wt).

    Raises:
        DataError: if the mesh has no uvs.
    """
    corners = _texel_corners(mesh, *size)
    assert mesh.uv_faces is not None
    assert mesh.uvs is not None
    number = np.zeros(size, np.int32)
    _mark(corners, chart_components(mesh.uv_faces, len(mesh.uvs)).astype(np.int32) + 1, number)
    return number


def number_faces(mesh: Mesh, size: tuple[int, int]) -> Int[np.ndarray, "Ht Wt"]:
    """Return the number of the face that the center of each texel lies in, from 1; 0 where there is none (int32).

    Args:
        mesh: Mesh with uvs.
        size: (Ht, Wt).

    Raises:
        DataError: if the mesh has no uvs.
    """
    number = np.zeros(size, np.int32)
    _mark(_texel_corners(mesh, *size), np.arange(1, mesh.num_faces + 1, dtype=np.int32), number)
    return number


def _texel_corners(mesh: Mesh, height: int, width: int) -> Float[np.ndarray, "F 3 2"]:
    return np.stack(texel_from_uv(mesh.corner_uvs, width, height), -1)


def _mark(corners: Float[np.ndarray, "F 3 2"], value: Shaped[np.ndarray, " F"], inside: np.ndarray) -> None:
    _for_rows(lambda begin, end: fill_kernels.mark_triangles(corners, value, inside, begin, end), inside.shape)


def _for_rows(work: Callable[[int, int], None], shape: tuple[int, ...]) -> None:
    """Call ``work(begin, end)`` on the rows of a texture in equal shares."""
    run_blocks(work, shape[0], _rows_per_block(shape))


def _rows_per_block(shape: tuple[int, ...]) -> int:
    return block_size(shape[0], _TEXELS_PER_THREAD // max(shape[1], 1))


def dilate(
    texture: Float[np.ndarray, "Ht Wt 3"], known: Bool[np.ndarray, "Ht Wt"], gutter_px: int, *, copy: bool = True
) -> tuple[Float[np.ndarray, "Ht Wt 3"], Bool[np.ndarray, "Ht Wt"]]:
    """Grow the known texels by ``gutter_px`` rings, each new texel the mean of its known 8-neighbors.

    Bilinear and mip-mapped viewers read beyond the border of a chart; the gutter is what they find there.
    ``copy=False`` works in place where it can.

    Returns:
        The texture with the gutter, and the known texels including it. Known texels keep their values exactly.
    """
    texture, known = _prepare(texture, copy), np.array(known, np.bool_, order="C")
    _check(texture, known)
    if gutter_px > 0:
        _grow(texture, known, gutter_px)
    return texture, known


def push_pull(
    texture: Float[np.ndarray, "Ht Wt 3"], known: Bool[np.ndarray, "Ht Wt"], *, copy: bool = True
) -> Float[np.ndarray, "Ht Wt 3"]:
    """Fill all unknown texels smoothly from the known ones, which keep their values exactly.

    Averages known texels into ever coarser levels and hands them back down (S. Gortler et al., "The Lumigraph",
    SIGGRAPH 1996), relaxing every level towards the membrane through the known texels, so that no grid shows.
    Without any known texel the texture is returned as it is. ``copy=False`` works in place where it can.
    """
    texture, known = _prepare(texture, copy), np.ascontiguousarray(known, np.bool_)
    _check(texture, known)
    if known.any() and not known.all():
        _fill(texture, known)
    return texture


def _prepare(texture: np.ndarray, copy: bool) -> np.ndarray:
    return np.array(texture, np.float32, order="C") if copy else np.ascontiguousarray(texture, np.float32)


def _check(texture: np.ndarray, known: np.ndarray) -> None:
    if texture.shape != (*known.shape, 3):
        raise ShapeError(f"texture has shape {texture.shape} but its mask {known.shape}")


def _grow(texture: np.ndarray, known: np.ndarray, rings: int) -> None:
    """Add rings of texels; one ring is averaged from the texels known before it, so order does not matter."""
    state = known.view(np.uint8)
    queue = np.empty(known.size - np.count_nonzero(known), np.int32)
    first, last = 0, _queue_border(state, queue)
    for ring in range(rings):
        _average(texture, state, queue[first:last])
        state.reshape(-1)[queue[first:last]] = fill_kernels.KNOWN
        if ring + 1 < rings:
            first, last = last, fill_kernels.queue_neighbors(state, queue, first, last)


def _queue_border(state: UInt8[np.ndarray, "Ht Wt"], queue: Int[np.ndarray, " Q"]) -> int:
    """Queue the unknown texels that have a known neighbor; returns how many there are."""
    rows = _rows_per_block(state.shape)
    blocks = [state[begin : begin + rows] for begin in range(0, len(state), rows)]
    room = np.cumsum([0, *(block.size - np.count_nonzero(block) for block in blocks)])
    count = [0] * len(blocks)

    def work(begin: int, end: int) -> None:
        block = begin // rows
        count[block] = fill_kernels.queue_border(state, begin, end, queue[room[block] :])

    run_blocks(work, len(state), rows)
    last = 0
    for first, number in zip(room, count, strict=False):
        queue[last : last + number] = queue[first : first + number]
        last += number
    return last


def _average(texture: np.ndarray, state: UInt8[np.ndarray, "Ht Wt"], ring: Int[np.ndarray, " Q"]) -> None:
    size = block_size(len(ring), _TEXELS_PER_THREAD // 8)
    run_blocks(lambda first, last: fill_kernels.average_known(texture, state, ring[first:last]), len(ring), size)


def _fill(texture: np.ndarray, known: np.ndarray) -> None:
    """Fill the unknown texels of one level in place, after all coarser ones."""
    if max(known.shape) > 1 and not known.all():
        coarse, coarse_known = _pull(texture, known)
        _fill(coarse, coarse_known)
        first, runs = _unknown_runs(known)
        _for_rows(lambda begin, end: fill_kernels.push(texture, first, runs, coarse, begin, end), known.shape)
        _relax(texture, first, runs)


def _pull(texture: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the level of half the size: means of the known texels of every 2x2 block, and where there are any."""
    height, width = (known.shape[0] + 1) // 2, (known.shape[1] + 1) // 2
    coarse, coarse_known = np.empty((height, width, 3), np.float32), np.empty((height, width), np.bool_)
    _for_rows(lambda begin, end: fill_kernels.pull(texture, known, coarse, coarse_known, begin, end), coarse.shape)
    return coarse, coarse_known


def _unknown_runs(known: Bool[np.ndarray, "Ht Wt"]) -> tuple[Int[np.ndarray, " Ht+1"], Int[np.ndarray, "R 2"]]:
    """Return where the unknown texels of each row start in a list of runs, and their first columns and ends."""
    first = np.zeros(len(known) + 1, np.int64)
    _for_rows(lambda begin, end: fill_kernels.count_runs(known, first[1:], begin, end), known.shape)
    np.cumsum(first, out=first)
    runs = np.empty((first[-1], 2), np.int32)
    _for_rows(lambda begin, end: fill_kernels.list_runs(known, first, runs, begin, end), known.shape)
    return first, runs


def _relax(texture: np.ndarray, first: Int[np.ndarray, " Ht+1"], runs: Int[np.ndarray, "R 2"]) -> None:
    """Relax the texels of the runs; a thread does some of the sweeps, rows behind the one that does those before."""
    height, width, _ = texture.shape
    threads = min(cpu_threads(), max(1, height * width // _TEXELS_PER_THREAD), _SMOOTHING_SWEEPS)
    steps = -(-(height + _SMOOTHING_SWEEPS - 1) // _ROWS_PER_STEP)
    for step in range(steps + threads - 1):

        def work(thread: int, step: int = step) -> None:
            begin = (step - thread) * _ROWS_PER_STEP
            sweeps = (_SMOOTHING_SWEEPS * index // threads for index in (thread, thread + 1))
            if 0 <= begin < steps * _ROWS_PER_STEP:
                fill_kernels.relax(texture, first, runs, begin, begin + _ROWS_PER_STEP, *sweeps)

        run_threads(work, threads)
