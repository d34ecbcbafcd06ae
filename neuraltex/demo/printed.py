"""Printed things: poster, clock face, books and alphabet blocks, drawn with the font that ships with Pillow."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from neuraltex.demo.materials_room import BEECH, wood
from neuraltex.demo.patterns import Color, Material, Surface, fbm, flat, lines, mix, noise, rgb, scale, step

OVERSAMPLE = 2
"""Print is drawn at this multiple of the chart's size and reduced, for clean edges."""


class Sheet:
    """A canvas over a chart with coordinates in [0, 1] from its top left; sizes are relative to the *height*."""

    def __init__(self, surface: Surface, paper: str) -> None:
        height, width = surface.shape
        self.size = (width, height)
        self.image = Image.new("RGB", (width * OVERSAMPLE, height * OVERSAMPLE), "#" + paper)
        self.draw = ImageDraw.Draw(self.image)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Turn relative coordinates into pixels of the canvas."""
        return x * self.image.width, y * self.image.height

    def text(self, x: float, y: float, text: str, size: float, ink: str, fit: float = 1.0) -> None:
        """Print a line of text centered at a point, smaller if it would be wider than ``fit`` of the sheet."""
        pixels = max(6.0, size * self.image.height)
        room = fit * self.image.width / ImageFont.load_default(pixels).getlength(text)
        font = ImageFont.load_default(max(6.0, pixels * min(1.0, room)))
        self.draw.text(self.at(x, y), text, "#" + ink, font, anchor="mm")

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, ink: str) -> None:
        """Fill a rectangle."""
        self.draw.rectangle((*self.at(x0, y0), *self.at(x1, y1)), fill="#" + ink)

    def frame(self, margin: float, width: float, ink: str) -> None:
        """Draw a frame at an equal margin from all sides."""
        m, stroke = margin * self.image.height, max(1, round(width * self.image.height))
        self.draw.rectangle((m, m, self.image.width - m, self.image.height - m), outline="#" + ink, width=stroke)

    def circle(self, x: float, y: float, radius: float, ink: str) -> None:
        """Fill a circle."""
        cx, cy = self.at(x, y)
        r = radius * self.image.height
        self.draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill="#" + ink)

    def polygon(self, points: list[tuple[float, float]], ink: str) -> None:
        """Fill a polygon."""
        self.draw.polygon([self.at(*point) for point in points], fill="#" + ink)

    def pixels(self) -> Color:
        """Return the print at the size of the chart."""
        small = self.image.resize(self.size, Image.Resampling.BOX)
        return np.asarray(small, np.float32) / 255


def poster(surface: Surface) -> Color:
    """A travel poster in flat colors: sun, mountain ranges, a lake, and plenty of type."""
    sheet = Sheet(surface, "f3e6c8")
    sheet.rectangle(0.06, 0.05, 0.94, 0.70, "f0b878")
    for k, ink in enumerate(("f2c489", "f6d29b", "f9dfb2")):
        sheet.circle(0.5, 0.33, 0.24 - 0.045 * k, ink)
    sheet.circle(0.5, 0.33, 0.10, "d9482f")
    ranges = (
        ("c98462", 0.36, 0.11, 1),
        ("96606a", 0.43, 0.09, 2),
        ("5a4a6b", 0.50, 0.08, 3),
        ("2d3559", 0.57, 0.05, 4),
    )
    for ink, base, height, seed in ranges:
        ridge = np.random.default_rng(seed).uniform(-1, 1, 17)
        points = [(0.06 + 0.88 * k / 16, base - height * (ridge[k] + (k % 2))) for k in range(17)]
        sheet.polygon([(0.06, 0.70), *points, (0.94, 0.70)], ink)
    sheet.rectangle(0.06, 0.62, 0.94, 0.70, "3c7f8c")
    for k in range(9):
        width = 0.05 + 0.028 * k
        sheet.rectangle(0.5 - width, 0.626 + 0.008 * k, 0.5 + width * (0.6 + 0.05 * k), 0.6285 + 0.008 * k, "f0b878")
    sheet.frame(0.022, 0.004, "2d3559")
    sheet.text(0.5, 0.755, "NEURALTEX", 0.082, "d9482f")
    sheet.text(0.5, 0.82, "THE GRAND TOUR OF TEXTURE SPACE", 0.0262, "2d3559")
    sheet.rectangle(0.12, 0.845, 0.88, 0.848, "2d3559")
    rows = (
        "From every photograph, one surface.",
        "Daily departures: u 00:00 - v 01:00",
        "Gutters, seams and mip levels visited.",
    )
    for k, row in enumerate(rows):
        sheet.text(0.5, 0.872 + 0.027 * k, row, 0.0205, "2d3559")
    sheet.text(0.5, 0.962, "No. 2048   *   PRINTED IN sRGB   *   8 BIT", 0.0145, "96606a")
    return scale(sheet.pixels(), 1 + 0.025 * fbm(surface, 0.01, 101, 3))


def print_squares(surface: Surface) -> Color:
    """An abstract print: overlapping quarter circles on a grid."""
    sheet = Sheet(surface, "f4efe4")
    inks = ("d2553a", "e5a93c", "2f5d62", "23344f", "d9c7a3", "8fae9f")
    generator = np.random.default_rng(5)
    columns, rows = 5, 5
    for i in range(columns):
        for j in range(rows):
            x0, y0 = 0.1 + 0.8 * i / columns, 0.1 + 0.8 * j / rows
            x1, y1 = x0 + 0.8 / columns, y0 + 0.8 / rows
            first, second = generator.permutation(len(inks))[:2]
            sheet.rectangle(x0, y0, x1, y1, inks[first])
            turn = int(generator.integers(4))
            cx, cy = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))[turn]
            (left, top), (right, bottom) = (
                sheet.at(cx - (x1 - x0), cy - (y1 - y0)),
                sheet.at(cx + (x1 - x0), cy + (y1 - y0)),
            )
            sheet.draw.pieslice((left, top, right, bottom), 90 * turn, 90 * turn + 90, fill="#" + inks[second])
    return scale(sheet.pixels(), 1 + 0.02 * noise(surface, 0.004, 102))


def clock(surface: Surface) -> Color:
    """A clock face with numerals, minute marks and hands at ten past ten."""
    sheet = Sheet(surface, "f6f1e4")
    x, y = surface.position[..., 0], surface.position[..., 1]
    radius = np.abs(surface.position[..., :2]).max()
    return mix(sheet.pixels(), rgb("23252b"), _clock_ink(x / radius, y / radius))


def _clock_ink(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Ink of the clock at coordinates in the unit disc, drawn once as an upright image and looked up bilinearly."""
    from scipy.ndimage import map_coordinates  # noqa: PLC0415

    size = 512
    image = Image.new("L", (size, size), 0)
    draw = ImageDraw.Draw(image)
    middle = size / 2
    for minute in range(60):
        a = np.radians(6 * minute)
        length, width = (0.08, 7) if minute % 5 == 0 else (0.04, 3)
        tip, root = 0.97 * middle, (0.97 - length) * middle
        ends = [(middle + r * np.sin(a), middle - r * np.cos(a)) for r in (root, tip)]
        draw.line(ends, 255, width)
    for hour in range(1, 13):
        a = np.radians(30 * hour)
        place = (middle + 0.76 * middle * np.sin(a), middle - 0.76 * middle * np.cos(a))
        draw.text(place, str(hour), 255, ImageFont.load_default(54), anchor="mm")
    for degrees, length, width in ((305, 0.48, 13), (60, 0.72, 9)):
        a = np.radians(degrees)
        draw.line(
            [
                (middle - 30 * np.sin(a), middle + 30 * np.cos(a)),
                (middle + length * middle * np.sin(a), middle - length * middle * np.cos(a)),
            ],
            255,
            width,
        )
    draw.ellipse((middle - 14, middle - 14, middle + 14, middle + 14), fill=255)
    draw.text((middle, middle + 0.36 * middle), "neuraltex", 150, ImageFont.load_default(26), anchor="mm")
    pixels = np.asarray(image, np.float32) / 255
    return map_coordinates(pixels, [(1 - y) * middle - 0.5, (1 + x) * middle - 0.5], order=1)


def cover(title: str, author: str, base: str, ink: str, seed: int) -> Material:
    """The front of a cloth-bound book; s is the long side when it lies."""

    def material(surface: Surface) -> Color:
        sheet = Sheet(surface, base)
        sheet.frame(0.06, 0.012, ink)
        sheet.frame(0.085, 0.005, ink)
        words = title.split()
        for k, word in enumerate(words):
            sheet.text(0.5, 0.5 + 0.17 * (k - len(words) / 2), word, 0.15, ink, fit=0.8)
        sheet.text(0.5, 0.85, author, 0.07, ink)
        return scale(sheet.pixels(), _cloth(surface, seed))

    return material


def spine(title: str, base: str, ink: str, seed: int) -> Material:
    """The spine of a book lying flat: bands at the ends, the title along s."""

    def material(surface: Surface) -> Color:
        sheet = Sheet(surface, base)
        for x in (0.045, 0.07, 0.93, 0.955):
            sheet.rectangle(x - 0.006, 0, x + 0.006, 1, ink)
        sheet.text(0.5, 0.5, title.upper(), 0.55, ink, fit=0.80)
        return scale(sheet.pixels(), _cloth(surface, seed))

    return material


def _cloth(surface: Surface, seed: int) -> np.ndarray:
    """Brightness of book cloth."""
    threads = 0.06 * noise(surface, (0.003, 0.015), seed) + 0.06 * noise(surface, (0.015, 0.003), seed + 1)
    return 1 + threads + 0.06 * fbm(surface, 0.06, seed + 2, 3)


def pages(surface: Surface) -> Color:
    """The cut edge of a book block."""
    sheets = 0.82 + 0.18 * noise(surface, (0.15, 0.0022), 103)
    return scale(flat(surface, "ece0c4"), sheets * (1 - 0.1 * lines(surface.y, 0.006, 0.001, 0.001)))


def letter(glyph: str, ink: str, seed: int) -> Material:
    """One side of a wooden alphabet block: a colored frame and a letter on beech."""

    def material(surface: Surface) -> Color:
        sheet = Sheet(surface, "ffffff")
        sheet.frame(0.07, 0.06, "000000")
        sheet.text(0.5, 0.52, glyph, 0.66, "000000")
        return mix(wood(BEECH, seed)(surface), rgb(ink), step(0.9, 0.1, sheet.pixels()[..., 0]))

    return material
