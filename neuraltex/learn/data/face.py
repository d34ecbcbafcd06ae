"""Faces and hair, and heads made of nothing else.

Convention:
    *Head* heights are 0 at the chin and 1 at the crown.
"""

import numpy as np

from neuraltex.demo.patterns import mix
from neuraltex.learn.data.ornament import Canvas, Color, Mask, glyph, hsv, random_cloth, stamp
from neuraltex.learn.data.tube import Grid, Surface, Values, bump

GRID = Grid(44, 56, low=0.06)
LANDMARKS = (0.0, 0.12, 0.25, 0.38, 0.62, 0.85, 1.0)
"""Bottom of the bust, collar, chin, mouth, eyes, forehead and crown in template coordinates."""
SPREAD = (0.0, 0.03, 0.05, 0.04, 0.05, 0.03, 0.0)
YAW = 0.06
TWISTED = (0.12, 0.25)
CHIN = 0.25

_HEIGHTS = (0, 0.06, 0.1, 0.13, 0.22, 0.26, 0.4, 0.6, 0.8, 0.93, 0.98, 1)
_WIDTHS = (0, 0.42, 0.4, 0.2, 0.17, 0.2, 0.27, 0.31, 0.3, 0.2, 0.1, 0)
_DEPTHS = (0, 0.3, 0.28, 0.19, 0.17, 0.26, 0.31, 0.35, 0.34, 0.23, 0.12, 0)


def head_shape(rng: np.random.Generator) -> Surface:
    """Draw a bust: points on it at template coordinates, 1 high."""
    wide, deep = rng.uniform(0.88, 1.12, 2)
    features = [(0.0, 0.5, 0.045, 0.07, 0.11), (0.0, 0.4, 0.06, 0.025, 0.03), (0.0, 0.27, 0.06, 0.035, 0.04)]
    features += [(side * 0.1, 0.63, 0.035, 0.04, -0.025) for side in (-1, 1)]
    features += [(side * 0.27, 0.55, 0.02, 0.07, 0.06) for side in (-1, 1)]

    def surface(u: Values, v: Values) -> np.ndarray:
        angle = 2 * np.pi * (u - 0.5)
        relief = sum(bump(u, v, (0.5 + at, height), (across, up), rise) for at, height, across, up, rise in features)
        x = np.interp(v, _HEIGHTS, _WIDTHS) * wide + relief
        z = np.interp(v, _HEIGHTS, _DEPTHS) * deep + relief
        return np.stack([x * np.sin(angle), np.zeros_like(x), z * np.cos(angle)], -1)

    return surface


def paint_bust(canvas: Canvas, rng: np.random.Generator, pattern: str = "") -> Color:
    """Paint a head on a collar with a given pattern, or any."""
    skin = random_skin(rng)
    cloth = mix(random_cloth(rng, pattern).paint(canvas), skin, canvas.above(0.12))
    return paint_head(canvas.above_chin(CHIN), rng, cloth, skin)


def paint_head(canvas: Canvas, rng: np.random.Generator, below: Color, skin: np.ndarray) -> Color:
    """Paint a face with one sign on a cheek, and hair around it.

    Args:
        canvas: With head heights.
        rng: Source of all choices.
        below: What is there already.
        skin: Its color.
    """
    hair, iris = _hair_color(rng), hsv(rng.uniform(0.05, 0.65), 0.6, rng.uniform(0.15, 0.55))
    lips = mix(skin, np.array([0.75, 0.15, 0.2]), np.array(rng.uniform(0.3, 0.8)))
    color = mix(below, skin * 0.8, canvas.disk((0.5, 0.33), (0.028, 0.05)))
    color = mix(color, lips, canvas.disk((0.5, 0.165), (0.05, 0.052)))
    for side in (-1, 1):
        eye = 0.5 + side * 0.068
        color = mix(color, hair * 0.8, canvas.disk((eye, 0.645), (0.045, 0.035)))
        color = mix(color, np.full(3, 0.93), canvas.disk((eye, 0.5), (0.036, 0.078)))
        color = mix(color, iris, canvas.disk((eye, 0.5), (0.018, 0.07)))
    if rng.random() < 0.3:
        cheek = (0.5 + float(rng.choice([-1, 1])) * 0.1, 0.25)
        color = mix(color, iris, stamp(canvas, glyph(rng, 3), cheek, (0.022, 0.1)))
    strands = hair * (0.85 + 0.25 * np.sin(2 * np.pi * canvas.u * rng.integers(10, 22))[..., None])
    return mix(color, np.clip(strands, 0, 1), canvas.above(_hairline(canvas, rng)))


def random_skin(rng: np.random.Generator) -> np.ndarray:
    """Draw the color of skin."""
    return hsv(rng.uniform(0.04, 0.09), rng.uniform(0.25, 0.6), rng.uniform(0.4, 0.95))


def _hairline(canvas: Canvas, rng: np.random.Generator) -> Mask:
    """Height above which there is hair: high over the face, low at the back, parted on one side."""
    front, ears, back = rng.uniform(0.72, 0.85), rng.uniform(0.3, 0.56), rng.uniform(-0.65, 0.35)
    part = rng.uniform(-0.05, 0.05)
    heights = (back, back, ears, front + 0.06, ears, back, back)
    return np.interp(canvas.around(), (-0.5, -0.21, -0.17, part, 0.17, 0.21, 0.5), heights)


def _hair_color(rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.15:
        return hsv(0.1, 0.03, rng.uniform(0.6, 0.85))
    return hsv(rng.uniform(0.03, 0.12), rng.uniform(0.3, 0.75), rng.uniform(0.08, 0.75))
