"""The neutral evaluator: its cameras, its scores, and the peers it was run on.

Lies in the folder ``bench`` beside the real scenes: ``eval_texture.py``, ``SCENE_test.json``, ``masks/SCENE``.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from machine import data_dir

from neuraltex.core.errors import DataError
from neuraltex.core.files import read_json, write_json
from neuraltex.geometry.camera import Camera

COLUMNS = ("psnr", "ssim", "lpips", "psnr_fit", "ssim_fit", "lpips_fit", "sharpness", "coverage")


def bench_dir() -> Path:
    """Folder of the evaluator."""
    return data_dir().parent / "bench"


def evaluate(mesh: Path, cameras: Path, masks: Path, out: Path) -> dict[str, float]:
    """Score a textured mesh; the full result is written to ``out``.

    Args:
        mesh: Textured mesh.
        cameras: JSON with the held-out cameras, see :func:`write_cameras`.
        masks: Folder of the fixed evaluation masks.
        out: JSON file to write.

    Returns:
        Means over the held-out views, by :data:`COLUMNS`.
    """
    command = [sys.executable, str(bench_dir() / "eval_texture.py"), str(mesh), str(cameras)]
    command += ["--masks", str(masks), "--out", str(out)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(f"the evaluator failed on {mesh}:\n{result.stderr[-4000:]}")
    mean = json.loads(out.read_text(encoding="utf-8"))["mean"]
    return {name: round(mean[name], 4) for name in COLUMNS}


def read_cameras(path: Path) -> dict[str, Camera]:
    """Read the evaluator's cameras by the name of their view.

    Convention:
        ``pixel_convention`` "integer" puts pixel centers at integers and "half" at halves, as ours.
    """
    content = read_json(path)
    shift = {"half": 0.0, "integer": 0.5}[content["pixel_convention"]]
    return {entry["name"]: _camera(entry, shift) for entry in content["images"]}


def photograph_files(path: Path) -> dict[str, Path]:
    """Return the photographs of the evaluator's cameras by the name of their view."""
    return {entry["name"]: (path.parent / entry["file"]).resolve() for entry in read_json(path)["images"]}


def write_cameras(source: Path, cameras: Mapping[str, Camera], out: Path) -> Path:
    """Rewrite the evaluator's cameras with others for the same photographs.

    Args:
        source: The evaluator's own JSON.
        cameras: A camera for each of its views.
        out: JSON file to write.

    Raises:
        DataError: if a lens has more than the two radial parameters that the evaluator knows.
    """
    content, files = read_json(source), photograph_files(source)
    images = []
    for entry in content["images"]:
        camera = cameras[entry["name"]]
        changed = {"file": str(files[entry["name"]]), "K": camera.K.tolist(), "dist": _distortion(camera)}
        images.append({**entry, **changed, "world_from_cam": camera.world_from_cam.tolist()})
    return write_json(out, {**content, "pixel_convention": "half", "images": images})


def read_peers(page: str, scenes: tuple[str, ...] = ("castle", "kitchen")) -> dict[str, list[dict[str, Any]]]:
    """Read the peers' published scores from the tables of the evaluator's page.

    Args:
        page: Markdown; a table belongs to a scene if the head of its first column is the scene's name.
        scenes: Names of the scenes.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    scene = ""
    for line in page.splitlines():
        cells = [cell.strip().strip("*") for cell in line.strip().strip("|").split("|")]
        if len(cells) == 10 and cells[0] in scenes:
            scene = cells[0]
        elif len(cells) == 10 and scene and not cells[0].startswith("--"):
            scores = {name: float(value) for name, value in zip(COLUMNS[:7], cells[1:8], strict=True)}
            found.setdefault(scene, []).append({"method": cells[0], **scores, "seconds": cells[8], "gb": cells[9]})
    return found


def _camera(entry: dict[str, Any], shift: float) -> Camera:
    K, lens = np.array(entry["K"], np.float64), entry.get("dist") or {}
    radial = (lens.get("k1", 0.0), lens.get("k2", 0.0))
    return Camera(
        entry["width"],
        entry["height"],
        K[0, 0],
        K[1, 1],
        K[0, 2] + shift,
        K[1, 2] + shift,
        np.linalg.inv(np.array(entry["world_from_cam"], np.float64)),
        skew=K[0, 1],
        lens="brown" if any(radial) else "pinhole",
        distortion=(*radial, 0.0, 0.0, 0.0) if any(radial) else (),
    )


def _distortion(camera: Camera) -> dict[str, float] | None:
    if not any(camera.distortion):
        return None
    radial = {"k1": camera.distortion[0], "k2": (*camera.distortion, 0.0)[1]}
    if camera.lens != "brown" or any(camera.distortion[2:]):
        raise DataError(
            f"the evaluator knows k1 and k2 only, the lens is {camera.lens} with {camera.distortion}",
            hint="Calibrate without tangential terms",
        )
    return radial
