"""Samples made by a procedure: learning and its tests run anywhere, on as many subjects as wanted.

Each is a body with landmarks of its own, textured where they are, photographed from one side, and read back by a
template that knows neither: the partial texture lies where the landmarks of the *template* are. Only the normals and
positions of the target tell where it belongs, as with a body that DensePose and a fitted mesh do not agree about.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Literal

import numpy as np
from jaxtyping import Float

from neuraltex.geometry.mesh import Mesh
from neuraltex.learn.data import face, figure, vessel
from neuraltex.learn.data.observe import observe, unrolled_atlas
from neuraltex.learn.data.orbit import orbit_camera
from neuraltex.learn.data.ornament import HELD_OUT_PATTERN, Canvas, Color
from neuraltex.learn.data.tube import Grid, Surface, Values, Warp, random_warp, smooth_noise
from neuraltex.learn.partial import Partial
from neuraltex.texture.atlas import Atlas, make_atlas
from neuraltex.texture.layout import Layout, layout_of

KindName = Literal["figure", "head", "vessel"]


@dataclass(frozen=True)
class Kind:
    """A family of samples over one layout.

    Args:
        name: Of the layout.
        grid: The layout.
        landmarks: Their heights on the template.
        spread: How far they move.
        yaw: How far the twisted part turns, in u.
        twisted: Where the twist begins and is full.
        shape: Draws a surface.
        paint: Paints one, with a given pattern or any.
    """

    name: str
    grid: Grid
    landmarks: tuple[float, ...]
    spread: tuple[float, ...]
    yaw: float
    twisted: tuple[float, float]
    shape: Callable[[np.random.Generator], Surface]
    paint: Callable[[Canvas, np.random.Generator, str], Color]


def _kind(name: str, module: ModuleType, shape: Callable, paint: Callable) -> Kind:
    where = (module.GRID, module.LANDMARKS, module.SPREAD, module.YAW, module.TWISTED)
    return Kind(f"procedural {name}", *where, shape, paint)


KINDS = {
    "figure": _kind("figure", figure, figure.figure_shape, figure.paint_figure),
    "head": _kind("head", face, face.head_shape, face.paint_bust),
    "vessel": _kind("vessel", vessel, vessel.vessel_shape, vessel.paint_vessel),
}


@dataclass(frozen=True, eq=False)
class Sample:
    """A partial texture and the whole one.

    Args:
        partial: What a photograph shows, in template coordinates; normals and positions of the target.
        truth: The texture of the target in [0, 1] (float32).
        photo: The photograph in [0, 1] (float32).
        azimuth: Where the photograph was taken from [degree].
        warp: The landmarks.
        shift: From each texel of the target to where the template has its color, in halves of the texture, x to the
            right and y downwards (float32).
    """

    partial: Partial
    truth: Float[np.ndarray, "Ht Wt 3"]
    photo: Float[np.ndarray, "H W 3"]
    azimuth: float
    warp: Warp
    shift: Float[np.ndarray, "Ht Wt 2"]


@dataclass(frozen=True)
class Flaws:
    """How partial textures are spoiled."""

    misaligned: bool = True
    """Lay the partial texture out by the template instead of the target."""
    jitter: float = 0.35
    """Smooth error of the correspondence, in each direction, for 64 texels [texel rms]."""


def procedural_sample(
    seed: int,
    size: int = 64,
    *,
    kind: KindName = "figure",
    azimuth: float | None = None,
    held_out_pattern: bool = False,
    photo_size: int = 160,
    flaws: Flaws | None = None,
) -> Sample:
    """Make one sample; equal arguments give equal samples.

    Args:
        seed: Chooses the subject, its photograph and the noise.
        size: Side of the texture [texel].
        kind: Family.
        azimuth: Where the photograph is taken from [degree]; within +-75 by default.
        held_out_pattern: Wear the pattern that training samples never do.
        photo_size: Side of the photograph [px].
        flaws: How the partial texture is spoiled.
    """
    family, flaws = KINDS[kind], flaws or Flaws()
    body, view, noise = np.random.default_rng([list(KINDS).index(kind), seed]).spawn(3)
    warp = random_warp(body, family.landmarks, family.spread, family.yaw, family.twisted)
    uvs = family.grid.uvs()
    mesh = family.grid.mesh(_points(family.shape(body), warp, uvs))
    fine = _paint(family, warp, body, 2 * size, HELD_OUT_PATTERN if held_out_pattern else "")
    azimuth = float(view.uniform(-75, 75)) if azimuth is None else azimuth
    camera = orbit_camera(mesh, azimuth, photo_size, elevation=float(view.uniform(-8, 15)))
    laid_out = unrolled_atlas(mesh, _believed(uvs, warp, flaws, noise), size)
    atlas, layout = _layout(kind, size)
    partial, photo = observe(mesh, atlas, fine, camera, laid_out, layout, noise)
    truth = fine.reshape(size, 2, size, 2, 3).mean((1, 3)) * atlas.inside[..., None]
    shift = _shift(warp, size) if flaws.misaligned else np.zeros((size, size, 2), np.float32)
    return Sample(partial, truth.astype(np.float32), photo, azimuth, warp, shift)


def _shift(warp: Warp, size: int) -> Float[np.ndarray, "Ht Wt 2"]:
    u, v = _centers(size)
    there_u, there_v = warp.template_from_target(u, v)
    return np.stack([2 * (there_u - u), 2 * (v - there_v)], -1).clip(-1, 1).astype(np.float32)


def _centers(size: int) -> tuple[Values, Values]:
    """Return u and v of all texels, row 0 at v = 1."""
    centers = (np.arange(size) + 0.5) / size
    u, v = np.meshgrid(centers, np.flip(centers))
    return u, v


def _paint(family: Kind, warp: Warp, rng: np.random.Generator, size: int, pattern: str) -> Color:
    """Paint the texture of a sample."""
    u, v = _centers(size)
    return family.paint(Canvas(u, v, *warp.template_from_target(u, v), 1 / size), rng, pattern)


def _points(surface: Surface, warp: Warp, uvs: Float[np.ndarray, "U 2"]) -> Float[np.ndarray, "U 3"]:
    points = surface(*warp.template_from_target(uvs[:, 0], uvs[:, 1]))
    points[:, 1] = uvs[:, 1]
    return points


def _believed(
    uvs: Float[np.ndarray, "U 2"], warp: Warp, flaws: Flaws, rng: np.random.Generator
) -> Float[np.ndarray, "U 2"]:
    """Return the template coordinates that a faulty correspondence gives the vertices."""
    u, v = uvs.T
    inner = np.clip(10 * np.minimum(v - v.min(), v.max() - v), 0, 1)
    error = [smooth_noise(rng, u, v) * flaws.jitter / 64 for _ in range(2)]
    tu, tv = warp.template_from_target(u, v) if flaws.misaligned else (u, v)
    return np.stack([tu + error[0], np.clip(tv + error[1] * inner, v.min(), v.max())], -1)


def procedural_layout(kind: KindName) -> Layout:
    """Return the uv layout of a family."""
    return _layout(kind, 64)[1]


def template_mesh(kind: KindName) -> Mesh:
    """Return the mean shape of a family, whose landmarks are those of the template."""
    family = KINDS[kind]
    uvs = family.grid.uvs()
    level = Warp(family.landmarks, family.landmarks, 0.0, 1.0, family.twisted)
    return family.grid.mesh(_points(family.shape(np.random.default_rng(0)), level, uvs))


@lru_cache(maxsize=8)
def _layout(kind: str, size: int) -> tuple[Atlas, Layout]:
    grid = KINDS[kind].grid
    uvs = grid.uvs()
    mesh = grid.mesh(np.concatenate([uvs, uvs[:, :1]], 1))
    return make_atlas(mesh, size), layout_of(mesh, KINDS[kind].name)
