"""Which faces of a chart lie upon others of the same chart, exactly."""

import numpy as np
from jaxtyping import Bool, Float, Int
from numba import njit

from neuraltex.core.compiled import kernel

TOLERANCE = 1e-9
"""Faces that penetrate each other by less than this share of the layout merely touch."""


def overlapping_in_chart(
    corners: Float[np.ndarray, "F 3 2"], label: Int[np.ndarray, " F"], rank: Float[np.ndarray, " F"]
) -> Bool[np.ndarray, " F"]:
    """Mark the face of higher rank of every pair that overlaps.

    Two triangles are disjoint if the line through an edge of one has the other on its far side (separating axes); pairs
    are found through a grid of about one face per cell.

    Args:
        corners: Faces in [0, 1]^2, counter-clockwise; charts may lie upon each other.
        label: Chart of every face; faces of different charts are not compared.
        rank: Who gives way: the higher, and of equals the later.
    """
    order = np.argsort(rank, kind="stable")
    cells = int(np.clip(np.sqrt(len(corners)), 1, 4096))
    upper = np.zeros(len(corners), np.bool_)
    upper[order] = _mark(np.ascontiguousarray(corners[order]), label[order], cells)
    return upper


def _mark(corners: Float[np.ndarray, "F 3 2"], label: Int[np.ndarray, " F"], cells: int) -> Bool[np.ndarray, " F"]:
    """Mark the later face of every pair that overlaps."""
    boxes = np.empty((len(corners), 4), np.int32)
    start = np.zeros(cells * cells + 1, np.int64)
    _count_faces(corners, cells, boxes, start)
    np.cumsum(start, out=start)
    upper = np.zeros(len(corners), np.bool_)
    _compare(corners, label, cells, boxes, start, start[:-1].copy(), np.empty(start[-1], np.int32), upper)
    return upper


@kernel
def _count_faces(corners, cells, boxes, start):  # type: ignore[no-untyped-def]
    """Write the cells that the box of each face touches, and count in ``start[1:]`` the boxes that touch each cell."""
    for face in range(len(corners)):
        for k in range(2):
            a, b, c = corners[face, 0, k], corners[face, 1, k], corners[face, 2, k]
            low, high = min(a, b, c) * cells, max(a, b, c) * cells
            boxes[face, k], boxes[face, 2 + k] = max(int(low), 0), min(int(high), cells - 1)
        for row in range(boxes[face, 1], boxes[face, 3] + 1):
            for column in range(boxes[face, 0], boxes[face, 2] + 1):
                start[row * cells + column + 1] += 1


@kernel
def _compare(corners, label, cells, boxes, start, filled, members, upper):  # type: ignore[no-untyped-def]
    """Compare every face with those before it that stay, cell by cell."""
    for face in range(len(corners)):
        for row in range(boxes[face, 1], boxes[face, 3] + 1):
            for column in range(boxes[face, 0], boxes[face, 2] + 1):
                cell = row * cells + column
                for index in range(start[cell], filled[cell]):
                    if upper[face]:
                        break
                    other = members[index]
                    upper[face] = label[other] == label[face] and _overlap(corners[other], corners[face])
                if not upper[face]:  # one that gives way is in nobody's way
                    members[filled[cell]] = face
                    filled[cell] += 1


@njit(cache=True, inline="always")
def _overlap(first: np.ndarray, second: np.ndarray) -> bool:
    return not (_separates(first, second) or _separates(second, first))


@njit(cache=True, inline="always")
def _separates(triangle: np.ndarray, other: np.ndarray) -> bool:
    """Whether some edge of a counter-clockwise triangle has all of the other on its right."""
    for k in range(3):
        x, y = triangle[k, 0], triangle[k, 1]
        dx, dy = triangle[(k + 1) % 3, 0] - x, triangle[(k + 1) % 3, 1] - y
        limit = TOLERANCE * np.sqrt(dx * dx + dy * dy)
        outside = True
        for corner in range(3):
            outside = outside and dx * (other[corner, 1] - y) - dy * (other[corner, 0] - x) <= limit
        if outside:
            return True
    return False
