"""Colors on both sides of cut edges made equal in a finished texture, by a correction that fades into the charts.

Whatever made a texture - filling, gradient descent, bands that were joined - may leave steps where charts end. In a
strip along the cut edges the smallest smooth change ``d`` of the colors ``x`` is found under which both sides agree:
``min |grad d|^2 + (2 / width)^2 |d|^2 + STRENGTH |J (x + d)|^2`` with J the seam equations, d = 0 beyond the strip.
Source of the idea: local seam leveling of M. Waechter, N. Moehrle and M. Goesele, "Let There Be Color! Large-Scale
Texturing of 3D Reconstructions", ECCV 2014.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from neuraltex.core.compiled import kernel
from neuraltex.core.threads import block_size, run_blocks
from neuraltex.fit.direct.seams import SeamRows, seam_equations, subtract_normal
from neuraltex.geometry.mesh import Mesh

STRENGTH = 20.0
SWEEPS = 8
TEXELS_PER_THREAD = 50_000
HELD = 1e6
"""What keeps a texel from moving."""
OUTSIDE, BEYOND = -1, -2
"""Neighbors of a texel in the strip: outside of its chart, or in it and beyond the strip."""


def level_seams(
    texture: Float[np.ndarray, "Ht Wt 3"],
    charts: Bool[np.ndarray, "Ht Wt"],
    mesh: Mesh,
    width: int,
    seen: Bool[np.ndarray, "Ht Wt"] | None = None,
) -> Int[np.ndarray, " S"]:
    """Make both sides of cut edges agree, in place; returns the texels that lookups along them read, as flat indices.

    Args:
        texture: Float32, known in charts and one texel around them.
        charts: Texels whose center lies in a chart.
        mesh: Mesh with uvs.
        width: Width of the strip on either side [texel]; 0 changes nothing.
        seen: Texels that stay as they are where the other side of an edge is not seen; ``None`` moves both sides alike.

    Raises:
        DataError: if the mesh has no uvs.
    """
    seams = seam_equations(mesh, texture.shape[:2]) if width > 0 else None
    if seams is None or not len(seams):
        return np.zeros(0, np.int64)
    strip, neighbors, place = _strip(charts, seams.used, width)
    rows = place[seams.texels]
    flat = texture.reshape(-1, 3)
    screen = np.full(len(strip), (2 / width) ** 2, np.float32)
    if seen is not None:
        screen[place[_held(seams, seen.reshape(-1))]] = HELD
    _add(flat, strip, _solve(flat[seams.used], neighbors, rows, seams, screen))
    return seams.used


def _held(seams: SeamRows, seen: Bool[np.ndarray, " T"]) -> Int[np.ndarray, " H"]:
    """Return the seen texels that are read where one side of an edge is seen and the other is not."""
    is_seen = seen[seams.texels].reshape(-1, 2, 4).any(2)
    texels = np.unique(seams.texels[is_seen[:, 0] != is_seen[:, 1]])
    return texels[seen[texels]]


def _strip(
    charts: Bool[np.ndarray, "Ht Wt"], used: Int[np.ndarray, " S"], width: int
) -> tuple[Int[np.ndarray, " N"], Int[np.ndarray, "N 4"], Int[np.ndarray, " P"]]:
    """Return the texels of the strip, the places of their neighbors in it, and the place of every texel of the map.

    Those that seams read come first.
    """
    place = np.full(charts.size, OUTSIDE, np.int32)
    strip = np.empty(charts.size, np.int32)  # memory that is not written costs nothing
    strip[: len(used)] = used
    strip = strip[: _grow_strip(charts.reshape(-1), strip, len(used), place, width, charts.shape[1])].copy()
    neighbors = np.empty((len(strip), 4), np.int32)
    run_blocks(
        lambda first, last: _find_neighbors(charts.reshape(-1), strip, place, charts.shape[1], neighbors, first, last),
        len(strip),
        block_size(len(strip), TEXELS_PER_THREAD),
    )
    return strip, neighbors, place


def _solve(
    colors: Float[np.ndarray, "S 3"],
    neighbors: Int[np.ndarray, "N 4"],
    rows: Int[np.ndarray, "R 8"],
    seams: SeamRows,
    screen: Float[np.ndarray, " N"],
) -> Float[np.ndarray, "N 3"]:
    """Relax the change of the colors; seams are a majorizer, as in :mod:`neuraltex.fit.direct.seam_matrix`.

    ``colors`` are those that seams read.
    """
    strength = seams.strength * np.float32(STRENGTH)
    magnitude = np.abs(seams.weights)
    sums = (strength * magnitude.sum(1))[:, None] * magnitude
    majorant = np.bincount(rows.ravel(), sums.ravel(), len(colors)).astype(np.float32)
    change = np.zeros((len(neighbors), 3), np.float32)
    for sweep in range(SWEEPS):
        right = majorant[:, None] * change[: len(colors)]
        subtract_normal(rows, seams.weights, strength, colors + change[: len(colors)], right)
        _relax(neighbors, majorant, screen, right, change, sweep % 2 == 1)
    return change


@kernel
def _add(texture, strip, change):  # type: ignore[no-untyped-def]
    for k in range(len(strip)):
        for c in range(3):
            texture[strip[k], c] += change[k, c]


@kernel
def _grow_strip(charts, strip, count, place, width, columns):  # type: ignore[no-untyped-def]
    """Number the texels of a strip that begins with ``count``, and those up to ``width`` steps within charts away."""
    for k in range(count):
        place[strip[k]] = k
    first = 0
    for _ in range(width):
        last = count
        for k in range(first, last):
            column = strip[k] % columns
            for step, is_there in ((1, column + 1 < columns), (-1, column > 0), (columns, True), (-columns, True)):
                texel = strip[k] + step
                if is_there and 0 <= texel < len(charts) and charts[texel] and place[texel] < 0:
                    place[texel] = count
                    strip[count] = texel
                    count += 1
        first = last
    return count


@kernel
def _find_neighbors(charts, strip, place, columns, neighbors, begin, end):  # type: ignore[no-untyped-def]
    """Write the places of the 4-neighbors of a part of the strip, or why they have none."""
    for k in range(begin, end):
        column = strip[k] % columns
        for n, (step, is_there) in enumerate(
            ((1, column + 1 < columns), (-1, column > 0), (columns, True), (-columns, True))
        ):
            texel = strip[k] + step
            neighbors[k, n] = OUTSIDE
            if is_there and 0 <= texel < len(charts):
                if place[texel] >= 0:
                    neighbors[k, n] = place[texel]
                elif charts[texel]:
                    neighbors[k, n] = BEYOND


@kernel
def _relax(neighbors, majorant, screen, right, change, backward):  # type: ignore[no-untyped-def]
    """One sweep of Gauss-Seidel."""
    count = len(neighbors)
    for step in range(count):
        k = count - 1 - step if backward else step
        diagonal, r, g, b = screen[k], np.float32(0), np.float32(0), np.float32(0)
        if k < len(right):  # seams read it
            diagonal += majorant[k]
            r, g, b = right[k, 0], right[k, 1], right[k, 2]
        for n in range(4):
            other = neighbors[k, n]
            if other == OUTSIDE:
                continue
            diagonal += np.float32(1)
            if other >= 0:
                r += change[other, 0]
                g += change[other, 1]
                b += change[other, 2]
        change[k, 0], change[k, 1], change[k, 2] = r / diagonal, g / diagonal, b / diagonal
