"""The real scenes of the benchmarks: how each is prepared, and the cameras that judge it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import data_dir
from neutral import bench_dir, photograph_files, read_cameras
from verbs import timed_verb

from neuraltex.core.files import read_json, write_json
from neuraltex.geometry.camera import Camera
from neuraltex.io.prepared import read_prepared

KITCHEN = ("--texture-size", "2048", "--mesh", "mesh_120k.ply")
AS_GIVEN = ("--calibrate.no-cameras", "--calibrate.no-intrinsics", "--calibrate.no-rig", "--calibrate.flow", "0")
"""Flags of ``optimize`` that take the cameras as they are."""
REFINED = ("--calibrate.cameras", "--calibrate.intrinsics", "--calibrate.rig")
"""Flags that refine everything that is wrong about cameras nobody calibrated."""
NOMINAL = {"fx": 525.0, "fy": 525.0, "cx": 320.0, "cy": 240.0, "width": 640, "height": 480}
"""What is known of the kitchen's color camera before any calibration [px]."""


@dataclass(frozen=True)
class BenchScene:
    """One entry of the benchmark.

    Args:
        name: What it is called.
        source: Folder of the real data.
        flags: Of ``neuraltex prepare``; names of files in the source folder are completed.
        optimize: Further flags of every fit.
        color_camera: Calibration of the color camera to write and use, where the folder's own is not.
    """

    name: str
    source: str
    flags: tuple[str, ...]
    optimize: tuple[str, ...] = ()
    color_camera: str = ""

    @property
    def folder(self) -> Path:
        """Folder of the real data."""
        return data_dir() / self.source

    @property
    def prepare_flags(self) -> list[str]:
        """Flags of ``neuraltex prepare`` with complete names of files."""
        return [str(self.folder / flag) if (self.folder / flag).is_file() else flag for flag in self.flags]

    @property
    def cameras(self) -> Path:
        """The evaluator's held-out cameras of this scene."""
        return bench_dir() / f"{self.source}_test.json"

    @property
    def masks(self) -> Path:
        """The evaluator's masks."""
        return bench_dir() / "masks" / self.source


SCENES = {
    scene.name: scene
    for scene in (
        BenchScene("castle", "castle", ("--texture-size", "4096")),
        BenchScene("kitchen", "kitchen", (*KITCHEN, "--color-camera", "color_rig.json")),
        BenchScene("kitchen_raw", "kitchen", KITCHEN, REFINED, color_camera="nominal"),
        BenchScene("kitchen_rig", "kitchen", (*KITCHEN, "--color-camera", "color_rig.json"), AS_GIVEN),
        BenchScene("kitchen_edges", "kitchen", KITCHEN, AS_GIVEN, color_camera="edges"),
    )
}
"""``kitchen_raw`` starts from the depth camera's poses and nominal intrinsics; ``kitchen_rig`` and ``kitchen_edges``
are the data folder's two calibrations taken as they are, which it is measured against."""


def prepare(scene: BenchScene, work: Path) -> dict[str, Any]:
    """Prepare a scene in ``work/NAME-prepared`` unless that is done; returns what it cost."""
    folder, costs = work / f"{scene.name}-prepared", work / f"{scene.name}-prepared.json"
    if not (folder / "scene.json").is_file():
        flags = scene.prepare_flags
        if scene.color_camera:
            rig = write_json(work / f"{scene.name}-camera.json", color_camera(scene.color_camera))
            flags += ["--color-camera", str(rig)]
        write_json(costs, timed_verb("prepare", "--data", scene.folder, *flags, "--output-dir", folder))
    return read_json(costs) if costs.is_file() else {"seconds": None, "peak_gb": None}


def color_camera(which: str) -> dict[str, Any]:
    """Return a calibration of the kitchen's color camera, see ``io.rgbd_calibration.read_color_rig``.

    Args:
        which: ``nominal`` (the depth camera's pose, a nominal focal length) or ``edges`` (found from depth edges, as in
            the folder's ``cameras.json``).
    """
    if which == "nominal":
        return dict(NOMINAL)
    content = read_json(data_dir() / "kitchen" / "cameras.json")
    K, offset = content["K_color"], content["depth_to_color_translation_m"]
    names = {"fx": K[0][0], "fy": K[1][1], "cx": K[0][2], "cy": K[1][2], "k1": content["k1_color"]}
    return {**names, "width": 640, "height": 480, "color_from_depth_translation_m": offset}


def held_out_cameras(scene: BenchScene, prepared: Path, run: Path | None) -> dict[str, Camera]:
    """Return the cameras that judge a method before any alignment.

    They are the evaluator's own for the two scenes it knows. For a scene prepared from other cameras they are those of
    the prepared folder or, if the run refined what photographs share (intrinsics, rig), of the run.
    """
    own = read_cameras(scene.cameras)
    if scene.name == scene.source and not _calibrated(run):
        return own
    views = {view.name: view.camera for view in read_prepared(_calibrated(run) or prepared).split("test")}
    return {name: views[name] for name in own}


def photographs(scene: BenchScene) -> dict[str, Path]:
    """Held-out photographs by name."""
    return photograph_files(scene.cameras)


def _calibrated(run: Path | None) -> Path | None:
    folder = run / "calibrated" if run is not None else None
    return folder if folder is not None and (folder / "scene.json").is_file() else None
