"""OpenMVS: ``scene.mvs`` with undistorted photographs, and the mesh beside it.

Convention:
    Integer coordinates are pixel centers in OpenMVS; the principal point is shifted by half a pixel here, once.
"""

from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from neuraltex.core.conventions import half_from_integer_centers, integer_from_half_centers
from neuraltex.core.errors import DataError, FormatError
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.rigid import is_rigid, rigid
from neuraltex.geometry.scene import Scene, View
from neuraltex.io.discover import find_mesh, image_file_name, image_size, place_file, unique_names
from neuraltex.io.meshes import write_mesh
from neuraltex.io.mvs_archive import (
    HINT,
    MAGIC,
    NO_ID,
    MvsCamera,
    MvsImage,
    MvsPlatform,
    MvsPose,
    read_archive,
    write_archive,
)

MESH_PATTERNS = ("*_dense_mesh_refine", "*_mesh_refine", "*_dense_mesh", "*_mesh", "*")
IMAGE_FOLDERS = ("", "images", "undistorted_images")


def sniff(path: Path) -> str:
    """Return "" if ``path`` is an OpenMVS scene or a folder with one, else why it is not."""
    files = _candidates(path)
    if not files:
        return "no .mvs file"
    if any(_is_interface(file) for file in files):
        return ""
    return f"{files[0].name} does not start with MVSI (OpenMVS's own project files must be exported as interface files)"


def read(path: Path, *, mesh: Path | None = None) -> Scene:
    """Read an OpenMVS scene.

    Photographs are looked for beside the scene file first, whatever folder of whatever machine the scene names.
    Images without a pose are left out and counted.

    Args:
        path: ``.mvs`` file, or the folder that holds it (``scene.mvs`` preferred).
        mesh: Mesh file; by default the most refined one beside the scene.

    Raises:
        FormatError: if there is no scene, or it is broken.
        DataError: if a camera is broken.
    """
    file = _choose(path)
    platforms, images = read_archive(file)
    posed = [image for image in images if image.pose != NO_ID]
    if not posed:
        raise FormatError(f"none of the {len(images)} images in {file} has a pose", hint="Reconstruct the scene again")
    names = unique_names(_display_names(posed))
    views = [_view(file, platforms, image, name) for image, name in zip(posed, names, strict=True)]
    notes = (f"{len(images) - len(posed)} image(s) without a pose left out",) if len(posed) < len(images) else ()
    found, mesh_notes = (mesh, ()) if mesh else find_mesh(file.parent, patterns=MESH_PATTERNS)
    views.sort(key=lambda view: view.name)
    name = file.resolve().parent.name
    return Scene(name, "openmvs", tuple(views), mesh_path=found, notes=(*notes, *mesh_notes))


def write(scene: Scene, folder: Path) -> Path:
    """Write ``scene.mvs``, ``images/``, ``masks/`` and, if there is one, the mesh as ``scene_mesh.ply`` (or as it is).

    Raises:
        DataError: if a lens is not a pinhole; OpenMVS works on undistorted photographs.
    """
    if any(view.camera.lens != "pinhole" for view in scene.views):
        raise DataError("OpenMVS scenes have no lens distortion", hint="Undistort the photographs first")
    cameras, poses, images = [], [], []
    for index, view in enumerate(scene.views):
        name = f"images/{image_file_name(view)}"
        place_file(view.image, folder / name)
        mask = f"masks/{view.name}.mask.png" if view.mask else ""
        if view.mask:
            place_file(view.mask, folder / mask)
        K = view.camera.K
        K[0, 2], K[1, 2] = integer_from_half_centers(K[0, 2]), integer_from_half_centers(K[1, 2])
        cameras.append(MvsCamera(view.camera.width, view.camera.height, K, np.eye(3), np.zeros(3)))
        poses.append(MvsPose(view.camera.cam_from_world[:3, :3], view.camera.center))
        images.append(MvsImage(name, mask, 0, index, index))
    write_archive(folder / "scene.mvs", [MvsPlatform(cameras, poses)], images)
    if scene.mesh is not None:
        write_mesh(folder / "scene_mesh.ply", scene.mesh)
    elif scene.mesh_path is not None:
        place_file(scene.mesh_path, folder / f"scene_mesh{scene.mesh_path.suffix}")
    return folder


def _candidates(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == ".mvs" else []
    return sorted(path.glob("*.mvs")) if path.is_dir() else []


def _is_interface(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def _choose(path: Path) -> Path:
    """Return the scene file; among several, ``scene.mvs`` or the one with the shortest name (the others add points)."""
    files = [file for file in _candidates(path) if _is_interface(file)]
    if not files:
        raise FormatError(f"{path} is not an OpenMVS scene: {sniff(path)}", hint=HINT)
    return min(files, key=lambda file: (file.name != "scene.mvs", len(file.name), file.name))


def _parts(name: str) -> tuple[str, ...]:
    """Split a path written on any system, without its drive or root."""
    pure = PureWindowsPath(name) if "\\" in name or ":" in name[:3] else PurePosixPath(name)
    return pure.parts[1:] if pure.anchor else pure.parts


def _display_names(images: list[MvsImage]) -> list[str]:
    """File names; where two images share one, as much of their folders as tells them apart."""
    parts = [_parts(image.name) for image in images]
    depth = 1
    while len({part[-depth:] for part in parts}) < len(parts) and depth < max(len(part) for part in parts):
        depth += 1
    return ["/".join(part[-depth:]) for part in parts]


def _resolve(folder: Path, name: str) -> Path:
    """Find a file of the scene beside it: the longest tail of its path that exists, then the path itself."""
    parts = _parts(name)
    tails = [Path(*parts[start:]) for start in range(len(parts))]
    places = [folder / sub / tail for tail in tails for sub in IMAGE_FOLDERS]
    return next((place for place in (*places, Path(name)) if place.is_file()), folder / Path(*parts))


def _view(file: Path, platforms: list[MvsPlatform], image: MvsImage, name: str) -> View:
    try:
        platform = platforms[image.platform]
        camera, pose = platform.cameras[image.camera], platform.poses[image.pose]
    except IndexError as error:
        raise FormatError(
            f"image {image.name} of {file} refers to platform {image.platform}, camera {image.camera}, "
            f"pose {image.pose}, which the file does not hold",
            hint=HINT,
        ) from error
    photo = _resolve(file.parent, image.name)
    mask = _resolve(file.parent, image.mask) if image.mask else None
    rotation = camera.R @ pose.R
    center = pose.R.T @ camera.C + pose.C
    cam_from_world = rigid(rotation, -rotation @ center)
    if not is_rigid(cam_from_world):
        raise DataError(f"the pose of image {image.name} in {file} is not a rotation and a place", hint=HINT)
    return View(name, _pinhole(camera, cam_from_world, photo), photo, mask=mask)


def _pinhole(camera: MvsCamera, cam_from_world: np.ndarray, photo: Path) -> Camera:
    """Return the camera in our convention; without a size, ``K`` is in units of the larger side of the photograph."""
    width, height = camera.width, camera.height
    K = camera.K.copy()
    if width == 0 or height == 0:
        width, height = image_size(photo)
        K[:2] *= max(width, height)
    cx, cy = half_from_integer_centers(K[0, 2]), half_from_integer_centers(K[1, 2])
    return Camera(width, height, K[0, 0], K[1, 1], cx, cy, cam_from_world, skew=K[0, 1])
