"""What flaws of the input cost: the demo scene with each flaw, scored on the clean scene's held-out photographs.

Run: python benchmarks/robustness.py --presets fast quality [--tiny] [--work DIR]

The demo's flags also spoil what is held out (exposure jitter its colors, the distractor its content, camera noise its
cameras). So each flawed scene is fitted as it is, and all textures are judged by ``neuraltex compare`` on the
photographs and exact cameras that the clean scene holds out. They are handed over as textured meshes: of a run,
``compare`` would take over the held-out cameras with what it refined of rig and intrinsics, here the noisy ones.
"""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from machine import write_result
from verbs import timed_verb

from neuraltex.core.files import read_json

CASES: dict[str, tuple[str, ...]] = {
    "clean": (),
    "exposure_jitter": ("--exposure-jitter", "0.25"),
    "camera_noise": ("--camera-noise", "2"),
    "distractor_and_blur": ("--moving-distractor", "--blurred-photo"),
}
TARGETS = {"exposure_jitter": 1.0, "camera_noise": 1.0, "distractor_and_blur": 0.5}
"""Color-fitted PSNR that each flaw may cost at most [dB]."""
SCORES = ("psnr_fit", "ssim_fit", "lpips_fit", "psnr", "psnr_aligned", "ssim_aligned", "moved_px")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What to run."""

    presets: tuple[str, ...] = ("fast", "quality")
    """Presets of ``neuraltex optimize``."""
    cases: tuple[str, ...] = tuple(CASES)
    """Some of clean, exposure_jitter, camera_noise, distractor_and_blur; clean is always run."""
    tiny: bool = False
    """Use the tiny version of the demo, to try things out."""
    overrides: tuple[str, ...] = ()
    """Flags of every fit, e.g. --overrides=--calibrate.cameras."""
    lpips: bool = True
    """Also score LPIPS."""
    work: Path | None = None
    """Where scenes and runs go; a temporary folder by default."""
    output: Path | None = None
    """File to write; benchmarks/results/robustness.json by default."""


def main() -> None:
    """Make, fit and score all scenes and write ``results/robustness.json``."""
    arguments = tyro.cli(Arguments)
    cases = tuple(dict.fromkeys(("clean", *arguments.cases)))
    if unknown := set(cases) - set(CASES):
        raise SystemExit(f"unknown case {', '.join(sorted(unknown))}; known: {', '.join(CASES)}")
    with tempfile.TemporaryDirectory() as temporary:
        work = (arguments.work or Path(temporary)).resolve()
        for case in cases:
            make_scene(case, work, tiny=arguments.tiny)
        results = {preset: run_preset(preset, cases, work, arguments) for preset in arguments.presets}
    payload = {"tiny": arguments.tiny, "flags": CASES, "targets_db": TARGETS, "presets": results}
    print(write_result("robustness", payload, arguments.output))


def make_scene(case: str, work: Path, *, tiny: bool) -> None:
    """Write and prepare the demo with a flaw unless that is done."""
    if (work / f"{case}-prepared" / "scene.json").is_file():
        return
    size = ("--tiny",) if tiny else ()
    timed_verb("demo", "--output-dir", work / case, *size, *CASES[case], "--overwrite")
    flags = ("--texture-size", "512") if tiny else ()
    timed_verb("prepare", "--data", work / case, "--output-dir", work / f"{case}-prepared", *flags)


def run_preset(preset: str, cases: tuple[str, ...], work: Path, arguments: Arguments) -> dict[str, Any]:
    """Fit every scene and score all textures at once on the clean scene."""
    meshes, costs = [], {}
    for case in cases:
        run = work / f"{case}-{preset}"
        data = ("--data", work / f"{case}-prepared", "--output-dir", run, "--overwrite")
        costs[case] = timed_verb("optimize", *data, "--preset", preset, *arguments.overrides)
        meshes.append(run / f"{case}.obj")
        timed_verb("export", "--run", run, "--to", meshes[-1], "--overwrite")
    folder = work / f"compare-{preset}"
    flags = () if arguments.lpips else ("--no-lpips",)
    clean = ("--data", work / "clean-prepared", "--meshes", *meshes, "--align", *flags)
    timed_verb("compare", *clean, "--output-dir", folder, "--overwrite", "--max-pictures", "0")
    methods = read_json(folder / "metrics.json")["methods"]
    scores = {case: _rounded(methods[index]["mean"]) for index, case in enumerate(cases)}
    result = {"scores": scores, "optimize": costs, "verdicts": judge(scores)}
    print(preset, json.dumps(result["verdicts"]), flush=True)
    return result


def judge(scores: dict[str, dict[str, float | None]]) -> dict[str, dict[str, Any]]:
    """Say what every flaw costs and whether that is allowed.

    The cost is that of the color-fitted PSNR: one gain and bias per image take out that a texture from jittered
    photographs has the brightness of their mean. Through aligned cameras it is given too: refined cameras fix no frame.
    """
    verdicts = {}
    for case in [case for case in scores if case in TARGETS]:
        lost = {
            key: round(scores["clean"][key] - scores[case][key], 3)  # type: ignore[operator]
            for key in ("psnr_fit", "psnr_aligned")
            if scores["clean"].get(key) is not None and scores[case].get(key) is not None
        }
        verdicts[case] = {"lost_db": lost, "allowed_db": TARGETS[case], "met": lost["psnr_fit"] < TARGETS[case]}
    return verdicts


def _rounded(mean: dict[str, float | None]) -> dict[str, float | None]:
    found = {key: mean.get(key) for key in SCORES}
    return {key: None if value is None else round(value, 4) for key, value in found.items()}


if __name__ == "__main__":
    main()
