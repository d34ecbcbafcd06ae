"""Procedural pattern building blocks, evaluated on the texels of one chart.

Everything is deterministic: randomness comes from seeded generators only, and no operation depends on the thread count.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

Image = Float[np.ndarray, "H W"]
Color = Float[np.ndarray, "H W 3"]


@dataclass(frozen=True, eq=False)
class Surface:
    """The texels of one chart as a material sees them.

    Args:
        x: Distance along the chart's s axis at every texel [world]; row 0 is the top, as in an image.
        y: Distance along its t axis (up) [world].
        position: Point on the surface in the *object's own* axes, before it was placed in the room [world].
        width: Extent of the chart along s [world].
        height: Extent along t [world].
        wrap: Whether s is closed, so that the pattern must continue from the right border to the left one.
    """

    x: Image
    y: Image
    position: Color
    width: float
    height: float
    wrap: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the chart [texel]."""
        return self.x.shape  # type: ignore[return-value]


Material = Callable[[Surface], Color]
"""What paints a chart."""


def noise(surface: Surface, cell: float | tuple[float, float], seed: int) -> Image:
    """Smooth noise of about unit range [-1, 1] with features of one ``cell`` [world]; closed where the chart is.

    A random lattice under separable cubic B-spline interpolation.
    """
    cell_x, cell_y = cell if isinstance(cell, tuple) else (cell, cell)
    columns = surface.width / cell_x
    if surface.wrap:
        columns = max(1.0, round(columns))
    x = surface.x[0] / surface.width * columns
    y = surface.y[:, 0] / cell_y
    shape = (int(np.ceil(y.max())) + 4, int(np.ceil(columns)) + 4)
    lattice = np.random.default_rng(seed).uniform(-1.8, 1.8, shape).astype(np.float32)
    if surface.wrap:
        lattice = lattice[:, np.arange(shape[1]) % int(columns)]
    return _spline_rows(_spline_rows(lattice, y).T, x).T


def _spline_rows(lattice: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Interpolate the rows of a lattice at positions ``at``."""
    base = np.floor(at).astype(np.int64)
    f = (at - base).astype(np.float32)[:, None]
    weights = ((1 - f) ** 3 / 6, (3 * f**3 - 6 * f**2 + 4) / 6, (-3 * f**3 + 3 * f**2 + 3 * f + 1) / 6, f**3 / 6)
    return sum(weight * lattice[np.clip(base + k, 0, len(lattice) - 1)] for k, weight in enumerate(weights))


def fbm(surface: Surface, cell: float | tuple[float, float], seed: int, octaves: int = 4, gain: float = 0.5) -> Image:
    """Sum of octaves of :func:`noise`, each with half the cell and ``gain`` times the weight."""
    cell_x, cell_y = cell if isinstance(cell, tuple) else (cell, cell)
    layers = [gain**k * noise(surface, (cell_x / 2**k, cell_y / 2**k), seed + 101 * k) for k in range(octaves)]
    return np.add.reduce(layers)


def hashed(ids: Int[np.ndarray, "*B"], seed: int) -> Float[np.ndarray, "*B"]:
    """A uniform value in [0, 1) per integer."""
    table = np.random.default_rng(seed).random(4099, dtype=np.float32)
    return table[np.asarray(ids, np.int64) % 4099]


def shuffle(image: Image, ids: Int[np.ndarray, "H W"], seed: int) -> Image:
    """Give every cell its own random cut-out of ``image``, so that a grain does not run on across planks."""
    rows, columns = np.indices(image.shape)
    height, width = image.shape
    rows = (rows + (hashed(ids, seed) * height).astype(np.int64)) % height
    columns = (columns + (hashed(ids, seed + 1) * width).astype(np.int64)) % width
    return image[rows, columns]


def step(low: float, high: float, value: np.ndarray) -> np.ndarray:
    """Smooth step from 0 at ``low`` to 1 at ``high`` (which may be the smaller one)."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def rgb(code: str) -> Float[np.ndarray, " 3"]:
    """Turn ``"d8a25c"`` into a color in [0, 1]."""
    return np.array([int(code[k : k + 2], 16) / 255 for k in (0, 2, 4)], np.float32)


def mix(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> Color:
    """Blend two colors (``[3]`` or ``[H, W, 3]``) by a weight ``[H, W]`` in [0, 1]."""
    weight = np.clip(weight, 0, 1)[..., None]
    return (first * (1 - weight) + second * weight).astype(np.float32)


def ramp(value: np.ndarray, codes: Sequence[str]) -> Color:
    """Map values in [0, 1] through evenly spaced colors."""
    stops = np.linspace(0, 1, len(codes))
    colors = np.stack([rgb(code) for code in codes])
    return np.stack([np.interp(value, stops, colors[:, channel]) for channel in range(3)], -1).astype(np.float32)


def flat(surface: Surface, code: str) -> Color:
    """One color everywhere."""
    return np.broadcast_to(rgb(code), (*surface.shape, 3)).astype(np.float32)


def scale(color: Color, factor: np.ndarray) -> Color:
    """Multiply a color image by a brightness image."""
    return color * np.asarray(factor, np.float32)[..., None]


def lines(value: np.ndarray, spacing: float, thickness: float, soft: float) -> np.ndarray:
    """1 on lines every ``spacing`` of ``value``, 0 between; soft edges of width ``soft``, same units."""
    distance = np.abs((value + spacing / 2) % spacing - spacing / 2)
    return step(thickness / 2 + soft / 2, thickness / 2 - soft / 2, distance)
