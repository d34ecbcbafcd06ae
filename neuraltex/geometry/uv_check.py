"""Whether texture coordinates can carry a texture: overlaps, faces outside, flipped or without area."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numba import njit

from neuraltex.core.compiled import kernel
from neuraltex.geometry.charts import signed_areas
from neuraltex.geometry.mesh import Mesh

TOLERANCE = 1e-6
"""How far outside [0, 1] a uv may lie through rounding."""


@dataclass(frozen=True)
class UvReport:
    """Counts of faces whose texture coordinates have a fault; a face may have several.

    Args:
        num_faces: Faces checked.
        overlaps: Faces that share a point of the texture with another one; of an overlapping pair both count.
        outside: Faces with a corner outside [0, 1]^2 or not finite.
        flipped: Faces that are clockwise in the texture, that is mirrored.
        zero_area: Faces with an area on the surface but none in the texture.
    """

    num_faces: int
    overlaps: int
    outside: int
    flipped: int
    zero_area: int

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not (self.overlaps or self.outside or self.flipped or self.zero_area)

    def __str__(self) -> str:
        """One line for a log."""
        names = {
            "overlaps": "overlapping",
            "outside": "outside [0, 1]",
            "flipped": "flipped",
            "zero_area": "without uv area",
        }
        found = [f"{getattr(self, key)} {name}" for key, name in names.items() if getattr(self, key)]
        return f"uv of {self.num_faces} faces: {', '.join(found) or 'no faults'}"


def check_uv(mesh: Mesh, *, resolution: int = 4096) -> UvReport:
    """Count the faults of a mesh's texture coordinates.

    Overlaps are found where the centers of a ``resolution``^2 grid fall into two faces; smaller overlaps may be
    missed. Shared edges never count, whatever the rounding, because both sides evaluate them in the same way.

    Raises:
        DataError: if the mesh has no texture coordinates.
    """
    corners = mesh.corner_uvs
    finite = np.isfinite(corners).all((1, 2))
    inside = finite & (corners >= -TOLERANCE).all((1, 2)) & (corners <= 1 + TOLERANCE).all((1, 2))
    area = np.where(finite, signed_areas(np.where(finite[:, None, None], corners, 0)), 0)
    return UvReport(
        num_faces=mesh.num_faces,
        overlaps=int(overlapping_faces(np.where(inside[:, None, None], corners, 0), resolution).any(0).sum()),
        outside=int((~inside).sum()),
        flipped=int((area < 0).sum()),
        zero_area=int(((area == 0) & finite & (mesh.face_areas > 0)).sum()),
    )


def overlapping_faces(corners: Float[np.ndarray, "F 3 2"], resolution: int) -> Bool[np.ndarray, "2 F"]:
    """Faces that cover a cell center another face covers: row 0 those that came first, row 1 those drawn upon them."""
    owner = np.full((resolution, resolution), -1, np.int32)
    found = np.zeros((2, len(corners)), np.bool_)
    scaled = np.ascontiguousarray(corners, np.float64) * resolution
    bands = np.linspace(0, resolution, (os.cpu_count() or 1) + 1).astype(int)
    with ThreadPoolExecutor(len(bands) - 1) as pool:
        list(pool.map(lambda first, end: _draw(scaled, owner, found, first, end), bands[:-1], bands[1:]))
    return found


@kernel
def _draw(corners: np.ndarray, owner: np.ndarray, found: np.ndarray, first_row: int, end_row: int) -> None:
    for face in range(len(corners)):
        ax, ay, bx, by = corners[face, 0, 0], corners[face, 0, 1], corners[face, 1, 0], corners[face, 1, 1]
        cx, cy = corners[face, 2, 0], corners[face, 2, 1]
        if (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) == 0:
            continue
        left, right = _cells(min(ax, bx, cx), max(ax, bx, cx), owner.shape[1])
        low, high = _cells(min(ay, by, cy), max(ay, by, cy), owner.shape[0])
        low, high = max(low, first_row), min(high, end_row)
        for row in range(low, high):
            for column in range(left, right):
                if _covers(corners, face, column + 0.5, row + 0.5):
                    if owner[row, column] >= 0:
                        found[0, owner[row, column]] = True
                        found[1, face] = True
                    else:
                        owner[row, column] = face


@njit(cache=True, inline="always")
def _cells(low: float, high: float, count: int) -> tuple:
    return max(int(np.floor(low - 0.5)), 0), min(int(np.ceil(high + 0.5)), count)


@kernel
def _covers(corners: np.ndarray, face: int, x: float, y: float) -> bool:
    """Whether a point lies inside; a point on an edge belongs to exactly one of the two faces that share the edge."""
    turns = 0
    for k in range(3):
        n = (k + 1) % 3
        ax, ay, bx, by = corners[face, k, 0], corners[face, k, 1], corners[face, n, 0], corners[face, n, 1]
        swap = (ax > bx) or (ax == bx and ay > by)
        if swap:
            ax, ay, bx, by = bx, by, ax, ay
        cross = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        turns += 1 if (cross >= 0) != swap else -1
    return turns in (3, -3)
