"""Methods side by side on held-out samples: the scores of each, region by region."""

from collections.abc import Callable, Mapping

import numpy as np

from neuraltex.core.runtime import progress
from neuraltex.learn.data.dataset import SampleSet
from neuraltex.learn.data.packed import Arrays
from neuraltex.losses.lpips import Lpips
from neuraltex.metrics.texture import METRICS, REGIONS, Scores, mean_scores, score_texture, texture_regions

Method = Callable[[Arrays], np.ndarray]
"""Takes the arrays of a sample and returns a texture [Ht, Wt, 3]."""

Row = dict[str, str | float]

_DIGITS = {"psnr": 2, "ssim": 4, "l1": 4, "lpips": 4, "too_dark": 4}


def compare_methods(samples: SampleSet, methods: Mapping[str, Method], lpips: Lpips | None = None) -> dict[str, Scores]:
    """Return the mean scores of every method over all samples.

    Args:
        samples: Held-out samples.
        methods: By name; none is shown ``truth``.
        lpips: Perceptual distance; left out without it.
    """
    found: dict[str, list[Scores]] = {name: [] for name in methods}
    for index in progress(range(len(samples)), label="score", unit="sample"):
        arrays = dict(samples.arrays(index))
        truth = arrays.pop("truth")
        regions = texture_regions(*(np.asarray(arrays[name], np.bool_) for name in ("direct", "mirrored", "inside")))
        for name, method in methods.items():
            found[name].append(score_texture(method(arrays), truth, regions, lpips))
    return {name: mean_scores(scores) for name, scores in found.items()}


def score_rows(compared: Mapping[str, Scores]) -> list[Row]:
    """Return one row per region and method: plain JSON values."""
    return [
        {"region": region, "method": name, **scores[region]}
        for region in REGIONS
        for name, scores in compared.items()
        if region in scores
    ]


def score_table(compared: Mapping[str, Scores]) -> str:
    """Return the scores as a Markdown table, the regions one below the other."""
    rows = score_rows(compared)
    shown = [metric for metric in METRICS if any(metric in row for row in rows)]
    lines = ["| region | method | " + " | ".join(shown) + " |", "|---|---|" + "---|" * len(shown)]
    for row in rows:
        cells = [f"{row[metric]:.{_DIGITS[metric]}f}" if metric in row else "" for metric in shown]
        lines.append(f"| {row['region']} | {row['method']} | {' | '.join(cells)} |")
    return "\n".join(lines)
