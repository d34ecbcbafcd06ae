"""Materials of the small things: glazes, globe, fruit, leaves. Lengths are meters."""

import numpy as np

from neuraltex.demo.patterns import Color, Material, Surface, fbm, flat, lines, mix, noise, ramp, rgb, scale, step


def delft(surface: Surface) -> Color:
    """White glaze painted in cobalt: bands, a row of petals, tendrils and blossoms."""
    around = surface.x / surface.width
    up = surface.y / surface.height
    blue = mix(rgb("1d3f8f"), rgb("3f6cc0"), 0.5 + 0.5 * fbm(surface, 0.02, 61, 3))
    white = mix(rgb("f2f3f0"), rgb("dfe6ea"), 0.5 + 0.5 * fbm(surface, 0.06, 62, 3))
    ink = np.zeros(surface.shape)
    for low, high in ((0.03, 0.05), (0.20, 0.21), (0.225, 0.245), (0.66, 0.68), (0.69, 0.70), (0.93, 0.96)):
        ink = np.maximum(ink, step(low - 0.002, low, up) * step(high + 0.002, high, up))
    petal = np.abs((around * 18) % 1 - 0.5)
    arch = up - (0.06 + 0.12 * np.sqrt(np.clip(1 - (petal * 2) ** 2, 0, 1)))
    ink = np.maximum(ink, step(0.010, 0.006, np.abs(arch)) * (up > 0.05) * (up < 0.2))
    ink = np.maximum(ink, 0.5 * step(0.07, 0.06, np.hypot(petal * 0.35, up - 0.105)))
    stem = up - (0.45 + 0.10 * np.sin(2 * np.pi * around * 4))
    ink = np.maximum(ink, step(0.012, 0.007, np.abs(stem)) * (up > 0.26) * (up < 0.64))
    ink = np.maximum(ink, _blossoms(around * 8, up, surface.width / 8 / surface.height))
    key = ((around * 40) % 1 < 0.5) ^ ((up * 36) % 1 < 0.5)
    ink = np.maximum(ink, key * (up > 0.72) * (up < 0.90) * 0.8 * step(0.0, 0.02, up - 0.72))
    return mix(white, blue, 0.94 * ink)


def _blossoms(x: np.ndarray, y: np.ndarray, aspect: float) -> np.ndarray:
    """Flowers at x = 0.5, 1.5, ... on alternating sides of y = 0.45."""
    side = np.where(np.floor(x) % 2 == 0, 1.0, -1.0)
    dx, dy = ((x % 1) - 0.5) * aspect, y - 0.45 - side * 0.03
    radius, angle = np.hypot(dx, dy), np.arctan2(dy, dx)
    size = 0.085 * (0.7 + 0.3 * np.cos(6 * angle))
    return step(0.004, -0.004, radius - size) * (1 - 0.75 * step(0.02, 0.035, radius) * step(0.05, 0.04, radius))


def glaze(dark: str, light: str, seed: int) -> Material:
    """A reactive glaze that runs: light on top, dark where it pools, speckled."""

    def material(surface: Surface) -> Color:
        up = surface.y / surface.height
        runs = up + 0.10 * fbm(surface, (0.03, 0.2), seed, 4) + 0.05 * noise(surface, 0.01, seed + 5)
        color = mix(rgb(dark), rgb(light), step(0.15, 0.85, runs))
        specks = step(0.9, 1.25, noise(surface, 0.004, seed + 6))
        craquelure = step(0.05, 0.0, np.abs(fbm(surface, 0.018, seed + 7, 3)))
        return scale(color, (1 - 0.45 * specks) * (1 - 0.12 * craquelure))

    return material


def terracotta(surface: Surface) -> Color:
    """Fired clay with turning marks and a lime bloom."""
    rings = 1 + 0.05 * np.sin(2 * np.pi * surface.y / 0.008) + 0.05 * fbm(surface, 0.03, 71)
    bloom = 0.5 * step(0.3, 1.3, fbm(surface, 0.07, 72, 5, 0.65))
    return scale(mix(rgb("b5623c"), rgb("e3c9b2"), bloom), rings)


def soil(surface: Surface) -> Color:
    """Dark crumbs."""
    return ramp(np.clip(0.45 + 0.3 * fbm(surface, 0.02, 73, 5, 0.8), 0, 1), ["1d130c", "3a281a", "5d4630", "7d6549"])


def snake_leaf(seed: int) -> Material:
    """Sansevieria: dark green with pale zigzag bands and a yellow margin; t runs from the root to the tip."""

    def material(surface: Surface) -> Color:
        bands = np.sin(2 * np.pi * surface.y / 0.034 + 2.6 * fbm(surface, (0.012, 0.02), seed, 4) + seed)
        green = mix(rgb("2c5a34"), rgb("a9c39a"), step(0.15, 0.8, bands))
        around = surface.x / surface.width
        margin = np.minimum(np.minimum(around, 1 - around), np.abs(around - 0.5))
        return mix(rgb("e2cf72"), green, step(0.045, 0.065, margin + 0.012 * noise(surface, 0.01, seed + 3)))

    return material


def globe(surface: Surface) -> Color:
    """A political globe of a made-up planet: seas with depth, lands, borders, mountains, ice and a 15 degree grid."""
    p = surface.position / np.linalg.norm(surface.position, axis=-1, keepdims=True)
    height = 0.62 * _waves(p, 1.9, 5) + 0.33 * _waves(p, 4.3, 6) + 0.20 * _waves(p, 9.7, 7) + 0.10 * _waves(p, 21.0, 8)
    height += 0.05 * _waves(p, 47.0, 9) + 0.04
    sea = ramp(np.clip(1 + height * 1.2, 0, 1), ["1d4a6b", "2c6688", "4f8fab", "8fc0cc"])
    country = np.floor(3.5 + 3.2 * _waves(p, 2.6, 15) + 1.8 * _waves(p, 5.1, 16)).astype(np.int64)
    tints = np.stack([rgb(code) for code in ("d9b76a", "c9d08a", "e3a07c", "d7c9a0", "a8bf86", "e6cf8c", "cf9aa0")])
    land = tints[country % 7] * (1 - 0.35 * np.clip(height * 2 - 0.35, 0, 0.9))[..., None]
    color = mix(sea, land, step(-0.008, 0.008, height))
    color = scale(color, 1 - 0.55 * step(0.02, 0.008, np.abs(height)))
    latitude, longitude = np.degrees(np.arcsin(p[..., 2].clip(-1, 1))), np.degrees(np.arctan2(p[..., 1], p[..., 0]))
    color = mix(color, rgb("f5f4ee"), step(66, 70, np.abs(latitude) + 6 * _waves(p, 6.0, 17)))
    meridians = lines(longitude, 15, 0.7, 0.4) * (np.abs(latitude) < 76)
    grid = np.maximum(lines(latitude, 15, 0.7, 0.4), meridians)
    color = mix(color, rgb("2b2a33"), 0.35 * grid)
    return mix(color, rgb("a8342c"), 0.9 * step(1.2, 0.8, np.abs(latitude)))


def _waves(p: np.ndarray, frequency: float, seed: int) -> np.ndarray:
    """Smooth noise in space: a sum of plane waves of one wavelength in random directions."""
    generator = np.random.default_rng(seed)
    directions = generator.normal(size=(9, 3))
    directions *= frequency / np.linalg.norm(directions, axis=1, keepdims=True)
    phases = generator.uniform(0, 2 * np.pi, 9)
    p = p.astype(np.float32)
    return (
        sum(np.sin(p @ d.astype(np.float32) + np.float32(phase)) for d, phase in zip(directions, phases, strict=True))
        / 4.0
    )


def orange(surface: Surface) -> Color:
    """Pitted peel with a green navel."""
    pits = step(0.3, 1.0, noise(surface, 0.0045, 81))
    color = mix(rgb("f09a22"), rgb("e2761a"), 0.5 + 0.5 * fbm(surface, 0.03, 82, 3))
    pole = step(0.93, 0.975, surface.y / surface.height)
    return scale(mix(color, rgb("6d6a2a"), pole), 1 - 0.16 * pits)


def apple(surface: Surface) -> Color:
    """Red cheeks over yellow with fine streaks from the stem."""
    up = surface.y / surface.height
    cheek = 0.5 + 0.45 * np.sin(2 * np.pi * surface.x / surface.width + 1) + 0.25 * noise(surface, (0.006, 0.15), 83)
    color = mix(rgb("e8c14f"), rgb("b3232a"), step(0.05, 0.75, cheek))
    specks = step(1.0, 1.3, noise(surface, 0.0042, 84))
    color = mix(color, rgb("f0dfa8"), 0.7 * specks)
    return mix(color, rgb("6f7a33"), step(0.88, 0.97, up + 0.02 * noise(surface, 0.01, 85)))


def pear(surface: Surface) -> Color:
    """Green-yellow skin with russet freckles."""
    color = mix(rgb("a9b34a"), rgb("d6c45a"), 0.5 + 0.5 * fbm(surface, 0.05, 86, 3))
    freckles = step(0.8, 1.2, noise(surface, 0.004, 87))
    color = mix(color, rgb("8a6a35"), 0.7 * freckles)
    return mix(color, rgb("b5713f"), 0.6 * step(0.2, 1.1, noise(surface, 0.06, 88)))


def banana(surface: Surface) -> Color:
    """Yellow with brown tips and a few spots."""
    up = surface.y / surface.height
    color = mix(rgb("efc93c"), rgb("d9ad2b"), 0.5 + 0.5 * np.cos(2 * np.pi * 5 * surface.x / surface.width))
    spots = step(0.75, 1.15, fbm(surface, 0.011, 89, 3))
    tips = np.maximum(step(0.08, 0.03, up), step(0.93, 0.98, up))
    return mix(color, rgb("5a3a1c"), np.maximum(0.8 * spots, tips))


def lampshade(surface: Surface) -> Color:
    """Pleated linen, lit from inside."""
    pleats = max(2, round(surface.width / 0.022))
    fold = np.sin(2 * np.pi * pleats * surface.x / surface.width)
    weave = 1 + 0.03 * noise(surface, (0.003, 0.03), 91) + 0.03 * noise(surface, (0.03, 0.003), 92)
    return scale(flat(surface, "f6e3bd"), (0.92 + 0.08 * fold) * weave)


def brass(surface: Surface) -> Color:
    """Brushed metal with faint highlights around."""
    sheen = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * surface.x / surface.width + 0.4)
    brushed = 0.25 * noise(surface, (0.2, 0.0025), 93)
    return ramp(np.clip(0.25 + 0.5 * sheen + brushed, 0, 1), ["7d5a22", "a8803a", "cfa95a", "ecd08d"])


def ball_panels(surface: Surface) -> Color:
    """A beach ball: six colored gores, white caps."""
    gore = np.floor(6 * surface.x / surface.width).astype(np.int64) % 6
    codes = np.stack([rgb(code) for code in ("d8433a", "f2efe6", "2f6fb0", "f2efe6", "edb93a", "f2efe6")])
    up = surface.y / surface.height
    color = mix(codes[gore], rgb("f2efe6"), np.maximum(step(0.1, 0.095, up), step(0.9, 0.905, up)))
    seam = lines(surface.x / surface.width, 1 / 6, 0.004, 0.003)
    scuff = 1 + 0.05 * fbm(surface, 0.02, 94)
    return scale(color, (1 - 0.4 * seam) * scuff)
