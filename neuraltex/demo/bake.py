"""Painting the atlas: the material of every chart times the light that falls on it."""

import numpy as np
from jaxtyping import Float, UInt8

from neuraltex.core.conventions import linear_from_srgb, srgb_from_linear
from neuraltex.demo.atlas import GUTTER, Chart
from neuraltex.demo.lighting import daylight, irradiance
from neuraltex.demo.patterns import Surface
from neuraltex.demo.primitives import Patch
from neuraltex.geometry.mesh import Mesh
from neuraltex.render.fragments import make_rasterizer

LIGHT_CELL = 0.02
"""Distance of the points where light is measured [world]; shadows are softer than this."""


def bake_texture(
    mesh: Mesh, charts: tuple[Chart, ...], texture_size: int, quality: float
) -> UInt8[np.ndarray, "T T 3"]:
    """Paint all charts; ``quality`` in (0, 1] scales the number of lights and the resolution of their shadows."""
    probes = [_light_grid(chart.patch) for chart in charts]
    points = np.concatenate([positions.reshape(-1, 3) for positions, _ in probes])
    normals = np.concatenate([vectors.reshape(-1, 3) for _, vectors in probes])
    lights = daylight(round(14 * quality), round(44 * quality))
    bounds = np.stack([mesh.vertices.min(0), mesh.vertices.max(0)])
    light = irradiance(make_rasterizer(mesh), lights, bounds, points, normals, round(320 * quality))
    texture = np.full((texture_size, texture_size, 3), 128, np.uint8)
    first = 0
    for chart, (positions, _) in zip(charts, probes, strict=True):
        shape = positions.shape[:2]
        map_of_light = light[first : first + shape[0] * shape[1]].reshape(*shape, 3)
        first += shape[0] * shape[1]
        _paint(texture, chart, _shade(chart, map_of_light))
    return texture


def _shade(chart: Chart, light: np.ndarray) -> Float[np.ndarray, "H W 3"]:
    """Albedo times light, tone-mapped so that highlights keep their color."""
    albedo = chart.patch.material(surface_of(chart))
    s, t = _chart_axes(chart)
    columns = s * light.shape[1] - 0.5
    rows = t * light.shape[0] - 0.5
    linear = linear_from_srgb(albedo.clip(0, 1)) * _lookup(light, rows, columns, chart.patch.wrap)
    return srgb_from_linear(_tone(linear))


def _tone(linear: np.ndarray) -> np.ndarray:
    """Leave values below the knee alone and roll the rest off smoothly towards 1."""
    knee = 0.6
    return np.where(linear < knee, linear, knee + (1 - knee) * (1 - np.exp(-(linear - knee) / (1 - knee))))


def surface_of(chart: Chart) -> Surface:
    """What the material of a chart is evaluated on."""
    patch = chart.patch
    s_knots, t_knots = patch.knots
    s, t = _chart_axes(chart)
    local = patch.grid if patch.local is None else patch.local
    rows = np.interp(t * t_knots[-1], t_knots, np.arange(len(t_knots)))
    columns = np.interp(s * s_knots[-1], s_knots, np.arange(len(s_knots)))
    x, y = np.meshgrid(s * s_knots[-1], t * t_knots[-1])
    position = _lookup(local, rows, columns, wrap=False).astype(np.float32)
    return Surface(x.astype(np.float32), y.astype(np.float32), position, s_knots[-1], t_knots[-1], patch.wrap)


def _chart_axes(chart: Chart) -> tuple[np.ndarray, np.ndarray]:
    """Return s of the columns and t of the rows (first row is the top), both in [0, 1]."""
    return np.linspace(0, 1, chart.width), np.linspace(1, 0, chart.height)


def _paint(texture: np.ndarray, chart: Chart, color: np.ndarray) -> None:
    """Write a chart and its gutter: closed charts go on around, others repeat their border."""
    if chart.patch.wrap:
        color = np.concatenate([color[:, -1 - GUTTER : -1], color, color[:, 1 : 1 + GUTTER]], 1)
        color = np.pad(color, ((GUTTER, GUTTER), (0, 0), (0, 0)), mode="edge")
    else:
        color = np.pad(color, ((GUTTER, GUTTER), (GUTTER, GUTTER), (0, 0)), mode="edge")
    y, x = chart.y - GUTTER, chart.x - GUTTER
    texture[y : y + color.shape[0], x : x + color.shape[1]] = np.rint(color * 255).astype(np.uint8)


def _light_grid(patch: Patch) -> tuple[np.ndarray, np.ndarray]:
    """Positions and unit normals ``[n, m, 3]`` at the cell centers of a coarse grid over the patch; row 0 is t = 0."""
    s_knots, t_knots = patch.knots
    columns = int(np.clip(round(s_knots[-1] / LIGHT_CELL), 6, 200))
    rows = int(np.clip(round(t_knots[-1] / LIGHT_CELL), 6, 200))
    s = (np.arange(columns) + 0.5) / columns * s_knots[-1]
    t = (np.arange(rows) + 0.5) / rows * t_knots[-1]
    at = np.interp(t, t_knots, np.arange(len(t_knots))), np.interp(s, s_knots, np.arange(len(s_knots)))
    normals = _lookup(grid_normals(patch), *at, wrap=False)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return _lookup(patch.grid, *at, wrap=False), normals / np.maximum(length, 1e-12)


def grid_normals(patch: Patch) -> Float[np.ndarray, "R C 3"]:
    """Smooth outward unit normals at the grid points, also at poles and across the closing column."""
    grid = patch.grid
    cells = np.cross(grid[1:, 1:] - grid[:-1, :-1], grid[1:, :-1] - grid[:-1, 1:])
    normals = np.zeros_like(grid)
    for rows in (slice(0, -1), slice(1, None)):
        for columns in (slice(0, -1), slice(1, None)):
            normals[rows, columns] += cells
    if patch.wrap:
        normals[:, 0] = normals[:, -1] = normals[:, 0] + normals[:, -1]
    poles = np.ptp(grid, axis=1).max(-1) < 1e-9
    normals[poles] = normals[poles].sum(1, keepdims=True)
    return normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)


def _lookup(values: np.ndarray, rows: np.ndarray, columns: np.ndarray, wrap: bool) -> np.ndarray:
    """Bilinear samples ``[len(rows), len(columns), C]`` of a grid at separable places.

    Beyond the grid the border repeats; columns may go on around instead.
    """
    result = _lerp(values, rows, wrap=False)
    return np.swapaxes(_lerp(np.swapaxes(result, 0, 1), columns, wrap), 0, 1)


def _lerp(values: np.ndarray, at: np.ndarray, wrap: bool) -> np.ndarray:
    size = len(values)
    at = at if wrap else np.clip(at, 0, size - 1)
    base = np.floor(at).astype(np.int64)
    weight = (at - base)[:, None, None]
    low, high = (base % size, (base + 1) % size) if wrap else (base, np.minimum(base + 1, size - 1))
    return values[low] * (1 - weight) + values[high] * weight
