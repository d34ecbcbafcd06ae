"""A complete texture made from a partial one, and how far each of its texels is trusted."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from neuraltex.core.errors import ShapeError


@dataclass(frozen=True, eq=False)
class Prediction:
    """A complete texture.

    Whatever makes one, networks or a plain fill, leaves all maps finite everywhere, between charts too.

    Args:
        texture: The result: ``sampled * blend + refined * (1 - blend)``, or where nothing is known a mean of two of
            these (:mod:`neuraltex.learn.mirrored`), observed texels pasted back (float32).
        sampled: Colors taken from elsewhere on the partial texture (float32).
        refined: Colors made up or repaired (float32).
        blend: Share of ``sampled``, in [0, 1] (float32).
        confidence: How far the result is trusted, in [0, 1]; 0 between charts (float32).
    """

    texture: Float[np.ndarray, "Ht Wt 3"]
    sampled: Float[np.ndarray, "Ht Wt 3"]
    refined: Float[np.ndarray, "Ht Wt 3"]
    blend: Float[np.ndarray, "Ht Wt"]
    confidence: Float[np.ndarray, "Ht Wt"]

    def __post_init__(self) -> None:
        size = self.confidence.shape
        for name, shape in {"texture": (*size, 3), "sampled": (*size, 3), "refined": (*size, 3), "blend": size}.items():
            if getattr(self, name).shape != shape:
                raise ShapeError(f"{name} has shape {getattr(self, name).shape}, the confidence {size}")
