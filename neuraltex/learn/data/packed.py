"""Training samples as they are kept in memory and in cache files: few bytes a texel."""

import numpy as np
from jaxtyping import Float, Shaped

from neuraltex.learn.partial import Partial

Arrays = dict[str, np.ndarray]

BYTES = ("color", "confidence", "truth")
"""Kept as 0 to 255 for [0, 1]."""
GEOMETRY = ("normals", "positions")
SIGNED = (*GEOMETRY, "shift")
"""Kept as -32767 to 32767 for [-1, 1]: what the networks are told about the target must not show steps."""
FLAGS = ("direct", "mirrored", "inside")
"""Kept as they are."""


def sample_arrays(
    partial: Partial, truth: Float[np.ndarray, "Ht Wt 3"], shift: Float[np.ndarray, "Ht Wt 2"] | None = None
) -> Arrays:
    """Return what networks learn from one sample."""
    seen = {name: getattr(partial, name) for name in ("color", "confidence", *GEOMETRY, *FLAGS)}
    return {**seen, "truth": truth} | ({} if shift is None else {"shift": shift})


def pack(arrays: Arrays) -> Arrays:
    """Return arrays in few bytes."""
    return {name: _encode(name, array) for name, array in arrays.items()}


def unpack(arrays: Arrays) -> Arrays:
    """Return packed arrays as float32, masks as booleans; a leading axis of samples may be there."""
    return {name: _decode(name, array) for name, array in arrays.items()}


def _encode(name: str, values: Shaped[np.ndarray, "*B"]) -> np.ndarray:
    if name in FLAGS:
        return values
    kind, scale, low = (np.uint8, 255, 0) if name in BYTES else (np.int16, 32767, -1)
    return np.round(np.clip(values, low, 1) * scale).astype(kind)


def _decode(name: str, values: np.ndarray) -> np.ndarray:
    if name in FLAGS:
        return values
    return values.astype(np.float32) / np.float32(255 if name in BYTES else 32767)
