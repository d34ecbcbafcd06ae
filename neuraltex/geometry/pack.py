"""Packing charts into one square texture with a gutter between them.

Charts are drawn into bitmaps, grown by half the gutter, and set one after another, largest first, at the lowest free
place in four rotations. Free places are found by jumping over occupied runs of a row, not cell by cell. The common
scale is found by repetition: pack, see how high the result stands, correct.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numba import njit
from scipy.spatial import ConvexHull, QhullError

from neuraltex.core.errors import DataError
from neuraltex.geometry.charts import Charts, signed_areas

CELLS = 1024
"""Least side of the grid charts are packed on; twice as many gain 2 % of utilization for ten times the time."""
ROUNDS = 4
FINER = 1.02
"""How much larger charts may be on the full grid than a search on half as many cells finds, as cells are rounded up."""


@dataclass(frozen=True, eq=False)
class _Shapes:
    """Charts sorted by size: triangles one after another [world], where those of each chart start, faces."""

    corners: Float[np.ndarray, "F 3 2"]
    start: Int[np.ndarray, " K+1"]
    faces: Int[np.ndarray, " F"]


def pack_charts(charts: Charts, texture_size: int, gutter: float) -> Charts:
    """Move, turn and scale all charts by one factor so that they fill [0, 1]^2.

    Args:
        charts: Flat pieces with one common scale, counter-clockwise.
        texture_size: Side of the texture the gutter is meant for [texel].
        gutter: Free distance between charts [texel]; half of it is kept to the border. It shrinks only where so many
            charts could not be placed otherwise.

    Returns:
        The same charts in [0, 1]^2.

    Raises:
        DataError: if there are too many charts for one texture.
    """
    if not charts.num_charts:
        return charts
    upright = _turn_upright(charts)
    shapes = _sort_shapes(upright)
    cells = max(CELLS, int(8 * np.sqrt(charts.num_charts)))
    # Half the texture may go into gutters, never more.
    gutter = min(gutter, texture_size * np.sqrt(0.5 / charts.num_charts))
    margin = gutter / 2 * cells / texture_size
    scale, _ = _search_scale(shapes, cells // 2, margin / 2, 0.0)
    scale, place = _search_scale(shapes, cells, margin, FINER * 2 * scale)
    order = upright.label[shapes.faces[shapes.start[:-1]]]
    offset, turn = np.zeros((charts.num_charts, 2)), np.zeros(charts.num_charts, np.int64)
    offset[order], turn[order] = place[:, :2], place[:, 2]
    uvs = _apply(upright, scale, offset, turn, margin) / cells
    return Charts(uvs, charts.uv_faces, charts.label)


def lay_out_in_rows(charts: Charts) -> Charts:
    """Put charts side by side in rows of [0, 1]^2, without turning them; quick and wasteful, but nothing collides."""
    low, high = np.full((charts.num_charts, 2), np.inf), np.full((charts.num_charts, 2), -np.inf)
    np.minimum.at(low, charts.uv_label, charts.uvs)
    np.maximum.at(high, charts.uv_label, charts.uvs)
    extent = (high - low) * 1.001 + 1e-12
    width = max(np.sqrt(extent.prod(1).sum()), extent[:, 0].max())
    offset, x, y, row_height = np.zeros_like(extent), 0.0, 0.0, 0.0
    for chart in np.argsort(-extent[:, 1], kind="stable"):
        if x + extent[chart, 0] > width:
            x, y, row_height = 0.0, y + row_height, 0.0
        offset[chart] = x, y
        x, row_height = x + extent[chart, 0], max(row_height, extent[chart, 1])
    uvs = (charts.uvs - low[charts.uv_label] + offset[charts.uv_label]) / max(width, y + row_height)
    return Charts(uvs, charts.uv_faces, charts.label)


def _search_scale(shapes: _Shapes, cells: int, margin: float, first: float) -> tuple[float, np.ndarray]:
    """Find the largest scale [cell / world] at which all fits, to about one percent; returns it and the places.

    The search starts at the scale ``first``, or at a guess where that is 0.
    """
    area = np.abs(signed_areas(shapes.corners)).sum()
    extent = np.array(
        [np.ptp(shapes.corners[a:b], axis=(0, 1)) for a, b in zip(shapes.start, shapes.start[1:], strict=False)]
    )
    upper = (cells - 2 * margin - 2) / max(extent.max(1).max(), 1e-300)
    scale = min(upper, first or _guess_scale(area, extent, cells, margin))
    best: tuple[float, np.ndarray] | None = None
    for attempt in range(ROUNDS * 4):
        place, height = _pack_at(shapes, scale, cells, margin)
        fits = height <= cells
        if fits and (best is None or scale > best[0]):
            best = (scale, place)
        if best is not None and (attempt + 1 >= ROUNDS or (height > 0.985 * cells and fits) or best[0] >= upper):
            break
        factor = float(np.sqrt(cells / height))
        wanted = scale * (factor * 0.995 if fits else min(factor, 0.98) * 0.995)
        scale = min(upper, wanted if best is None else max(wanted, best[0] * 1.01))
    if best is None:
        raise DataError(
            f"{len(extent)} charts do not fit into one texture", hint="Give a larger texture size or remove loose faces"
        )
    return best


def _guess_scale(area: float, extent: np.ndarray, cells: int, margin: float) -> float:
    """Solve area s^2 + (margin around every chart) s = 0.75 cells^2 for s."""
    a = max(area, 1e-300)
    b = 2 * (margin + 1) * extent.sum()
    c = 4 * (margin + 0.5) ** 2 * len(extent) - 0.75 * cells**2
    if c >= 0:  # more charts than the estimate has room for
        return float(np.sqrt(0.1 * cells**2 / a))
    return float((-b + np.sqrt(b * b - 4 * a * c)) / (2 * a))


def _turn_upright(charts: Charts) -> Charts:
    """Turn every chart so that its smallest bounding rectangle is upright and lower than wide; corner at the origin."""
    uvs = charts.uvs.copy()
    label = charts.uv_label
    order = np.argsort(label, kind="stable")
    for members in np.split(order, np.cumsum(np.bincount(label, minlength=charts.num_charts))[:-1]):
        points = uvs[members]
        points = points @ _upright_rotation(points)
        uvs[members] = points - points.min(0)
    return Charts(uvs, charts.uv_faces, charts.label)


def _upright_rotation(points: np.ndarray) -> np.ndarray:
    """Rotation (applied from the right) that minimizes the bounding rectangle; one of its sides lies on the hull."""
    try:
        hull = points[ConvexHull(points).vertices] if len(points) > 3 else points
    except QhullError:
        hull = points
    edges = np.roll(hull, -1, axis=0) - hull
    angle = np.arctan2(edges[:, 1], edges[:, 0])
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    width = np.ptp(c * hull[:, 0] + s * hull[:, 1], axis=1)
    height = np.ptp(c * hull[:, 1] - s * hull[:, 0], axis=1)
    best = int((width * height + 1e-9 * (width + height)).argmin())
    turn = angle[best] + (np.pi / 2 if height[best] > width[best] else 0)
    return np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])


def _sort_shapes(charts: Charts) -> _Shapes:
    extent = np.zeros((charts.num_charts, 2))
    np.maximum.at(extent, charts.uv_label, charts.uvs)
    rank = np.empty(charts.num_charts, np.int64)
    rank[np.argsort(-(extent.sum(1)), kind="stable")] = np.arange(charts.num_charts)
    faces = np.argsort(rank[charts.label], kind="stable")
    start = np.searchsorted(rank[charts.label][faces], np.arange(charts.num_charts + 1))
    return _Shapes(np.ascontiguousarray(charts.corners[faces]), start, faces)


def _apply(charts: Charts, scale: float, offset: np.ndarray, turn: np.ndarray, margin: float) -> np.ndarray:
    """Scale, turn by quarters inside the bitmap's rectangle as :func:`_pack_at` did, and move [cell]."""
    extent = np.zeros((charts.num_charts, 2))
    np.maximum.at(extent, charts.uv_label, charts.uvs)
    size = _bitmap_size(extent * scale, margin)[charts.uv_label]
    x, y = (charts.uvs * scale + margin).T
    quarter = turn[charts.uv_label]
    turned = np.stack([
        np.choose(quarter, [x, size[:, 1] - y, size[:, 0] - x, y]),
        np.choose(quarter, [y, x, size[:, 1] - y, size[:, 0] - x]),
    ], 1)  # fmt: skip
    return turned + offset[charts.uv_label]


def _bitmap_size(extent: np.ndarray, margin: float) -> np.ndarray:
    return np.ceil(extent + 2 * margin).astype(np.int64) + 1


def _pack_at(shapes: _Shapes, scale: float, cells: int, margin: float) -> tuple[np.ndarray, float]:
    """Place all charts at one scale; returns column, row and quarter turns of each and the height needed [cell]."""
    limit = cells * 5 // 4
    place = np.zeros((len(shapes.start) - 1, 3), np.int64)
    height = _pack(shapes.corners * scale, shapes.start, cells, limit, margin, place)
    return place, height


@njit(cache=True, nogil=True)
def _pack(corners: np.ndarray, start: np.ndarray, width: int, limit: int, margin: float, place: np.ndarray) -> float:
    # following[y, x]: first occupied column from x on; ending[y, x]: where the occupied run at x ends.
    following = np.full((limit, width + 1), width, np.int32)
    ending = np.zeros((limit, width + 1), np.int32)
    hint = np.zeros((64, 64), np.int32)  # where charts of about this height and width last found room
    top = 0
    for chart in range(len(start) - 1):
        bitmap = _rasterize(corners[start[chart] : start[chart + 1]], margin)
        best_top, best_x, best_y, best_turn = limit + 1, -1, -1, 0
        for turn in range(4):
            rows, columns = bitmap.shape
            high, wide = int(4 * np.log2(rows)), int(4 * np.log2(columns))
            lowest = hint[high, wide]
            runs = _runs(bitmap)
            x, y = _find(following, ending, runs, rows, columns, lowest, best_top, width, limit)
            if x >= 0:
                best_top, best_x, best_y, best_turn = y + rows, x, y, turn
            if x >= 0:
                hint[high, wide] = max(lowest, y - rows // 4)
            bitmap = np.ascontiguousarray(bitmap.T[:, ::-1])
        if best_x < 0:
            done = (start[chart + 1]) / len(corners)
            return limit * max(1.02, 1.0 + 0.5 * (1.0 - done))
        for _ in range(best_turn):
            bitmap = np.ascontiguousarray(bitmap.T[:, ::-1])
        _occupy(following, ending, bitmap, best_x, best_y, width)
        place[chart, 0], place[chart, 1], place[chart, 2] = best_x, best_y, best_turn
        top = max(top, best_top)
    return float(top)


@njit(cache=True)
def _rasterize(corners: np.ndarray, margin: float) -> np.ndarray:
    """Cells touched by triangles grown by ``margin``; the origin of the chart lies at (margin, margin)."""
    width = int(np.ceil(corners[:, :, 0].max() + 2 * margin)) + 1
    height = int(np.ceil(corners[:, :, 1].max() + 2 * margin)) + 1
    bitmap = np.zeros((height, width), np.bool_)
    edge, t = np.empty((3, 3)), np.empty((3, 2))
    for face in range(len(corners)):
        for k in range(3):
            t[k, 0], t[k, 1] = corners[face, k, 0] + margin, corners[face, k, 1] + margin
        for k in range(3):
            dx, dy = t[(k + 1) % 3, 0] - t[k, 0], t[(k + 1) % 3, 1] - t[k, 1]
            length = np.sqrt(dx * dx + dy * dy) + 1e-12
            edge[k, 0], edge[k, 1] = -dy / length, dx / length
            reach = margin + (abs(dx) + abs(dy)) / length / 2
            edge[k, 2] = edge[k, 0] * t[k, 0] + edge[k, 1] * t[k, 1] - reach
        left = max(int(np.floor(min(t[0, 0], t[1, 0], t[2, 0]) - margin)), 0)
        right = min(int(np.ceil(max(t[0, 0], t[1, 0], t[2, 0]) + margin)), width)
        low = max(int(np.floor(min(t[0, 1], t[1, 1], t[2, 1]) - margin)), 0)
        high = min(int(np.ceil(max(t[0, 1], t[1, 1], t[2, 1]) + margin)), height)
        for row in range(low, high):
            for column in range(left, right):
                if not bitmap[row, column]:
                    x, y = column + 0.5, row + 0.5
                    inside = True
                    for k in range(3):
                        inside = inside and edge[k, 0] * x + edge[k, 1] * y >= edge[k, 2]
                    if inside:
                        bitmap[row, column] = True
    return bitmap


@njit(cache=True)
def _runs(bitmap: np.ndarray) -> np.ndarray:
    """Occupied runs (row, first column, end), longest first, as those collide most often."""
    rows, columns = bitmap.shape
    found = np.empty((rows * (columns // 2 + 1), 3), np.int32)
    count = 0
    for row in range(rows):
        column = 0
        while column < columns:
            if bitmap[row, column]:
                first = column
                while column < columns and bitmap[row, column]:
                    column += 1
                found[count, 0], found[count, 1], found[count, 2] = row, first, column
                count += 1
            column += 1
    found = found[:count]
    return found[np.argsort(found[:, 1] - found[:, 2])]


@njit(cache=True)
def _find(
    following: np.ndarray,
    ending: np.ndarray,
    runs: np.ndarray,
    rows: int,
    columns: int,
    lowest: int,
    best_top: int,
    width: int,
    limit: int,
) -> tuple[int, int]:
    """Lowest, then leftmost free place whose top stays below ``best_top``; (-1, -1) if there is none."""
    for y in range(lowest, min(limit, best_top - 1) - rows + 1):
        x, passed, index = 0, 0, 0
        while x + columns <= width:
            row, first, end = y + runs[index, 0], x + runs[index, 1], x + runs[index, 2]
            occupied = following[row, first]
            if occupied < end:
                x = ending[row, occupied] - runs[index, 1]
                passed = 0
            else:
                passed += 1
                if passed == len(runs):
                    return x, y
                index = index + 1 if index + 1 < len(runs) else 0
    return -1, -1


@njit(cache=True)
def _occupy(following: np.ndarray, ending: np.ndarray, bitmap: np.ndarray, x: int, y: int, width: int) -> None:
    """Mark a chart as occupied and mend the jump tables of its rows."""
    for row in range(bitmap.shape[0]):
        near, far = following[y + row], ending[y + row]
        for column in range(bitmap.shape[1]):
            if bitmap[row, column]:
                near[x + column] = x + column
        next_occupied, run_end = width, width
        for column in range(width - 1, -1, -1):
            if near[column] == column:
                run_end = run_end if next_occupied == column + 1 else column + 1
                next_occupied = column
                far[column] = run_end
            near[column] = next_occupied
