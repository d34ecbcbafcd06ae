"""The run folder: what a fit leaves and export, compare and view read.

Layout::

    manifest.json       version, name, method, scene, seconds, peak memory, steps, seed, device, texture size
    config.yaml         the settings, resolved
    texture.png         8 bit, complete: unseen texels are filled
    texture.exr         the same in float32
    coverage.png        255 seen in a photograph, 128 gutter around a chart, 32 predicted, 0 filled in
    stats/history.json  losses, learning rate, scores by step
    ckpts/              checkpoints (to resume)
    tb/                 TensorBoard
    log.txt             log lines
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from neuraltex.core.errors import DataError
from neuraltex.core.files import read_json, write_json, write_text
from neuraltex.geometry.mesh import Mesh
from neuraltex.io.images import read_exr, read_rgb, write_exr
from neuraltex.io.png import write_png
from neuraltex.io.prepared import read_mesh_arrays

VERSION = 1


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run, opened.

    Args:
        path: Its folder.
        manifest: Content of manifest.json.
        texture: Color in [0, 1], row 0 is v = 1.
        coverage: 255 seen, 128 gutter, 32 predicted, 0 filled.
        mesh: The mesh with the uvs of the texture.
        scene_path: The prepared scene it was fitted to.
        history: One dict per logged step.
    """

    path: Path
    manifest: dict[str, Any]
    texture: Float[np.ndarray, "Ht Wt 3"]
    coverage: UInt8[np.ndarray, "Ht Wt"]
    mesh: Mesh
    scene_path: Path
    history: list[dict[str, float]]


def write_run(
    path: Path,
    manifest: dict[str, Any],
    texture: Float[np.ndarray, "Ht Wt 3"],
    coverage: UInt8[np.ndarray, "Ht Wt"],
    history: list[dict[str, float]],
    config_yaml: str,
) -> Path:
    """Write a run; manifest.json comes last, so that a folder without it is an unfinished run."""
    write_text(path / "config.yaml", config_yaml)
    with ThreadPoolExecutor(1, "write-exr") as writer:  # by far the largest file, and no work but waiting for memory
        exact = writer.submit(write_exr, path / "texture.exr", texture, compress=False)
        write_png(path / "texture.png", texture)
        write_png(path / "coverage.png", coverage)
        exact.result()
    write_json(path / "stats" / "history.json", history)
    return write_json(path / "manifest.json", {"version": VERSION, **manifest})


def read_manifest(path: str | Path) -> dict[str, Any]:
    """Read and check manifest.json of a run folder.

    Raises:
        DataError: if it is not a finished run or was written by another version.
    """
    path = Path(path)
    if not (path / "manifest.json").is_file():
        unfinished = (path / "config.yaml").is_file()
        what = "is an unfinished run" if unfinished else "is not a run folder"
        hint = "Finish it: neuraltex optimize --resume" if unfinished else "Give the --output-dir of neuraltex optimize"
        raise DataError(f"{path} {what} (no manifest.json)", hint=hint)
    manifest = read_json(path / "manifest.json")
    version = manifest.get("version") if isinstance(manifest, dict) else None
    if version != VERSION:
        raise DataError(
            f"{path}/manifest.json has version {version!r}, this program reads {VERSION}",
            hint="Run neuraltex optimize again with --overwrite, or use the program version that wrote it",
        )
    return manifest


def read_run(path: str | Path) -> Run:
    """Open a finished run.

    Raises:
        DataError: if it is not a finished run, was written by another version, or its scene is gone.
    """
    path = Path(path)
    manifest = read_manifest(path)
    scene_path = _find_scene(path, manifest)
    history = read_json(path / "stats" / "history.json")
    coverage = read_rgb(path / "coverage.png")[..., 0]
    mesh = read_mesh_arrays(scene_path / "mesh.npz")
    return Run(path, manifest, read_exr(path / "texture.exr"), coverage, mesh, scene_path, history)


def read_run_files(path: str | Path) -> tuple[Mesh, bytes]:
    """Return the mesh of a finished run and the content of its texture.png; nothing is decoded.

    Raises:
        DataError: as :func:`read_run`, or if texture.png cannot be read.
    """
    path = Path(path)
    scene_path = _find_scene(path, read_manifest(path))
    try:
        return read_mesh_arrays(scene_path / "mesh.npz"), (path / "texture.png").read_bytes()
    except OSError as error:
        raise DataError(f"{path}/texture.png cannot be read ({error})", hint="Run neuraltex optimize again") from error


def _find_scene(path: Path, manifest: dict[str, Any]) -> Path:
    """Return the folder of the prepared scene of a run."""
    scene_path = Path(manifest["scene"])
    if not scene_path.is_absolute():
        scene_path = path / scene_path
    if not (scene_path / "mesh.npz").is_file():
        raise DataError(
            f"the prepared scene {scene_path} of the run does not exist any more",
            source=str(path / "manifest.json"),
            hint="Restore it, or correct 'scene' in manifest.json",
        )
    return scene_path
