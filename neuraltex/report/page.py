"""One self-contained HTML page: no external file, font or script; it works from a USB stick in ten years."""

import html
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from neuraltex import __version__
from neuraltex.report.pictures import jpeg_uri, png_uri, reduce_image
from neuraltex.report.plots import dot_plot, legend, line_chart
from neuraltex.report.regions import regions_section, section_title
from neuraltex.report.table import summary_table, verdicts, view_table
from neuraltex.report.values import MAIN_METRICS, METRICS, Comparison, Method, Metric
from neuraltex.report.wipes import views_section

PICTURE_BUDGET = 8_000_000
"""Bytes (encoded) that the wipes may take; textures, details and the proof sheet add about half as much."""
TEXTURE_SIDE, COVERAGE_SIDE, PROOF_SIDE = 1024, 512, 1800
BETTER_WORDS = {"high": "higher is better", "low": "lower is better", "one": "nearest to one is better"}


def build_page(comparison: Comparison) -> str:
    """Return the page as one string of HTML."""
    sections: list[tuple[str, str, Callable[[Comparison], str]]] = [
        ("scores", "Scores", _scores),
        ("regions", section_title(comparison), regions_section),
        ("views", "Views", _views),
        ("textures", "Textures", _textures),
        ("plots", "View by view", _plots),
        ("optimization", "Optimization", _curves),
        ("scene", "Scene", _scene),
        ("settings", "Settings", _settings),
        ("protocol", "How the numbers were made", _protocol),
    ]
    filled = [(key, title, body) for key, title, build in sections if (body := build(comparison))]
    nav = "".join(f'<a href="#{key}">{title}</a>' for key, title, _ in filled)
    main = "".join(f'<section id="{key}"><h2>{title}</h2>{body}</section>' for key, title, body in filled)
    title = html.escape(f"{comparison.scene}: textures compared")
    head = (
        f'<meta charset="utf-8"><title>{title}</title><meta name="generator" content="neuraltex">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<link rel="icon" href="data:,"><style>{_asset("style.css")}</style>'
    )
    dialog = (
        '<dialog id="zoom" aria-label="Enlarged picture"><button type="button" class="close">Close</button>'
        '<div class="canvas"><img alt=""></div></dialog>'
    )
    footer = f"<footer>neuraltex {__version__}. The scores as data: metrics.json beside this page.</footer>"
    body = f"{_header(comparison, nav)}<main>{main}</main>{footer}{dialog}<script>{_asset('script.js')}</script>"
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def _asset(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _header(comparison: Comparison, nav: str) -> str:
    count, views = len(comparison.methods), {view for method in comparison.methods for view in method.rows}
    words = f"{count} texture{'s' * (count != 1)} judged on {len(views)} held-out photograph{'s' * (len(views) != 1)}"
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in comparison.notes)
    listed = f'<ul class="notes" role="note">{notes}</ul>' if notes else ""
    title = f"<h1>{html.escape(comparison.scene)}</h1><p>{words}, through one renderer.</p>"
    return (
        f'<header><div class="title">{title}</div>'
        f'<button type="button" id="theme">Dark / light</button><nav aria-label="Sections">{nav}</nav>{listed}</header>'
    )


def _scores(comparison: Comparison) -> str:
    return verdicts(comparison.methods) + summary_table(comparison.methods)


def _views(comparison: Comparison) -> str:
    if not comparison.views:
        return ""
    hint = (
        "Drag the dividers, or focus one and use the arrow keys. "
        "Errors are mean absolute differences of the pictures shown here, which are reduced and compressed."
    )
    return f'<p class="hint script">{hint}</p>{views_section(comparison, PICTURE_BUDGET)}'


def _textures(comparison: Comparison) -> str:
    cards = [_texture_card(method) for method in comparison.methods if method.texture is not None or method.facts]
    key = "Coverage: seen in a photograph (light), gutter around a chart (grey), predicted or filled in (dark)."
    key += " Click to enlarge."
    return f'<div class="cards">{"".join(cards)}</div><p class="hint">{key}</p>' if cards else ""


def _texture_card(method: Method) -> str:
    pictures = ""
    if method.texture is not None:
        pictures += _zoomable(jpeg_uri(reduce_image(method.texture, TEXTURE_SIDE)), f"Texture of {method.name}")
    if method.coverage is not None:
        small = reduce_image(method.coverage[..., None].repeat(3, 2), COVERAGE_SIDE)[..., 0]
        pictures += _zoomable(png_uri(small), f"Coverage of {method.name}")
    facts = _facts({**method.facts, **_coverage_facts(method.coverage)})
    return (
        f'<article class="card"><h3>{html.escape(method.name)}</h3><div class="pair">{pictures}</div>{facts}</article>'
    )


def _coverage_facts(coverage: UInt8[np.ndarray, "Ht Wt"] | None) -> dict[str, str]:
    if coverage is None:
        return {}
    shares = np.histogram(coverage, (0, 16, 64, 192, 256))[0] / coverage.size
    named = zip(("seen", "gutter", "predicted", "filled"), shares[::-1], strict=True)
    return {"Texels": ", ".join(f"{share:.0%} {word}" for word, share in named if share or word != "predicted")}


def _zoomable(uri: str, label: str) -> str:
    label = html.escape(label)
    return (
        f'<button type="button" class="zoomable" aria-label="Enlarge: {label}"><img alt="{label}" src="{uri}"></button>'
    )


def _plots(comparison: Comparison) -> str:
    names = [method.name for method in comparison.methods]
    plots = [_metric_plot(comparison, metric) for metric in MAIN_METRICS]
    return f'{legend(names)}<div class="plots">{"".join(plots)}</div>{view_table(comparison)}' if any(plots) else ""


def _metric_plot(comparison: Comparison, metric: Metric) -> str:
    views = sorted({view for method in comparison.methods for view in method.rows})
    rows = {view: [method.rows.get(view, {}).get(metric.key) for method in comparison.methods] for view in views}
    unit = f" [{metric.unit}]" * bool(metric.unit)
    title = f"{metric.label}{unit}, {BETTER_WORDS[metric.better]}"
    return dot_plot(title, rows, [method.name for method in comparison.methods], metric.digits)


def _curves(comparison: Comparison) -> str:
    """One chart per logged quantity; all runs that log it share the chart."""
    tags = dict.fromkeys(tag for method in comparison.methods for row in method.history for tag in row)
    wanted = sorted((tag for tag in tags if tag.startswith(("train/loss", "val/"))), key=_tag_order)
    charts = []
    for tag in wanted:
        series = {
            index: [
                (float(row["step"]), float(row[tag]))
                for row in method.history
                if row.get(tag) is not None and "step" in row
            ]
            for index, method in enumerate(comparison.methods)
        }
        charts.append(line_chart(tag, {index: points for index, points in series.items() if points}))
    if not any(charts):
        return ""
    return f'{legend([method.name for method in comparison.methods])}<div class="plots small">{"".join(charts)}</div>'


def _tag_order(tag: str) -> tuple[bool, bool, str]:
    return (tag.startswith("val/"), not tag.endswith("total"), tag)


def _scene(comparison: Comparison) -> str:
    proof = ""
    if comparison.proof is not None:
        picture = _zoomable(jpeg_uri(reduce_image(comparison.proof, PROOF_SIDE)), "Proof sheet")
        words = "Proof sheet: edges and depth discontinuities of the mesh, drawn over photographs. They must coincide."
        proof = f'<figure class="proof">{picture}<figcaption>{words}</figcaption></figure>'
    return _facts(comparison.facts) + proof


def _facts(facts: Mapping[str, str]) -> str:
    items = "".join(
        f"<div><dt>{html.escape(key)}</dt><dd>{html.escape(value)}</dd></div>" for key, value in facts.items()
    )
    return f'<dl class="facts">{items}</dl>' if items else ""


def _settings(comparison: Comparison) -> str:
    return "".join(
        f'<details class="fold"><summary>{html.escape(m.name)}</summary><pre>{html.escape(m.config)}</pre></details>'
        for m in comparison.methods
        if m.config
    )


def _protocol(comparison: Comparison) -> str:
    used = [m for m in METRICS if any(method.mean().get(m.key) is not None for method in comparison.methods)]
    terms = {f"{metric.label}{f' [{metric.unit}]' * bool(metric.unit)}": f"{metric.about}." for metric in used}
    paragraphs = "".join(f"<p>{html.escape(text)}</p>" for text in comparison.protocol)
    return f'<div class="prose">{paragraphs}</div>{_facts(terms)}'
