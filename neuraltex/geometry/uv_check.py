"""Whether texture coordinates can carry a texture: overlaps, faces outside, flipped or without area."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from neuraltex.core.compiled import kernel
from neuraltex.core.threads import run_blocks
from neuraltex.geometry.charts import signed_areas
from neuraltex.geometry.mesh import Mesh

TOLERANCE = 1e-6
"""How far outside [0, 1] a uv may lie through rounding."""
ROWS_PER_BAND = 256
"""Rows of cells that are drawn at a time; so few that who owns them needs little memory."""


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
    found = np.zeros((2, len(corners)), np.bool_)
    scaled = np.ascontiguousarray(corners, np.float64) * resolution
    low, high = scaled[..., 1].min(1) - 1.5, scaled[..., 1].max(1) + 1.5

    def work(first: int, end: int) -> None:
        owner = np.full((end - first, resolution), -1, np.int32)
        touched = np.flatnonzero((low < end) & (high > first))  # and some that hardly miss it
        _draw(scaled, touched, owner, found, first)

    run_blocks(work, resolution, ROWS_PER_BAND)
    return found


@kernel
def _draw(corners, faces, owner, found, first_row):  # type: ignore[no-untyped-def]
    """Draw faces one after another into a band of rows.

    A point on an edge belongs to exactly one of the two faces that share the edge, as both evaluate it the same way.
    """
    for face in faces:
        ax, ay, bx, by = corners[face, 0, 0], corners[face, 0, 1], corners[face, 1, 0], corners[face, 1, 1]
        cx, cy = corners[face, 2, 0], corners[face, 2, 1]
        if (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) == 0:
            continue
        left = max(int(np.floor(min(ax, bx, cx) - 0.5)), 0)
        right = min(int(np.ceil(max(ax, bx, cx) + 0.5)), owner.shape[1])
        low = max(int(np.floor(min(ay, by, cy) - 0.5)) - first_row, 0)
        high = min(int(np.ceil(max(ay, by, cy) + 0.5)) - first_row, owner.shape[0])
        x0, y0, dx0, dy0, swap0 = _edge(ax, ay, bx, by)
        x1, y1, dx1, dy1, swap1 = _edge(bx, by, cx, cy)
        x2, y2, dx2, dy2, swap2 = _edge(cx, cy, ax, ay)
        for row in range(low, high):
            y = row + first_row + 0.5
            rise0, rise1, rise2 = dx0 * (y - y0), dx1 * (y - y1), dx2 * (y - y2)
            for column in range(left, right):
                x = column + 0.5
                side = (rise0 - dy0 * (x - x0) >= 0) != swap0
                if side != ((rise1 - dy1 * (x - x1) >= 0) != swap1):
                    continue
                if side != ((rise2 - dy2 * (x - x2) >= 0) != swap2):
                    continue
                if owner[row, column] >= 0:
                    found[0, owner[row, column]] = True
                    found[1, face] = True
                else:
                    owner[row, column] = face


@kernel
def _edge(ax, ay, bx, by):  # type: ignore[no-untyped-def]
    """Return the lower end and the direction of an edge, and whether its ends were swapped for that."""
    if (ax, ay) <= (bx, by):
        return ax, ay, bx - ax, by - ay, False
    return bx, by, ax - bx, ay - by, True
