"""Shapes of the demo scene, as grids of points that carry their own rectangular charts."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from neuraltex.demo.patterns import Material


@dataclass(frozen=True, eq=False)
class Patch:
    """A curved rectangle: rows of ``grid`` run along t (up in the chart), columns along s.

    Convention:
        Seen from outside, s points right when t points up: the outward normal is ds x dt.

    Args:
        grid: Points [world].
        material: Color of the texels.
        density: Texels per [world] relative to the scene's.
        wrap: Whether the last column lies on the first.
        local: The points before the object was placed; materials see these.
        name: Object it belongs to; its patches are welded together.
    """

    grid: Float[np.ndarray, "R C 3"]
    material: Material
    density: float = 1.0
    wrap: bool = False
    local: Float[np.ndarray, "R C 3"] | None = None
    name: str = ""

    @property
    def knots(self) -> tuple[np.ndarray, np.ndarray]:
        """Arc length of the columns along s and of the rows along t [world], both averaged over the patch."""
        along_s = np.linalg.norm(np.diff(self.grid, axis=1), axis=2)
        along_t = np.linalg.norm(np.diff(self.grid, axis=0), axis=2)
        s = np.sqrt((along_s**2).mean(0))
        t = np.sqrt((along_t**2).mean(1))
        return np.concatenate([[0], np.cumsum(s)]), np.concatenate([[0], np.cumsum(t)])


Patches = list[Patch]


def place(patches: Patches, name: str, at: tuple[float, float, float], turn: float = 0.0, tilt: float = 0.0) -> Patches:
    """Tilt an object about its x axis, turn it about z [rad], move it to ``at`` [world] and name it."""
    cos, sin = np.cos(turn), np.sin(turn)
    about_z = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    cos, sin = np.cos(tilt), np.sin(tilt)
    rotation = about_z @ np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    return [
        replace(p, grid=p.grid @ rotation.T + at, local=p.grid if p.local is None else p.local, name=name)
        for p in patches
    ]


def rectangle(
    origin: tuple[float, ...],
    along_s: tuple[float, ...],
    along_t: tuple[float, ...],
    material: Material,
    cell: float = 0.06,
) -> Patch:
    """A flat rectangle with cells of about ``cell`` [world]."""
    o, a, b = (np.asarray(v, np.float64) for v in (origin, along_s, along_t))
    columns = max(2, round(float(np.linalg.norm(a)) / cell) + 1)
    rows = max(2, round(float(np.linalg.norm(b)) / cell) + 1)
    s, t = np.linspace(0, 1, columns), np.linspace(0, 1, rows)
    return Patch(o + t[:, None, None] * b + s[None, :, None] * a, material)


def box(
    size: tuple[float, float, float],
    material: Material,
    sides: dict[str, Material] | None = None,
    without: tuple[str, ...] = ("bottom",),
    cell: float = 0.06,
) -> Patches:
    """A box standing on z = 0, centered in x and y.

    Args:
        size: Extent along x, y, z [world].
        material: Of all sides but those in ``sides``.
        sides: Materials of single sides: ``front`` (+y), ``back``, ``left`` (-x), ``right``, ``top``, ``bottom``.
        without: Sides that nobody can see and that get no chart.
        cell: Size of the grid cells [world].
    """
    w, d, h = size
    x, y = w / 2, d / 2
    corners = {
        "front": ((x, y, 0), (-w, 0, 0), (0, 0, h)),
        "back": ((-x, -y, 0), (w, 0, 0), (0, 0, h)),
        "right": ((x, -y, 0), (0, d, 0), (0, 0, h)),
        "left": ((-x, y, 0), (0, -d, 0), (0, 0, h)),
        "top": ((x, y, h), (-w, 0, 0), (0, -d, 0)),
        "bottom": ((-x, y, 0), (w, 0, 0), (0, -d, 0)),
    }
    chosen = {side: (sides or {}).get(side, material) for side in corners if side not in without}
    return [rectangle(*corners[side], look, cell) for side, look in chosen.items()]


def lathe(profile: list[tuple[float, float]], material: Material, segments: int = 64, rings: int = 48) -> Patch:
    """Revolve (radius, z) points about z; a smooth curve through them, bottom outside first, for outward normals.

    The profile is resampled to ``rings`` points of equal arc length. Repeat a point to keep a sharp edge.
    """
    points = _resample(np.asarray(profile, np.float64), rings)
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    angle[-1] = 0
    ring = np.stack([np.cos(angle), np.sin(angle)], -1)
    grid = np.concatenate(
        [points[:, None, :1] * ring, np.broadcast_to(points[:, None, 1:], (len(points), segments + 1, 1))], -1
    )
    return Patch(grid, material, wrap=True)


def ball(radius: float, material: Material, segments: int = 48) -> Patch:
    """A sphere about the origin; its poles lie on z."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 33)
    profile = np.stack([np.cos(angle), np.sin(angle)], -1) * radius
    profile[[0, -1], 0] = 0
    return lathe([tuple(point) for point in profile], material, segments, max(9, segments // 2))


def sweep(
    path: Float[np.ndarray, "P 3"],
    radii: Float[np.ndarray, "P 2"],
    side: Float[np.ndarray, "3"],
    material: Material,
    segments: int = 24,
) -> Patch:
    """A tube along ``path`` with elliptical sections; ``radii[:, 0]`` lies along ``side``, made normal to the path."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    first = side - (tangent @ side)[:, None] * tangent
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(tangent, first)
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    angle[-1] = 0
    cos, sin = np.cos(angle)[None, :, None], np.sin(angle)[None, :, None]
    grid = path[:, None] + radii[:, :1, None] * cos * first[:, None] + radii[:, 1:, None] * sin * second[:, None]
    return Patch(grid, material, wrap=True)


def disc(radius: float, z: float, material: Material, rings: int = 16) -> Patch:
    """A flat disc facing +z whose chart is a square without a pole (Shirley and Chiu 1997)."""
    side = np.linspace(-1, 1, 2 * rings + 1)
    a, b = np.meshgrid(side, side)
    wide = np.abs(a) >= np.abs(b)
    r = np.where(wide, a, b)
    ratio = np.divide(np.where(wide, b, a), r, out=np.zeros_like(r), where=r != 0)
    angle = np.where(wide, ratio * np.pi / 4, np.pi / 2 - ratio * np.pi / 4)
    return Patch(np.stack([radius * r * np.cos(angle), radius * r * np.sin(angle), np.full_like(r, z)], -1), material)


def pillow(size: tuple[float, float], thickness: float, material: Material, cells: int = 36) -> Patches:
    """A cushion about the origin whose corners stick out; top and bottom meet in a seam."""
    side = np.sin(np.linspace(-np.pi / 2, np.pi / 2, cells + 1))
    u, v = np.meshgrid(side, side)
    x = size[0] / 2 * u * (1 - 0.13 * (1 - v**2) * u**2)
    y = size[1] / 2 * v * (1 - 0.13 * (1 - u**2) * v**2)
    z = thickness / 2 * (np.maximum(1 - u**2, 0) * np.maximum(1 - v**2, 0)) ** 0.45
    top = np.stack([x, y, z], -1)
    bottom = (top * [1, 1, -1])[:, ::-1]
    return [Patch(top, material), Patch(bottom, material)]


def _resample(points: np.ndarray, count: int) -> np.ndarray:
    """Points of equal arc length on a monotone curve through ``points``; a repeated point splits the curve."""
    from scipy.interpolate import PchipInterpolator  # noqa: PLC0415

    breaks = np.nonzero(~np.diff(points, axis=0).any(1))[0]
    pieces = np.split(points, breaks + 1)
    lengths = [np.linalg.norm(np.diff(piece, axis=0), axis=1).sum() for piece in pieces]
    result: list[np.ndarray] = []
    for piece, length in zip(pieces, lengths, strict=True):
        at = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(piece, axis=0), axis=1))])
        number = max(2, round(count * length / sum(lengths)))
        samples = np.linspace(0, at[-1], number)
        curve = PchipInterpolator(at, piece)(samples) if len(piece) > 2 else np.linspace(piece[0], piece[-1], number)
        result.append(curve[1:] if result else curve)
    return np.concatenate(result)
