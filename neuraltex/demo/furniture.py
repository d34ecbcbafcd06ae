"""The furnished corner: where everything stands. z is up, lengths are meters, the corner of the room is the origin."""

from dataclasses import replace

import numpy as np

from neuraltex.demo import materials_room as room
from neuraltex.demo import materials_things as things
from neuraltex.demo import printed, tabletop
from neuraltex.demo.patterns import Material
from neuraltex.demo.primitives import Patches, ball, box, disc, lathe, pillow, place, rectangle, sweep

SIDE, HEIGHT = 3.2, 2.6
"""Length of both walls and their height [world]."""


def corner() -> Patches:
    """Floor, brick wall along x, papered wall along y, and their skirting boards."""
    floor = rectangle((0, 0, 0), (SIDE, 0, 0), (0, SIDE, 0), room.herringbone, 0.09)
    brick = rectangle((SIDE, 0, 0), (-SIDE, 0, 0), (0, 0, HEIGHT), room.bricks, 0.09)
    paper = rectangle((0, 0, 0), (0, SIDE, 0), (0, 0, HEIGHT), room.wallpaper, 0.09)
    walls = [replace(patch, density=0.8) for patch in (floor, brick, paper)]
    board = box((SIDE, 0.018, 0.10), room.plaster, without=("bottom", "back", "left"))
    return [
        *place(walls, "room", (0, 0, 0)),
        *place(board, "skirting x", (SIDE / 2, 0.009, 0)),
        *place(board, "skirting y", (0.009, SIDE / 2, 0), turn=-np.pi / 2),
    ]


def sideboard() -> Patches:
    """A walnut sideboard with six drawers, brass knobs and turned legs."""
    front = room.drawers(3, 2, 201)
    body = box((1.5, 0.42, 0.52), room.wood(room.WALNUT, 202), {"front": front}, without=("back", "bottom"))
    at = (1.50, 0.245, 0.18)
    parts = place(body, "sideboard", at)
    top = box((1.54, 0.45, 0.022), room.wood(room.WALNUT, 203), without=("bottom",))
    parts += place(top, "sideboard top", (at[0], at[1], 0.699))
    leg = lathe(
        [(0, 0), (0.013, 0), (0.013, 0), (0.017, 0.08), (0.022, 0.182)],
        room.wood(room.BEECH, 204, upright=True),
        20,
        10,
    )
    knob = lathe([(0.006, 0), (0.006, 0.012), (0.016, 0.02), (0.013, 0.03), (0, 0.033)], things.brass, 20, 14)
    for i in (-1, 1):
        for j in (-1, 1):
            parts += place([leg], "legs", (at[0] + 0.68 * i, at[1] + 0.15 * j, 0))
    for i in (-1, 0, 1):
        for z in (0.13, 0.39):
            parts += place([knob], f"knob {i} {z}", (at[0] + 0.5 * i, at[1] + 0.206, at[2] + z), tilt=-np.pi / 2)
    return parts


def on_sideboard(top: float = 0.721) -> Patches:
    """Globe, books, vases and a lamp."""
    delft = [(0, 0), (0.052, 0), (0.052, 0), (0.058, 0.02), (0.098, 0.13), (0.104, 0.18), (0.078, 0.255), (0.042, 0.30)]
    delft += [(0.040, 0.325), (0.056, 0.352), (0.052, 0.353), (0.034, 0.325), (0.034, 0.30), (0.0, 0.24)]
    flask = [(0, 0), (0.045, 0), (0.045, 0), (0.075, 0.05), (0.07, 0.09), (0.028, 0.14), (0.020, 0.19), (0.030, 0.215)]
    flask += [(0.026, 0.215), (0.014, 0.18), (0, 0.15)]
    parts = place([replace(lathe(delft, things.delft, 72, 64), density=1.7)], "delft vase", (1.42, 0.23, top))
    parts += place([lathe(flask, things.glaze("2b4f5e", "a9c9b4", 211), 56, 48)], "flask", (1.245, 0.30, top))
    parts += tabletop.book_stack(top, (1.72, 0.25), (0, 1, 2, 3), "books")
    parts += tabletop.globe((2.05, 0.24, top)) + tabletop.lamp((0.93, 0.22, top))
    return parts


def on_walls() -> Patches:
    """A framed poster on the bricks; a clock and a print on the paper."""
    parts = framed((0.62, 0.88), printed.poster, 1.9, "poster", (1.46, 0.0, 1.03), 0.0)
    parts += framed((0.50, 0.50), printed.print_squares, 1.2, "print", (0.0, 1.86, 1.22), -np.pi / 2)
    face = replace(disc(0.150, 0.012, printed.clock, 16), density=1.5)
    rim = [(0.175, 0), (0.180, 0.02), (0.172, 0.034), (0.158, 0.032), (0.150, 0.016), (0.148, 0.010)]
    body = [face, lathe(rim, room.wood(room.BEECH, 251), 64, 24)]
    upright = place(body, "clock", (0, 0, 0), tilt=-np.pi / 2)
    turned = [replace(patch, local=patch.local * [-1, -1, 1] if patch.local is not None else None) for patch in upright]
    return parts + place(turned, "clock", (0.001, 1.02, 1.66), turn=-np.pi / 2)


def framed(
    size: tuple[float, float], picture: Material, density: float, name: str, at: tuple[float, float, float], turn: float
) -> Patches:
    """A picture in a beech frame whose back touches the wall y = 0 before it is turned."""
    w, h = size
    sheet = replace(rectangle((w / 2, 0.012, 0), (-w, 0, 0), (0, 0, h), picture), density=density)
    bar, deep = 0.03, 0.026
    look = room.wood(("1e1a18", "2a2522", "332c28", "3d3530"), 252)
    rail = box((w + 2 * bar, deep, bar), look, without=("back",))
    post = box((bar, deep, h), look, without=("back", "bottom", "top"))
    parts = place([sheet], name, at, turn)
    cos, sin = np.cos(turn), np.sin(turn)
    for k, (piece, dx, dz) in enumerate(
        ((rail, 0, -bar), (rail, 0, h), (post, -(w + bar) / 2, 0), (post, (w + bar) / 2, 0))
    ):
        shift = np.array([cos * dx - sin * deep / 2, sin * dx + cos * deep / 2, dz])
        parts += place(piece, f"{name} frame {k}", tuple(np.array(at) + shift), turn)
    return parts


def plant(at: tuple[float, float, float] = (0.37, 0.36, 0.0)) -> Patches:
    """A snake plant in a clay pot."""
    pot = [(0, 0), (0.125, 0), (0.125, 0), (0.165, 0.24), (0.165, 0.24), (0.182, 0.245), (0.186, 0.30), (0.172, 0.302)]
    pot += [(0.160, 0.295), (0.150, 0.25)]
    parts = place([lathe(pot, things.terracotta, 64, 44), disc(0.163, 0.262, things.soil, 8)], "pot", at)
    generator = np.random.default_rng(12)
    for k in range(17):
        angle, radius = 2.4 * k, 0.024 * np.sqrt(k + 0.3)
        height, lean = generator.uniform(0.42, 0.85) * (1 - 0.02 * k), generator.uniform(0.06, 0.20) * radius / 0.09
        out = np.array([np.cos(angle), np.sin(angle), 0])
        t = np.linspace(0, 1, 25)[:, None]
        path = radius * out + (radius * 0.4 + lean) * t**1.7 * out + height * t * [0, 0, 1.0]
        t = t[:, 0]
        wide = (0.024 + 0.012 * np.sin(np.pi * t**0.8)) * (1 - t**6) ** 0.8
        twist = np.array([np.cos(angle + 1.4), np.sin(angle + 1.4), 0.0])
        radii = np.stack([wide, 0.16 * wide], 1)
        leaf = sweep(path, radii, twist, things.snake_leaf(k), 12)
        parts += place([leaf], f"leaf {k}", (at[0], at[1], at[2] + 0.255))
    return parts


def side_table(at: tuple[float, float, float] = (0.42, 1.06, 0.0)) -> Patches:
    """A round marble table with a teapot, a cup and a bowl of fruit."""
    x, y, _ = at
    foot = [
        (0, 0),
        (0.16, 0),
        (0.16, 0),
        (0.158, 0.014),
        (0.04, 0.03),
        (0.022, 0.07),
        (0.018, 0.25),
        (0.03, 0.42),
        (0.06, 0.498),
    ]
    rim = [(0.10, 0.492), (0.285, 0.492), (0.285, 0.492), (0.30, 0.507), (0.294, 0.522), (0.28, 0.522)]
    slab = replace(disc(0.282, 0.522, room.marble(*room.CARRARA, 261), 16), density=1.2)
    parts = place(
        [lathe(foot, things.brass, 48, 40), slab, lathe(rim, room.marble(*room.CARRARA, 262), 64, 20)], "table", at
    )
    bowl = [
        (0, 0),
        (0.06, 0),
        (0.06, 0),
        (0.065, 0.012),
        (0.12, 0.05),
        (0.15, 0.095),
        (0.146, 0.097),
        (0.112, 0.056),
        (0.05, 0.026),
        (0, 0.022),
    ]
    center = (x - 0.10, y + 0.09, 0.5225)
    parts += place([lathe(bowl, room.marble(*room.VERDE, 263, 0.07), 64, 48)], "bowl", center)
    return parts + tabletop.fruit(center) + tabletop.teapot((x + 0.07, y - 0.13, 0.5225))


def on_floor() -> Patches:
    """Rug, pouf with cushion, floor cushion, books, alphabet blocks and a ball."""
    parts = place(box((1.5, 1.1, 0.011), room.kilim, cell=0.05), "rug", (1.62, 1.50, 0.0), turn=0.10)
    pouf = [(0, 0), (0.20, 0), (0.255, 0.05), (0.275, 0.15), (0.25, 0.27), (0.18, 0.315), (0.05, 0.322), (0, 0.322)]
    parts += place([lathe(pouf, room.knit("c4937a", 281), 80, 56)], "pouf", (0.50, 1.90, 0.0))
    cream = room.stripes(("e9dfc8", "b4472f", "2f4858", "d59a3a"), 282)
    teal = room.stripes(("2f5f66", "e6d6b0", "d8894a", "1f3d45"), 283)
    parts += place(pillow((0.42, 0.42), 0.15, cream), "cushion", (0.48, 1.90, 0.375), turn=0.5, tilt=0.10)
    parts += place(pillow((0.48, 0.48), 0.17, teal), "floor cushion", (1.76, 0.60, 0.215), turn=-0.12, tilt=-1.05)
    parts += tabletop.book_stack(0.011, (1.12, 1.72), (4, 5), "rug books")
    letters = (("N", "b5382f"), ("E", "2f5f9e"), ("U", "3b7d4f"), ("R", "d08a2c"), ("A", "7a4a8c"), ("L", "2b8c8c"))
    spots = (
        (1.50, 1.30, 0.35),
        (1.615, 1.235, -0.2),
        (1.72, 1.36, 0.7),
        (1.555, 1.27, 0.1),
        (1.86, 1.25, 1.1),
        (1.40, 1.46, -0.5),
    )
    for k, ((x, y, turn), (glyph, ink)) in enumerate(zip(spots, letters, strict=True)):
        looks = [printed.letter(letters[(k + j) % 6][0], letters[(k + j) % 6][1], 290 + 6 * k + j) for j in range(5)]
        sides = dict(zip(("front", "top", "left", "right", "back"), looks, strict=True))
        cube = [replace(p, density=1.3) for p in box((0.09, 0.09, 0.09), looks[0], sides, cell=0.02)]
        parts += place(cube, f"block {glyph}{ink}", (x, y, 0.101 if k == 3 else 0.011), turn)
    return parts + place([ball(0.13, things.ball_panels, 64)], "ball", (2.16, 1.62, 0.141), turn=0.4, tilt=0.6)


def furnish() -> Patches:
    """All patches of the room."""
    groups = (corner(), sideboard(), on_sideboard(), on_walls(), plant(), side_table(), on_floor())
    return [patch for group in groups for patch in group]
