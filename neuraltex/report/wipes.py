"""The views of a page: wipes over registered pictures, and details at full resolution.

Without scripts, and on paper, the same pictures stand side by side; the script turns them into wipes.
"""

import html
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8

from neuraltex.report.pictures import encode_within, jpeg_uri, mask_uri, reduce_mask
from neuraltex.report.values import MAIN_METRICS, Comparison, Method, Pictures, format_value

PHOTO = "photo"


def views_section(comparison: Comparison, budget: int, max_side: int = 1280) -> str:
    """All views as wipes.

    Args:
        comparison: What to show.
        budget: Bytes that the pictures may take, encoded; the details come on top.
        max_side: Longest side of a picture [px].
    """
    pictures = {(view.name, key): image for view in comparison.views for key, image in _layers(view).items()}
    keys = list(pictures)
    encoded = encode_within({str(index): pictures[key] for index, key in enumerate(keys)}, budget, max_side)
    uris = {key: encoded[str(index)] for index, key in enumerate(keys)}
    views = "".join(_view(view, comparison.methods, uris) for view in comparison.views)
    return f"{_controls(comparison.methods)}{views}"


def _layers(view: Pictures) -> dict[str, UInt8[np.ndarray, "H W 3"]]:
    return {PHOTO: view.photo, **{f"m:{name}": image for name, image in view.renders.items()}}


def _controls(methods: Sequence[Method]) -> str:
    """Pickers that act on all wipes at once; hidden without scripts."""
    second = 1 if len(methods) > 1 else 0
    layers = [("photo", "Photo"), ("a", "A"), *([("b", "B")] if second else []), ("error", "Error")]
    buttons = "".join(
        f'<button type="button" data-layer="{key}" aria-pressed="true">{label}</button>' for key, label in layers
    )
    pick_b = f"<label>B {_select('pick-b', methods, second)}</label>" if second else ""
    kinds = [("a", "error of A"), *([("b", "error of B"), ("closer", "A or B closer")] if second else [])]
    errors = "".join(f'<option value="{value}">{label}</option>' for value, label in kinds)
    gains = "".join(f'<option value="{gain}"{" selected" * (gain == 4)}>×{gain}</option>' for gain in (1, 2, 4, 8))
    return (
        f'<form class="controls" aria-label="Wipes"><label>A {_select("pick-a", methods, 0)}</label>{pick_b}'
        f'<span class="layers" role="group" aria-label="Strips">{buttons}</span>'
        f'<label>Error strip <select id="error-kind">{errors}</select></label>'
        f'<label>Gain <select id="error-gain">{gains}</select></label>'
        '<label><input type="checkbox" id="veil"> dim what is not scored</label></form>'
    )


def _select(identifier: str, methods: Sequence[Method], chosen: int) -> str:
    options = "".join(
        f'<option value="{html.escape(m.name)}"{" selected" * (index == chosen)}>{html.escape(m.name)}</option>'
        for index, m in enumerate(methods)
    )
    return f'<select id="{identifier}">{options}</select>'


def _view(view: Pictures, methods: Sequence[Method], uris: Mapping[tuple[str, str], str]) -> str:
    height, width = view.photo.shape[:2]
    name = html.escape(view.name)
    veil = mask_uri(reduce_mask(view.mask, _bounded(view.mask.shape, 640)))
    figures = [_picture(PHOTO, "Photograph", "", uris[view.name, PHOTO])]
    for method in methods:
        if f"m:{method.name}" in _layers(view):
            scores = _scores(method, view.name)
            figures.append(_picture(method.name, method.name, scores, uris[view.name, f"m:{method.name}"]))
    return (
        f'<article class="view" data-view="{name}" data-veil="{veil}" style="--ratio:{width}/{height}"><h3>{name}</h3>'
        f'<div class="pictures">{"".join(figures)}</div>{_details(view)}</article>'
    )


def _picture(key: str, label: str, scores: str, uri: str) -> str:
    label, key = html.escape(label), html.escape(key)
    caption = f"<figcaption><b>{label}</b> <span>{scores}</span></figcaption>"
    kind = "photo" if key == PHOTO else "render"
    image = f'<img alt="{label}" decoding="async" src="{uri}">'
    return f'<figure data-kind="{kind}" data-name="{key}">{image}{caption}</figure>'


def _scores(method: Method, view: str) -> str:
    row = method.rows.get(view, {})
    shown = [(metric, row.get(metric.key)) for metric in MAIN_METRICS]
    return " · ".join(f"{metric.label} {format_value(value, metric)}" for metric, value in shown if value is not None)


def _details(view: Pictures) -> str:
    """Crops at full resolution, where the photograph has most structure."""
    if not view.details:
        return ""
    crops = []
    for key, image in view.details.items():
        label = html.escape("Photograph" if key == PHOTO else key)
        picture = f'<img alt="Detail, {label}" width="{image.shape[1]}" src="{jpeg_uri(image, 90)}">'
        crops.append(f"<figure>{picture}<figcaption>{label}</figcaption></figure>")
    return f'<div class="details" role="group" aria-label="Detail at full resolution">{"".join(crops)}</div>'


def _bounded(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(shape))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))
