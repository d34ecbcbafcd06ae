"""What can be predicted of a texture without learning: what is known, spread smoothly."""

import numpy as np

from neuraltex.learn.partial import Partial
from neuraltex.learn.prediction import Prediction
from neuraltex.texture.fill import push_pull


def diffuse(partial: Partial) -> Prediction:
    """Keep what is known, direct and mirrored, and fill the rest by the membrane through it."""
    filled = push_pull(partial.color, partial.known)
    confidence = partial.inside.astype(np.float32)
    return Prediction(filled, filled, filled, np.ones_like(confidence), confidence)
