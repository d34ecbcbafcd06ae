"""Scenes laid out for the original NeuralTexGen.

Layout, each part found wherever it lies below the scene folder, or passed by hand::

    room_uv.off                  STOFF: x y z s t per vertex
    list.txt                     one frame number per line (any name; Windows line ends are fine)
    frames/SCAN/camera/N.txt     4x4 world_from_cam, then 4x4 intrinsics [px], as text, for every frame its own
    frames/SCAN/color/N.jpg      photographs (.png too)

Convention:
    The first matrix is ``world_from_cam`` with OpenCV axes. The original's renderer rasterizes with OpenGL, whose first
    pixel center is (0.5, 0.5), and adds no shift: principal points are in our convention already. It also used the
    intrinsics of the first frame for all frames; here each frame has its own.

To read a single camera, for example in ``preprocessing/render_uvs.py`` (whose arguments name the size)::

    camera = read_camera(camera_dir / "17.txt", (width_original, height_original))
    camera = camera.scaled(width_output, height_output)

``list_frames(camera_dir)`` gives the frame numbers of a folder in numeric order.
"""

from pathlib import Path

import numpy as np

from neuraltex.core.errors import DataError, FormatError
from neuraltex.core.files import write_text
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.rigid import is_rigid
from neuraltex.geometry.scene import Scene, View
from neuraltex.io import off
from neuraltex.io.discover import find_mesh, image_size, place_file
from neuraltex.io.meshes import read_mesh

CAMERA_FOLDERS = ("camera", "cameras", "frames/camera", "frames/*/camera", "images", ".")
IMAGE_SUFFIXES = (".jpg", ".png", ".jpeg", ".JPG", ".PNG")
NUMBERS_PER_CAMERA = 32


def sniff(path: Path) -> str:
    """Return "" if ``path`` is laid out for NeuralTexGen, else why it is not."""
    if not path.is_dir():
        return "not a folder"
    cameras = _find_camera_dir(path)
    if cameras is None:
        return f"no folder of cameras N.txt with {NUMBERS_PER_CAMERA} numbers each"
    return "" if _find_image_dir(path, cameras) else f"no photographs N.jpg or N.png that belong to {cameras}"


def read(
    path: Path,
    *,
    mesh: Path | None = None,
    camera_dir: Path | None = None,
    image_dir: Path | None = None,
    file_list: Path | None = None,
    size: tuple[int, int] | None = None,
) -> Scene:
    """Read a scene; with ``camera_dir`` and ``image_dir`` given, ``path`` only names it.

    Args:
        path: Scene folder.
        mesh: Mesh; by default the only one in the scene folder (``*_uv.off`` preferred).
        camera_dir: Folder of ``N.txt``.
        image_dir: Folder of ``N.jpg`` or ``N.png``.
        file_list: Frame numbers to use; by default the list in the scene folder, or without one every camera.
        size: Width and height [px] that the intrinsics are for; by default those of each photograph.

    Raises:
        FormatError: if a part is missing or no frame can be used.
        DataError: if a camera or the list is broken.
    """
    camera_dir = camera_dir or _find_camera_dir(path)
    if camera_dir is None or not list_frames(camera_dir):
        raise FormatError(f"{camera_dir or path} has no cameras N.txt", hint="Pass the folder with --camera-dir")
    image_dir = image_dir or _find_image_dir(path, camera_dir)
    if image_dir is None:
        raise FormatError(f"{path} has no photographs N.jpg or N.png", hint="Pass their folder with --image-dir")
    frames, notes = _frames(path, camera_dir, file_list)
    views, lost = [], []
    for frame in frames:
        image = _image(image_dir, frame)
        numbers = _read_numbers(camera_dir / f"{frame}.txt")
        if np.isfinite(numbers).all():
            views.append(_view(frame, image, camera_dir / f"{frame}.txt", size))
        else:
            lost.append(frame)
    if not views:
        raise FormatError(f"none of the {len(frames)} cameras in {camera_dir} is finite", hint="Export them again")
    if lost:
        notes += (f"{len(lost)} frame(s) without a finite pose skipped: {', '.join(lost)}",)
    found, mesh_notes = (mesh, ()) if mesh else find_mesh(path, patterns=("*_uv", "*"))
    views.sort(key=lambda view: view.name)
    return Scene(path.resolve().name, "neural_texgen", tuple(views), mesh_path=found, notes=(*notes, *mesh_notes))


def read_camera(path: Path, size: tuple[int, int]) -> Camera:
    """Read one camera file.

    Args:
        path: ``N.txt``.
        size: Width and height of the photograph [px].

    Raises:
        DataError: if it does not hold a rigid ``world_from_cam`` and intrinsics.
    """
    world_from_cam, intrinsics = _read_numbers(path).reshape(2, 4, 4)
    if not is_rigid(world_from_cam):
        raise DataError(
            f"the first matrix of {path} is not a rotation and translation",
            hint="It must be the 4x4 world_from_cam; intrinsics come second",
        )
    K = intrinsics[:3, :3]
    if not (K[0, 0] > 0 and K[1, 1] > 0 and 0 < K[0, 2] < size[0] and 0 < K[1, 2] < size[1]):
        raise DataError(
            f"the intrinsics of {path} (focal length {K[0, 0]:g}, center {K[0, 2]:g}, {K[1, 2]:g}) do not fit "
            f"an image of {size[0]}x{size[1]}",
            hint="Give the size the intrinsics are for (WIDTH_ORIG, HEIGHT_ORIG) or the original photographs",
        )
    return Camera(*size, K[0, 0], K[1, 1], K[0, 2], K[1, 2], np.linalg.inv(world_from_cam), skew=K[0, 1])


def list_frames(camera_dir: Path) -> list[str]:
    """Frame numbers of a folder of cameras as its files spell them, in numeric order; other files are passed over."""
    return sorted((file.stem for file in camera_dir.glob("*.txt") if file.stem.isdecimal()), key=int)


def write(scene: Scene, folder: Path) -> Path:
    """Write a scene for the original's scripts: STOFF (OFF without uvs), list, cameras and photographs.

    The format knows frame numbers only: views are numbered in their order unless all their names are numbers.

    Raises:
        DataError: if a lens is not a pinhole, or there is no mesh.
    """
    if any(view.camera.lens != "pinhole" for view in scene.views):
        raise DataError("NeuralTexGen's format has no lens distortion", hint="Undistort the photographs first")
    mesh = scene.mesh or (read_mesh(scene.mesh_path) if scene.mesh_path else None)
    if mesh is None:
        raise DataError(f"scene {scene.name} has no mesh to write", hint="Pass one with --mesh")
    off.write(folder / f"{scene.name}_uv.off", mesh, uv=mesh.has_uv)
    numeric = all(view.name.isdecimal() and view.name == str(int(view.name)) for view in scene.views)
    numbers = [int(view.name) if numeric else index for index, view in enumerate(scene.views)]
    frames = folder / "frames" / scene.name
    for number, view in zip(numbers, scene.views, strict=True):
        place_file(view.image, frames / "color" / f"{number}{view.image.suffix.lower()}")
        intrinsics = np.eye(4)
        intrinsics[:3, :3] = view.camera.K
        rows = np.concatenate([view.camera.world_from_cam, intrinsics])
        text = "".join(" ".join(f"{value:.17g}" for value in row) + "\n" for row in rows)
        write_text(frames / "camera" / f"{number}.txt", text)
    write_text(folder / "list.txt", "".join(f"{number}\n" for number in numbers))
    return folder


def _read_numbers(path: Path) -> np.ndarray:
    try:
        numbers = np.array(path.read_text(encoding="utf-8", errors="replace").split(), np.float64)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist", hint="Restore it or remove the frame from the list") from error
    except ValueError as error:
        raise DataError(f"{path} is not made of numbers ({error})", hint="Export the camera again") from error
    if len(numbers) != NUMBERS_PER_CAMERA:
        raise DataError(
            f"{path} holds {len(numbers)} numbers, expected {NUMBERS_PER_CAMERA}",
            hint="It must hold the 4x4 world_from_cam and the 4x4 intrinsics",
        )
    return numbers


def _is_camera(path: Path) -> bool:
    return path.is_file() and len(path.read_bytes()[:4096].split()) == NUMBERS_PER_CAMERA


def _find_camera_dir(path: Path) -> Path | None:
    for pattern in CAMERA_FOLDERS:
        for folder in sorted(path.glob(pattern)) if pattern != "." else [path]:
            frames = list_frames(folder) if folder.is_dir() else []
            if frames and _is_camera(folder / f"{frames[0]}.txt"):
                return folder
    return None


def _find_image_dir(path: Path, cameras: Path) -> Path | None:
    folders = (cameras.parent / "color", cameras.parent / "images", path / "color", path / "images", cameras)
    frames = list_frames(cameras)
    return next((f for f in folders if any(_image(f, frame).is_file() for frame in frames)), None)


def _image(folder: Path, frame: str) -> Path:
    """Return the photograph of a frame; where there is none, the name it should have."""
    names = [folder / f"{frame}{suffix}" for suffix in IMAGE_SUFFIXES]
    return next((name for name in names if name.is_file()), names[0])


def _view(frame: str, image: Path, camera_file: Path, size: tuple[int, int] | None) -> View:
    if size is None:
        return View(frame, read_camera(camera_file, image_size(image)), image)
    camera = read_camera(camera_file, size)
    actual = image_size(image) if image.is_file() else size
    same_shape = actual[0] * size[1] == actual[1] * size[0]
    return View(frame, camera.scaled(*actual) if same_shape else camera, image)


def _frames(path: Path, camera_dir: Path, file_list: Path | None) -> tuple[list[str], tuple[str, ...]]:
    """Return the frames to use and notes on where they came from."""
    if file_list is None:
        lists = [file for file in sorted(path.glob("*.txt")) if not file.stem.isdecimal() and _is_list(file)]
        if len(lists) != 1:
            found = f"{len(lists)} file lists ({', '.join(f.name for f in lists)})" if lists else "no file list"
            return list_frames(camera_dir), (f"{found}: all {len(list_frames(camera_dir))} cameras are used",)
        file_list = lists[0]
    try:
        words = file_list.read_text(encoding="utf-8", errors="replace").split()
    except OSError as error:
        raise DataError(f"{file_list} cannot be read ({error.strerror})", hint="Check --file-list") from error
    spelled = {int(stem): stem for stem in list_frames(camera_dir)}  # the list may say 17 for 000017.txt
    stems = [Path(word).stem for word in words]
    frames = [spelled.get(int(stem), stem) for stem in stems if stem.isdecimal()]
    if len(frames) != len(words) or not frames:
        raise DataError(f"{file_list} must hold one frame number per line", hint="Remove everything else from it")
    return frames, (f"frames: {len(frames)} listed in {file_list.name}",)


def _is_list(path: Path) -> bool:
    words = path.read_bytes()[:65536].split()
    return bool(words) and all(word.isdigit() for word in words)
