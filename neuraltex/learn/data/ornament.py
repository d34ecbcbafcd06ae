"""Cloth patterns, glyphs and palettes of the procedural sets."""

import colorsys
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from neuraltex.demo.patterns import Surface, mix, noise, step

PATTERNS = ("solid", "stripes_h", "stripes_v", "checks", "gradient", "noise")
"""Patterns of training samples."""
_SHARES = (0.28, 0.16, 0.14, 0.14, 0.14, 0.14)
HELD_OUT_PATTERN = "dots"
"""The pattern that no training sample wears."""

Color = Float[np.ndarray, "H W 3"]
Mask = Float[np.ndarray, "H W"]


@dataclass(frozen=True, eq=False)
class Canvas:
    """Where the texels of one texture are.

    Args:
        u: Target coordinates; ``v`` likewise.
        tu: Template coordinates; ``tv`` likewise.
        edge: Height of a texel in ``tv``, over which edges are smooth.
    """

    u: Mask
    v: Mask
    tu: Mask
    tv: Mask
    edge: float

    def above_chin(self, chin: float) -> "Canvas":
        """Return the canvas with heights that are 0 at the chin and 1 at the crown."""
        return replace(self, tv=(self.tv - chin) / (1 - chin), edge=self.edge / (1 - chin))

    def around(self, center: float = 0.5) -> Mask:
        """Return the signed distance from a meridian of the template, in [-0.5, 0.5]."""
        return (self.tu - center + 0.5) % 1 - 0.5

    def above(self, height: float | Mask) -> Mask:
        """Return 1 above a height of the template, 0 below."""
        return step(-self.edge, self.edge, self.tv - height)

    def disk(self, center: tuple[float, float], radii: tuple[float, float]) -> Mask:
        """Return 1 inside an ellipse in template coordinates, 0 outside."""
        distance = np.hypot(self.around(center[0]) / radii[0], (self.tv - center[1]) / radii[1])
        return step(self.edge, -self.edge, (distance - 1) * min(radii))


@dataclass(frozen=True)
class Cloth:
    """A garment's pattern.

    Args:
        pattern: One of the patterns above.
        colors: Ground and figure.
        count: Repeats around; the period upwards is similar.
        seed: Of noise.
    """

    pattern: str
    colors: tuple[np.ndarray, np.ndarray]
    count: int
    seed: int

    def paint(self, canvas: Canvas) -> Color:
        """Return its color at every texel, laid out regularly in target coordinates."""
        return mix(*self.colors, self._weight(canvas))

    def _weight(self, canvas: Canvas) -> Mask:
        across, up = canvas.u * self.count, canvas.v * self.count
        soft = self.count / len(canvas.u)
        match self.pattern:
            case "solid":
                return np.zeros(across.shape)
            case "stripes_h":
                return _stripes(up, soft)
            case "stripes_v":
                return _stripes(across, soft)
            case "checks":
                return (_stripes(across, soft) + _stripes(up, soft)) / 2
            case "gradient":
                return (canvas.tv * 1.7) % 1
            case "dots":
                return step(soft, -soft, np.hypot(across % 1 - 0.5, up % 1 - 0.5) - 0.3)
            case "noise":
                return 0.5 + 0.6 * _noise(canvas, 1 / self.count, self.seed)
        raise ValueError(self.pattern)


def random_cloth(rng: np.random.Generator, pattern: str = "") -> Cloth:
    """Draw a garment's pattern and colors: two tones of about one color."""
    chosen = pattern or str(rng.choice(PATTERNS, p=_SHARES))
    ground = hsv(rng.random(), rng.uniform(0.05, 0.9), rng.uniform(0.15, 0.95))
    away = rng.uniform(0, 1, 3) * rng.uniform(0.5, 1)
    figure = ground + rng.uniform(0.2, 0.33) * (away - ground)
    return Cloth(chosen, (ground, figure.astype(np.float32)), int(rng.integers(6, 11)), int(rng.integers(1 << 30)))


def contrasting(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw two colors of different lightness."""
    hue = rng.random()
    values = rng.uniform(0.15, 0.45), rng.uniform(0.65, 0.95)
    first, second = rng.permutation(values)
    return hsv(hue, rng.uniform(0.1, 0.9), first), hsv(hue + rng.uniform(-0.3, 0.3), rng.uniform(0, 0.7), second)


def hsv(hue: float, saturation: float, value: float) -> Float[np.ndarray, " 3"]:
    """Return the color of a hue (any number of turns), saturation and value."""
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value), np.float32)


def glyph(rng: np.random.Generator, size: int = 4) -> Bool[np.ndarray, "S S"]:
    """Draw a sign that differs from its mirror image in at least a quarter of its cells."""
    while True:
        cells = rng.random((size, size)) < 0.55
        if (cells != cells[:, ::-1]).mean() >= 0.25:
            return cells


def stamp(
    canvas: Canvas, cells: Bool[np.ndarray, "S S"], center: tuple[float, float], half: tuple[float, float]
) -> Mask:
    """Return 1 on the cells of a glyph laid on the surface, 0 elsewhere; ``half`` are half its extents."""
    x, y = canvas.around(center[0]) / half[0], (center[1] - canvas.tv) / half[1]
    inside = (np.abs(x) < 1) & (np.abs(y) < 1)
    index = [np.clip(((axis + 1) / 2 * len(cells)).astype(int), 0, len(cells) - 1) for axis in (y, x)]
    return (inside & cells[index[0], index[1]]).astype(np.float32)


def _stripes(phase: Mask, soft: float) -> Mask:
    return step(-soft, soft, 0.25 - np.abs(phase % 1 - 0.5))


def _noise(canvas: Canvas, cell: float, seed: int) -> Mask:
    surface = Surface(canvas.u, canvas.v, np.empty(0), 1.0, 1.0, wrap=True)
    return noise(surface, cell, seed)
