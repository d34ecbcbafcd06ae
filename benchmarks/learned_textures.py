"""What learned textures reach on subjects that nothing was learned from, beside plain fills, and what parts are worth.

Run: python benchmarks/learned_textures.py [--parts procedural smpl makehuman box ablations] [--work DIR]

Every part makes its samples, trains sampler and refiner by ``neuraltex train``, and scores them by ``neuraltex
evaluate``. Except for procedural figures, one front photograph per held-out subject is scored.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from machine import RESULTS, data_dir, describe_machine, measure, write_result
from verbs import timed_verb

from neuraltex.core.files import read_json
from neuraltex.learn.checkpoint import read_about
from neuraltex.learn.data.dataset import FolderSet
from neuraltex.learn.evaluate import partial_from_arrays
from neuraltex.learn.load import load_predictor
from neuraltex.learn.predict import Predictor
from neuraltex.learn.train import STATES
from neuraltex.learn.trainer_state import latest_trainer_state

Flags = tuple[object, ...]

ABLATIONS: dict[str, tuple[str, ...]] = {
    "full": (),
    "no geometry": ("--sampler.no-geometry",),
    "with curriculum": ("--train.curriculum", "lite"),
    "no mirror": ("--sampler.no-mirror",),
    "one hypothesis": ("--sampler.hypotheses", "1"),
}
"""Flags of every row of the ablations; all are samplers alone on procedural figures."""
PROCEDURAL = ("--sampler.wrap", "--train.lr", "1.5e-3")
"""Flags of all samplers on procedural figures, whose textures go once around; on several charts that rate diverges."""
LONG = ("--train.steps", "8000", "--train.blur-share", "0.15", "--loss.l2", "10")
"""Those of the one that is scored."""
LONGER = 3
"""How many times longer the two samplers are trained that tell what geometry is worth."""
AROUND = ("--azimuths", -180, 160, 20)
"""Photographs from all sides."""
FUSED = ("--train.fused", 0.33, "--angles", *range(-80, 100, 20))
"""Those from the front half are learned from, in a third of the samples together with others."""
REAL = ("--train.batch", 8, "--loss.l2", 4)
"""Flags of networks for real textures."""
CLOTHES = ("--train.steps", 2300)
"""Those of samplers for clothed people."""
SKINS = ("--train.steps", 700)
"""Those for skins, which are more alike; nine subjects are soon known by heart."""
SHORT = ("--train.steps", 1000, "--loss.l2", 4)
"""Those of refiners at 64^2, and of samplers for the box figure."""
FEW = "character_12*"
"""Subjects of the box figure that networks learn from to tell what having many is worth; 39 of them."""
FRONT = ("--angles", "0")
"""Flags of ``evaluate``: front photographs only."""
TARGETS = {"procedural_unseen_db": 6.0, "geometry_db": 2.0, "refiner_psnr_loss_db": 0.1, "predict_seconds": 2.0}


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What to run."""

    parts: tuple[str, ...] = ()
    """procedural, smpl, makehuman, box, ablations; all by default."""
    subjects: int = 2000
    """Procedural subjects, of which a twentieth is held out."""
    steps: int = 0
    """Steps of every sampler, and of every refiner; 0 takes those of the part or the preset."""
    ablation_steps: int = 400
    """Steps of every row of the ablations."""
    work: Path | None = None
    """Where samples and checkpoints go; a temporary folder by default."""
    reuse: bool = False
    """Take checkpoints that are in the work folder as they are, and only score them."""
    output: Path | None = None
    """File to write; benchmarks/results/learned_textures.json by default."""


@dataclass(frozen=True, eq=False)
class Bench:
    """What the parts share."""

    arguments: Arguments
    work: Path

    def samples(self, name: str, *flags: object) -> Path:
        """Return a folder of samples, made unless it is there."""
        folder = self.work / f"{name}-samples"
        timed_verb("make-avatars", "--output-dir", folder, *flags)
        return folder

    def train(self, name: str, network: str, data: Path, *flags: object) -> dict[str, Any]:
        """Train a network; returns its cost and where the checkpoint is."""
        folder = self.work / name
        path = folder / f"{network}.safetensors"
        if self.arguments.reuse and path.is_file():
            return describe(path)
        steps = ("--train.steps", self.arguments.steps) if self.arguments.steps else ()
        timed_verb(
            *("train", "--network", network, "--data", data, "--output-dir", folder, "--overwrite"),
            *(*weights(), *flags, *steps),
        )
        return describe(path)

    def evaluate(self, name: str, data: Path, checkpoint: Path, *flags: object) -> list[dict[str, Any]]:
        """Score a checkpoint beside the fills; returns one row per region and method."""
        folder = self.work / f"{name}-scores"
        timed_verb(
            *("evaluate", "--data", data, "--checkpoint", checkpoint, "--output-dir", folder, "--overwrite", *flags)
        )
        return read_json(folder / "metrics.json")["rows"]


def main() -> None:
    """Run the parts and write ``results/learned_textures.json``."""
    arguments = tyro.cli(Arguments)
    if unknown := set(arguments.parts) - set(PARTS):
        raise SystemExit(f"unknown part {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}")
    path = arguments.output or RESULTS / "learned_textures.json"
    found = read_json(path)["parts"] if path.is_file() else {}
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(arguments, (arguments.work or Path(temporary)).resolve())
        bench.work.mkdir(parents=True, exist_ok=True)
        for name in arguments.parts or PARTS:
            found[name] = {**PARTS[name](bench), "commit": describe_machine()["commit"]}
            print(name, found[name], flush=True)
    print(write_result("learned_textures", {"targets": TARGETS, "parts": found}, arguments.output))


def describe(path: Path) -> dict[str, Any]:
    """Return where a checkpoint is and what its training took; sharing a core with others counts."""
    about, state = read_about(path), latest_trainer_state(path.parent / STATES)
    train = about.config["train"]
    facts = {"steps": about.step, "batch": train["batch"], "size": about.resolution, "seconds": round(state.seconds, 1)}
    return {"checkpoint": path, "training": {**facts, "bytes": path.stat().st_size, "data": about.data}}


def weights() -> tuple[object, ...]:
    """Return the flags that name the weights of perceptual terms in the test data."""
    folder = data_dir() / "weights"
    vgg, lpips = folder / "vgg16_features_torchvision.pth", folder / "vgg16_lpips_lin_v0.1.pth"
    return ("--vgg-weights", vgg, "--lpips-weights", lpips)


def procedural(bench: Bench) -> dict[str, Any]:
    """Procedural figures, misaligned on purpose, at 64^2: held-out figures."""
    data, flags = procedural_samples(bench), ("--no-paste", "--no-lpips")
    return both_networks(bench, "procedural", data, (*PROCEDURAL, *LONG), SHORT, flags)


def procedural_samples(bench: Bench) -> Path:
    """Return procedural figures seen from three random sides."""
    angles = ("--azimuths", -50, 50, 50, "--azimuth-jitter", 25)
    flags = ("--procedural", bench.arguments.subjects, "--size", 64, *angles, "--test-share", 0.05)
    return bench.samples("procedural", *flags, "--license", "procedural, Apache-2.0")


def smpl(bench: Bench) -> dict[str, Any]:
    """Clothed people over the SMPL layout at 128^2."""
    folder = data_dir() / "textures_smpl"
    bodies = [folder / "mesh" / f"SMPL_{name}_default_resolution.obj" for name in ("female", "male")]
    flags = ("--textures", folder / "*.jpg", "--bodies", *bodies, "--size", 128, "--val-share", 0.05)
    data = bench.samples("smpl", *flags, *AROUND, "--license", "no stated license, research use")
    return both_networks(bench, "smpl", data, (*REAL, *FUSED, *CLOTHES), (*REAL, *FUSED), FRONT)


def makehuman(bench: Bench) -> dict[str, Any]:
    """Skins over the MakeHuman layout at 128^2; networks learn from CC0 ones only, as the shipped checkpoint does."""
    folder = data_dir() / "skins_makehuman"
    bodies = sorted((folder / "mesh").glob("*.obj"))
    flags = ("--textures", folder / "*.jpg", "--bodies", *bodies, "--size", 128)
    data = bench.samples("makehuman", *flags, *AROUND, "--license", "core_*: CC0; community_*: mixed")
    train = (*REAL, *FUSED, *SKINS, "--subjects", "core_*")
    return both_networks(bench, "makehuman", data, train, train, FRONT)


def box(bench: Bench) -> dict[str, Any]:
    """Many small skins of a box figure at 64^2, and networks that learn from a few of them only."""
    folder = data_dir() / "skins_box"
    flags = ("--textures", folder / "skins" / "*.png", "--bodies", folder / "character.obj", "--size", 64)
    angles = ("--azimuths", -60, 60, 30, "--val-share", 0.05)
    data = bench.samples("box", *flags, *angles, "--license", "one by one, see attribution.tsv")
    few = both_networks(bench, "box-few", data, (*SHORT, "--subjects", FEW), (*SHORT, "--subjects", FEW), FRONT)
    found = both_networks(bench, "box", data, SHORT, SHORT, FRONT)
    rows = [{**row, "method": "predicted, few subjects"} for row in few["rows"] if row["method"] == "predicted"]
    return {**found, "rows": found["rows"] + rows, "training_few": few["training"]}


def both_networks(bench: Bench, name: str, data: Path, first: Flags, second: Flags, score: Flags) -> dict[str, Any]:
    """Train a sampler, then a refiner on top of it, and score both.

    Args:
        bench: What parts share.
        name: Of the folders.
        data: Samples.
        first: Flags of the sampler's training.
        second: Flags of the refiner's.
        score: Flags of ``evaluate``.
    """
    sampler = bench.train(f"{name}-sampler", "sampler", data, *first)
    alone = bench.evaluate(f"{name}-sampler", data, sampler["checkpoint"], *score)
    start = ("--sampler-checkpoint", sampler["checkpoint"])
    refiner = bench.train(f"{name}-refiner", "refiner", data, *start, *second)
    rows = bench.evaluate(f"{name}-refiner", data, refiner["checkpoint"], *score)
    rows += [{**row, "method": "sampler only"} for row in alone if row["method"] == "predicted"]
    training = {"sampler": sampler["training"], "refiner": refiner["training"]}
    return {"rows": rows, "training": training, **prediction_times(refiner["checkpoint"], data)}


def prediction_times(checkpoint: Path, data: Path) -> dict[str, Any]:
    """Return the times of predictions at the size of the training and at 256^2 [s]."""
    at_256 = {"256": predict_seconds(checkpoint, data, 256)}
    return {"predict_seconds": predict_seconds(checkpoint, data), "predict_seconds_at": at_256}


def predict_seconds(checkpoint: Path, data: Path, side: int = 0) -> float:
    """Return the time that one prediction takes, the best of three [s].

    Args:
        checkpoint: Networks.
        data: Samples to predict one of.
        side: Side of the texture that the networks work on, a multiple of the samples'; 0 takes theirs [texel].
    """
    samples, predictor = FolderSet(data, "test"), load_predictor(checkpoint)
    arrays = samples.arrays(0)
    if side:
        times = side // len(arrays["inside"])
        arrays = {name: values.repeat(times, 0).repeat(times, 1) for name, values in arrays.items()}
        predictor = Predictor(predictor.networks, predictor.layout, side)
    partial = partial_from_arrays(arrays, samples.layout)
    return measure(lambda: predictor(partial), repeats=3)["best"]


def ablations(bench: Bench) -> dict[str, Any]:
    """Samplers without one of their parts, on procedural figures, one seed; geometry with more steps, too."""
    steps, data = bench.arguments.ablation_steps, procedural_samples(bench)
    rows = {name: ablated(bench, f"ablation-{name}", data, steps, *flags) for name, flags in ABLATIONS.items()}
    long = {
        name: ablated(bench, f"ablation-long-{name}", data, LONGER * steps, *ABLATIONS[name])
        for name in ("full", "no geometry")
    }
    return {"rows": rows, "steps": steps, "long_rows": long, "long_steps": LONGER * steps}


def ablated(bench: Bench, name: str, data: Path, steps: int, *flags: str) -> dict[str, Any]:
    """Train a sampler and return its scores by region."""
    folder = name.replace(" ", "-")
    trained = bench.train(folder, "sampler", data, *PROCEDURAL, "--loss.l2", "4", "--train.steps", steps, *flags)
    rows = bench.evaluate(folder, data, trained["checkpoint"], "--no-paste", "--no-lpips")
    return {row["region"]: row for row in rows if row["method"] == "predicted"}


PARTS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    function.__name__: function for function in (procedural, smpl, makehuman, box, ablations)
}


if __name__ == "__main__":
    main()
