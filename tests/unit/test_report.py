import base64
import io
import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from neuraltex.report.data import comparison_data
from neuraltex.report.page import build_page
from neuraltex.report.pictures import encode_within, evenly, find_detail, mask_uri, reduce_image, reduce_mask
from neuraltex.report.plots import NUM_SERIES, dot_plot, line_chart, log_ticks, nice_ticks, series_class
from neuraltex.report.table import summary_table, verdicts
from neuraltex.report.values import METRICS, Comparison, Method, Metric, Pictures, best_methods

PSNR = next(metric for metric in METRICS if metric.key == "psnr_fit")
LPIPS = next(metric for metric in METRICS if metric.key == "lpips_fit")
SHARPNESS = next(metric for metric in METRICS if metric.key == "sharpness_fit")


def method(name: str, psnr: float, *, lpips: float | None = 0.3, **more) -> Method:
    row = {"psnr_fit": psnr, "ssim_fit": psnr / 40, "lpips_fit": lpips, "sharpness_fit": psnr / 20, "coverage": 1.0}
    return Method(name, {"view 1": row, "view 2": {**row, "psnr_fit": psnr + 2}}, **more)


def noise(height: int = 60, width: int = 80, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def comparison(**more) -> Comparison:
    ours = method(
        "ours",
        20,
        extra={"seconds": 12.3, "psnr_truth": 31.0},
        texture=noise(),
        coverage=np.full((60, 80), 255, np.uint8),
        history=[{"step": step, "train/loss": 1 / step, "val/psnr": 20.0} for step in range(1, 4)],
        config="loss: {l1: 10}\n",
    )
    peer = method("<peer> & co", 19, lpips=None)
    views = tuple(
        Pictures(
            name,
            noise(),
            {"ours": noise(seed=1), "<peer> & co": noise(seed=2)},
            np.eye(60, 80) == 0,
            {"photo": noise()},
        )
        for name in ("view 1", "view 2")
    )
    return Comparison("a <scene>", (ours, peer), views, facts={"Mesh": "12 faces"}, proof=noise(), **more)


class Outline(HTMLParser):
    """Checks that tags nest, and collects ids, links and anything loaded from elsewhere."""

    VOID = frozenset({"meta", "link", "img", "br", "input", "path", "circle", "rect"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.anchors: list[str] = []
        self.sources: list[str] = []
        self.images_without_text = 0

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if "id" in values:
            self.ids.append(values["id"])
        self.anchors += [value[1:] for key, value in attrs if key == "href" and value.startswith("#")]
        self.sources += [
            value for key, value in attrs if key in ("src", "href", "data-veil") and not value.startswith("#")
        ]
        self.images_without_text += tag == "img" and "alt" not in values

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def parse(page: str) -> Outline:
    outline = Outline()
    outline.feed(page)
    assert outline.open == []
    return outline


def test_the_page_is_well_formed_and_needs_nothing_else():
    page = build_page(comparison())
    outline = parse(page)
    assert outline.sources
    assert all(source.startswith("data:") for source in outline.sources)
    assert not re.search(r"@import|url\(\s*['\"]?http|fetch\(|src=['\"]?http", page)
    assert len(set(outline.ids)) == len(outline.ids)
    assert set(outline.anchors) <= set(outline.ids)
    assert outline.images_without_text == 0


def test_names_are_escaped_everywhere():
    page = build_page(comparison(notes=("<b>note</b>",)))
    for raw in ("<peer>", "<scene>", "<b>note"):
        assert raw not in page
    assert "&lt;peer&gt; &amp; co" in page


def test_sections_without_content_are_left_out():
    bare = Comparison("bare", (method("only", 20),), ())
    outline = parse(build_page(bare))
    assert "scores" in outline.ids
    assert not {"views", "optimization", "settings", "textures"} & set(outline.ids)


def test_one_method_gives_a_page_without_a_second_strip():
    lone = Comparison(
        "lone", (method("only", 20),), (Pictures("view 1", noise(), {"only": noise()}, np.ones((60, 80), bool)),)
    )
    ids = parse(build_page(lone)).ids
    assert "pick-a" in ids
    assert "pick-b" not in ids


def test_best_is_decided_on_shown_digits_and_never_for_the_reference():
    low, high, same = method("low", 19), method("high", 20), method("same", 20.001)
    assert best_methods([low, high], PSNR) == ["high"]
    assert best_methods([low, high, same], PSNR) == ["high", "same"]
    assert best_methods([low, high, method("truth", 50, reference=True)], PSNR) == ["high"]
    assert best_methods([high], PSNR) == []
    assert best_methods([high, same], PSNR) == []


def test_best_follows_the_direction_of_the_metric():
    a, b = method("a", 19, lpips=0.2), method("b", 24, lpips=0.4)
    assert best_methods([a, b], LPIPS) == ["a"]
    assert best_methods([a, b], SHARPNESS) == ["a"]  # 0.95 is nearer to one than 1.2
    assert best_methods([a, method("c", 20, lpips=None)], LPIPS) == []


def test_means_skip_what_is_unknown():
    rows = {"1": {"psnr": 10.0, "lpips": None}, "2": {"psnr": 20.0}}
    assert Method("m", rows, extra={"seconds": 3.0}).mean() == {"psnr": 15.0, "lpips": None, "seconds": 3.0}


def test_the_table_shows_dashes_for_missing_scores_and_marks_the_best():
    table = summary_table(comparison().methods)
    assert "<td>–</td>" in table
    assert table.count("(best)") == 3  # psnr, ssim, sharpness; nothing else has two values
    assert "PSNR truth" in table
    assert "Memory" not in table
    assert "1.00 dB ahead of &lt;peer&gt;" in verdicts(comparison().methods)
    assert "level with b" in verdicts([method("a", 20), method("b", 20)])


def test_data_is_strict_json_even_with_infinite_scores():
    broken = method("m", math.inf)
    data = comparison_data(Comparison("s", (broken, method("n", 20)), ()))
    text = json.dumps(data, allow_nan=False)
    assert json.loads(text)["methods"][0]["mean"]["psnr_fit"] is None
    assert data["methods"][1]["views"]["view 1"]["psnr_fit"] == 20


@pytest.mark.parametrize(("low", "high"), [(0, 1), (18.3, 21.7), (-3, 12345), (0.2, 0.2), (0, 0), (1e-7, 3e-7)])
def test_ticks_are_round_and_enclose(low, high):
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low + 1e-12
    assert ticks[-1] >= high - 1e-12
    assert 2 <= len(ticks) <= 9
    step = ticks[1] - ticks[0]
    assert round(step / 10 ** math.floor(math.log10(step) + 1e-9)) in (1, 2, 5)


def test_log_ticks_enclose():
    assert log_ticks(0.02, 3) == pytest.approx([0.01, 0.1, 1, 10])


def test_plots_survive_missing_and_infinite_values():
    assert dot_plot("t", {"v": [None, None]}, ["a", "b"], 2) == ""
    plot = dot_plot("t", {"v": [1.0, None], "w": [2.0, 3.0]}, ["a", "b"], 2)
    assert plot.count("<title>") == 3
    assert line_chart("t", {0: [(1, math.nan)]}) == ""
    curve = line_chart("t", {0: [(1, 2.0), (2, math.inf), (3, 1.0)]})
    assert "nan" not in curve
    assert "inf" not in curve
    assert series_class(NUM_SERIES) == series_class(0)


def test_long_curves_are_thinned_but_keep_their_end():
    curve = line_chart("t", {0: [(float(step), float(step)) for step in range(10_000)]})
    assert len(curve) < 20_000
    assert re.search(r"L406\.0 [\d.]+\"", curve)


def test_pictures_stay_within_their_budget():
    images = {str(index): noise(300, 400, index) for index in range(5)}
    free = encode_within(images, 10_000_000, 400)
    tight = encode_within(images, sum(map(len, free.values())) // 2, 400)
    assert sum(map(len, tight.values())) <= sum(map(len, free.values())) // 2
    assert decode(free["0"]).size == (400, 300)
    assert decode(tight["0"]).size[0] < 400


def test_reduced_images_keep_proportions_and_are_never_enlarged():
    assert reduce_image(noise(60, 80), 40).shape == (30, 40, 3)
    assert reduce_image(noise(60, 80), 200).shape == (60, 80, 3)
    mask = np.zeros((60, 80), bool)
    mask[:, 40:] = True
    np.testing.assert_array_equal(reduce_mask(mask, (30, 40)), np.arange(40) >= np.full((30, 1), 20))


def test_the_veil_is_opaque_outside_the_mask_only():
    mask = np.zeros((5, 9), bool)
    mask[2, 3:] = True
    alpha = np.asarray(decode(mask_uri(mask)).convert("RGBA"))[..., 3]
    np.testing.assert_array_equal(alpha, np.where(mask, 0, 255))


def test_the_detail_is_the_most_structured_place_inside_the_mask():
    photo = np.full((100, 120, 3), 90, np.uint8)
    photo[60:80, 70:90] = noise(20, 20)
    photo[0:20, 0:20] = noise(20, 20, 1)
    mask = np.ones((100, 120), bool)
    mask[:40, :40] = False
    rows, columns = find_detail(photo, mask, (30, 30))
    assert rows.start <= 61
    assert rows.stop >= 79
    assert columns.start <= 71
    assert columns.stop >= 89
    assert find_detail(photo, np.zeros((100, 120), bool), (30, 30)) is None


def test_evenly_keeps_first_and_last():
    assert evenly(range(10), 4) == [0, 3, 6, 9]
    assert evenly([1, 2], 5) == [1, 2]
    assert evenly([1, 2, 3], 1) == [1]


def test_every_metric_explains_itself():
    assert all(
        isinstance(metric, Metric) and metric.about and metric.better in ("high", "low", "one") for metric in METRICS
    )


def decode(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1])))
