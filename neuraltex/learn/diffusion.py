"""What can be predicted of a texture without learning: what is known, spread smoothly."""

import numpy as np

from neuraltex.learn.baselines import fill_diffusion
from neuraltex.learn.partial import Partial
from neuraltex.learn.prediction import Prediction

MIN_CONFIDENCE = 0.1
"""Confidence from which a color is spread."""


def diffuse(partial: Partial) -> Prediction:
    """Keep what is known, direct and mirrored, and fill the rest by the membrane through it.

    What is seen at a grazing angle would be smeared over all that is unseen, and counts as unknown.
    """
    sure = partial.known & (partial.confidence > MIN_CONFIDENCE)
    filled = fill_diffusion(partial.color, sure if sure.any() else partial.known)
    confidence = partial.inside.astype(np.float32)
    return Prediction(filled, filled, filled, np.ones_like(confidence), confidence)
