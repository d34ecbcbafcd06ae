"""Score presets on the real scenes with the neutral evaluator, beside the peers it was run on.

Run: python benchmarks/quality.py --scenes castle kitchen --presets fast quality [--work DIR]
Needs the folder ``bench`` (evaluator, cameras, masks) beside the real scenes. Prepares each scene once.
"""

import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tyro
from machine import data_dir, describe_machine, write_result

PREPARE = {
    "castle": ["--texture-size", "4096"],
    "kitchen": ["--texture-size", "2048", "--mesh", "mesh_120k.ply", "--color-camera", "color_rig.json"],
}
COLUMNS = ("psnr", "ssim", "lpips", "psnr_fit", "ssim_fit", "lpips_fit", "sharpness", "coverage")
GOALS = {
    "castle": {"psnr_fit": 19.33, "ssim_fit": 0.732, "lpips_fit": 0.317},
    "kitchen": {"psnr_fit": 19.84, "ssim_fit": 0.683, "lpips_fit": 0.439},
}
"""Scores of the original NeuralTexGen, and the bars of ``quality``."""


@dataclass
class Arguments:
    """What to run."""

    scenes: list[str] = field(default_factory=lambda: ["castle", "kitchen"])
    """Folders of the real data."""
    presets: list[str] = field(default_factory=lambda: ["fast", "quality"])
    """Presets of ``neuraltex optimize``."""
    work: Path | None = None
    """Where prepared scenes and runs go; a temporary folder by default."""


def main() -> None:
    """Run everything and write ``results/quality.json``."""
    arguments = tyro.cli(Arguments)
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        rows = [row for scene in arguments.scenes for row in run_scene(scene, arguments.presets, work)]
    print(
        write_result(
            "quality", {"evaluator": "neutral, see docs/benchmarks.md", "goals": GOALS, "rows": rows, "peers": peers()}
        )
    )


def run_scene(scene: str, presets: list[str], work: Path) -> list[dict[str, Any]]:
    """Prepare a scene, fit every preset, score each."""
    source = data_dir() / scene
    flags = [str(source / flag) if (source / flag).is_file() else flag for flag in PREPARE[scene]]
    prepared = work / f"{scene}-prepared"
    prepare = {"seconds": None}
    if not (prepared / "scene.json").is_file():
        prepare = timed("prepare", "--data", str(source), *flags, "--output-dir", str(prepared))
    return [
        {"scene": scene, "preset": preset, "prepare": prepare, **run_preset(scene, preset, prepared, work)}
        for preset in presets
    ]


def run_preset(scene: str, preset: str, prepared: Path, work: Path) -> dict[str, Any]:
    """Fit and score one preset."""
    run = work / f"{scene}-{preset}"
    cost = timed("optimize", "--data", str(prepared), "--preset", preset, "--output-dir", str(run), "--overwrite")
    timed("export", "--run", str(run), "--to", str(run / "textured.obj"))
    scores = evaluate(run / "textured.obj", scene, run / "scores.json")
    print(scene, preset, cost, scores, flush=True)
    return {"optimize": cost, "scores": scores}


def timed(*arguments: str) -> dict[str, Any]:
    """Run a verb in its own process; seconds are wall time, memory is the process's own peak."""
    load = describe_machine()["load_average"]
    start = time.perf_counter()
    code = (
        "import resource, sys; from neuraltex.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if result.returncode:
        raise SystemExit(f"neuraltex {' '.join(arguments)} failed:\n{result.stderr[-4000:]}")
    memory = int(re.findall(r"\d+", result.stderr)[-1]) / 2**20
    return {"seconds": round(seconds, 1), "peak_gb": round(memory, 2), "load_average_before": load[0]}


def evaluate(mesh: Path, scene: str, out: Path) -> dict[str, float]:
    """Run the neutral evaluator on a textured mesh."""
    bench = data_dir().parent / "bench"
    command = [
        sys.executable,
        str(bench / "eval_texture.py"),
        str(mesh),
        str(bench / f"{scene}_test.json"),
        "--out",
        str(out),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    mean = json.loads(out.read_text(encoding="utf-8"))["mean"]
    return {name: round(mean[name], 4) for name in COLUMNS}


def peers() -> dict[str, list[dict[str, Any]]]:
    """Read the peers' scores from the tables of the evaluator's page."""
    text = (data_dir().parent / "bench" / "README.md").read_text(encoding="utf-8")
    found: dict[str, list[dict[str, Any]]] = {}
    scene = ""
    for line in text.splitlines():
        cells = [cell.strip().strip("*") for cell in line.strip().strip("|").split("|")]
        if len(cells) == 10 and cells[0] in PREPARE:
            scene = cells[0]
        elif len(cells) == 10 and scene and not cells[0].startswith("--"):
            scores = {name: float(value) for name, value in zip(COLUMNS[:7], cells[1:8], strict=True)}
            found.setdefault(scene, []).append({"method": cells[0], **scores, "seconds": cells[8], "gb": cells[9]})
    return found


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
