"""How far each pixel of a photograph is trusted: one weight in [0, 1], the product of what speaks against it.

Each criterion is a function of one stored value. Confidence is stored in 8 or 16 bits, so the criteria are evaluated
once for every value there is (:class:`WeightTables`), and weighing a photograph is looking up.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, UInt8

from neuraltex.config.schema import PixelConfig
from neuraltex.fit import pixel_kernels
from neuraltex.io.packed import PackedPixels
from neuraltex.io.prepared import DEPTH_ERROR_STEP, Confidence

BRIGHT, DARK = 250, 3
"""A pixel with a channel above the first, or with all below the second, is saturated [1/255]."""
SATURATED = 0.02
"""Weight of a saturated pixel: enough to color what is white or black in every photograph."""
UNKNOWN = 255
"""Stored depth error of pixels that the sensor did not see."""


def cosine_weight(cosine: Float[np.ndarray, "*B"], config: PixelConfig) -> Float[np.ndarray, "*B"]:
    """Power of the cosine between normal and viewing ray; 0 at grazing angles."""
    return np.where(cosine >= config.min_cosine, np.maximum(cosine, 0) ** config.cosine_power, 0)


def margin_weight(distance: Float[np.ndarray, "*B"], config: PixelConfig) -> Float[np.ndarray, "*B"]:
    """Ramp from 0 at half the margin to 1 at the margin.

    It keeps out colors of the surface in front: a pixel at a depth discontinuity is a mixture of two surfaces, and an
    error of the camera moves it to the wrong one.
    """
    if config.margin <= 0:
        return np.ones_like(distance)
    ramp = distance / config.margin
    return np.where(ramp < 0.5, 0, np.minimum(ramp, 1))


def depth_weight(depth_error: Float[np.ndarray, "*B"], config: PixelConfig) -> Float[np.ndarray, "*B"]:
    """0 where sensor and mesh disagree, 1 where they agree or the sensor (NaN) saw nothing."""
    if config.depth_tolerance <= 0:
        return np.ones_like(depth_error)
    return np.where(depth_error > config.depth_tolerance, 0, 1)


def footprint_weight(
    footprint: Float[np.ndarray, "*B"], config: PixelConfig, reference: float
) -> Float[np.ndarray, "*B"]:
    """Power of the resolution on the texture, relative to twice that of a pixel of footprint ``reference`` [texel].

    One reference for all photographs, else a distant one would count as much as a close one. That is what negative
    powers are for: a texel sees fewer pixels of a distant photograph, in proportion to ``1 / footprint^2``.
    """
    if config.footprint_power < 0:
        return np.minimum(footprint / (2 * reference), 1) ** -config.footprint_power
    finest = reference / 2
    return (finest / np.maximum(footprint, finest)) ** config.footprint_power


def saturation_weight(image: UInt8[np.ndarray, "*B 3"], config: PixelConfig) -> Float[np.ndarray, "*B"]:
    """Next to nothing for over-exposed and black pixels: what they show is not the color of the surface."""
    saturated = (image > BRIGHT).any(-1) | (image < DARK).all(-1)
    return np.where(saturated & config.saturation, SATURATED, 1)


def pixel_weights(
    confidence: Confidence,
    image: UInt8[np.ndarray, "H W 3"],
    valid: Bool[np.ndarray, "H W"],
    config: PixelConfig,
    reference: float = 1.0,
) -> Float[np.ndarray, "H W"]:
    """Readable twin of :func:`weigh`: one float32 weight per pixel, 0 where the pixel must not be used.

    Args:
        confidence: Of a view.
        image: Its photograph.
        valid: Pixels that may be used.
        config: Which criteria count.
        reference: Median footprint of all photographs [texel].
    """
    weight = cosine_weight(confidence.cosine, config) * margin_weight(confidence.distance, config)
    weight = weight * footprint_weight(confidence.footprint, config, reference) * saturation_weight(image, config)
    if confidence.depth_error is not None:
        weight = weight * depth_weight(confidence.depth_error, config)
    return np.where(valid, weight, 0).astype(np.float32)


@dataclass(frozen=True, eq=False)
class WeightTables:
    """The criteria for every stored value; a table of length 1 holds for all values."""

    cosine: Float[np.ndarray, "256"]
    distance: Float[np.ndarray, "256"]
    depth: Float[np.ndarray, "256"]
    footprint: Float[np.ndarray, " T"]
    saturated: float


@lru_cache(maxsize=8)
def weight_tables(config: PixelConfig, reference: float) -> WeightTables:
    """Evaluate the criteria for every value that :class:`~neuraltex.io.packed.PackedPixels` can hold."""
    byte = np.arange(256, dtype=np.float32)
    depth = depth_weight(byte * np.float32(DEPTH_ERROR_STEP), config)
    depth[UNKNOWN] = 1
    halves = np.arange(1 << 15, dtype=np.uint16).view(np.float16).astype(np.float32)  # all that are not negative
    footprint = footprint_weight(np.nan_to_num(halves), config, reference) if config.footprint_power else np.ones(1)
    return WeightTables(
        cosine=cosine_weight(byte / 255, config).astype(np.float32),
        distance=margin_weight(byte, config).astype(np.float32),
        depth=depth.astype(np.float32),
        footprint=footprint.astype(np.float32),
        saturated=SATURATED if config.saturation else 1.0,
    )


def weigh(
    packed: PackedPixels,
    image: UInt8[np.ndarray, "H W 3"],
    allowed: Bool[np.ndarray, "H W"] | None,
    config: PixelConfig,
    reference: float = 1.0,
) -> tuple[Float[np.ndarray, "H W 2"], UInt8[np.ndarray, "H W"], Float[np.ndarray, "H W"]]:
    """Spread stored pixels over the frame and weigh them.

    Args:
        packed: Uv map and confidence of a view.
        image: Its photograph.
        allowed: The user's mask, if there is one.
        config: Which criteria count.
        reference: Median footprint of all photographs [texel].

    Returns:
        The uv map (float32, 0 where there is none), weights rounded up [1/255] and footprints (float16) [texel].
    """
    tables = weight_tables(config, reference)
    no_bytes = np.empty(0, np.uint8)
    uv, weight = np.empty((*packed.shape, 2), np.float32), np.empty(packed.shape, np.uint8)
    footprint = np.empty(packed.shape, np.uint16)
    depth = no_bytes if packed.depth_error is None else packed.depth_error
    mask = no_bytes if allowed is None else allowed.reshape(-1).view(np.uint8)
    stored = (packed.cosine, packed.footprint.view(np.uint16), packed.distance, depth)
    lookup = (tables.cosine, tables.distance, tables.depth, tables.footprint)
    limits = (BRIGHT, DARK, np.float32(tables.saturated))
    frame = (uv.reshape(-1, 2), weight.reshape(-1), footprint.reshape(-1))
    pixel_kernels.spread(
        packed.uv_bits, packed.uv, packed.bits, stored, image.reshape(-1, 3), mask, lookup, limits, frame
    )
    return uv, weight, footprint.view(np.float16)


def erode(mask: Bool[np.ndarray, "H W"], radius: int) -> Bool[np.ndarray, "H W"]:
    """Take the pixels off a mask that have one outside of it within ``radius`` rows and columns [px]."""
    for axis in (0, 1):
        inner = mask.copy()
        for shift in range(1, min(radius, mask.shape[axis] - 1) + 1):
            here, there = np.moveaxis(inner, axis, 0), np.moveaxis(mask, axis, 0)
            here[shift:] &= there[:-shift]
            here[:-shift] &= there[shift:]
        mask = inner
    return mask
