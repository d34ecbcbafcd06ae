"""nerfstudio's ``transforms.json`` (and the older files of instant-ngp and Blender scenes that share its form).

Convention:
    ``transform_matrix`` is ``world_from_cam`` with OpenGL camera axes; the reader turns them to OpenCV's. Principal
    points come from COLMAP unchanged and nerfstudio casts rays at i + 0.5: the first pixel center is at 0.5, whatever
    its documentation says. ``k1 k2 p1 p2 k3 k4 k5 k6`` are OpenCV's; ``OPENCV_FISHEYE`` has ``k1..k4``. Depth is
    z-depth seen by the color camera, 16 bit in millimeters or in units of ``depth_unit_scale_factor`` meters.

    World frame: ``applied_transform`` (3x4) and ``applied_scale`` lead from the original reconstruction to the frame of
    the file. Poses are kept in the file's frame, where a mesh named by ``ply_file_path`` lies too. A mesh in the
    original frame (COLMAP's own) needs ``original_frame=True``, which moves the cameras back.
"""

import math
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from neuraltex.core.conventions import opencv_from_opengl_pose
from neuraltex.core.errors import DataError, FormatError
from neuraltex.core.files import read_json, write_json
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.rigid import is_rigid
from neuraltex.geometry.scene import Scene, View
from neuraltex.io.discover import find_mesh, image_file_name, image_size, is_mesh_file, place_file, unique_names
from neuraltex.io.images import PHOTO_SUFFIXES

FILE_NAME = "transforms.json"
SPLIT_NAMES = ("transforms_train.json", "transforms_val.json", "transforms_test.json")
PYRAMID = (2, 4, 8)
BROWN = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
FISHEYE = ("k1", "k2", "k3", "k4")
PERSPECTIVE_MODELS = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "FULL_OPENCV", "PERSPECTIVE")
MESH_PATTERNS = ("mesh*", "*")


def sniff(path: Path) -> str:
    """Return "" if ``path`` is or holds a transforms.json, else why not."""
    files = _files(path)
    if not files:
        return f"no {FILE_NAME}" if path.is_dir() else "not a folder and not a .json file"
    try:
        content = read_json(files[0])
    except DataError as error:
        return str(error)
    return "" if isinstance(content, dict) and "frames" in content else f"{files[0].name} has no list 'frames'"


def read(path: Path, *, mesh: Path | None = None, downscale: int = 1, original_frame: bool = False) -> Scene:
    """Read a nerfstudio scene.

    Images of the pyramid ``images_2/``, ``images_4/``, ``images_8/`` are taken when ``downscale`` asks for them or when
    only they exist; the cameras are scaled to the size of the files.

    Args:
        path: Folder of ``transforms.json`` (or of Blender's ``transforms_train.json`` and its siblings), or the file.
        mesh: Mesh file; by default ``ply_file_path`` if it has faces, else the only mesh in the folder.
        downscale: 1, 2, 4 or 8.
        original_frame: Undo ``applied_transform`` and ``applied_scale``, for a mesh in the frame before them.

    Raises:
        FormatError: if there is no such file or it has no frames.
        DataError: if a field or an image is missing or wrong.
    """
    reason = sniff(path)
    if reason:
        raise FormatError(f"{path} is not a nerfstudio scene: {reason}", hint="Check --data and --format")
    files, views = _files(path), []
    contents = [read_json(file) for file in files]
    for file, content in zip(files, contents, strict=True):
        views += _read_views(file, content, downscale, original_frame)
    if not views:
        raise FormatError(f"{files[0]} lists no frames", hint="Export the scene again")
    folder, notes = files[0].parent, _world_notes(contents[0], original_frame)
    found, mesh_notes = (mesh, ()) if mesh else _find_mesh(folder, contents[0])
    views.sort(key=lambda view: view.name)
    return Scene(folder.resolve().name, "nerfstudio", tuple(views), mesh_path=found, notes=(*notes, *mesh_notes))


def write(scene: Scene, folder: Path) -> Path:
    """Write a scene as ``transforms.json`` with ``images/``, ``masks/``, ``depths/``; intrinsics stand in every frame.

    Depth is written only where it is seen by the color camera, as the format demands.

    Raises:
        DataError: if a camera has skew or a lens that the format does not know.
    """
    frames = [_write_view(view, folder) for view in scene.views]
    content: dict[str, Any] = {"frames": frames}
    scales = {view.depth_scale for view in scene.views if view.depth}
    if scales - {1000.0}:
        content = {"depth_unit_scale_factor": 1 / scales.pop(), **content}
    if scene.mesh_path:
        target = place_file(scene.mesh_path, folder / f"mesh{scene.mesh_path.suffix}")
        content = {**({"ply_file_path": target.name} if target.suffix == ".ply" else {}), **content}
    write_json(folder / FILE_NAME, content)
    return folder


def _files(path: Path) -> list[Path]:
    if path.suffix == ".json" and path.is_file():
        return [path]
    single = path / FILE_NAME
    return [single] if single.is_file() else [path / name for name in SPLIT_NAMES if (path / name).is_file()]


def _read_views(file: Path, content: dict[str, Any], downscale: int, original_frame: bool) -> list[View]:
    frames = content["frames"]
    try:
        listed = [PurePosixPath(str(frame["file_path"]).replace("\\", "/")) for frame in frames]
        poses = [np.array(frame["transform_matrix"], np.float64) for frame in frames]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{file} has a frame without a readable file_path or transform_matrix ({error})", hint="Export it again"
        ) from error
    folder = _pyramid_folder(file.parent, listed, downscale)
    names = unique_names([_name(path) for path in listed])
    views = []
    for name, path, pose, frame in zip(names, listed, poses, frames, strict=True):
        source = f"{file} frame {path}"
        if not is_rigid(pose):
            raise DataError(
                "transform_matrix is not a rigid 4x4 transform", source=source, hint="Export the scene again"
            )
        world_from_cam = opencv_from_opengl_pose(_undo(content, pose) if original_frame else pose)
        image = _resolve(file.parent, path, folder)
        fields = {**content, **frame}
        camera = _camera(fields, np.linalg.inv(world_from_cam), image, source)
        if folder:
            camera = camera.scaled(*image_size(image))
        views.append(_view(name, camera, image, fields, file.parent, folder))
    return views


def _view(name: str, camera: Camera, image: Path, fields: dict[str, Any], root: Path, folder: str) -> View:
    mask, depth = ((root / str(fields[key])) if fields.get(key) else None for key in ("mask_path", "depth_file_path"))
    suffix = folder.removeprefix("images")
    if mask and suffix and (root / f"masks{suffix}" / mask.name).is_file():
        mask = root / f"masks{suffix}" / mask.name
    scale = 1 / float(fields.get("depth_unit_scale_factor", 1e-3))
    depth_camera = camera.scaled(*image_size(depth)) if depth else None
    return View(name, camera, image, mask, depth, depth_camera, round(scale, 9))


def _camera(fields: dict[str, Any], cam_from_world: np.ndarray, image: Path, source: str) -> Camera:
    """Build the camera of the full-size image from the fields of a frame and, behind them, of the file."""
    model = str(fields.get("camera_model", "OPENCV")).upper()
    if model != "OPENCV_FISHEYE" and model not in PERSPECTIVE_MODELS:
        raise DataError(
            f"camera_model {model!r} is not supported", source=source, hint="Use OPENCV, OPENCV_FISHEYE or PINHOLE"
        )
    try:
        width, height = (int(fields["w"]), int(fields["h"])) if "w" in fields and "h" in fields else image_size(image)
        fx, fy = _focal_lengths(fields, width, height)
        cx, cy = float(fields.get("cx", width / 2)), float(fields.get("cy", height / 2))
        names = FISHEYE if model == "OPENCV_FISHEYE" else BROWN
        distortion = tuple(float(fields.get(name, 0)) for name in names)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"intrinsics are missing or no numbers ({error})", source=source, hint="Give fl_x, fl_y or camera_angle_x"
        ) from error
    lens = "fisheye" if model == "OPENCV_FISHEYE" else "brown" if any(distortion) else "pinhole"
    return Camera(
        width, height, fx, fy, cx, cy, cam_from_world, lens=lens, distortion=() if lens == "pinhole" else distortion
    )


def _focal_lengths(fields: dict[str, Any], width: int, height: int) -> tuple[float, float]:
    """Focal lengths [px]; what is missing comes from the field of view [rad], else from the other axis."""
    lengths = []
    for key, angle, size in (("fl_x", "camera_angle_x", width), ("fl_y", "camera_angle_y", height)):
        length = float(fields[key]) if key in fields else None
        if length is None and angle in fields:
            length = size / 2 / math.tan(float(fields[angle]) / 2)
        lengths.append(length)
    fx, fy = lengths
    if fx is None and fy is None:
        raise KeyError("fl_x")
    return (fx or fy, fy or fx)  # type: ignore[return-value]


def _pyramid_folder(root: Path, listed: Iterable[PurePosixPath], downscale: int) -> str:
    """Name of the folder to take images from instead of ``images``; empty for the files as listed."""
    first = next(iter(listed), None)
    if first is None:
        return ""
    existing = [f"images_{n}" for n in PYRAMID if _resolve(root, first, f"images_{n}").is_file()]
    if downscale > 1:
        if f"images_{downscale}" in existing:
            return f"images_{downscale}"
        raise DataError(
            f"{root}/images_{downscale} has no {first.name}", hint=f"Available: {', '.join(['images', *existing])}"
        )
    return existing[0] if existing and not _resolve(root, first, "").is_file() else ""


def _resolve(root: Path, listed: PurePosixPath, folder: str) -> Path:
    """Path of an image; ``folder`` replaces ``images``; Blender's files leave the suffix out."""
    parts = [folder if folder and part == "images" else part for part in listed.parts]
    path = root.joinpath(*parts)
    if path.suffix.lower() in PHOTO_SUFFIXES:
        return path
    return next((file for suffix in PHOTO_SUFFIXES if (file := Path(f"{path}{suffix}")).is_file()), Path(f"{path}.png"))


def _name(path: PurePosixPath) -> str:
    """Name of a view: the path below ``images/``."""
    parts = [part for part in path.parts if part not in (".", "..", "/")]
    return "/".join(parts[1:] if len(parts) > 1 and parts[0].startswith("images") else parts)


def _undo(content: dict[str, Any], pose: np.ndarray) -> np.ndarray:
    applied = np.vstack([np.array(content.get("applied_transform", np.eye(4)[:3]), np.float64)[:3], [0, 0, 0, 1]])
    pose = pose.copy()
    pose[:3, 3] /= float(content.get("applied_scale", 1))
    return np.linalg.inv(applied) @ pose


def _world_notes(content: dict[str, Any], original_frame: bool) -> tuple[str, ...]:
    if "applied_transform" not in content and "applied_scale" not in content:
        return ()
    if original_frame:
        return ("world: applied_transform undone; cameras are in the frame of the original reconstruction",)
    return ("world: the file's own frame (after applied_transform); a mesh from before it will not fit",)


def _find_mesh(folder: Path, content: dict[str, Any]) -> tuple[Path | None, tuple[str, ...]]:
    named = folder / str(content.get("ply_file_path", ""))
    if is_mesh_file(named):
        return named, (f"mesh: {named.name}, named by ply_file_path",)
    return find_mesh(folder, patterns=MESH_PATTERNS)


def _write_view(view: View, folder: Path) -> dict[str, Any]:
    camera, file = view.camera, image_file_name(view)
    if camera.skew or camera.lens not in ("pinhole", "brown", "fisheye"):
        raise DataError(
            f"view {view.name} has lens {camera.lens!r} and skew {camera.skew}",
            hint="Write the scene as COLMAP instead",
        )
    place_file(view.image, folder / "images" / file)
    names = FISHEYE if camera.lens == "fisheye" else BROWN
    frame: dict[str, Any] = {
        "file_path": f"images/{file}",
        "camera_model": "OPENCV_FISHEYE" if camera.lens == "fisheye" else "OPENCV",
        "w": camera.width,
        "h": camera.height,
        "fl_x": camera.fx,
        "fl_y": camera.fy,
        "cx": camera.cx,
        "cy": camera.cy,
        **dict(zip(names, camera.distortion, strict=False)),
        "transform_matrix": opencv_from_opengl_pose(camera.world_from_cam).tolist(),
    }
    if view.mask:
        frame["mask_path"] = f"masks/{view.name}{view.mask.suffix}"
        place_file(view.mask, folder / frame["mask_path"])
    if view.depth and _sees_depth(view):
        frame["depth_file_path"] = f"depths/{view.name}{view.depth.suffix}"
        place_file(view.depth, folder / frame["depth_file_path"])
    return frame


def _sees_depth(view: View) -> bool:
    """Whether the depth image is aligned with the photograph, up to its size."""
    if view.depth_camera is None:
        return True
    color, depth = view.camera, view.depth_camera.scaled(view.camera.width, view.camera.height)
    lens = (depth.lens, depth.distortion) == (color.lens, color.distortion)
    return lens and np.allclose(depth.K, color.K) and np.allclose(depth.cam_from_world, color.cam_from_world)
