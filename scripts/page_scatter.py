"""A scatter plot as a small SVG file that needs no style sheet."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

from neuraltex.report.plots import nice_ticks

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 440, 62, 18, 34, 46
COLORS = {"preset": "#c2410c", "curve": "#c2410c", "baseline": "#2563eb", "peer": "#2563eb", "published": "#475569"}
WORDS = {
    "preset": "neuraltex",
    "curve": "a knob turned",
    "baseline": "run here",
    "peer": "run here",
    "published": "published",
}
LINE_HEIGHT = 13


@dataclass(frozen=True)
class Point:
    """One method; ``kind`` chooses its marker, one of :data:`COLORS`; points of one ``curve`` are joined in their order."""

    name: str
    x: float
    y: float
    kind: str
    curve: str = ""


def scatter(title: str, x_label: str, y_label: str, points: Sequence[Point]) -> str:
    """Return the SVG; the vertical axis points down, so that better is to the upper right where low is good."""
    x_ticks, y_ticks = (nice_ticks(min(v), max(v)) for v in ([p.x for p in points], [p.y for p in points]))
    place = _Axes(x_ticks[0], x_ticks[-1], y_ticks[0], y_ticks[-1])
    parts = [_grid(place, x_ticks, y_ticks), _labels(title, x_label, y_label), _curve(place, points)]
    parts += [_marker(place, point) for point in points]
    parts += _names(place, points) + _legend(points)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


@dataclass(frozen=True)
class _Axes:
    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        return LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return TOP + (value - self.y_low) / (self.y_high - self.y_low) * (HEIGHT - TOP - BOTTOM)


def _grid(place: _Axes, x_ticks: list[float], y_ticks: list[float]) -> str:
    lines = "".join(f"M{place.x(t):.1f} {TOP}V{HEIGHT - BOTTOM}" for t in x_ticks)
    lines += "".join(f"M{LEFT} {place.y(t):.1f}H{WIDTH - RIGHT}" for t in y_ticks)
    texts = [_text(place.x(t), HEIGHT - BOTTOM + 15, f"{t:g}", "middle") for t in x_ticks]
    texts += [_text(LEFT - 6, place.y(t) + 4, f"{t:.4g}", "end") for t in y_ticks]
    return f'<path d="{lines}" stroke="#e2e8f0" fill="none"/>{"".join(texts)}'


def _labels(title: str, x_label: str, y_label: str) -> str:
    middle = (TOP + HEIGHT - BOTTOM) / 2
    turned = f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{html.escape(y_label)}</text>'
    below = _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x_label, "middle")
    return f'<text x="{LEFT}" y="18" font-size="13" font-weight="bold">{html.escape(title)}</text>{below}{turned}'


def _curve(place: _Axes, points: Sequence[Point]) -> str:
    curves: dict[str, list[str]] = {}
    for p in points:
        if p.curve:
            curves.setdefault(p.curve, []).append(f"{place.x(p.x):.1f} {place.y(p.y):.1f}")
    lines = "".join(f"M{'L'.join(steps)}" for steps in curves.values() if len(steps) > 1)
    return f'<path d="{lines}" stroke="{COLORS["curve"]}" fill="none"/>' if lines else ""


def _marker(place: _Axes, point: Point) -> str:
    radius = {"preset": 6, "curve": 3}.get(point.kind, 4.5)
    fill = "#fff" if point.kind == "published" else COLORS[point.kind]
    tip = f"<title>{html.escape(point.name)}: {point.x:.2f}, {point.y:.3f}</title>"
    return (
        f'<circle cx="{place.x(point.x):.1f}" cy="{place.y(point.y):.1f}" r="{radius}" fill="{fill}" '
        f'stroke="{COLORS[point.kind]}" stroke-width="1.5">{tip}</circle>'
    )


def _names(place: _Axes, points: Sequence[Point]) -> list[str]:
    """Write the names beside the points; those that would overlap are moved down."""
    texts: list[str] = []
    taken: list[tuple[float, float, float]] = []
    for point in sorted(points, key=lambda point: place.y(point.y)):
        x, y, width = place.x(point.x), place.y(point.y) + 4, 6.0 * len(point.name)
        left = x + 9 if x + 9 + width < WIDTH else x - 9 - width
        while any(abs(y - b) < LINE_HEIGHT and left < a + w and a < left + width for a, b, w in taken):
            y += LINE_HEIGHT
        taken.append((left, y, width))
        anchor = "start" if left > x else "end"
        texts.append(_text(x + (9 if anchor == "start" else -9), y, point.name, anchor, COLORS[point.kind]))
    return texts


def _legend(points: Sequence[Point]) -> list[str]:
    words = list(dict.fromkeys((WORDS[point.kind], COLORS[point.kind]) for point in points))
    total = sum(6 * len(word) + 24 for word, _ in words)
    x, parts = WIDTH - RIGHT - total, []
    for word, color in words:
        parts.append(f'<circle cx="{x}" cy="14" r="4" fill="{color}"/>{_text(x + 8, 18, word, "start", color)}')
        x += 6 * len(word) + 24
    return parts


def _text(x: float, y: float, words: str, anchor: str, color: str = "#334155") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}">{html.escape(words)}</text>'
