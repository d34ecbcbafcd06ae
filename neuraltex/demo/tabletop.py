"""Small things that stand on furniture: books, globe, lamp, fruit, tea. z is up, lengths are meters."""

from dataclasses import replace

import numpy as np

from neuraltex.demo import materials_things as things
from neuraltex.demo import printed
from neuraltex.demo.primitives import Patches, ball, box, lathe, place, sweep

BOOKS = (
    ("On Bilinear Forms", "I. Texel", "274b6d", "e8d7a5", (0.27, 0.19, 0.042)),
    ("A Field Guide to Seams", "U. V. Chart", "8a2f2b", "f0dfb0", (0.25, 0.18, 0.032)),
    ("The Quiet Gutter", "M. Dilate", "d9b44a", "3a2a1c", (0.23, 0.165, 0.036)),
    ("Pixels and Prejudice", "J. Half", "3c6b4c", "f3e7c8", (0.21, 0.15, 0.026)),
    ("Normal People, Normal Maps", "S. Facet", "e4ddd0", "8a2f2b", (0.24, 0.17, 0.030)),
    ("Great Expectations of Light", "C. Lumen", "37305a", "e6c36a", (0.22, 0.155, 0.038)),
)


def book_stack(z: float, at: tuple[float, float], which: tuple[int, ...], name: str) -> Patches:
    """Books lying on each other, each turned a little, spines to the front."""
    parts: Patches = []
    for k, index in enumerate(which):
        title, author, base, ink, (length, depth, thickness) = BOOKS[index]
        paper, cloth = printed.pages, printed.cover(title, author, base, ink, 220 + index)
        spine = printed.spine(title, base, ink, 230 + index)
        sides = {"front": spine, "top": cloth}
        body = box((length, depth, thickness), paper, sides, cell=0.03)
        body = [replace(patch, density=1.5) for patch in body]
        parts += place(body, f"{name} {k}", (at[0], at[1], z), turn=(-0.10, 0.12, -0.22, 0.30)[k % 4])
        z += thickness
    return parts


def globe(at: tuple[float, float, float]) -> Patches:
    """A globe on a brass foot, tilted by 23 degrees."""
    foot = [(0, 0), (0.075, 0), (0.075, 0), (0.078, 0.012), (0.03, 0.026), (0.013, 0.05), (0.013, 0.09)]
    sphere = [replace(ball(0.135, things.globe, 72), density=1.3)]
    x, y, z = at
    return place([lathe(foot, things.brass, 48, 24)], "globe foot", at) + place(
        sphere, "globe", (x, y, z + 0.215), turn=2.1, tilt=0.41
    )


def lamp(at: tuple[float, float, float]) -> Patches:
    """A table lamp: glazed gourd, brass neck, pleated shade."""
    base = [
        (0, 0),
        (0.07, 0),
        (0.07, 0),
        (0.10, 0.06),
        (0.085, 0.14),
        (0.04, 0.19),
        (0.045, 0.22),
        (0.022, 0.255),
        (0.012, 0.26),
    ]
    shade = [
        (0.165, 0.0),
        (0.115, 0.2),
        (0.115, 0.2),
        (0.112, 0.2),
        (0.112, 0.2),
        (0.162, 0.0),
        (0.162, 0.0),
        (0.165, 0.0),
    ]
    x, y, z = at
    parts = place([lathe(base, things.glaze("7a2f1e", "e2a25a", 241), 56, 48)], "lamp base", at)
    neck = [(0.011, 0.0), (0.011, 0.16), (0.011, 0.16), (0.0, 0.16)]
    parts += place([lathe(neck, things.brass, 16, 12)], "lamp neck", (x, y, z + 0.25))
    return parts + place([lathe(shade, things.lampshade, 64, 30)], "lamp shade", (x, y, z + 0.285))


def fruit(at: tuple[float, float, float]) -> Patches:
    """Oranges, apples, a pear and two bananas, resting in the bowl."""
    x, y, z = at
    apple = [(0, 0.006), (0.012, 0), (0.03, 0.012), (0.040, 0.042), (0.030, 0.070), (0.012, 0.072), (0, 0.062)]
    pear = [(0, 0.004), (0.014, 0), (0.036, 0.022), (0.036, 0.045), (0.022, 0.075), (0.014, 0.098), (0, 0.104)]
    parts = place([ball(0.041, things.orange, 40)], "orange 1", (x + 0.062, y + 0.022, z + 0.072))
    parts += place([ball(0.040, things.orange, 40)], "orange 2", (x - 0.012, y - 0.066, z + 0.071), tilt=1.0)
    parts += place([lathe(apple, things.apple, 44, 34)], "apple 1", (x - 0.058, y + 0.020, z + 0.034), tilt=0.25)
    parts += place(
        [lathe(apple, things.apple, 44, 34)], "apple 2", (x + 0.010, y + 0.072, z + 0.040), turn=2.0, tilt=-0.35
    )
    parts += place([lathe(pear, things.pear, 44, 38)], "pear", (x + 0.004, y + 0.004, z + 0.082), turn=0.7, tilt=-0.3)
    angle = np.linspace(-0.85, 0.85, 29)
    thick = 0.0165 * (1 - np.abs(np.linspace(-1, 1, 29)) ** 5) ** 0.5 * (1 - 0.2 * np.linspace(-1, 1, 29) ** 2)
    thick[1:3] = thick[-3:-1] = 0.006
    arc = np.stack([0.105 * np.sin(angle), 0 * angle, 0.105 * (1 - np.cos(angle))], -1)
    banana = sweep(arc, np.stack([thick, thick], 1), np.array([0, 1.0, 0]), things.banana, 20)
    parts += place([banana], "banana 1", (x + 0.045, y - 0.035, z + 0.108), turn=0.75, tilt=0.35)
    return parts + place([banana], "banana 2", (x + 0.062, y - 0.062, z + 0.098), turn=0.75, tilt=0.75)


def teapot(at: tuple[float, float, float]) -> Patches:
    """A teapot with spout and handle, and a cup."""
    glaze = things.glaze("23394a", "7fb0b8", 271)
    body = [
        (0, 0),
        (0.05, 0),
        (0.05, 0),
        (0.078, 0.03),
        (0.086, 0.06),
        (0.070, 0.10),
        (0.042, 0.12),
        (0.042, 0.12),
        (0.044, 0.126),
    ]
    body += [(0.036, 0.134), (0.010, 0.142), (0.008, 0.148), (0.015, 0.158), (0.010, 0.168), (0, 0.170)]
    t = np.linspace(0, 1, 24)
    spout = np.stack([0.06 + 0.085 * t, 0 * t, 0.045 + 0.06 * t**1.6 + 0.012 * np.sin(np.pi * t)], -1)
    thick = np.where(t > 0.999, 0.0, 0.020 - 0.012 * t)
    a = np.linspace(-1.9, 1.9, 33)
    loop = np.stack([-0.072 - 0.042 * np.cos(a), 0 * a, 0.068 + 0.038 * np.sin(a)], -1)
    parts = place([lathe(body, glaze, 60, 64)], "teapot", at, turn=-0.7)
    parts += place(
        [sweep(spout, np.stack([thick, thick], 1), np.array([0, 1.0, 0]), glaze, 20)], "spout", at, turn=-0.7
    )
    parts += place([sweep(loop, np.full((33, 2), 0.0065), np.array([0, 1.0, 0]), glaze, 14)], "handle", at, turn=-0.7)
    cup = [(0, 0), (0.022, 0), (0.022, 0), (0.034, 0.02), (0.038, 0.055), (0.0355, 0.055), (0.031, 0.022), (0, 0.010)]
    x, y, z = at
    return parts + place([replace(lathe(cup, things.delft, 44, 36), density=1.7)], "cup", (x + 0.05, y + 0.165, z))
