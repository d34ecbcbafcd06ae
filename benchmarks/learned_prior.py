"""What a prediction is worth in a scene fit: some bodies, few photographs of each, and all of them judged.

Run: python benchmarks/learned_prior.py --checkpoint C [--textures T.jpg ...] [--methods none learned ...] [--work DIR]

Each textured body is photographed from 1, 3 and 8 places around its front, and from 12 held-out ones all around it.
Every method fits a texture to the former; ``neuraltex compare --judge surface`` scores all of the surface in the
latter, and apart seen and unseen pixels, front, side and back, and regions of the texture; means over bodies. Textures
that networks were trained on must not be used: by default these are the first held-out ones, by name. Bodies face +z
and stand along +y.
"""

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from machine import data_dir, write_result
from verbs import timed_verb

from neuraltex.core.conventions import GREY
from neuraltex.core.files import read_json
from neuraltex.fit.finish import FILLED
from neuraltex.fit.run import read_run, write_run
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh, TexturedMesh
from neuraltex.geometry.scene import Scene, View
from neuraltex.io import nerfstudio
from neuraltex.io.images import read_rgb, write_rgb
from neuraltex.io.meshes import read_mesh, write_mesh
from neuraltex.io.prepared import read_prepared, write_prepared
from neuraltex.learn.checkpoint import read_about
from neuraltex.render.shade import TexturedRenderer

PHOTOS = {1: (0,), 3: (-40, 0, 40), 8: (0, 45, 90, 135, 180, 225, 270, 315)}
"""Azimuths of the photographs that are fitted to, by their number [deg]."""
HELD_OUT = tuple(range(15, 375, 30))
"""Azimuths of those that judge; every second one is taken from above [deg]."""
PITCH = 12.0
SUBJECTS = ("deepfashion_005", "deepfashion_008", "deepfashion_023", "deepfashion_026")
UNFILLED = "unfilled"
METHODS: dict[str, tuple[str, ...]] = {
    "none": (),
    UNFILLED: (),
    "diffusion": ("--prior.kind", "diffusion"),
    "diffusion_unmirrored": ("--prior.kind", "diffusion", "--prior.no-mirror"),
    "learned": ("--prior.kind", "learned"),
    "learned_init": ("--texture.init", "learned"),
    "learned_alone": ("--texture.init", "learned", "--loop.steps", "0"),
    "both": ("--texture.init", "learned", "--prior.kind", "learned"),
}
"""Flags of ``optimize``; ``none`` is the fit as it is, which fills smoothly what nobody saw, ``unfilled`` the same with
mid-grey there, ``learned_alone`` the prediction as it is."""
BASES = ("none", UNFILLED, "diffusion")
"""What all others are compared with."""
TARGETS = {"over_none_db": 3.0, "over_diffusion_db": 1.0, "seen_loss_db": 0.1, "many_loss_db": 0.05}
"""Of ``learned``: gains in unseen pixels of back views with up to 3 photographs; losses in seen ones, and with 8."""
SCORES = ("psnr", "ssim", "lpips")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What to run."""

    textures: tuple[Path, ...] = tuple(data_dir() / "textures_smpl" / f"{name}.jpg" for name in SUBJECTS)
    """Textures of the bodies, of subjects that networks were not trained on."""
    mesh: Path = data_dir() / "textures_smpl" / "mesh" / "SMPL_female_default_resolution.obj"
    """Body with the uv layout of the textures."""
    photos: tuple[int, ...] = tuple(PHOTOS)
    """Some of 1, 3, 8."""
    methods: tuple[str, ...] = ("none", "unfilled", "diffusion", "learned")
    """Some of the keys of METHODS."""
    preset: str = "fast"
    """Preset of ``neuraltex optimize``."""
    checkpoint: Path | None = None
    """Networks for the learned methods; by default those that ship for the uv layout."""
    texture_size: int = 512
    """Side of the fitted texture [texel]."""
    image_size: int = 512
    """Height and width of the photographs [px]."""
    lpips: bool = True
    """Also score LPIPS."""
    overrides: str = ""
    """Flags of every fit, in one string, e.g. --overrides="--loop.steps 40 --loss.l1 10"."""
    work: Path | None = None
    """Where scenes and runs go; a temporary folder by default."""
    output: Path | None = None
    """File to write; benchmarks/results/learned_prior.json by default."""


def main() -> None:
    """Make, fit and score all scenes and write ``results/learned_prior.json``."""
    arguments = tyro.cli(Arguments)
    if unknown := set(arguments.methods) - set(METHODS) | {str(n) for n in set(arguments.photos) - set(PHOTOS)}:
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(METHODS)}, {tuple(PHOTOS)} photos")
    if UNFILLED in arguments.methods and "none" not in arguments.methods[: arguments.methods.index(UNFILLED)]:
        raise SystemExit(f"{UNFILLED} is made of none: name that before it")
    with tempfile.TemporaryDirectory() as temporary:
        work = (arguments.work or Path(temporary)).resolve()
        subjects = {
            count: [run_scene(count, texture, work, arguments) for texture in arguments.textures]
            for count in arguments.photos
        }
    results = {count: mean_methods(found) for count, found in subjects.items()}
    payload = {
        "textures": [texture.name for texture in arguments.textures],
        "mesh": arguments.mesh.name,
        "preset": arguments.preset,
        "texture_size": arguments.texture_size,
        "image_size": arguments.image_size,
        "methods": {name: METHODS[name] for name in arguments.methods},
        "targets_db": TARGETS,
        "networks": describe_networks(arguments.checkpoint),
        "photos": results,
        "verdicts": judge(results),
        "subjects": {
            str(count): [judge({count: methods})[str(count)] for methods in found] for count, found in subjects.items()
        },
    }
    print(json.dumps(payload["verdicts"]), flush=True)
    print(write_result("learned_prior", payload, arguments.output))


def describe_networks(checkpoint: Path | None) -> dict[str, Any] | None:
    """Return how long and on what networks were trained; ``None`` for those that ship."""
    if checkpoint is None:
        return None
    about = read_about(checkpoint)
    return {"steps": about.step, "data": about.data, "size": about.resolution}


def mean_methods(subjects: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the means over subjects of all numbers; those that some lack are means over the others."""
    found: dict[str, Any] = {}
    for key in dict.fromkeys(key for subject in subjects for key in subject):
        values = [subject[key] for subject in subjects if key in subject]
        nested = isinstance(values[0], dict)
        found[key] = mean_methods(values) if nested else round(sum(values) / len(values), 4)
    return found


def run_scene(count: int, texture: Path, parent: Path, arguments: Arguments) -> dict[str, Any]:
    """Fit one scene by all methods and score them."""
    work = parent / texture.stem
    prepared = make_scene(count, texture, work, arguments)
    runs, costs = [], {}
    for name in arguments.methods:
        runs.append(work / f"{count}-{name}")
        if name == UNFILLED:
            costs[name] = leave_grey(work / f"{count}-none", runs[-1])
            continue
        flags = [*METHODS[name], *arguments.overrides.split()]
        if arguments.checkpoint is not None and "learned" in flags:
            flags += ["--prior.checkpoint", str(arguments.checkpoint)]
        data = ("--data", prepared, "--output-dir", runs[-1], "--overwrite", "--preset", arguments.preset)
        costs[name] = timed_verb("optimize", *data, *flags)
    folder = work / f"{count}-compare"
    flags = [] if arguments.lpips else ["--no-lpips"]
    data = ("--data", prepared, "--runs", *runs, "--judge", "surface", "--output-dir", folder, "--overwrite")
    timed_verb("compare", *data, *flags)
    methods = read_json(folder / "metrics.json")["methods"]
    found = {name: {**_rounded(methods[i]), "optimize": costs[name]} for i, name in enumerate(arguments.methods)}
    print(texture.stem, count, json.dumps({name: entry["mean"] for name, entry in found.items()}), flush=True)
    return found


def leave_grey(source: Path, target: Path) -> dict[str, Any]:
    """Copy a run, with mid-grey where it filled in what no photograph shows; it costs nothing."""
    run = read_run(source)
    texture = np.where((run.coverage == FILLED)[..., None], np.float32(GREY), run.texture)
    write_run(target, run.manifest, texture, run.coverage, run.history, (source / "config.yaml").read_text("utf-8"))
    return {}


def make_scene(count: int, texture: Path, work: Path, arguments: Arguments) -> Path:
    """Photograph the body and prepare the scene unless that is done; returns the prepared folder."""
    prepared = work / f"{count}-prepared"
    if (prepared / "scene.json").is_file():
        return prepared
    folder = work / f"{count}-photos"
    photograph(folder, count, texture, arguments)
    flags = ("--texture-size", str(arguments.texture_size), "--test-every", "0", "--overwrite")
    timed_verb(
        "prepare", "--data", folder, "--mesh", folder / "ground_truth" / "mesh.obj", "--output-dir", prepared, *flags
    )
    scene = read_prepared(prepared)
    views = [replace(view, split="test" if view.name.startswith("held_out") else "train") for view in scene.views]
    write_prepared(replace(scene, views=tuple(views)))
    return prepared


def photograph(folder: Path, count: int, source: Path, arguments: Arguments) -> None:
    """Write photographs of the body with their cameras, and its true texture."""
    mesh, texture = read_mesh(arguments.mesh), read_rgb(source)
    renderer = TexturedRenderer(TexturedMesh(mesh, (texture,), np.zeros(mesh.num_faces, np.int64)))
    places = [(f"photo_{k:02}", angle, 0.0) for k, angle in enumerate(PHOTOS[count])]
    places += [(f"held_out_{k:02}", angle, PITCH * (k % 2)) for k, angle in enumerate(HELD_OUT)]
    views = []
    for name, azimuth, pitch in places:
        camera, path = camera_at(mesh, azimuth, pitch, arguments.image_size), folder / "shots" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_rgb(path, np.rint(renderer.render(camera, supersampling=3)[0].clip(0, 1) * 255).astype(np.uint8))
        views.append(View(name, camera, path))
    truth = folder / "ground_truth"
    truth.mkdir(parents=True, exist_ok=True)
    write_rgb(truth / "texture.png", texture)
    write_mesh(truth / "mesh.obj", mesh)
    nerfstudio.write(Scene(folder.name, "nerfstudio", tuple(views)), folder)


def camera_at(mesh: Mesh, azimuth: float, pitch: float, size: int) -> Camera:
    """Return a camera that has all of a mesh in view.

    Args:
        mesh: Stands along +y and faces +z.
        azimuth: Angle around it from its front [deg].
        pitch: How far the camera stands above its middle [deg].
        size: Height and width of the photograph [px].
    """
    low, high = mesh.corners.min((0, 1)), mesh.corners.max((0, 1))
    a, b = np.radians([azimuth, pitch])
    back = np.array([np.sin(a) * np.cos(b), np.sin(b), np.cos(a) * np.cos(b)])
    eye = (low + high) / 2 + back * float((high - low).max()) * 3
    right = np.cross([0.0, 1.0, 0.0], back)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(back, -right), -back])
    pose[:3, 3] = -pose[:3, :3] @ eye
    focal = size * 2.3
    return Camera(size, size, focal, focal, size / 2, size / 2, pose)


def judge(results: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Say what every method gains over the plain ones, and whether the learned one does enough."""
    verdicts: dict[str, Any] = {}
    for count, methods in results.items():
        entry = {name: gains(methods, name) for name in methods if name != "none" and "none" in methods}
        if "learned" in entry:
            entry["met"] = is_enough(count, entry["learned"])
        verdicts[str(count)] = entry
    return verdicts


def gains(methods: dict[str, Any], name: str) -> dict[str, float]:
    """Return differences of PSNR [dB] in unseen and seen pixels, in back views and over all."""
    found = {}
    for base in BASES:
        if base in methods and base != name:
            for label, where, key in (
                ("unseen", "mean", "psnr_unseen"),
                ("back_unseen", "back", "psnr_unseen"),
                ("back", "back", "psnr"),
                ("seen", "mean", "psnr_seen"),
                ("all", "mean", "psnr"),
            ):
                pair = [methods[item].get(where, {}).get(key) for item in (name, base)]
                if None not in pair:
                    found[f"{label}_over_{base}"] = round(pair[0] - pair[1], 3)
    return found


def is_enough(count: int, gain: dict[str, float]) -> bool:
    """Whether the learned prior does what is asked of it with so many photographs."""
    if count >= 8:
        return gain["all_over_none"] >= -TARGETS["many_loss_db"]
    wanted = {"back_unseen_over_none": "over_none_db", "back_unseen_over_diffusion": "over_diffusion_db"}
    enough = all(gain[key] >= TARGETS[target] for key, target in wanted.items() if key in gain)
    return enough and gain["seen_over_none"] >= -TARGETS["seen_loss_db"]


def _rounded(method: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return the scores that matter over all views, and over those of each side."""
    tables = {"mean": method["mean"], **method["sides"]}
    return {
        where: {
            key: round(value, 4)
            for key, value in scores.items()
            if value is not None and key.split("_")[0] in SCORES and not key.endswith(("_fit", "_truth"))
        }
        for where, scores in tables.items()
    }


if __name__ == "__main__":
    main()
