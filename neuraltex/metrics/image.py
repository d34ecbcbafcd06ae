"""Scores of a render against a photograph.

Convention:
    Images are [H, W, 3] arrays in [0, 1] (8 bit ones are scaled); masks are boolean, true = score this pixel.
"""

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

Image = Float[np.ndarray, "H W 3"]


def psnr(image: Image | Tensor, reference: Image | Tensor, mask: Bool[np.ndarray, "H W"] | None = None) -> float:
    """Return the peak signal-to-noise ratio over the mask [dB]; at most 120."""
    error = np.square(_as_image(image) - _as_image(reference))
    mean = float((error if mask is None else error[np.asarray(mask)]).mean(dtype=np.float64))
    return float(-10 * np.log10(max(mean, 1e-12)))


def _as_image(image: Image | Tensor) -> Image:
    """Return an image as float32 in [0, 1]."""
    array = np.asarray(image)
    return array.astype(np.float32) / 255 if array.dtype == np.uint8 else array.astype(np.float32, copy=False)
