"""Tables of scores apart by where they were taken: side of the object, and what training photographs show of it."""

import html
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from neuraltex.report.pictures import png_uri, reduce_image
from neuraltex.report.table import cell_of, name_of
from neuraltex.report.values import METRICS, Comparison, Method, Metric, Scores, best_methods

SIDES = ("front", "side", "back")
PIXELS = ("seen", "unseen")
TEXELS = ("seen", "mirrored", "unseen")
SHOWN = tuple(metric for metric in METRICS if metric.key in ("psnr", "ssim", "lpips"))
PICTURE_SIDE = 512


def has_regions(comparison: Comparison) -> bool:
    """Whether scores were taken apart by region."""
    return any(key.endswith("_unseen") for method in comparison.methods for row in method.rows.values() for key in row)


def section_title(comparison: Comparison) -> str:
    """Name the section after the question that it answers."""
    return "Learned or optimized?" if any(method.predicted for method in comparison.methods) else "By side and region"


def regions_section(comparison: Comparison) -> str:
    """Tables by side of the held-out views, by region of their pixels and by region of the texture; empty without."""
    if not has_regions(comparison):
        return ""
    tables = [_table(caption, columns, comparison.methods) for caption, columns in _tables(comparison)]
    return "".join(table for table in tables if table) + _picture(comparison)


def regions_data(method: Method, sides: dict[str, str]) -> dict[str, Any]:
    """Return the means of a method over each side, as plain values; the other regions are among its scores."""
    return {side: method.mean_over(_views(sides, side)) for side in SIDES if side in sides.values()}


Column = tuple[str, Metric, dict[str, Scores], str]
"""Head of a column, its metric, the scores of every method, and the key among them."""


def _tables(comparison: Comparison) -> list[tuple[str, list[Column]]]:
    methods, sides = comparison.methods, comparison.sides
    by_side = [
        (side, metric, {method.name: method.mean_over(_views(sides, side)) for method in methods}, metric.key)
        for side in SIDES
        if side in sides.values()
        for metric in SHOWN
    ]
    means = {method.name: method.mean() for method in methods}
    pixels = [(region, metric, means, f"{metric.key}_{region}") for region in PIXELS for metric in SHOWN]
    texels = [(region, metric, means, f"{metric.key}_truth_{region}") for region in TEXELS for metric in SHOWN]
    where = "Held-out photographs by the side they show, relative to the mean direction of the training photographs"
    return [
        (f"{where}; all of the surface, no color fit.", by_side),
        ("Pixels of held-out photographs whose surface some training photograph shows, or none does.", pixels),
        ("Texels against the true texture: shown by a photograph, in mirror image only, or not at all.", texels),
    ]


def _views(sides: dict[str, str], side: str) -> list[str]:
    return [view for view, found in sides.items() if found == side]


def _table(caption: str, columns: Sequence[Column], methods: Sequence[Method]) -> str:
    shown = [column for column in columns if any(scores.get(column[3]) is not None for scores in column[2].values())]
    if not shown:
        return ""
    head = "".join(
        f'<th scope="col">{html.escape(group)}<br>{metric.label}{f" <small>{metric.unit}</small>" * bool(metric.unit)}'
        f"</th>"
        for group, metric, *_ in shown
    )
    best = [_best(column, methods) for column in shown]
    body = "".join(_row(method, index, shown, best) for index, method in enumerate(methods))
    return (
        f'<div class="scroll"><table class="summary"><caption>{html.escape(caption)}</caption>'
        f'<thead><tr><th scope="col">Method</th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _row(method: Method, index: int, columns: Sequence[Column], best: Sequence[list[str]]) -> str:
    cells = "".join(
        cell_of(scores[method.name].get(key), metric, is_best=method.name in winners)
        for (_, metric, scores, key), winners in zip(columns, best, strict=True)
    )
    return f'<tr{" class=reference" * method.reference}><th scope="row">{name_of(method, index)}</th>{cells}</tr>'


def _best(column: Column, methods: Sequence[Method]) -> list[str]:
    """Return the names of the methods with the best value of a column, as shown."""
    _, metric, scores, key = column
    stand_ins = [replace(method, rows={}, extra={metric.key: scores[method.name].get(key)}) for method in methods]
    return best_methods(stand_ins, metric)


def _picture(comparison: Comparison) -> str:
    if comparison.regions is None:
        return ""
    uri = png_uri(reduce_image(comparison.regions, PICTURE_SIDE))
    words = "Texels that a training photograph shows (light), that it shows in mirror image (grey), and others (dark)."
    return f'<figure class="proof"><img alt="{words}" src="{uri}"><figcaption>{words}</figcaption></figure>'
