"""RGB-D folders: 7-Scenes and BundleFusion (``frame-XXXXXX.{color,depth,pose}``), ScanNet (``color/ depth/ pose/``).

Convention:
    A pose file is ``world_from_cam`` of the *depth* camera, OpenCV axes, meters. Calibrations put integer coordinates
    on pixel centers; :mod:`neuraltex.io.rgbd_calibration` shifts them by half a pixel, once. Depth is 16 bit, in units
    of ``View.depth_scale`` per [world]; 0 and (7-Scenes) 65535 mean 'nothing measured' and are left to the consumer.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from neuraltex.core.conventions import integer_from_half_centers
from neuraltex.core.errors import DataError, FormatError
from neuraltex.core.files import write_json, write_text
from neuraltex.geometry.rigid import is_rigid, vector_from_rotation
from neuraltex.geometry.scene import Scene, View
from neuraltex.io.discover import find_mesh, image_size, place_file
from neuraltex.io.rgbd_calibration import (
    BROWN_FIELDS,
    COLOR_CAMERA_NAME,
    Calibration,
    ColorRig,
    read_calibration,
    read_color_rig,
    read_matrix,
)

COLOR_SUFFIXES = (".jpg", ".png", ".jpeg")
DEPTH_SUFFIXES = (".png", ".pgm", ".tif", ".tiff")
MILLIMETERS = 1000.0
RIG_TOLERANCE = 1e-6
"""Largest difference between the cameras of a rig [px], [world] that rounding in files explains."""


@dataclass(frozen=True)
class _Frame:
    name: str
    pose: Path
    color: Path | None
    depth: Path | None


def sniff(path: Path) -> str:
    """Return "" if ``path`` is an RGB-D folder, else why it is not."""
    if not path.is_dir():
        return "not a folder"
    if _list_frames(path):
        return ""
    return "no frame-XXXXXX.pose.txt (here or in frames/), and no color/ beside pose/"


def read(path: Path, *, mesh: Path | None = None, color_camera: Path | None = None) -> Scene:
    """Read an RGB-D folder.

    Without a calibration of its own the color camera is taken to be the depth camera, scaled to the color image's size.

    Args:
        path: Scene folder, or the folder of the frames itself.
        mesh: Mesh file; by default the only one in the folder.
        color_camera: JSON calibration of the color camera, see :func:`~neuraltex.io.rgbd_calibration.read_color_rig`;
            by default ``color_camera.json`` in the scene folder, if it exists.

    Raises:
        FormatError: if this is no RGB-D folder or no frame can be used.
        DataError: if a file is broken.
    """
    reason = sniff(path)
    if reason:
        raise FormatError(f"{path} is not an RGB-D folder: {reason}", hint="Check --data and --format")
    frames = _list_frames(path)
    folders = _folders(path, frames)
    calibration = read_calibration((*folders, path.resolve().parent))
    if color_camera is None and (path / COLOR_CAMERA_NAME).is_file():
        color_camera = path / COLOR_CAMERA_NAME
    rig = read_color_rig(color_camera) if color_camera else None
    poses = {frame.name: read_matrix(frame.pose) for frame in frames if frame.color}
    lost = {name for name, pose in poses.items() if not np.isfinite(pose).all() or not pose.any()}
    views = [_view(frame, poses[frame.name], calibration, rig) for frame in frames if frame.name in poses.keys() - lost]
    if not views:
        raise FormatError(
            f"none of the {len(frames)} poses in {path} is finite and has a color image", hint="Check the folder"
        )
    found, mesh_notes = (
        (mesh, ()) if mesh else find_mesh(*folders, patterns=("mesh*", "*_vh_clean_2", "*_vh_clean", "*"))
    )
    notes = (*_notes(frames, lost, calibration, color_camera), *mesh_notes)
    return Scene(path.resolve().name, "rgbd", tuple(views), mesh_path=found, notes=notes)


def write(scene: Scene, folder: Path) -> Path:
    """Write a scene as an RGB-D folder in the manner of 7-Scenes: frames/, camera-intrinsics.txt, color_camera.json.

    All views must share their intrinsics. Frames are named after the views.

    Raises:
        DataError: if cameras differ or the lens has no Brown parameters, or depth is not in millimeters.
    """
    rig = _shared_rig(scene)
    for view in scene.views:
        stem = folder / "frames" / view.name.replace("/", "_")
        place_file(view.image, stem.with_name(f"{stem.name}.color{view.image.suffix.lower()}"))
        if view.depth:
            place_file(view.depth, stem.with_name(f"{stem.name}.depth{view.depth.suffix.lower()}"))
        pose = (view.depth_camera or view.camera).world_from_cam
        write_text(stem.with_name(f"{stem.name}.pose.txt"), _matrix_text(pose))
    K = (scene.views[0].depth_camera or scene.views[0].camera).K
    K[0, 2], K[1, 2] = integer_from_half_centers(K[0, 2]), integer_from_half_centers(K[1, 2])
    write_text(folder / "camera-intrinsics.txt", _matrix_text(K))
    write_json(folder / COLOR_CAMERA_NAME, rig)
    if scene.mesh_path:
        place_file(scene.mesh_path, folder / f"mesh{scene.mesh_path.suffix}")
    return folder


def _list_frames(path: Path) -> list[_Frame]:
    """Frames sorted by name; ScanNet's bare numbers are padded so that they sort."""
    for folder in (path, path / "frames"):
        poses = sorted(folder.glob("*.pose.txt"))
        if poses:
            stems = [folder / pose.name.removesuffix(".pose.txt") for pose in poses]
            return [
                _Frame(
                    stem.name, pose, _first(f"{stem}.color", COLOR_SUFFIXES), _first(f"{stem}.depth", DEPTH_SUFFIXES)
                )
                for stem, pose in zip(stems, poses, strict=True)
            ]
    if not (path / "color").is_dir():
        return []
    frames = [
        _Frame(
            pose.stem.zfill(6) if pose.stem.isdigit() else pose.stem,
            pose,
            _first(str(path / "color" / pose.stem), COLOR_SUFFIXES),
            _first(str(path / "depth" / pose.stem), DEPTH_SUFFIXES),
        )
        for pose in (path / "pose").glob("*.txt")
    ]
    return sorted(frames, key=lambda frame: frame.name)


def _first(stem: str, suffixes: tuple[str, ...]) -> Path | None:
    return next((Path(stem + suffix) for suffix in suffixes if Path(stem + suffix).is_file()), None)


def _folders(path: Path, frames: list[_Frame]) -> tuple[Path, ...]:
    """Folders that may hold calibration and mesh: that of the frames, the scene's, and above a bare frames/."""
    above = (path.resolve().parent,) if re.fullmatch(r"frames|seq-?\d+", path.resolve().name) else ()
    return tuple(dict.fromkeys((frames[0].pose.parent, path, *above)))


def _view(frame: _Frame, pose: np.ndarray, calibration: Calibration, rig: ColorRig | None) -> View:
    if not is_rigid(pose):
        raise DataError(f"{frame.pose} is not a rigid 4x4 transform", hint="Restore the file or remove the frame")
    assert frame.color is not None
    cam_from_world, size = np.linalg.inv(pose), image_size(frame.color)
    depth_size = image_size(frame.depth) if frame.depth else calibration.depth.size or size
    depth_camera = calibration.depth.camera(cam_from_world, depth_size, calibration.source)
    if rig is not None:
        color = rig.intrinsics.camera(rig.color_from_depth @ cam_from_world, size, "color camera")
        color = replace(color, lens="brown", distortion=rig.distortion) if any(rig.distortion) else color
    elif calibration.color is not None:
        color = calibration.color.camera(cam_from_world, size, calibration.source)
    else:
        color = depth_camera.scaled(*size)
    return View(
        frame.name,
        color,
        frame.color,
        None,
        frame.depth,
        depth_camera if frame.depth else None,
        calibration.depth_scale,
    )


def _notes(
    frames: list[_Frame], lost: set[str], calibration: Calibration, color_camera: Path | None
) -> tuple[str, ...]:
    blind = sum(frame.color is None for frame in frames)
    color = f"from {color_camera.name}" if color_camera else f"from {calibration.source}" if calibration.color else ""
    notes = [f"depth camera: {calibration.source}"]
    notes.append(f"color camera: {color or 'taken to be the depth camera; pass --color-camera if it is another one'}")
    if lost:
        notes.append(f"{len(lost)} of {len(frames)} frames skipped: their poses are infinite or zero (tracking lost)")
    if blind:
        notes.append(f"{blind} of {len(frames)} frames skipped: they have no color image")
    return tuple(notes)


def _shared_rig(scene: Scene) -> dict[str, Any]:
    """Return the fields of the color camera file that hold for all views."""
    rigs = [_rig_fields(view) for view in scene.views]
    numbers = [np.hstack([value for value in rig.values() if not isinstance(value, str)]) for rig in rigs]
    if np.ptp(numbers, axis=0).max() > RIG_TOLERANCE:
        raise DataError("the views have different cameras", hint="Write the scene as COLMAP or nerfstudio instead")
    return rigs[0]


def _rig_fields(view: View) -> dict[str, Any]:
    camera = view.camera
    if camera.lens not in ("pinhole", "brown") or any(camera.distortion[5:]) or camera.skew:
        raise DataError(
            f"view {view.name} has lens {camera.lens!r} with parameters {camera.distortion} and skew {camera.skew}",
            hint="Write the scene as COLMAP or nerfstudio instead",
        )
    if view.depth and view.depth_scale != MILLIMETERS:
        raise DataError(f"depth of {view.name} is not in millimeters", hint="Write the scene as nerfstudio instead")
    color_from_depth = camera.cam_from_world @ (view.depth_camera or camera).world_from_cam
    return {
        "pixel_convention": "first pixel center at (0.5, 0.5)",
        **{name: getattr(camera, name) for name in ("width", "height", "fx", "fy", "cx", "cy")},
        **dict(zip(BROWN_FIELDS, (*camera.distortion, 0.0, 0.0, 0.0, 0.0, 0.0), strict=False)),
        "color_from_depth_translation_m": color_from_depth[:3, 3].tolist(),
        "color_from_depth_rotation_vector_rad": vector_from_rotation(color_from_depth[:3, :3]).tolist(),
    }


def _matrix_text(matrix: np.ndarray) -> str:
    return "".join(" ".join(f"{value:.12g}" for value in row) + "\n" for row in matrix)
