"""What one round of refinement works on: reduced photographs, the surface behind them, the texture of all others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter

from neuraltex.config.schema import ColorConfig, PixelConfig
from neuraltex.fit.calibrate.color_fit import robust_affine
from neuraltex.fit.pixels import pixel_weights
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.io.images import read_mask
from neuraltex.io.prepared import PreparedView
from neuraltex.render.fragments import Rasterizer
from neuraltex.render.rays import normalized_grid
from neuraltex.render.uv_maps import render_maps
from neuraltex.texture import kernels

SMOOTHING = 1.0
"""Standard deviation of the blur of reduced photographs [px of these]: widens the reach of a gradient."""
MAX_POINTS = 15_000
"""Surface points per photograph that drive a pose: 6 numbers need no more."""
OUTLIER = 0.1
"""Residual at which a pixel has half its weight in the texture of a round [color in 0 to 1]."""
MIN_OTHERS = 0.3
"""Weight that other photographs must have at a point for it to say anything about this one."""


@dataclass(frozen=True, eq=False)
class Surface:
    """A mesh with uvs and what casts rays at it."""

    mesh: Mesh
    rasterizer: Rasterizer


@dataclass(frozen=True, eq=False)
class Photo:
    """A reduced photograph: linear reduction by an integer factor, colors in [0, 1]."""

    image: Float[np.ndarray, "h w 3"]  # float32
    mask: Bool[np.ndarray, "h w"] | None


@dataclass(frozen=True, eq=False)
class Cast:
    """A photograph's pixels on the surface, for its camera at the start of the round."""

    uv: Float[np.ndarray, "Q 2"]  # float32, all usable pixels
    color: Float[np.ndarray, "Q 3"]  # float32
    weight: Float[np.ndarray, " Q"]  # float32
    points: Float[np.ndarray, "P 3"]  # [world], those of a subset of the pixels
    chosen: np.ndarray  # indices of that subset into the usable pixels
    checked: Bool[np.ndarray, " P"]  # a tenth of the subset that steps are judged by


@dataclass(frozen=True, eq=False)
class Match:
    """How a photograph sees the colors of the texture: ``photo = gain * texture + bias``."""

    gain: Float[np.ndarray, " 3"]
    bias: Float[np.ndarray, " 3"]

    def to_texture(self, color: Float[np.ndarray, "P 3"]) -> Float[np.ndarray, "P 3"]:
        """Turn colors of the photograph into those of the texture."""
        return (color - self.bias) / self.gain


@dataclass(frozen=True, eq=False)
class Target:
    """What the other photographs say about the points of one: colors as that photograph would show them."""

    color: Float[np.ndarray, "P 3"]
    weight: Float[np.ndarray, " P"]


IDENTITY = Match(np.ones(3, np.float32), np.zeros(3, np.float32))


def read_photo(view: PreparedView, reduce: int) -> Photo:
    """Read a photograph and its mask, box-averaged by ``reduce`` and smoothed; a mask pixel needs all of its pixels."""
    image = view.load_image()
    height, width = image.shape[0] // reduce, image.shape[1] // reduce
    blocks = image[: height * reduce, : width * reduce].reshape(height, reduce, width, reduce, 3)
    mask: np.ndarray | None = None
    if view.mask is not None:
        full = np.asarray(read_mask(view.mask, image.shape[:2]))[: height * reduce, : width * reduce]
        mask = np.asarray(full.reshape(height, reduce, width, reduce).all(axis=(1, 3)))
    small = blocks.mean((1, 3), dtype=np.float32) / 255
    return Photo(gaussian_filter(small, (SMOOTHING, SMOOTHING, 0)), mask)


def reduced_camera(camera: Camera, reduce: int) -> Camera:
    """Return the camera of :func:`read_photo`: the last rows and columns that fill no block are cut off."""
    width, height = camera.width // reduce, camera.height // reduce
    cropped = replace(camera, width=width * reduce, height=height * reduce, warp=_cropped_warp(camera, reduce))
    return cropped.scaled(width, height)


def _cropped_warp(camera: Camera, reduce: int) -> np.ndarray | None:
    if camera.warp is None:
        return None
    rows, columns = camera.warp.shape[:2]
    x = np.linspace(0, camera.width // reduce * reduce, columns)
    y = np.linspace(0, camera.height // reduce * reduce, rows)
    return camera.displacement(np.stack(np.meshgrid(x, y), -1))


def cast_photo(
    surface: Surface, camera: Camera, photo: Photo, config: PixelConfig, reduce: int, num_points: int, seed: int
) -> Cast:
    """Find the surface behind every pixel; ``camera`` is the reduced one.

    Args:
        surface: What to cast at.
        camera: The camera of ``photo``.
        photo: Photograph and mask.
        config: Pixel weights, given for the photograph at full size.
        reduce: Factor between the two.
        num_points: Number of pixels that drive the camera, chosen at random.
        seed: Seed of that choice.
    """
    maps = render_maps(surface.rasterizer, surface.mesh, camera, texture_size=1)
    mapped = maps.uv_map
    valid = mapped.mask if photo.mask is None else mapped.mask & photo.mask
    margin = max(config.margin / reduce, 1.0) if config.margin else 0.0
    weight = pixel_weights(
        maps.confidence,
        (photo.image * 255).astype(np.uint8),
        valid,
        replace(config, margin=margin, footprint_power=0.0),
    )
    used = weight > 0
    depth = maps.depth[used].astype(np.float64)
    rays = np.concatenate([normalized_grid(camera)[used], np.ones((len(depth), 1))], 1)
    generator = np.random.default_rng(seed)
    count = len(depth)
    chosen = np.sort(generator.choice(count, min(count, num_points), replace=False))
    world = (rays[chosen] * depth[chosen, None]) @ camera.cam_from_world[:3, :3] + camera.center
    checked = generator.random(len(chosen)) < 0.1
    return Cast(mapped.uv[used], photo.image[used], weight[used], world, chosen, checked)


def leave_one_out(
    casts: Sequence[Cast], size: int, color: ColorConfig, rounds: int = 2
) -> tuple[list[Target], list[Match]]:
    """Return for every photograph what the robust mean of all others shows at its points, and how their colors match.

    A photograph's own pixels would hold its camera where it is: they agree with themselves.

    Args:
        casts: Photographs on the surface.
        size: Side of the texture of this round [texel].
        color: How photographs differ in color.
        rounds: Means to take; from the second on colors are matched and outliers lose weight.
    """
    values = [_weighted(cast.color, cast.weight) for cast in casts]
    matches = [IDENTITY] * len(casts)
    total = _sum(casts, values, size)
    for _ in range(1, rounds):
        mean = [_divide(kernels.gather(total, cast.uv)) for cast in casts]
        matches = _centered([_match(m, cast, color.model) for m, cast in zip(mean, casts, strict=True)])
        values = [_robust(m, cast, match) for m, cast, match in zip(mean, casts, matches, strict=True)]
        total = _sum(casts, values, size)
    targets = [_others(total, *item, size) for item in zip(casts, values, matches, strict=True)]
    return targets, matches


def _sum(casts: Sequence[Cast], values: Sequence[np.ndarray], size: int) -> Float[np.ndarray, "Ht Wt 4"]:
    total = np.zeros((size, size, 4), np.float32)
    for cast, value in zip(casts, values, strict=True):
        kernels.scatter_into(value, cast.uv, total)
    return total


def _others(total: np.ndarray, cast: Cast, value: np.ndarray, match: Match, size: int) -> Target:
    own = kernels.scatter(value, cast.uv, (size, size))
    uv = cast.uv[cast.chosen]
    others = kernels.gather(total, uv) - kernels.gather(own, uv)
    weight = np.where(others[:, 3] > MIN_OTHERS, cast.weight[cast.chosen], 0)
    return Target((_divide(others) * match.gain + match.bias).astype(np.float64), weight.astype(np.float64))


def _weighted(color: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.concatenate([color * weight[:, None], weight[:, None]], 1)


def _divide(sums: np.ndarray) -> np.ndarray:
    return sums[:, :3] / np.maximum(sums[:, 3:], 1e-6)


def _match(mean: np.ndarray, cast: Cast, model: str) -> Match:
    if model == "none" or len(mean) < 16:
        return IDENTITY
    thin = slice(None, None, max(1, len(mean) // 4000))
    x, y, weight = (array[thin] for array in (mean, cast.color, cast.weight))
    return Match(*robust_affine(x, y, weight, with_bias=model == "affine"))


def _centered(matches: list[Match]) -> list[Match]:
    """Let the average photograph see the texture as it is, so that colors cannot drift from round to round."""
    gain, bias = np.mean([match.gain for match in matches], 0), np.mean([match.bias for match in matches], 0)
    return [Match(match.gain / gain, match.bias - match.gain / gain * bias) for match in matches]


def _robust(mean: np.ndarray, cast: Cast, match: Match) -> np.ndarray:
    color = match.to_texture(cast.color)
    residual = np.abs(color - mean).mean(1)
    return _weighted(color, cast.weight / (1 + (residual / OUTLIER) ** 2))
