"""COLMAP reconstructions: sparse models (binary or text) and dense workspaces, read and written by pycolmap.

Convention:
    COLMAP's axes and pixel centers are ours: OpenCV axes, ``cam_from_world``, first pixel center at (0.5, 0.5).
"""

from pathlib import Path
from typing import Any

import numpy as np

from neuraltex.core.errors import DataError, FormatError, MissingDependency
from neuraltex.core.files import translate_write_errors
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.rigid import rigid
from neuraltex.geometry.scene import Scene, View
from neuraltex.io.discover import find_mesh, image_file_name, image_size, place_file, unique_names
from neuraltex.io.images import PHOTO_SUFFIXES

MODEL_FOLDERS = ("sparse/0", "sparse", ".", "colmap/sparse/0", "dense/0/sparse", "dense/sparse")
IMAGE_FOLDERS = ("images", "input", "rgb", ".")
MESH_FOLDERS = (".", "dense", "dense/0")
MESH_PATTERNS = ("meshed-poisson", "meshed-delaunay", "mesh*", "*")
BROWN = ("SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV")
"""COLMAP models that are OpenCV's with parameters left out; their order of parameters is ours."""
FISHEYE = ("SIMPLE_FISHEYE", "FISHEYE", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "OPENCV_FISHEYE")
"""COLMAP models whose angle polynomial is OpenCV fisheye's with parameters left out."""


def sniff(path: Path) -> str:
    """Return "" if ``path`` holds a COLMAP model, else why it does not."""
    if not path.is_dir():
        return "not a folder"
    if _find_model(path):
        return ""
    return "no cameras and images (.bin or .txt) in sparse/0, sparse or the folder itself"


def read(path: Path, *, mesh: Path | None = None, image_dir: Path | None = None, downscale: int = 1) -> Scene:
    """Read a COLMAP model; binary files are preferred over text, as COLMAP does.

    Args:
        path: Workspace (``images/`` beside ``sparse/``) or the folder of the model itself.
        mesh: Mesh file; by default ``meshed-poisson.ply`` or the only mesh in the workspace.
        image_dir: Folder that image names are relative to; by default ``images/`` of the workspace.
        downscale: Take the images from ``images_<downscale>/`` and scale the cameras to them.

    Raises:
        FormatError: if there is no model or it is broken.
        DataError: if no image is registered or the image folder is missing.
        MissingDependency: without pycolmap.
    """
    model = _find_model(path)
    if model is None:
        raise FormatError(f"{path} is not a COLMAP reconstruction: {sniff(path)}", hint="Check --data and --format")
    workspace = _workspace(path, model)
    reconstruction = _load(model)
    text_names = _text_names(model) if _model_suffix(model) == ".txt" else {}
    images_by_name = {
        text_names.get(key, item.name): item for key, item in reconstruction.images.items() if item.has_pose
    }
    files = sorted(images_by_name)
    if not files:
        raise DataError(f"no image is registered in {model}", hint="Run COLMAP's mapper, or choose another model")
    folder = image_dir or _find_images(workspace, files[0], downscale)
    views = [
        _view(name, file, images_by_name[file], reconstruction, folder, rescale=downscale > 1)
        for name, file in zip(unique_names(files), files, strict=True)
    ]
    skipped = _count_unregistered(folder, set(files))
    notes = [f"{skipped} photograph(s) in {folder.name}/ skipped: not registered in the model"] if skipped else []
    others = [
        other.name for other in sorted(model.parent.iterdir()) if other.name.isdigit() and other.name != model.name
    ]
    if model.name.isdigit() and others:
        notes.append(f"model {model.name} taken; {len(others)} other(s) ignored: {', '.join(others)}")
    found, mesh_notes = (
        (mesh, ()) if mesh else find_mesh(*(workspace / name for name in MESH_FOLDERS), patterns=MESH_PATTERNS)
    )
    views.sort(key=lambda view: view.name)
    return Scene(workspace.resolve().name, "colmap", tuple(views), mesh_path=found, notes=(*notes, *mesh_notes))


def write(scene: Scene, folder: Path, *, text: bool = False) -> Path:
    """Write a scene as a COLMAP workspace: ``images/``, ``masks/``, ``sparse/0`` (one camera per view, no points).

    Raises:
        DataError: if a camera has skew, which no model of COLMAP has.
        MissingDependency: without pycolmap.
    """
    pycolmap = _pycolmap()
    reconstruction = pycolmap.Reconstruction()
    for index, view in enumerate(scene.views, 1):
        file = image_file_name(view)
        place_file(view.image, folder / "images" / file)
        if view.mask:
            place_file(view.mask, folder / "masks" / f"{file}.png")
        reconstruction.add_camera_with_trivial_rig(_colmap_camera(pycolmap, view, index))
        pose = pycolmap.Rigid3d(view.camera.cam_from_world[:3])
        image = pycolmap.Image(name=file, camera_id=index, image_id=index)
        reconstruction.add_image_with_trivial_frame(image, pose)
    sparse = folder / "sparse" / "0"
    with translate_write_errors(sparse):
        sparse.mkdir(parents=True, exist_ok=True)
    (reconstruction.write_text if text else reconstruction.write_binary)(sparse)
    if scene.mesh_path:
        place_file(scene.mesh_path, folder / f"mesh{scene.mesh_path.suffix}")
    return folder


def camera_from_colmap(colmap_camera: Any, cam_from_world: np.ndarray) -> Camera:
    """Turn a ``pycolmap.Camera`` into ours; exact for every model, since all apply focal lengths last.

    Raises:
        DataError: for a spherical camera, whose picture is no perspective one.
    """
    name, params = colmap_camera.model.name, np.asarray(colmap_camera.params)
    focal, center = list(colmap_camera.focal_length_idxs()), list(colmap_camera.principal_point_idxs())
    if not focal:
        raise DataError(
            f"camera {colmap_camera.camera_id} has the spherical model {name}",
            hint="Render perspective images from it first, e.g. with pycolmap's panorama tools",
        )
    extra = tuple(params[list(colmap_camera.extra_params_idxs())].tolist())
    (fx, fy), (cx, cy) = params[[focal[0], focal[-1]]].tolist(), params[center].tolist()
    lens = "pinhole" if not extra and name not in FISHEYE else f"colmap:{name}"
    lens = "brown" if name in BROWN else "fisheye" if name in FISHEYE else lens
    return Camera(
        colmap_camera.width, colmap_camera.height, fx, fy, cx, cy, cam_from_world, lens=lens, distortion=extra
    )


def _colmap_camera(pycolmap: Any, view: View, camera_id: int) -> Any:
    camera = view.camera
    if camera.skew:
        raise DataError(f"the camera of {view.name} has skew {camera.skew}", hint="COLMAP has no such camera model")
    full = "FULL_OPENCV" if any(camera.distortion[4:]) else "OPENCV"
    model = {"pinhole": "PINHOLE", "brown": full, "fisheye": "OPENCV_FISHEYE"}.get(camera.lens) or camera.lens[7:]
    result = pycolmap.Camera.create_from_model_name(camera_id, model, camera.fx, camera.width, camera.height)
    params, focal, extra = np.zeros(len(result.params)), result.focal_length_idxs(), result.extra_params_idxs()
    params[list(focal)] = (camera.fx, camera.fy)[: len(focal)]
    params[list(result.principal_point_idxs())] = camera.cx, camera.cy
    params[list(extra)[: len(camera.distortion)]] = camera.distortion[: len(extra)]
    result.params = params
    return result


def _view(name: str, file: str, item: Any, reconstruction: Any, folder: Path, *, rescale: bool) -> View:
    matrix = np.asarray(item.cam_from_world().matrix())
    camera = camera_from_colmap(reconstruction.cameras[item.camera_id], rigid(matrix[:, :3], matrix[:, 3]))
    image = folder / file
    mask = folder.parent / "masks" / f"{file}.png"
    camera = camera.scaled(*image_size(image)) if rescale else camera
    return View(name, camera, image, mask if mask.is_file() else None)


def _count_unregistered(folder: Path, registered: set[str]) -> int:
    photos = (file for file in folder.rglob("*") if file.suffix.lower() in PHOTO_SUFFIXES)
    return sum(file.relative_to(folder).as_posix() not in registered for file in photos)


def _find_model(path: Path) -> Path | None:
    return next((path / name for name in MODEL_FOLDERS if _model_suffix(path / name)), None)


def _workspace(path: Path, model: Path) -> Path:
    """Folder that images and meshes lie in: above ``sparse``, except that nerfstudio keeps images above ``colmap``."""
    above = model.resolve()
    above = above.parent if above.name.isdigit() and above.parent.name == "sparse" else above
    above = above.parent if above.name == "sparse" else above
    return path.resolve() if above.name == "colmap" else above


def _find_images(workspace: Path, first: str, downscale: int) -> Path:
    names = [f"images_{downscale}"] if downscale > 1 else IMAGE_FOLDERS
    folders = [base / name for base in (workspace, workspace.parent) for name in names]
    found = next((folder for folder in folders if (folder / first).is_file()), None)
    if found is None:
        raise DataError(
            f"the registered image {first} was not found in {workspace}/{' or '.join(names)}",
            hint="Put the images beside the sparse folder" + " or leave --image-scale at 1" * (downscale > 1),
        )
    return found


def _model_suffix(folder: Path) -> str:
    for suffix in (".bin", ".txt"):
        if all((folder / f"{name}{suffix}").is_file() for name in ("cameras", "images")):
            return suffix
    return ""


def _load(model: Path) -> Any:
    """Read with pycolmap, whose complaints do not name the file."""
    pycolmap, suffix = _pycolmap(), _model_suffix(model)
    if not (model / f"points3D{suffix}").is_file():
        raise FormatError(f"{model} lacks points3D{suffix}", hint="Copy the whole model folder, or make an empty file")
    reconstruction = pycolmap.Reconstruction()
    try:
        (reconstruction.read_binary if suffix == ".bin" else reconstruction.read_text)(model)
    except (ValueError, RuntimeError, IndexError, OSError) as error:
        first = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise FormatError(f"{model} cannot be read by pycolmap ({first})", hint="Export the model again") from error
    return reconstruction


def _text_names(model: Path) -> dict[int, str]:
    """Image names of a text model by id; pycolmap ends a name at its first space."""
    names, lines = {}, iter((model / "images.txt").read_text("utf-8").splitlines())
    for line in lines:
        if line.strip() and not line.lstrip().startswith("#"):
            fields = line.split(maxsplit=9)
            names[int(fields[0])] = fields[9].rstrip()
            next(lines, "")  # the points of the image
    return names


def _pycolmap() -> Any:
    try:
        import pycolmap
    except ImportError as error:
        raise MissingDependency(
            "COLMAP models are read with pycolmap, which is not installed", hint="Run: pip install pycolmap"
        ) from error
    return pycolmap
