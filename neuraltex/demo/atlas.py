"""From patches to one mesh with a texture atlas: charts in proportion to world area, packed without overlap."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import maximum_filter1d

from neuraltex.core.conventions import uv_from_texel
from neuraltex.core.errors import DataError
from neuraltex.demo.primitives import Patch, Patches
from neuraltex.geometry.mesh import Mesh

GUTTER = 4
"""Texels kept free around every chart; filled with its border so that mip levels do not bleed."""
WELD = 1e-7
"""Vertices of an object closer than this [world] are one."""


@dataclass(frozen=True, eq=False)
class Chart:
    """Where a patch lies in the texture: its first and last texel *centers* carry the border of the patch."""

    patch: Patch
    x: int
    y: int
    width: int
    height: int


def layout(patches: Patches, texture_size: int) -> tuple[Chart, ...]:
    """Pack all patches at the greatest common texel density that fits.

    Raises:
        DataError: if even the smallest charts do not fit.
    """
    extents = np.array([[p.knots[0][-1], p.knots[1][-1]] for p in patches]) * [[p.density] for p in patches]
    low, high = 0.0, texture_size / np.sqrt(np.prod(extents, axis=1).sum())
    best: tuple[np.ndarray, list[tuple[int, int]]] | None = None
    for _ in range(12):
        density = (low + high) / 2 if best or low else high
        sizes = np.maximum(np.rint(extents * density).astype(np.int64), 4)
        corners = _pack(sizes + 2 * GUTTER, texture_size)
        if corners is None:
            high = density
            low = low or density / 4
        else:
            low, best = density, (sizes, corners)
    if best is None:
        raise DataError(f"{len(patches)} charts do not fit a texture of {texture_size}", hint="Use a larger texture")
    return tuple(
        Chart(patch, x + GUTTER, y + GUTTER, int(w), int(h))
        for patch, (w, h), (x, y) in zip(patches, *best, strict=True)
    )


def _pack(sizes: Int[np.ndarray, "P 2"], side: int) -> list[tuple[int, int]] | None:
    """Bottom-left packing along a skyline, tallest first; corners of the rectangles, or ``None`` if they do not fit."""
    skyline = np.zeros(side, np.int64)
    corners: list[tuple[int, int]] = [(0, 0)] * len(sizes)
    for index in np.lexsort((sizes[:, 0], -sizes[:, 1])):
        width, height = (int(value) for value in sizes[index])
        if width > side:
            return None
        tops = maximum_filter1d(skyline, width, origin=-(width // 2))[: side - width + 1]
        x = int(tops.argmin())
        y = int(tops[x])
        if y + height > side:
            return None
        skyline[x : x + width] = y + height
        corners[index] = (x, y)
    return corners


def build_mesh(charts: tuple[Chart, ...], texture_size: int) -> Mesh:
    """Triangulate all grids; patches of one object share vertices where they meet, faces without area are dropped."""
    vertices: list[np.ndarray] = []
    faces: list[np.ndarray] = []
    uvs: list[np.ndarray] = []
    owners: list[np.ndarray] = []
    first = 0
    objects = {name: index for index, name in enumerate(dict.fromkeys(chart.patch.name for chart in charts))}
    for chart in charts:
        quads = _grid_faces(*chart.patch.grid.shape[:2]) + first
        vertices.append(chart.patch.grid.reshape(-1, 3))
        uvs.append(chart_uv(chart, texture_size))
        owners.append(np.full(len(uvs[-1]), objects[chart.patch.name]))
        faces.append(quads)
        first += len(uvs[-1])
    position, owner, uv_faces = (np.concatenate(arrays) for arrays in (vertices, owners, faces))
    keys = np.concatenate([owner[:, None], np.rint(position / WELD).astype(np.int64)], 1)
    _, kept, merged = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    triangles = merged.reshape(-1)[uv_faces]
    a, b, c = triangles.T
    solid = (a != b) & (b != c) & (c != a)
    return Mesh(position[kept], triangles[solid], np.concatenate(uvs), uv_faces[solid])


def face_objects(charts: tuple[Chart, ...], mesh: Mesh, texture_size: int) -> Int[np.ndarray, " F"]:
    """Index of the object of every face, in order of first appearance in ``charts``."""
    names = list(dict.fromkeys(chart.patch.name for chart in charts))
    label = np.full((texture_size, texture_size), -1)
    for chart in charts:
        label[chart.y : chart.y + chart.height, chart.x : chart.x + chart.width] = names.index(chart.patch.name)
    center = mesh.corner_uvs.mean(1)
    rows = ((1 - center[:, 1]) * texture_size).astype(np.int64)
    return label[rows, (center[:, 0] * texture_size).astype(np.int64)]


def chart_uv(chart: Chart, texture_size: int) -> Float[np.ndarray, "P 2"]:
    """Return the uvs of the grid points of a chart, row by row; t points up."""
    s, t = (knots / knots[-1] for knots in chart.patch.knots)
    x = chart.x + s * (chart.width - 1)
    y = chart.y + (1 - t) * (chart.height - 1)
    columns, rows = np.meshgrid(x, y)
    u, v = uv_from_texel(columns, rows, texture_size, texture_size)
    return np.stack([u, v], -1).reshape(-1, 2)


def _grid_faces(rows: int, columns: int) -> Int[np.ndarray, "F 3"]:
    """Two counter-clockwise triangles per cell; the diagonal alternates, so that no direction is preferred."""
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    odd = (np.add.outer(np.arange(rows - 1), np.arange(columns - 1)) % 2).astype(bool)[..., None]
    first = np.where(odd, np.stack([a, b, d], -1), np.stack([a, b, c], -1))
    second = np.where(odd, np.stack([b, c, d], -1), np.stack([a, c, d], -1))
    return np.concatenate([first.reshape(-1, 3), second.reshape(-1, 3)])
