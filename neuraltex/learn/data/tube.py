"""Tubes: closed surfaces over (azimuth, height), which bodies, heads and vessels of the procedural sets are.

Convention:
    *Target* coordinates are the uv of a sample's own mesh and truth. *Template* coordinates are those of the layout's
    mean shape, in which every landmark is where it always is. u is the azimuth, u = 0.5 in front (+z), growing towards
    +x; v grows upwards (+y).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from neuraltex.geometry.mesh import Mesh

Values = Float[np.ndarray, "*B"]
Surface = Callable[[Values, Values], Float[np.ndarray, "*B 3"]]
"""Points of a surface at template coordinates."""


@dataclass(frozen=True)
class Grid:
    """How a kind of tube is cut into triangles and laid out.

    Args:
        columns: Quadrangles around.
        rows: Quadrangles from bottom to top.
        low: v of the lowest ring; ``high`` that of the highest. Texels outside belong to no chart.
    """

    columns: int
    rows: int
    low: float = 0.0
    high: float = 1.0

    def uvs(self) -> Float[np.ndarray, "U 2"]:
        """Return the uvs, row by row upwards; the last of a row lies on the first one's vertex."""
        u, v = np.linspace(0, 1, self.columns + 1), np.linspace(self.low, self.high, self.rows + 1)
        return np.stack(np.meshgrid(u, v), -1).reshape(-1, 2)

    def mesh(self, points: Float[np.ndarray, "U 3"]) -> Mesh:
        """Return the mesh whose surface passes through one point per uv; the doubled column is taken once."""
        count, rows = self.columns, self.rows
        row, column = np.divmod(np.arange(rows * count), count)
        faces = _quadrangles(row, column, (column + 1) % count, count)
        uv_faces = _quadrangles(row, column, column + 1, count + 1)
        vertices = points.reshape(rows + 1, count + 1, 3)[:, :count].reshape(-1, 3)
        return Mesh(vertices, faces, self.uvs(), uv_faces)


def _quadrangles(row: np.ndarray, left: np.ndarray, right: np.ndarray, stride: int) -> np.ndarray:
    a, b = row * stride + left, row * stride + right
    c, d = b + stride, a + stride
    return np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)])


@dataclass(frozen=True)
class Warp:
    """Where the landmarks of one sample are.

    Args:
        template: Heights of the landmarks in template coordinates, rising.
        target: Heights of the same landmarks on the sample.
        yaw: How far the twisted part is turned, in u.
        stretch: How much narrower than the template its front is on the target.
        twisted: Template heights at which the twist begins and from which on it is full.
    """

    template: tuple[float, ...]
    target: tuple[float, ...]
    yaw: float
    stretch: float
    twisted: tuple[float, float]

    def template_from_target(self, u: Values, v: Values) -> tuple[Values, Values]:
        """Return template coordinates; u may leave [0, 1], which is one turn."""
        height = np.interp(v, self.target, self.template)
        weight = np.clip((height - self.twisted[0]) / max(self.twisted[1] - self.twisted[0], 1e-9), 0, 1)
        turned = u - self.yaw * weight
        swing = np.sin(2 * np.pi * (turned - 0.5)) / (2 * np.pi)
        return turned + (self.stretch - 1) * weight * swing, height


def random_warp(
    rng: np.random.Generator,
    template: tuple[float, ...],
    spread: tuple[float, ...],
    yaw: float,
    twisted: tuple[float, float],
) -> Warp:
    """Draw landmarks: heights within ``template`` +- ``spread``, a yaw within +- ``yaw`` and a stretch of a quarter."""
    target = _in_order(np.asarray(template) + rng.uniform(-1, 1, len(template)) * spread, np.diff(template))
    turn, stretch = rng.uniform(-yaw, yaw), rng.uniform(0.78, 1.25)
    return Warp(template, tuple(target.tolist()), float(turn), float(stretch), twisted)


def _in_order(heights: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Move heights until each lies above the one below by half of a given gap or more; the ends stay."""
    for index in range(1, len(heights) - 1):
        heights[index] = max(heights[index], heights[index - 1] + gaps[index - 1] / 2)
    for index in range(len(heights) - 2, 0, -1):
        heights[index] = min(heights[index], heights[index + 1] - gaps[index] / 2)
    return heights


def bump(u: Values, v: Values, center: tuple[float, float], widths: tuple[float, float], height: float) -> Values:
    """Return a smooth hill on a tube, once around."""
    across = (u - center[0] + 0.5) % 1 - 0.5
    return height * np.exp(-np.square(across / widths[0]) - np.square((v - center[1]) / widths[1]))


def smooth_noise(rng: np.random.Generator, u: Values, v: Values, waves: int = 6) -> Values:
    """Return smooth noise of unit variance, periodic in u, as a sum of plane waves."""
    total = np.zeros(u.shape)
    for _ in range(waves):
        around, up, phase = rng.integers(-2, 3), rng.uniform(-2.5, 2.5), rng.uniform(0, 2 * np.pi)
        total += np.cos(2 * np.pi * (around * u + up * v) + phase)
    return total / np.sqrt(waves / 2)
