"""Score every method on the real scenes with the neutral evaluator: ours, baselines, and peers.

Run: python benchmarks/quality.py --scene both --presets fast quality [--peers DIR] [--curve PRESET:KEY=A,B] [--work W]
Needs the folder ``bench`` (evaluator, cameras, masks) beside the real scenes. Prepares each scene once.

Every row is scored with the cameras as given and, under ``aligned``, with each held-out camera aligned to that method's
own finished texture (texture fixed), in the same way for all methods. Pixels and masks are the same in all cases.
"""

import resource
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tyro
from alignment import align_held_out
from baselines import METHODS
from machine import ROOT, write_result
from neutral import bench_dir, evaluate, read_peers, write_cameras
from scenes import SCENES, BenchScene, held_out_cameras, photographs, prepare
from verbs import timed_script, timed_verb
from verdicts import goals, verdicts

from neuraltex.core.files import read_json, write_json
from neuraltex.fit.run import read_run
from neuraltex.metrics.seams import median_seam_jump

MESHES = (".obj", ".ply", ".glb")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What to run."""

    scene: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """castle, kitchen, both (default), kitchen_raw, kitchen_rig or kitchen_edges; may be repeated."""
    presets: tuple[str, ...] = ("fast", "quality")
    """Presets of ``neuraltex optimize``; the first three share the work of beating all peers. Scenes that only compare
    calibrations run the first one."""
    peers: Path | None = None
    """Folder with textured meshes of other programs in DIR/SCENE/, at any depth."""
    baselines: bool = True
    """Run the weighted average and the best view per texel."""
    neural_texgen_steps: int = 0
    """Run so many of the 60 steps of ``neural_texgen`` (at most its first 20, which have the full rate)."""
    curve: tuple[str, ...] = ()
    """Runs over a knob of a preset, e.g. quality:loss.lpips=0,0.5,1,2."""
    align: bool = True
    """Also score with held-out cameras aligned to each texture."""
    work: Path | None = None
    """Where prepared scenes and runs go; a temporary folder by default."""
    reuse: bool = False
    """Take rows that are already in the work folder."""
    output: Path | None = None
    """File to write; benchmarks/results/quality.json by default."""


@dataclass(frozen=True)
class Job:
    """One row to be.

    Args:
        method: Its name; also that of its folder.
        kind: baseline, preset, bounded (a part of a preset), curve or peer.
        flags: Of ``neuraltex optimize``.
        mesh: The textured mesh of a peer.
        facts: Further fields of the row.
    """

    method: str
    kind: str
    flags: tuple[str, ...] = ()
    mesh: Path | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def main() -> None:
    """Run everything and write ``results/quality.json``."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    arguments = tyro.cli(Arguments)
    with tempfile.TemporaryDirectory() as temporary:
        work = (arguments.work or Path(temporary)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        rows = [row for name in scene_names(arguments.scene) for row in run_scene(SCENES[name], arguments, work)]
    published = read_peers((bench_dir() / "README.md").read_text(encoding="utf-8"))
    judged = {"verdicts": verdicts(rows, published), "goals": goals(rows)}
    print(write_result("quality", {"rows": rows, "peers": published, **judged}, arguments.output))


def scene_names(asked: tuple[str, ...]) -> list[str]:
    """Return the scenes asked for; ``both`` (and nothing) mean the castle and the kitchen."""
    names = [name for word in asked or ("both",) for name in (("castle", "kitchen") if word == "both" else (word,))]
    unknown = set(names) - set(SCENES)
    if unknown:
        raise SystemExit(f"unknown scene {', '.join(sorted(unknown))}; known: both, {', '.join(SCENES)}")
    return list(dict.fromkeys(names))


def run_scene(scene: BenchScene, arguments: Arguments, work: Path) -> Iterator[dict[str, Any]]:
    """Prepare a scene and yield the row of every method."""
    cost = prepare(scene, work)
    for job in jobs(scene, arguments):
        folder = work / f"{scene.name}-{job.method.replace('/', '-')}"
        if not (arguments.reuse and (folder / "row.json").is_file()):
            made = run_job(job, scene, work / f"{scene.name}-prepared", folder, align=arguments.align)
            write_json(folder / "row.json", {"scene": scene.name, "prepare": cost, **made})
        row = read_json(folder / "row.json")
        if job.kind == "curve":  # its times mean nothing: curves may run beside other work
            row |= {"optimize": {"seconds": None, "peak_gb": None}, "fit_seconds": None}
        print(row["scene"], row["method"], row["optimize"], row["scores"], row.get("aligned"), flush=True)
        yield row


def jobs(scene: BenchScene, arguments: Arguments) -> list[Job]:
    """List what there is to do on a scene."""
    plain = scene.name == scene.source
    found = [Job(method, "baseline") for method in METHODS] if arguments.baselines and plain else []
    if arguments.neural_texgen_steps and plain:
        found.append(bounded_job(arguments.neural_texgen_steps))
    presets = arguments.presets if plain else arguments.presets[:1]  # calibrations are compared by one of them
    found += [Job(name, "preset", ("--preset", name, *scene.optimize)) for name in presets]
    for text in arguments.curve if plain else ():
        found += curve_jobs(text)
    return found + (peer_jobs(arguments.peers / scene.name) if arguments.peers and plain else [])


def bounded_job(steps: int) -> Job:
    """The first steps of ``neural_texgen``; exactly those of its 60 as long as its rate does not fall."""
    if not 1 <= steps <= 20:
        raise SystemExit(f"{steps} steps of neural_texgen: give 1 to 20, or 0 to leave it out")
    flags = ("--preset", "neural_texgen", "--loop.steps", str(steps), "--loop.decay", "none", "--loop.val-views", "0")
    return Job("neural_texgen", "bounded", flags, facts={"steps": steps, "steps_of": 60})


def curve_jobs(text: str) -> list[Job]:
    """Turn ``quality:loss.lpips=0,0.5,1`` into one job per value.

    Raises:
        SystemExit: if the text does not look like that.
    """
    preset, _, setting = text.partition(":")
    knob, _, values = setting.partition("=")
    if not (preset and knob and values):
        raise SystemExit(f"--curve {text!r}: write PRESET:KEY=VALUE,VALUE,...")
    return [
        Job(
            f"{preset} {knob}={value}",
            "curve",
            ("--preset", preset, *override(knob, value)),
            facts={"knob": knob, "value": value},
        )
        for value in values.split(",")
    ]


def override(knob: str, value: str) -> tuple[str, ...]:
    """Return the flags that set one field, e.g. ``loop.steps`` to ``100`` or ``calibrate.cameras`` to ``false``."""
    group, _, name = knob.replace("_", "-").rpartition(".")
    prefix = f"--{group}." if group else "--"
    if value.lower() in ("true", "false"):
        return (f"{prefix}{'no-' * (value.lower() == 'false')}{name}",)
    return (f"{prefix}{name}", value)


def peer_jobs(folder: Path) -> list[Job]:
    """One job per textured mesh in a folder; its name is its path."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in MESHES)
    return [Job(path.relative_to(folder).with_suffix("").as_posix(), "peer", mesh=path) for path in files]


def run_job(job: Job, scene: BenchScene, prepared: Path, folder: Path, *, align: bool) -> dict[str, Any]:
    """Make the texture if it is ours, and score it."""
    folder.mkdir(parents=True, exist_ok=True)
    mesh, run = job.mesh, None
    cost: dict[str, Any] = {"seconds": None, "peak_gb": None}
    if mesh is None:
        run, mesh = folder / "run", folder / "textured.obj"
        data = ("--data", prepared, "--output-dir", run)
        if job.kind == "baseline":
            cost = timed_script(ROOT / "benchmarks" / "baselines.py", *data, "--method", job.method)
        else:
            cost = timed_verb("optimize", *data, *job.flags, "--overwrite")
        timed_verb("export", "--run", run, "--to", mesh, "--overwrite")
    row = {"method": job.method, "kind": job.kind, "optimize": cost, **job.facts, **_run_facts(run)}
    if job.kind == "bounded":
        row["extrapolated_seconds"] = extrapolate(cost["seconds"], job, prepared, folder)
    return row | _score(scene, mesh, prepared, run, folder, align=align)


def extrapolate(seconds: float, job: Job, prepared: Path, folder: Path) -> float:
    """Time of all steps of a bounded run: what no step takes, measured apart, plus the steps in proportion [s]."""
    start = timed_verb(
        *("optimize", "--data", prepared, "--output-dir", folder / "start", "--overwrite"),
        *(*job.flags, "--loop.steps", "0"),
    )["seconds"]
    return round(start + (seconds - start) * job.facts["steps_of"] / job.facts["steps"], 0)


def _run_facts(run: Path | None) -> dict[str, Any]:
    """Time of the fit itself and the median color jump across chart borders [1/255]."""
    if run is None:
        return {}
    opened = read_run(run)
    jump = median_seam_jump(opened.mesh, opened.texture.clip(0, 1))
    return {"fit_seconds": opened.manifest.get("seconds"), "seam_jump_255": round(jump, 3)}


def _score(
    scene: BenchScene, mesh: Path, prepared: Path, run: Path | None, folder: Path, *, align: bool
) -> dict[str, Any]:
    cameras = held_out_cameras(scene, prepared, run)
    given = write_cameras(scene.cameras, cameras, folder / "cameras.json")
    result: dict[str, Any] = {"scores": evaluate(mesh, given, scene.masks, folder / "scores.json")}
    if align:
        found, moved = align_held_out(mesh, cameras, photographs(scene), scene.masks)
        aligned = write_cameras(scene.cameras, found, folder / "cameras_aligned.json")
        result["aligned"] = evaluate(mesh, aligned, scene.masks, folder / "scores_aligned.json")
        result["moved_px"] = moved
    return result


if __name__ == "__main__":
    main()
