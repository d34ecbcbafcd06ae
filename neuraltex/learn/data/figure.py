"""Clothed figures: one tube from the soles to the crown, with garments, hair and a face."""

import numpy as np

from neuraltex.demo.patterns import mix, step
from neuraltex.learn.data.face import paint_head, random_skin
from neuraltex.learn.data.ornament import Canvas, Color, Mask, contrasting, glyph, random_cloth, stamp
from neuraltex.learn.data.tube import Grid, Surface, Values, bump

GRID = Grid(48, 64)
LANDMARKS = (0.0, 0.07, 0.28, 0.48, 0.67, 0.74, 0.77, 1.0)
"""Soles, ankles, hem, waist, shoulders, neck, chin and crown in template coordinates."""
SPREAD = (0.0, 0.025, 0.08, 0.07, 0.055, 0.045, 0.04, 0.0)
"""How far each moves up or down."""
YAW = 0.1
TWISTED = (0.74, 0.77)
CHIN = 0.77

_HEIGHTS = (0, 0.012, 0.07, 0.18, 0.272, 0.288, 0.48, 0.6, 0.67, 0.7, 0.74, 0.77, 0.86, 0.95, 0.985, 1)
_WIDTHS = (0, 0.12, 0.11, 0.13, 0.135, 0.20, 0.14, 0.18, 0.2, 0.12, 0.065, 0.085, 0.12, 0.105, 0.07, 0)
_DEPTHS = (0, 0.15, 0.10, 0.11, 0.11, 0.17, 0.105, 0.13, 0.115, 0.085, 0.065, 0.09, 0.13, 0.115, 0.075, 0)


def figure_shape(rng: np.random.Generator) -> Surface:
    """Draw a body: points on it at template coordinates, 1 high."""
    wide, deep = rng.uniform(0.85, 1.15, 2)

    def surface(u: Values, v: Values) -> np.ndarray:
        angle = 2 * np.pi * (u - 0.5)
        body = step(0.75, 0.70, v)
        x = np.interp(v, _HEIGHTS, _WIDTHS) * (1 + (wide - 1) * body)
        z = np.interp(v, _HEIGHTS, _DEPTHS) * (1 + (deep - 1) * body)
        nose = bump(u, v, (0.5, 0.865), (0.03, 0.025), 0.035)
        feet = bump(u, v, (0.5, 0.0), (0.12, 0.04), 0.05)
        return np.stack([(x + nose) * np.sin(angle), np.zeros_like(x), (z + nose + feet) * np.cos(angle)], -1)

    return surface


def paint_figure(canvas: Canvas, rng: np.random.Generator, pattern: str = "") -> Color:
    """Paint a figure whose upper garment has a given pattern, or any."""
    skin = random_skin(rng)
    color = _legs(canvas, rng, skin)
    color = _torso(canvas, rng, color, pattern)
    color = mix(color, skin, canvas.above(_collar(canvas, rng)))
    return paint_head(canvas.above_chin(CHIN), rng, color, skin)


def _legs(canvas: Canvas, rng: np.random.Generator, skin: np.ndarray) -> Color:
    """Shoes, and a lower garment that ends at the ankles, or at the hem above bare legs."""
    cloth = random_cloth(rng).paint(canvas)
    shoe, sole = contrasting(rng)
    bare = mix(np.broadcast_to(skin, cloth.shape), cloth, canvas.above(0.28))
    color = bare if rng.random() < 0.35 else cloth
    color = mix(np.broadcast_to(shoe, cloth.shape), color, canvas.above(0.07))
    return mix(np.broadcast_to(sole, cloth.shape), color, canvas.above(0.035))


def _torso(canvas: Canvas, rng: np.random.Generator, below: Color, pattern: str) -> Color:
    """An upper garment down to the waist, with a belt, or down to the hem, with a placket; a sign on one side."""
    long, cloth = rng.random() < 0.5, random_cloth(rng, pattern)
    trim, ink = contrasting(rng)
    color = mix(below, cloth.paint(canvas), canvas.above(0.285 if long else 0.48))
    band = canvas.above(0.285 if long else 0.465) * (1 - canvas.above(0.305 if long else 0.495))
    color = mix(color, trim, band)
    if rng.random() < 0.4:
        placket = step(canvas.edge, -canvas.edge, np.abs(canvas.around()) - 0.018)
        color = mix(color, trim, placket * canvas.above(0.305 if long else 0.495))
    side = float(rng.choice([-1, 1]))
    center = (0.5 + side * rng.uniform(0.075, 0.11), rng.uniform(0.56, 0.61))
    return mix(color, ink, stamp(canvas, glyph(rng), center, (0.05, 0.05)))


def _collar(canvas: Canvas, rng: np.random.Generator) -> Mask:
    """Height at which the garment ends: lower in front."""
    return 0.71 - rng.uniform(0.0, 0.07) * np.exp(-((canvas.around() / 0.08) ** 2))
