"""A comparison as plain JSON values."""

import math
from typing import Any

from neuraltex import __version__
from neuraltex.report.regions import regions_data
from neuraltex.report.values import METRICS, Comparison, Scores, best_methods

VERSION = 1


def comparison_data(comparison: Comparison) -> dict[str, Any]:
    """Return the content of ``metrics.json``: means and per-view rows of every method, and who is best.

    Scores that are unknown or not finite are ``null``.
    """
    return {
        "version": VERSION,
        "neuraltex": __version__,
        "scene": comparison.scene,
        "notes": list(comparison.notes),
        "sides": comparison.sides,
        "best": {metric.key: best_methods(comparison.methods, metric) for metric in METRICS},
        "methods": [
            {
                "name": method.name,
                "reference": method.reference,
                "facts": method.facts,
                "mean": _finite(method.mean()),
                "views": {view: _finite(row) for view, row in method.rows.items()},
                "sides": {side: _finite(row) for side, row in regions_data(method, comparison.sides).items()},
            }
            for method in comparison.methods
        ],
    }


def _finite(scores: Scores) -> Scores:
    return {key: value if value is not None and math.isfinite(value) else None for key, value in scores.items()}
