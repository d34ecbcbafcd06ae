"""The cameras that a comparison looks through: those a run refined, and what refinement moved."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from neuraltex.geometry.camera import Camera
from neuraltex.geometry.rigid import rotation_angle
from neuraltex.io.prepared import PreparedScene, read_prepared

NUM_POINTS = 2000
"""Vertices that the shift of a camera is measured on."""


@dataclass(frozen=True)
class RefinedCameras:
    """What a run made of the cameras.

    Args:
        held_out: Cameras of held-out photographs by name: what photographs share (intrinsics, rig) was refined on the
            others, their own pose was not.
        facts: What moved, in words, label to words.
    """

    held_out: dict[str, Camera] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)


def refined_cameras(run: Path, scene: PreparedScene) -> RefinedCameras:
    """Read the cameras that a run refined, if it did.

    Raises:
        DataError: if they cannot be read.
    """
    folder = run / "calibrated"
    if not (folder / "scene.json").is_file():
        return RefinedCameras()
    after = {view.name: view for view in read_prepared(folder).views}
    held_out = {view.name: after[view.name].camera for view in scene.split("test") if view.name in after}
    pairs = [(view.camera, after[view.name].camera) for view in scene.split("train") if view.name in after]
    points = scene.mesh.vertices[:: max(1, len(scene.mesh.vertices) // NUM_POINTS)]
    return RefinedCameras(held_out, describe_changes(pairs, points) if pairs else {})


def describe_changes(pairs: list[tuple[Camera, Camera]], points: np.ndarray) -> dict[str, str]:
    """Say how far cameras moved.

    Args:
        pairs: Every camera before and after, of one image size each.
        points: Points [P, 3] of the surface.

    Returns:
        Median shift of the points in the images [px], median rotation [deg] and translation [world], and the change of
        focal length and principal point [px] where there is one.
    """
    shift = [_shift(before, after, points) for before, after in pairs]
    changes = [after.cam_from_world @ before.world_from_cam for before, after in pairs]
    turned = np.degrees([rotation_angle(change[:3, :3]) for change in changes])
    moved = [float(np.linalg.norm(after.center - before.center)) for before, after in pairs]
    facts = {
        "Cameras moved": f"{np.median(shift):.2f} px (median, at most {np.max(shift):.2f})",
        "Poses moved": f"{np.median(turned):.3f}° and {np.median(moved):.3g} units (median)",
    }
    first, last = (np.median([_intrinsics(pair[k]) for pair in pairs], 0) for k in (0, 1))
    if not np.allclose(first, last):
        words = [f"{a:.1f} → {b:.1f}" for a, b in zip(first, last, strict=True)]
        facts["Intrinsics"] = f"focal {words[0]}, {words[1]} px; center {words[2]}, {words[3]} px"
    if any(after.warp is not None for _, after in pairs):
        largest = max(float(np.abs(after.warp).max()) for _, after in pairs if after.warp is not None)
        facts["Local warps"] = f"up to {largest:.2f} px"
    return facts


def _shift(before: Camera, after: Camera, points: np.ndarray) -> float:
    """Median distance between the two images of the points that the first camera has in view [px]."""
    old, new = before.project(points)[0], after.project(points)[0]
    with np.errstate(invalid="ignore"):
        inside = ((old >= 0) & (old < (before.width, before.height))).all(1) & np.isfinite(new).all(1)
    return float(np.median(np.linalg.norm(new[inside] - old[inside], axis=1))) if inside.any() else 0.0


def _intrinsics(camera: Camera) -> tuple[float, float, float, float]:
    return camera.fx, camera.fy, camera.cx, camera.cy
