"""Footprints are stored as float16; what depends on nothing else is looked up by their bits."""

from functools import cache

import numpy as np
from jaxtyping import Float


@cache
def footprint_of_bits() -> Float[np.ndarray, " 65536"]:
    """Return the footprint [texel] for the bits of a float16; finite and, where stored ones are, not negative."""
    values = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
    return np.nan_to_num(values, nan=0, posinf=1e5, neginf=0)
