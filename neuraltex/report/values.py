"""What a comparison found, as values; everything a page or a JSON file shows comes from here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, UInt8

Better = Literal["high", "low", "one"]


@dataclass(frozen=True)
class Metric:
    """One column of the summary.

    Args:
        key: Name in ``metrics.json``.
        label: Column head.
        better: Which values win: high ones, low ones, or those nearest to one.
        digits: Decimal places shown.
        unit: Unit, shown behind the label.
        about: One sentence for the column's tooltip.
    """

    key: str
    label: str
    better: Better
    digits: int
    unit: str
    about: str


METRICS = (
    Metric("psnr_fit", "PSNR", "high", 2, "dB", "Peak signal-to-noise ratio after the color fit"),
    Metric("ssim_fit", "SSIM", "high", 3, "", "Structural similarity after the color fit"),
    Metric("lpips_fit", "LPIPS", "low", 3, "", "Perceptual distance (VGG16, v0.1) after the color fit"),
    Metric("psnr_aligned", "PSNR aligned", "high", 2, "dB", "As PSNR, through cameras aligned to the texture"),
    Metric("ssim_aligned", "SSIM aligned", "high", 3, "", "As SSIM, through cameras aligned to the texture"),
    Metric("lpips_aligned", "LPIPS aligned", "low", 3, "", "As LPIPS, through cameras aligned to the texture"),
    Metric("psnr", "PSNR raw", "high", 2, "dB", "Peak signal-to-noise ratio of the render as it is"),
    Metric("ssim", "SSIM raw", "high", 3, "", "Structural similarity of the render as it is"),
    Metric("lpips", "LPIPS raw", "low", 3, "", "Perceptual distance of the render as it is"),
    Metric("sharpness_fit", "Sharpness", "one", 2, "", "Mean luma gradient, render / photograph, after the color fit"),
    Metric("coverage", "Coverage", "high", 3, "", "Share of the evaluated pixels that show a texture"),
    Metric("moved_px", "Moved", "low", 2, "px", "How far alignment moved the surface in the image, rms"),
    Metric("seam_jump", "Seam jump", "low", 2, "/255", "Median color difference across the cut edges of charts"),
    Metric("psnr_truth", "PSNR truth", "high", 2, "dB", "Seen texels against the ground-truth texture"),
    Metric("seconds", "Time", "low", 0, "s", "Wall-clock time of the fit"),
    Metric("peak_memory_gb", "Memory", "low", 2, "GB", "Peak resident memory of the fit"),
)
MAIN_METRICS = METRICS[:3]

Scores = dict[str, float | None]


@dataclass(frozen=True, eq=False)
class Method:
    """One competitor: a run of ours or a foreign textured mesh.

    Args:
        name: Unique label.
        rows: Scores by view name and metric key.
        extra: Scores that belong to the whole method (time, memory, ground truth).
        facts: Further facts in words, e.g. texture size; shown in the texture section.
        texture: Texture map, or ``None`` when there are several or none.
        coverage: Coverage map, 255 seen, 128 gutter, 32 predicted, 0 filled.
        history: One dict per logged step, with ``step``.
        config: Configuration as YAML.
        reference: A bound rather than a competitor (the ground truth); never marked best.
        predicted: It starts from or leans on a predicted texture.
    """

    name: str
    rows: dict[str, Scores]
    extra: Scores = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    texture: UInt8[np.ndarray, "Ht Wt 3"] | None = None
    coverage: UInt8[np.ndarray, "Ht Wt"] | None = None
    history: Sequence[dict[str, Any]] = ()
    config: str = ""
    reference: bool = False
    predicted: bool = False

    def mean(self) -> Scores:
        """Plain mean over the views of every score, then the method's own ones; ``None`` where unknown."""
        keys = dict.fromkeys(key for row in self.rows.values() for key in row)
        return {key: _mean(row.get(key) for row in self.rows.values()) for key in keys} | self.extra

    def mean_over(self, views: Iterable[str]) -> Scores:
        """Plain mean over some views of every score."""
        rows = [self.rows[view] for view in views if view in self.rows]
        keys = dict.fromkeys(key for row in rows for key in row)
        return {key: _mean(row.get(key) for row in rows) for key in keys}


@dataclass(frozen=True, eq=False)
class Pictures:
    """What one held-out view looked like; all images have one size, which may be smaller than the photograph's.

    ``details`` are crops at full resolution: name (``"photo"`` or a method) to image.
    """

    name: str
    photo: UInt8[np.ndarray, "H W 3"]
    renders: dict[str, UInt8[np.ndarray, "H W 3"]]
    mask: Bool[np.ndarray, "H W"]
    details: dict[str, UInt8[np.ndarray, "h w 3"]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Comparison:
    """A finished comparison.

    Args:
        scene: Name of the scene.
        methods: Competitors, in the order given by the user.
        views: Pictures of the held-out views, sorted by name.
        facts: Facts of the scene, label to words.
        protocol: How the numbers were made, one paragraph each.
        notes: What was missing or is doubtful; shown on top.
        proof: The proof sheet of the prepared scene.
        sides: From which side each held-out view looks, by its name, where training views have a front.
        regions: Picture of what photographs show of the texture, directly or in mirror image.
    """

    scene: str
    methods: tuple[Method, ...]
    views: tuple[Pictures, ...]
    facts: dict[str, str] = field(default_factory=dict)
    protocol: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    proof: UInt8[np.ndarray, "H W 3"] | None = None
    sides: dict[str, str] = field(default_factory=dict)
    regions: UInt8[np.ndarray, "Ht Wt 3"] | None = None


def best_methods(methods: Sequence[Method], metric: Metric) -> list[str]:
    """Names of the methods whose value, as shown, is the best; empty when none stands out."""
    shown = {
        method.name: round(value, metric.digits)
        for method in methods
        if not method.reference and (value := method.mean().get(metric.key)) is not None
    }
    if len(set(shown.values())) < 2:
        return []
    cost = {name: {"high": -value, "low": value, "one": abs(value - 1)}[metric.better] for name, value in shown.items()}
    return [name for name in cost if cost[name] == min(cost.values())]


def format_value(value: float | None, metric: Metric) -> str:
    """Show a score; an en dash where it is unknown."""
    return "–" if value is None else f"{value:.{metric.digits}f}"


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
