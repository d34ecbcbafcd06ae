"""Robust penalties as weights of iteratively re-weighted least squares."""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from neuraltex.core.compiled import kernel

Penalty = Literal["l2", "l1", "huber", "cauchy", "geman_mcclure"]
SHARPEST = 0.02
"""Share of the scale below which L1 no longer tells differences apart: its weight would grow without limit."""


def code(penalty: Penalty) -> int:
    """Number of a penalty in kernels."""
    return get_args(Penalty).index(penalty)


@kernel
def weight_of(penalty: int, squared: float, scale: float) -> float:
    """Return rho'(r) / r up to a factor, at most 1 except for L1, which has weight 1 at r = scale.

    Source: P. Holland, R. Welsch, "Robust regression using iteratively reweighted least-squares", 1977;
    S. Geman, D. McClure, "Statistical methods for tomographic image reconstruction", 1987.

    Args:
        penalty: :func:`code`.
        squared: Squared difference: mean over the channels [color in 0 to 1, squared].
        scale: Where Huber turns linear; half (Cauchy) or three quarters (Geman-McClure) of the weight is lost.
    """
    ratio = squared / (scale * scale)
    if penalty == 1:
        return 1 / np.sqrt(max(ratio, SHARPEST * SHARPEST))
    if penalty == 2:
        return 1 / np.sqrt(max(ratio, 1.0))
    if penalty == 3:
        return 1 / (1 + ratio)
    if penalty == 4:
        return 1 / ((1 + ratio) * (1 + ratio))
    return 1.0


def weights(penalty: Penalty, residual: Float[np.ndarray, "*B 3"], scale: float) -> Float[np.ndarray, "*B"]:
    """Return the weights of differences; the readable way into :func:`weight_of`."""
    number, squared = code(penalty), (residual**2).mean(-1)
    return np.vectorize(lambda value: weight_of(number, value, scale), otypes=[float])(squared)
