"""Pixels scattered over a texture, chart by chart: nothing ever crosses from one chart into another."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import distance_transform_edt, find_objects, maximum_filter, minimum_filter, uniform_filter
from scipy.spatial import cKDTree

from neuraltex.core.conventions import pixel_centers, texel_from_uv
from neuraltex.geometry.mesh import Mesh
from neuraltex.texture.atlas import make_atlas
from neuraltex.texture.fill import number_charts

_FINE = 1024
"""Side of the raster that tells the chart of a texture coordinate [texel]."""
_STRAY = 4.0
"""Farthest from a chart that coordinates are still counted to it [texel of that raster]."""
_LONG = 8.0
"""Triangles between pixels are torn where they are this many times longer on the texture than usual."""


@dataclass(frozen=True, eq=False)
class Points:
    """Pixels laid on a texture.

    Args:
        texel: Where they lie on it, x right and y down, centers at whole numbers [texel].
        pixel: Where they are in the photograph, centers at halves [px].
        chart: Chart they lie in, from 1.
    """

    texel: Float[np.ndarray, "P 2"]
    pixel: Float[np.ndarray, "P 2"]
    chart: Int[np.ndarray, " P"]


class ChartFinder:
    """Tells which chart of a layout texture coordinates belong to; those at a border may lie a little outside."""

    def __init__(self, mesh: Mesh) -> None:
        number = number_charts(mesh, (_FINE, _FINE))
        distance, nearest = distance_transform_edt(number == 0, return_indices=True)
        self._number = np.where(distance <= _STRAY, number[tuple(nearest)], 0)

    def find(self, uv: Float[np.ndarray, "*B 2"]) -> Int[np.ndarray, "*B"]:
        """Return the number of the chart, from 1; 0 where coordinates are NaN or far from every chart."""
        known = np.isfinite(uv[..., 0])
        place = np.clip(np.nan_to_num(uv) * _FINE, 0, _FINE - 1).astype(np.int64)
        return np.where(known, self._number[_FINE - 1 - place[..., 1], place[..., 0]], 0)


def erode_charts(chart: Int[np.ndarray, "H W"], person: Bool[np.ndarray, "H W"], rings: int) -> Int[np.ndarray, "H W"]:
    """Leave out pixels near the border of a chart in the photograph, whose colors are mixed with what is beside it.

    Args:
        chart: Chart of the pixels, from 1; 0 for none.
        person: Pixels of the person; those without a chart are holes, at which nothing is left out.
        rings: Width of the border [px].
    """
    if rings <= 0:
        return chart
    side, any_chart = 2 * rings + 1, np.iinfo(chart.dtype).max
    low = minimum_filter(np.where(chart > 0, chart, np.where(person, any_chart, -1)), side, mode="nearest")
    high = maximum_filter(chart, side, mode="nearest")
    return np.where((low == chart) & (high == chart), chart, 0)


def lay_out(uv: Float[np.ndarray, "H W 2"], chart: Int[np.ndarray, "H W"], size: int) -> Points:
    """Lay the pixels that lie in a chart (0 is none) on a square texture."""
    rows, columns = np.nonzero(chart)
    texel = np.stack(texel_from_uv(uv[rows, columns].astype(np.float64), size, size), -1)
    return Points(texel, np.stack([columns, rows], -1) + 0.5, chart[rows, columns].astype(np.int64))


def splat_density(points: Points, charts: Int[np.ndarray, "S S"]) -> Float[np.ndarray, "S S"]:
    """Return how many pixels fall on each texel, each shared bilinearly among the texels around it in its own chart."""
    density = np.zeros(charts.size)
    for row, column, weight in _corners(points.texel, charts.shape):
        share = weight * (charts[row, column] == points.chart)
        density += np.bincount(row * charts.shape[1] + column, share, charts.size)
    return density.reshape(charts.shape)


def spread(
    density: Float[np.ndarray, "S S"], charts: Int[np.ndarray, "S S"]
) -> tuple[Bool[np.ndarray, "S S"], Float[np.ndarray, "S S"]]:
    """Return the texels hit by a pixel or beside one that is (8-neighbors), and the mean density around each.

    Both look at texels of the same chart only.
    """
    hit, mean = np.zeros(charts.shape, np.bool_), np.zeros(charts.shape)
    for number, box in enumerate(find_objects(charts), 1):
        if box is None:
            continue
        own = charts[box] == number
        values = density[box] * own
        hit[box] |= maximum_filter(values, 3, mode="constant") * own > 0
        mean[box] += own * uniform_filter(values, 3, mode="constant") / np.maximum(_share(own), 1 / 9)
    return hit, mean


def _share(own: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    return uniform_filter(own.astype(np.float64), 3, mode="constant")


def interpolate(
    uv: Float[np.ndarray, "H W 2"],
    chart: Int[np.ndarray, "H W"],
    charts: Int[np.ndarray, "S S"],
    wanted: Bool[np.ndarray, "S S"],
) -> Float[np.ndarray, "S S 2"]:
    """Return where in the photograph texels are seen [px], linearly between pixels that are neighbors and in one chart.

    The photograph is a net of triangles between pixel centers, drawn on the texture as a mesh would be; a net does not
    span what the photograph hides. Texels that it leaves out take the nearest pixel of their chart.

    Args:
        uv: Texture coordinates of the pixels.
        chart: Chart of the pixels, from 1; 0 for none.
        charts: Chart of the texels.
        wanted: Texels to find, in charts with at least one pixel; NaN elsewhere.
    """
    found = np.full((*charts.shape, 2), np.nan)
    if not wanted.any():
        return found
    net, number = _net(uv, chart, charts, max(1, int(np.sqrt(np.count_nonzero(chart) / np.count_nonzero(wanted)) / 2)))
    covered = np.zeros_like(wanted)
    if net.num_faces:
        atlas = make_atlas(net, charts.shape)
        covered = wanted & atlas.inside & (number[atlas.face_idx] == charts)
        found[covered] = atlas.positions(net)[covered, :2]
    points, rest = lay_out(uv, chart, len(charts)), np.argwhere(wanted & ~covered)
    apart = 4.0 * len(charts)  # farther than any two texels, so that the nearest pixel is one of the same chart
    tree = cKDTree(np.column_stack([points.texel, apart * points.chart]))
    nearest = tree.query(np.column_stack([rest[:, ::-1], apart * charts[rest[:, 0], rest[:, 1]]]))[1]
    found[rest[:, 0], rest[:, 1]] = points.pixel[nearest]
    return found


def _net(
    uv: Float[np.ndarray, "H W 2"], chart: Int[np.ndarray, "H W"], charts: Int[np.ndarray, "S S"], step: int
) -> tuple[Mesh, Int[np.ndarray, " F"]]:
    """Return every ``step``-th pixel as a mesh, and the charts of its faces.

    Its vertices are in the photograph [px], its uvs on the texture, its faces between neighbors in one chart.
    """
    vertices = pixel_centers(chart.shape[1], chart.shape[0])[::step, ::step]
    uv, chart = uv[::step, ::step].astype(np.float64), chart[::step, ::step]
    width = chart.shape[1]
    first = np.arange(chart.size).reshape(chart.shape)[:-1, :-1]
    same = (chart[:-1, :-1] > 0) & (chart[:-1, :-1] == chart[1:, 1:])
    upper, lower = (first[same & (chart[:-1, :-1] == other)] for other in (chart[:-1, 1:], chart[1:, :-1]))
    faces = np.concatenate(
        [np.stack([upper, upper + 1, upper + width + 1], 1), np.stack([lower, lower + width + 1, lower + width], 1)]
    )
    corners = uv.reshape(-1, 2)[faces]
    longest = np.linalg.norm(corners - np.roll(corners, 1, 1), axis=2).max(1, initial=0)
    faces = faces[longest <= _LONG * np.median(longest) + 2 / len(charts)] if len(faces) else faces
    points = np.concatenate([vertices, np.zeros((*chart.shape, 1))], 2).reshape(-1, 3)
    return Mesh(points, faces, np.nan_to_num(uv).reshape(-1, 2), faces), chart.reshape(-1)[faces[:, 0]]


def read_in_chart(
    image: Float[np.ndarray, "H W C"],
    chart_of_pixel: Int[np.ndarray, "H W"],
    pixel: Float[np.ndarray, "P 2"],
    chart: Int[np.ndarray, " P"],
) -> tuple[Float[np.ndarray, "P C"], Bool[np.ndarray, " P"]]:
    """Read an image bilinearly, looking at pixels of the wanted chart only.

    Args:
        image: Colors.
        chart_of_pixel: Chart that each pixel shows, 0 for none.
        pixel: Where to read, centers at halves [px].
        chart: Chart that each reading is for.

    Returns:
        The colors, and for which there was a pixel of the chart; 0 for the others.
    """
    color, total = np.zeros((len(pixel), image.shape[2])), np.zeros(len(pixel))
    for row, column, weight in _corners(pixel - 0.5, chart_of_pixel.shape):
        share = weight * (chart_of_pixel[row, column] == chart)
        color += share[:, None] * image[row, column]
        total += share
    known = total > 1e-3
    color = np.divide(color, total[:, None], out=np.zeros_like(color), where=known[:, None])
    return color.astype(np.float32), known


def _corners(
    place: Float[np.ndarray, "P 2"], shape: tuple[int, ...]
) -> Iterator[tuple[Int[np.ndarray, " P"], Int[np.ndarray, " P"], Float[np.ndarray, " P"]]]:
    """Yield row, column and weight of the four cells around each place (x, y); those beyond the border are moved in."""
    low = np.floor(place).astype(np.int64)
    part = place - low
    for down in (0, 1):
        for right in (0, 1):
            weight = np.abs(1 - right - part[:, 0]) * np.abs(1 - down - part[:, 1])
            row, column = np.clip(low[:, 1] + down, 0, shape[0] - 1), np.clip(low[:, 0] + right, 0, shape[1] - 1)
            yield row, column, weight
