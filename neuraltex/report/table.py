"""Tables of scores with the best values marked."""

import html
from collections.abc import Sequence

from neuraltex.report.plots import glyph
from neuraltex.report.values import MAIN_METRICS, METRICS, Comparison, Method, Metric, best_methods, format_value

_ARROWS = {
    "high": ("▲", "higher is better"),
    "low": ("▼", "lower is better"),
    "one": ("≈1", "nearest to one is better"),
}


def summary_table(methods: Sequence[Method]) -> str:
    """One row per method, one column per metric that at least one method has."""
    shown = [metric for metric in METRICS if any(method.mean().get(metric.key) is not None for method in methods)]
    best = {metric.key: best_methods(methods, metric) for metric in shown}
    rows = [
        f'<tr{" class=reference" * method.reference}><th scope="row">{name_of(method, index)}</th>'
        + "".join(
            cell_of(method.mean().get(metric.key), metric, is_best=method.name in best[metric.key]) for metric in shown
        )
        + "</tr>"
        for index, method in enumerate(methods)
    ]
    head = "".join(_head(metric) for metric in shown)
    caption = "Mean over the held-out photographs. The best value of each column is marked."
    return (
        f'<div class="scroll"><table class="summary"><caption>{caption}</caption>'
        f'<thead><tr><th scope="col">Method</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def view_table(comparison: Comparison) -> str:
    """One row per view and method; folded away by default."""
    metrics = [
        metric for metric in METRICS if any(metric.key in row for m in comparison.methods for row in m.rows.values())
    ]
    views = dict.fromkeys(view for method in comparison.methods for view in method.rows)
    rows = []
    for view in views:
        present = [(index, method) for index, method in enumerate(comparison.methods) if view in method.rows]
        for line, (index, method) in enumerate(present):
            first = f'<th scope="rowgroup" rowspan="{len(present)}">{html.escape(view)}</th>' if line == 0 else ""
            cells = "".join(f"<td>{format_value(method.rows[view].get(metric.key), metric)}</td>" for metric in metrics)
            rows.append(
                f'<tr{" class=first" * (line == 0)}>{first}<th scope="row">{name_of(method, index)}</th>{cells}</tr>'
            )
    head = "".join(_head(metric) for metric in metrics)
    return (
        '<details class="fold"><summary>All numbers, view by view</summary><div class="scroll"><table class="views">'
        f'<thead><tr><th scope="col">View</th><th scope="col">Method</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></details>"
    )


def verdicts(methods: Sequence[Method]) -> str:
    """Who wins the main metrics, and by how much over the next."""
    return f'<div class="verdicts">{"".join(_verdict(methods, metric) for metric in MAIN_METRICS)}</div>'


def _verdict(methods: Sequence[Method], metric: Metric) -> str:
    values = {m.name: value for m in methods if not m.reference and (value := m.mean().get(metric.key)) is not None}
    if not values:
        return ""
    order = sorted(values, key=lambda name: values[name], reverse=metric.better == "high")
    unit = f"<small> {metric.unit}</small>" * bool(metric.unit)
    note = _margin(values, order, metric)
    arrow = _ARROWS[metric.better][1]
    return (
        f'<div class="verdict"><div class="metric">{metric.label} <span>{arrow}</span></div>'
        f'<div class="value">{format_value(values[order[0]], metric)}{unit}</div>'
        f'<div class="winner">{html.escape(order[0])}</div><div class="margin">{html.escape(note)}</div></div>'
    )


def _margin(values: dict[str, float], order: list[str], metric: Metric) -> str:
    """How far the best is ahead of the next, in shown digits."""
    if len(order) < 2:
        return ""
    lead = f"{abs(values[order[0]] - values[order[1]]):.{metric.digits}f}"
    return f"{lead} {metric.unit} ahead of {order[1]}" if float(lead) else f"level with {order[1]}"


def _head(metric: Metric) -> str:
    arrow, words = _ARROWS[metric.better]
    unit = f" <small>{metric.unit}</small>" * bool(metric.unit)
    return f'<th scope="col" title="{html.escape(metric.about)}; {words}">{metric.label}{unit}<br><i>{arrow}</i></th>'


def name_of(method: Method, index: int) -> str:
    """Return the name of a method with its glyph."""
    marker = f'<svg width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true">{glyph(index)}</svg>'
    return f'<span class="name">{marker}{html.escape(method.name)}</span>'


def cell_of(value: float | None, metric: Metric, *, is_best: bool) -> str:
    """Return a cell of a table of scores."""
    text = format_value(value, metric)
    return f'<td class="best"><b>{text}</b><span class="sr"> (best)</span></td>' if is_best else f"<td>{text}</td>"
