"""Materials of the room and its furniture: floor, walls, wood, stone and cloth. Lengths are meters."""

import numpy as np

from neuraltex.demo.patterns import (
    Color,
    Material,
    Surface,
    fbm,
    flat,
    hashed,
    lines,
    mix,
    noise,
    ramp,
    rgb,
    scale,
    shuffle,
    step,
)


def herringbone(surface: Surface) -> Color:
    """An oak floor: planks of 7 x 42 cm laid in a herringbone at 45 degrees, each with its own cut of grain."""
    plank, ratio = 0.07, 6
    a = (surface.x + surface.y) / np.sqrt(2) / plank
    b = (surface.y - surface.x) / np.sqrt(2) / plank
    column, row = np.floor(a).astype(np.int64), np.floor(b).astype(np.int64)
    phase = (column - row) % (2 * ratio)
    lies = phase < ratio
    start_a = np.where(lies, column - phase, column)
    start_b = np.where(lies, row, row - (2 * ratio - 1 - phase))
    along, across = np.where(lies, a - start_a, b - start_b), np.where(lies, b - row, a - column)
    ids = start_a * 193 + start_b * 71 + 13 * lies
    return _plank(surface, along, across, ids, ratio, plank)


def _plank(surface: Surface, along: np.ndarray, across: np.ndarray, ids: np.ndarray, ratio: int, plank: float) -> Color:
    """Color of planks given the place within each plank, in units of its width."""
    wave = shuffle(fbm(surface, 0.11, 3), ids, 5)
    offset = hashed(ids, 8) * 17
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (across * 1.6 + offset + 0.9 * wave + 0.25 * np.sin(along * 0.7 + offset)))
    fibers = shuffle(noise(surface, 0.006, 11), ids, 6) * 0.5 + 0.5
    streak = 0.5 + 0.5 * np.sin(across * 43 + 5 * wave + offset)
    tone = 0.55 * hashed(ids, 7) + 0.28 * rings + 0.1 * fibers + 0.1 * streak
    color = ramp(np.clip(tone, 0, 1), ["7a4a26", "a06a38", "bb8449", "cf9c5f", "dfb57c"])
    edge = np.minimum(np.minimum(along, ratio - along), np.minimum(across, 1 - across)) * plank
    return scale(color, 0.42 + 0.58 * step(0.0, 0.0035, edge))


def bricks(surface: Surface) -> Color:
    """A brick wall in running bond, 22 x 7 cm with mortar of 12 mm, edges worn and faces mottled."""
    length, height, mortar = 0.225, 0.0765, 0.011
    wobble = 0.0022 * fbm(surface, 0.035, 21, 3)
    x, y = surface.x + wobble, surface.y + wobble[::-1]
    row = np.floor(y / height).astype(np.int64)
    shifted = x / length + 0.5 * (row % 2)
    column = np.floor(shifted).astype(np.int64)
    along, across = (shifted - column) * length, y - row * height
    edge = np.minimum(np.minimum(along, length - along), np.minimum(across, height - across))
    ids = row * 97 + column
    tone = 0.62 * hashed(ids, 22) + 0.2 + 0.16 * fbm(surface, 0.05, 23, 5, 0.65)
    brick = ramp(np.clip(tone, 0, 1), ["5e2c22", "8a4230", "a9573c", "b96a4a", "c98c68"])
    brick = mix(brick, rgb("d9cdbb"), 0.55 * step(0.75, 1.6, fbm(surface, 0.12, 24, 4, 0.7)))
    pits = step(0.75, 1.35, noise(surface, 0.005, 25) + 0.5 * noise(surface, 0.02, 26))
    brick = scale(brick, 1 - 0.35 * pits)
    joint = mix(rgb("b3aa9a"), rgb("948a7b"), 0.5 + 0.5 * fbm(surface, 0.012, 27, 3))
    color = mix(joint, brick, step(mortar / 2 - 0.001, mortar / 2 + 0.0025, edge))
    return scale(color, 0.78 + 0.22 * step(0.0, mortar, np.abs(edge - mortar / 2)))


def wallpaper(surface: Surface) -> Color:
    """Deep green paper printed with golden ogees and blossoms, repeating every 30 x 44 cm."""
    width, height = 0.30, 0.44
    column = np.floor(surface.x / width + 0.5)
    x = (surface.x / width - column) * 2
    y = (surface.y / height + 0.5 * (column % 2)) % 1 * 2 - 1
    ogee = np.abs(np.abs(x) - (0.5 + 0.5 * np.cos(np.pi * y)) * 0.91)
    frame = step(0.085, 0.06, ogee) - 0.8 * step(0.04, 0.025, ogee)
    angle, radius = np.arctan2(x * width, y * height), np.hypot(x * width / 2, y * height / 2)
    petals = 0.052 * (0.62 + 0.38 * np.abs(np.cos(2.5 * angle)))
    flower = step(0.002, -0.002, radius - petals) * step(0.016, 0.019, radius)
    veins = 0.5 * step(0.35, 0.2, np.abs(np.cos(2.5 * angle))) * flower
    heart = step(0.012, 0.010, radius)
    ink = np.clip(frame + flower - veins + heart, 0, 1)
    dots = step(0.0075, 0.0055, np.hypot(x * width / 2, (np.abs(y) - 0.46) * height / 2))
    paper = mix(rgb("1f4a43"), rgb("2b5d53"), 0.5 + 0.5 * fbm(surface, 0.25, 31, 4))
    gold = mix(rgb("c8a862"), rgb("e4cd92"), 0.5 + 0.5 * fbm(surface, 0.02, 32, 3))
    weave = 1 + 0.035 * noise(surface, (0.004, 0.03), 33) + 0.035 * noise(surface, (0.03, 0.004), 34)
    return scale(mix(paper, gold, 0.86 * np.clip(ink + dots, 0, 1)), weave)


def wood(tones: tuple[str, ...], seed: int, upright: bool = False) -> Material:
    """A plank of solid wood whose grain runs along s, or along t if ``upright``."""

    def material(surface: Surface) -> Color:
        across = surface.x if upright else surface.y
        long = (0.03, 0.4) if upright else (0.4, 0.03)
        fine = (0.0035, 0.09) if upright else (0.09, 0.0035)
        wave = fbm(surface, (long[0] * 4, long[1]) if upright else (long[0], long[1] * 4), seed, 3)
        spacing = surface.width / max(1, round(surface.width / 0.021)) if upright and surface.wrap else 0.021
        rings = 0.5 + 0.5 * np.sin(2 * np.pi * (across / spacing + 2.4 * wave))
        tone = 0.45 + 0.24 * (rings - 0.5) + 0.2 * fbm(surface, long, seed + 1) + 0.13 * noise(surface, fine, seed + 2)
        return ramp(np.clip(tone, 0, 1), tones)

    return material


WALNUT = ("38200f", "54331b", "714726", "8b5c35", "a67548")
BEECH = ("b98a55", "cf9f68", "ddb27c", "e8c394", "f0d3aa")
PAINTED = ("d9d3c5", "e2dccf", "e8e3d7", "ece8de", "f1eee6")


def drawers(columns: int, rows: int, seed: int) -> Material:
    """The front of a sideboard: walnut panels with dark joints and a beveled edge."""

    def material(surface: Surface) -> Color:
        w, h = surface.width / columns, surface.height / rows
        column, row = np.floor(surface.x / w).astype(np.int64), np.floor(surface.y / h).astype(np.int64)
        x, y = surface.x - column * w, surface.y - row * h
        edge = np.minimum(np.minimum(x, w - x), np.minimum(y, h - y))
        grain = wood(WALNUT, seed)(surface)
        ids = (column * 7 + row * 3).clip(0)
        tone = 0.9 + 0.25 * hashed(ids, seed)
        groove = 1 - 0.75 * step(0.004, 0.0025, edge)
        bevel = 1 + 0.28 * step(0.004, 0.002, np.abs(edge - 0.028)) * np.where(y > h / 2, 1, -1)
        return scale(grain, tone * groove * bevel)

    return material


def marble(base: tuple[str, ...], vein: str, seed: int, cell: float = 0.16) -> Material:
    """Polished stone: thin veins where a warped noise crosses zero, clouds between."""

    def material(surface: Surface) -> Color:
        clouds = fbm(surface, cell, seed, 5, 0.6)
        coarse = np.abs(fbm(surface, cell * 0.9, seed + 50, 6, 0.55) + 0.15 * clouds)
        fine = np.abs(fbm(surface, cell * 0.35, seed + 90, 5, 0.55))
        veins = 0.85 * step(0.11, 0.0, coarse) + 0.4 * step(0.07, 0.0, fine) * step(-0.2, 0.5, clouds)
        return mix(ramp(0.5 + 0.4 * clouds, base), rgb(vein), veins)

    return material


CARRARA = (("c9cbcf", "dcdedf", "ececea", "f4f3f0"), "6f757d")
VERDE = (("123a2d", "1d5140", "2c6a52"), "b9d8c0")


def kilim(surface: Surface) -> Color:
    """A hand-woven rug: borders, stepped diamonds and zigzags, with the weave and uneven dye showing."""
    cell = 0.0125
    i, j = np.floor(surface.x / cell), np.floor(surface.y / cell)
    columns, rows = np.floor(surface.width / cell), np.floor(surface.height / cell)
    edge = np.minimum(np.minimum(i, columns - 1 - i), np.minimum(j, rows - 1 - j))
    diamond = (np.abs((i - columns / 2 + 0.5) % 24 - 12) + np.abs((j - rows / 2 + 0.5) % 24 - 12)) // 2
    field = np.array([6, 1, 1, 4, 2, 2, 5, 0, 0, 3, 1, 4, 2])[diamond.astype(np.int64).clip(0, 12)]
    along = np.where(np.minimum(i, columns - 1 - i) < np.minimum(j, rows - 1 - j), j, i)
    zigzag = ((edge - 3) - np.abs(along % 8 - 4) > 0.5) * 3 + 1
    index = np.where(edge < 2, 2, np.where(edge < 3, 1, np.where(edge < 8, zigzag, np.where(edge < 9, 5, field))))
    palette = np.stack([rgb(code) for code in ("8f2f26", "e8d9b8", "27384f", "c98b3a", "b5523a", "3f6b67", "1f2533")])
    color = palette[index.astype(np.int64)]
    dye = 1 + 0.10 * noise(surface, (0.4, 0.012), 41) + 0.07 * noise(surface, (0.006, 0.003), 42)
    weft = 0.86 + 0.14 * np.abs(np.sin(np.pi * surface.y / 0.0042 + np.pi / 2 * (np.floor(surface.x / 0.0063) % 2)))
    warp = 0.92 + 0.08 * np.abs(np.sin(np.pi * surface.x / 0.0063))
    return scale(color, dye * weft * warp)


def knit(code: str, seed: int) -> Material:
    """Chunky knitwear: columns of slanted stitches."""

    def material(surface: Surface) -> Color:
        columns = max(2, round(surface.width / 0.034))
        x = surface.x / surface.width * columns
        within = x - np.floor(x)
        slant = np.abs(within - 0.5) * 2
        stitch = (surface.y / 0.026 - 0.8 * slant) % 1
        shape = np.sin(np.pi * stitch) ** 0.6 * (0.35 + 0.65 * np.sin(np.pi * (slant * 0.9 + 0.08)))
        yarn = 1 + 0.1 * np.sin(2 * np.pi * (stitch * 3 + within * 2)) + 0.06 * noise(surface, 0.006, seed)
        return scale(flat(surface, code), (0.42 + 0.62 * shape) * yarn)

    return material


def stripes(codes: tuple[str, ...], seed: int) -> Material:
    """Twill cloth with woven stripes of several colors along t."""

    def material(surface: Surface) -> Color:
        widths = np.array([0.05, 0.012, 0.008, 0.012, 0.05, 0.02, 0.006, 0.02])
        edges = np.cumsum(widths)
        at = (surface.x + 0.0015 * noise(surface, 0.03, seed)) % edges[-1]
        index = np.searchsorted(edges, at).clip(0, len(widths) - 1)
        palette = np.stack([rgb(code) for code in codes])
        pick = np.array([0, 1, 2, 1, 0, 3, 1, 3])
        twill = lines(surface.x + surface.y, 0.0055, 0.002, 0.002)
        dye = 1 + 0.05 * fbm(surface, 0.02, seed + 1, 3)
        return scale(palette[pick[index] % len(codes)], (1 - 0.22 * twill) * dye)

    return material


def plaster(surface: Surface) -> Color:
    """White paint, brushed."""
    return scale(flat(surface, "ece8de"), 1 + 0.02 * noise(surface, (0.3, 0.004), 51) + 0.02 * fbm(surface, 0.1, 52))
