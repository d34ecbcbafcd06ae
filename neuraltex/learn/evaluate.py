"""Predictions beside plain fills, on samples of subjects that nothing was learned from."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from neuraltex.core.conventions import GREY
from neuraltex.io.images import to_uint8
from neuraltex.io.png import write_png
from neuraltex.learn.baselines import FILLS, Arrays, baselines
from neuraltex.learn.data.dataset import SampleSet
from neuraltex.learn.partial import Partial
from neuraltex.learn.predict import Predictor
from neuraltex.learn.prediction import Prediction
from neuraltex.learn.scores import Method, compare_methods
from neuraltex.losses.lpips import Lpips
from neuraltex.metrics.texture import Scores
from neuraltex.texture.layout import Layout

OURS = ("sampled", "refined", "predicted")
"""Rows of the networks: the sampler alone, the refined colors alone, and the result."""


def compare_with_fills(
    samples: SampleSet, predictor: Predictor, training: SampleSet | None, lpips: Lpips | None, *, paste: bool
) -> dict[str, Scores]:
    """Return the scores of the networks and of every baseline.

    Args:
        samples: Held-out samples.
        predictor: The networks.
        training: Samples they learned from; their mean is a baseline, too.
        lpips: Perceptual distance, if wanted.
        paste: Put observed texels back into the result.
    """
    truths = [] if training is None else [training.arrays(index)["truth"] for index in range(len(training))]
    methods: dict[str, Method] = dict(baselines(truths)) if truths else dict(FILLS)
    cache = _Cache(predictor, samples.layout, paste=paste)
    has_refiner = predictor.networks.refiner is not None
    methods |= {name: cache.method(name) for name in OURS if has_refiner or name != "refined"}
    return compare_methods(samples, methods, lpips)


def write_sheet(path: Path, samples: SampleSet, predictor: Predictor, count: int, *, paste: bool) -> Path:
    """Write rows of input, sampled, refined, blend, result and truth of some samples, spread evenly."""
    rows, cache = [], _Cache(predictor, samples.layout, paste=paste)
    for index in np.unique(np.linspace(0, len(samples) - 1, count).round().astype(int)):
        arrays = samples.arrays(int(index))
        found, inside = cache.predict(arrays), arrays["inside"][..., None]
        known = (arrays["direct"] | arrays["mirrored"])[..., None]
        blend = np.repeat(found.blend[..., None], 3, 2)
        maps = (found.sampled, found.refined, blend, found.texture, arrays["truth"])
        rows.append(
            np.concatenate([np.where(known, arrays["color"], 0), *(np.where(inside, m, GREY) for m in maps)], 1)
        )
    return write_png(path, to_uint8(np.concatenate(rows, 0)))


class _Cache:
    """Predicts each sample once for several rows of a table."""

    def __init__(self, predictor: Predictor, layout: Layout, *, paste: bool) -> None:
        self._predictor, self._layout, self._paste = predictor, layout, paste
        self._last: tuple[np.ndarray, Prediction] | None = None

    def predict(self, arrays: Arrays) -> Prediction:
        """Return the prediction for a sample."""
        key = arrays["color"]  # kept, so that no other array takes its place in memory
        if self._last is None or self._last[0] is not key:
            self._last = (key, self._predictor(partial_from_arrays(arrays, self._layout), paste=self._paste))
        return self._last[1]

    def method(self, name: str) -> Method:
        """Return what takes a sample and gives one of the maps of its prediction."""
        field = "texture" if name == "predicted" else name

        def method(arrays: Arrays) -> Float[np.ndarray, "Ht Wt 3"]:
            found: np.ndarray = getattr(self.predict(arrays), field)
            return found

        return method


def partial_from_arrays(arrays: Arrays, layout: Layout) -> Partial:
    """Return a sample as the partial texture it was made from; where it was read in the photograph is not kept."""
    source = np.full((*arrays["inside"].shape, 2), np.nan, np.float32)
    names = ("color", "direct", "mirrored", "confidence", "inside", "normals", "positions")
    return Partial(**{name: np.asarray(arrays[name]) for name in names}, source=source, layout=layout)
