"""Colors on both sides of cut edges made equal in a finished texture, by a correction that fades into the charts.

Whatever made a texture - filling, gradient descent, bands that were joined - may leave steps where charts end. In a
strip along the cut edges the smallest smooth change ``d`` of the colors ``x`` is found under which both sides agree:
``min |grad d|^2 + (2 / width)^2 |d|^2 + STRENGTH |J (x + d)|^2`` with J the seam equations, d = 0 beyond the strip.
Source of the idea: local seam leveling of M. Waechter, N. Moehrle and M. Goesele, "Let There Be Color! Large-Scale
Texturing of 3D Reconstructions", ECCV 2014.
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from numba import njit

from neuraltex.core.compiled import kernel
from neuraltex.fit.direct.seams import SeamRows, seam_equations, subtract_normal
from neuraltex.geometry.mesh import Mesh

STRENGTH = 20.0
SWEEPS = 8
OUTSIDE, BEYOND = -1, -2
"""Neighbors of a texel in the strip: outside of its chart, or in it and beyond the strip."""


def level_seams(
    texture: Float[np.ndarray, "Ht Wt 3"], charts: Bool[np.ndarray, "Ht Wt"], mesh: Mesh, width: int
) -> Int[np.ndarray, " S"]:
    """Make both sides of cut edges agree, in place; returns the texels that lookups along them read, as flat indices.

    Args:
        texture: Float32, known in charts and one texel around them.
        charts: Texels whose center lies in a chart.
        mesh: Mesh with uvs.
        width: Width of the strip on either side [texel]; 0 changes nothing.

    Raises:
        DataError: if the mesh has no uvs.
    """
    seams = seam_equations(mesh, texture.shape[:2]) if width > 0 else None
    if seams is None or not len(seams):
        return np.zeros(0, np.int64)
    strip, neighbors, place = _strip(charts, seams.used, width)
    rows = place[seams.texels]
    flat = texture.reshape(-1, 3)
    change = _solve(flat[strip], neighbors, rows, seams, np.float32((2 / width) ** 2))
    flat[strip] += change
    return seams.used


def _strip(
    charts: Bool[np.ndarray, "Ht Wt"], used: Int[np.ndarray, " S"], width: int
) -> tuple[Int[np.ndarray, " N"], Int[np.ndarray, "N 4"], Int[np.ndarray, " P"]]:
    """Return the texels of the strip, the places of their neighbors in it, and the place of every texel of the map."""
    inside = charts.copy()
    inside.reshape(-1)[used] = True
    place = np.full(charts.size, OUTSIDE, np.int32)
    strip = _grow_strip(inside.reshape(-1), used.astype(np.int64), place, width, charts.shape[1])
    return strip, _find_neighbors(inside.reshape(-1), strip, place, charts.shape[1]), place


def _solve(
    colors: Float[np.ndarray, "N 3"],
    neighbors: Int[np.ndarray, "N 4"],
    rows: Int[np.ndarray, "R 8"],
    seams: SeamRows,
    screen: np.float32,
) -> Float[np.ndarray, "N 3"]:
    """Relax the change of the colors; seams are a majorizer, as in :mod:`neuraltex.fit.direct.seam_matrix`."""
    strength = seams.strength * np.float32(STRENGTH)
    magnitude = np.abs(seams.weights)
    sums = (strength * magnitude.sum(1))[:, None] * magnitude
    majorant = np.bincount(rows.ravel(), sums.ravel(), len(colors)).astype(np.float32)
    change, right = np.zeros_like(colors), np.empty_like(colors)
    for sweep in range(SWEEPS):
        right[:] = majorant[:, None] * change
        subtract_normal(rows, seams.weights, strength, colors + change, right)
        _relax(neighbors, majorant, screen, right, change, sweep % 2 == 1)
    return change


@njit(nogil=True, cache=True)
def _grow_strip(inside, used, place, width, columns):  # type: ignore[no-untyped-def]
    """Number the texels that are at most ``width`` steps within charts away from those that seams read."""
    strip = [used[k] for k in range(len(used))]
    for k in range(len(used)):
        place[used[k]] = k
    first = 0
    for _ in range(width):
        last = len(strip)
        for k in range(first, last):
            column = strip[k] % columns
            for step, is_there in ((1, column + 1 < columns), (-1, column > 0), (columns, True), (-columns, True)):
                texel = strip[k] + step
                if is_there and 0 <= texel < len(inside) and inside[texel] and place[texel] < 0:
                    place[texel] = len(strip)
                    strip.append(texel)
        first = last
    return np.array(strip)


@njit(nogil=True, cache=True)
def _find_neighbors(inside, strip, place, columns):  # type: ignore[no-untyped-def]
    """Return the places of the 4-neighbors, or why they have none."""
    neighbors = np.full((len(strip), 4), OUTSIDE, np.int32)
    for k in range(len(strip)):
        column = strip[k] % columns
        for n, (step, is_there) in enumerate(
            ((1, column + 1 < columns), (-1, column > 0), (columns, True), (-columns, True))
        ):
            texel = strip[k] + step
            if is_there and 0 <= texel < len(inside) and inside[texel]:
                neighbors[k, n] = place[texel] if place[texel] >= 0 else BEYOND
    return neighbors


@kernel
def _relax(neighbors, majorant, screen, right, change, backward):  # type: ignore[no-untyped-def]
    """One sweep of Gauss-Seidel."""
    count = len(neighbors)
    for step in range(count):
        k = count - 1 - step if backward else step
        diagonal = majorant[k] + screen
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
