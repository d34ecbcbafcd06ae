"""Uv map and confidence of a view as they lie on disk: valid pixels only, few bits each."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from neuraltex.io.npz import read_npz, write_npz
from neuraltex.io.prepared import PreparedView, read_uv_map, spread_uv, write_uv_map


@dataclass(frozen=True, eq=False)
class PackedPixels:
    """What :mod:`neuraltex.io.prepared` stores per pixel, before it is spread over the frame.

    Args:
        shape: Height and width of the frame [px].
        uv_bits: Pixels with a uv, one bit each, in the order of ``numpy.packbits``.
        uv: Texture coordinates of these pixels, float32, row by row.
        bits: Pixels with a confidence.
        cosine: Cosine of the viewing angle of these pixels [1/255].
        footprint: Their footprint, float16 [texel].
        distance: Their distance to a depth discontinuity [px].
        depth_error: Their difference from sensor depth [``DEPTH_ERROR_STEP``], 255 unknown; ``None`` without sensor.
    """

    shape: tuple[int, int]
    uv_bits: UInt8[np.ndarray, " B"]
    uv: Float[np.ndarray, "P 2"]
    bits: UInt8[np.ndarray, " B"]
    cosine: UInt8[np.ndarray, " Q"]
    footprint: Float[np.ndarray, " Q"]
    distance: UInt8[np.ndarray, " Q"]
    depth_error: UInt8[np.ndarray, " Q"] | None


def read_packed(view: PreparedView) -> PackedPixels:
    """Read uv map and confidence of a view without unpacking them.

    Raises:
        DataError: if a file is unreadable.
    """
    confidence = read_npz(view.confidence)
    if view.uv.suffix == ".exr":
        uv_map = read_uv_map(view.uv)
        shape, uv_bits, uv = uv_map.mask.shape, np.packbits(uv_map.mask), uv_map.uv[uv_map.mask]
    else:
        arrays = read_npz(view.uv)
        shape, uv_bits, uv = tuple(arrays["shape"]), arrays["mask"], arrays["uv"]
    return PackedPixels(
        shape=(int(shape[0]), int(shape[1])),
        uv_bits=uv_bits,
        uv=uv,
        bits=confidence["mask"],
        cosine=confidence["cosine"],
        footprint=confidence["footprint"],
        distance=confidence["distance"],
        depth_error=confidence.get("depth_error"),
    )


def write_packed(view: PreparedView, pixels: PackedPixels) -> None:
    """Write uv map and confidence of a view: what ``write_uv_map`` and ``write_confidence`` write of whole frames."""
    shape = np.array(pixels.shape)
    if view.uv.suffix == ".exr":
        write_uv_map(view.uv, spread_uv(pixels.shape, pixels.uv_bits, pixels.uv))
    else:
        write_npz(view.uv, {"shape": shape, "mask": pixels.uv_bits, "uv": pixels.uv})
    confidence = {"shape": shape, "mask": pixels.bits}
    confidence |= {name: getattr(pixels, name) for name in ("cosine", "footprint", "distance")}
    error = {} if pixels.depth_error is None else {"depth_error": pixels.depth_error}
    write_npz(view.confidence, {**confidence, **error})
