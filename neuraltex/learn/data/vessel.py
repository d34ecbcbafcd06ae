"""Vases, bottles and mugs: surfaces of revolution with bands, a label and something that marks their front."""

import numpy as np

from neuraltex.demo.patterns import mix
from neuraltex.learn.data.ornament import Canvas, Color, contrasting, glyph, random_cloth, stamp
from neuraltex.learn.data.tube import Grid, Surface, Values, bump

GRID = Grid(40, 52, low=0.04, high=0.94)
LANDMARKS = (0.0, 0.1, 0.35, 0.62, 0.76, 0.88, 1.0)
"""Bottom, foot, belly, shoulder, neck, lip and top in template coordinates."""
SPREAD = (0.0, 0.025, 0.06, 0.05, 0.04, 0.025, 0.0)
YAW = 0.1
TWISTED = (-1.0, 0.0)

_HEIGHTS = (0.0, 0.02, 0.1, 0.16, 0.35, 0.6, 0.66, 0.74, 0.78, 0.87, 0.89, 1.0)
_RADII = {
    "vase": (0.0, 0.17, 0.15, 0.17, 0.27, 0.22, 0.16, 0.1, 0.1, 0.15, 0.19, 0.17),
    "bottle": (0.0, 0.18, 0.19, 0.17, 0.19, 0.19, 0.15, 0.07, 0.06, 0.06, 0.08, 0.07),
    "mug": (0.0, 0.22, 0.24, 0.26, 0.28, 0.28, 0.27, 0.265, 0.275, 0.28, 0.3, 0.29),
}


def vessel_shape(rng: np.random.Generator) -> Surface:
    """Draw a vessel with a spout in front and a handle behind it, on the left or on the right: points, 1 high."""
    radii = np.array(_RADII[str(rng.choice(list(_RADII)))]) * rng.uniform(0.85, 1.15)
    handle = 0.12 * float(rng.choice([-1, 1]))

    def surface(u: Values, v: Values) -> np.ndarray:
        angle = 2 * np.pi * (u - 0.5)
        radius = np.interp(v, _HEIGHTS, radii) + bump(u, v, (0.5, 0.87), (0.05, 0.05), 0.07)
        radius = radius + bump(u, v, (handle, 0.48), (0.025, 0.12), 0.12)
        return np.stack([radius * np.sin(angle), np.zeros_like(u), radius * np.cos(angle)], -1)

    return surface


def paint_vessel(canvas: Canvas, rng: np.random.Generator, pattern: str = "") -> Color:
    """Paint a vessel whose belly has a given pattern, or any."""
    band, label = contrasting(rng)
    color = random_cloth(rng).paint(canvas)
    color = mix(color, random_cloth(rng, pattern).paint(canvas), canvas.above(0.16))
    for low, high in ((0.1, 0.16), (0.62, 0.67), (0.86, 0.9)):
        color = mix(color, band, canvas.above(low) * (1 - canvas.above(high)))
    color = mix(color, random_cloth(rng).paint(canvas), canvas.above(0.67) * (1 - canvas.above(0.86)))
    color = mix(color, label, canvas.disk((0.5, 0.4), (0.13, 0.13)))
    return mix(color, band, stamp(canvas, glyph(rng, 5), (0.5, 0.4), (0.07, 0.07)))
