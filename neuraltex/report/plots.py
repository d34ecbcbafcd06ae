"""Inline SVG plots; colors come from the page's style sheet, so they follow its dark and light theme."""

import html
import math
from collections.abc import Mapping, Sequence

NUM_SERIES = 8
_GLYPHS = (
    '<circle r="4.5"/>',
    '<rect x="-4" y="-4" width="8" height="8"/>',
    '<path d="M0-5.2 5 3.8H-5Z"/>',
    '<path d="M0-5.6 5.6 0 0 5.6-5.6 0Z"/>',
    '<path d="M0 5.2 5-3.8H-5Z"/>',
    '<path d="M-5-1.7h3.3V-5h3.4v3.3H5v3.4H1.7V5h-3.4V1.7H-5Z"/>',
)


def series_class(index: int) -> str:
    """Style class of the n-th method; colors repeat after :data:`NUM_SERIES`, shapes do so later."""
    return f"s{index % NUM_SERIES}"


def glyph(index: int) -> str:
    """Marker of the n-th method, centered on the origin; told apart by shape as well as by color."""
    return f'<g class="{series_class(index)}">{_GLYPHS[index % len(_GLYPHS)]}</g>'


def legend(names: Sequence[str]) -> str:
    """One legend for all plots that show the same methods in the same order."""
    marker = '<svg width="16" height="16" viewBox="-8 -8 16 16" aria-hidden="true">{}</svg>'
    items = [f"<li>{marker.format(glyph(index))}{html.escape(name)}</li>" for index, name in enumerate(names)]
    return f'<ul class="legend">{"".join(items)}</ul>'


def dot_plot(title: str, rows: Mapping[str, Sequence[float | None]], names: Sequence[str], digits: int) -> str:
    """One line per view, one marker per method.

    Args:
        title: What the axis shows, with its unit and which side is better.
        rows: View name to one value per method (``None`` leaves the marker out).
        names: Methods, in the order of the values.
        digits: Decimal places in the tooltips.
    """
    values = [value for row in rows.values() for value in row if value is not None]
    if not values:
        return ""
    pitch, left, width = (20 if len(rows) <= 30 else 13), 150, 560
    ticks = nice_ticks(min(values), max(values))
    scale = _Scale(ticks[0], ticks[-1], left, width - 16)
    bottom = 12 + pitch * len(rows)
    parts = [_vertical_grid(scale, ticks, 6, bottom)]
    for line, (view, row) in enumerate(rows.items()):
        y = 12 + pitch * (line + 0.5)
        parts.append(f'<text class="label" x="{left - 12}" y="{y + 4:.1f}" text-anchor="end">{_short(view)}</text>')
        known = [scale(value) for value in row if value is not None]
        if known:
            parts.append(f'<path class="span" d="M{min(known):.1f} {y:.1f}H{max(known):.1f}"/>')
        for index, value in enumerate(row):
            if value is not None:
                tip = html.escape(f"{view}, {names[index]}: {value:.{digits}f}")
                at = f"translate({scale(value):.1f} {y:.1f})"
                parts.append(f'<g transform="{at}"><title>{tip}</title>{glyph(index)}</g>')
    return _frame(title, width, bottom + 26, parts)


def line_chart(title: str, series: Mapping[int, Sequence[tuple[float, float]]], x_label: str = "step") -> str:
    """Curves over steps; the vertical axis is logarithmic where the values span more than a factor of twenty.

    Args:
        title: What is shown.
        series: Index of the method (for color) to points (x, y); points that are not finite are left out.
        x_label: Name of the horizontal axis.
    """
    curves = {
        index: [p for p in points if math.isfinite(p[0]) and math.isfinite(p[1])] for index, points in series.items()
    }
    xs = [x for points in curves.values() for x, _ in points]
    ys = [y for points in curves.values() for _, y in points]
    if not xs:
        return ""
    logarithmic = min(ys) > 0 and max(ys) > 20 * min(ys)
    y_ticks = log_ticks(min(ys), max(ys)) if logarithmic else nice_ticks(min(ys), max(ys))
    x_ticks = nice_ticks(min(xs), max(xs))
    width, height, left = 420, 240, 58
    across = _Scale(min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1, left, width - 14)
    up = _Scale(y_ticks[0], y_ticks[-1], height - 34, 12, logarithmic)
    parts = [_horizontal_grid(up, y_ticks, left, width - 14)]
    x_shown = [tick for tick in x_ticks if across.low <= tick <= across.high]
    parts += [f'<text x="{across(t):.1f}" y="{height - 16}" text-anchor="middle">{_number(t)}</text>' for t in x_shown]
    parts.append(
        f'<text x="{(left + width) / 2:.0f}" y="{height - 2}" text-anchor="middle">{html.escape(x_label)}</text>'
    )
    for index, points in curves.items():
        path = "M" + "L".join(f"{across(x):.1f} {up(y):.1f}" for x, y in _thin(points))
        parts.append(f'<path class="curve {series_class(index)}" d="{path}"/>' if len(points) > 1 else "")
        if points:
            x, y = points[-1]
            parts.append(f'<g transform="translate({across(x):.1f} {up(y):.1f})">{glyph(index)}</g>')
    return _frame(title, width, height, parts)


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers (1, 2, 5 times a power of ten) that enclose the interval, about ``count`` of them."""
    if high <= low:
        low, high = low - (abs(low) * 0.05 or 0.5), high + (abs(high) * 0.05 or 0.5)
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten that enclose a positive interval."""
    return [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


class _Scale:
    """Maps values to coordinates of the drawing."""

    def __init__(self, low: float, high: float, start: float, end: float, logarithmic: bool = False) -> None:
        self.low, self.high, self._start, self._end, self._log = low, high, start, end, logarithmic

    def __call__(self, value: float) -> float:
        low, high = (math.log10(self.low), math.log10(self.high)) if self._log else (self.low, self.high)
        value = math.log10(value) if self._log else value
        return self._start + (value - low) / ((high - low) or 1) * (self._end - self._start)


def _vertical_grid(scale: _Scale, ticks: list[float], top: float, bottom: float) -> str:
    lines = "".join(f"M{scale(tick):.1f} {top}V{bottom:.1f}" for tick in ticks)
    texts = [f'<text x="{scale(t):.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{_number(t)}</text>' for t in ticks]
    return f'<path class="grid" d="{lines}"/>{"".join(texts)}'


def _horizontal_grid(scale: _Scale, ticks: list[float], left: float, right: float) -> str:
    lines = "".join(f"M{left} {scale(tick):.1f}H{right}" for tick in ticks)
    texts = [f'<text x="{left - 7}" y="{scale(t) + 4:.1f}" text-anchor="end">{_number(t)}</text>' for t in ticks]
    return f'<path class="grid" d="{lines}"/>{"".join(texts)}'


def _frame(title: str, width: float, height: float, parts: list[str]) -> str:
    title = html.escape(title)
    body = "".join(parts)
    svg = f'<svg viewBox="0 0 {width} {height:.0f}" width="{width}" role="img" aria-label="{title}">{body}</svg>'
    return f'<figure class="plot"><figcaption>{title}</figcaption><div class="scroll">{svg}</div></figure>'


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e5 else f"{value:.0e}"


def _short(name: str, limit: int = 20) -> str:
    """Names differ at their end, so the beginning goes."""
    return html.escape(name if len(name) <= limit else "…" + name[-(limit - 1) :])


def _thin(points: Sequence[tuple[float, float]], limit: int = 400) -> Sequence[tuple[float, float]]:
    """At most ``limit`` points; a page needs no more, and the last one stays."""
    step = max(1, -(-len(points) // limit))
    kept = list(points[::step])
    return kept if kept[-1:] == list(points[-1:]) else [*kept, points[-1]]
