"""Calibration files of RGB-D folders.

All of them put integer coordinates on pixel centers; the shift to ours happens here, once. The one exception is a color
camera file that says otherwise in ``pixel_convention``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from neuraltex.core.conventions import half_from_integer_centers
from neuraltex.core.errors import DataError
from neuraltex.core.files import read_json
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.rigid import rigid, rotation_from_vector

SEVEN_SCENES = np.array([[585.0, 0, 320], [0, 585, 240], [0, 0, 1]])
"""Depth intrinsics that the 7-Scenes authors give for their Kinect [px], integer pixel centers, 640x480."""

INFO_NAMES = ("_info.txt", "info.txt")
MATRIX_NAMES = ("camera-intrinsics.txt", "camera_intrinsics.txt")
BROWN_FIELDS = ("k1", "k2", "p1", "p2", "k3")
COLOR_CAMERA_NAME = "color_camera.json"


@dataclass(frozen=True, eq=False)
class Intrinsics:
    """A pinhole matrix in the half-pixel convention [px] and the image size it was given for, where known."""

    K: Float[np.ndarray, "3 3"]
    size: tuple[int, int] | None = None

    def camera(self, cam_from_world: np.ndarray, size: tuple[int, int], source: str) -> Camera:
        """Return the camera of an image of ``size`` (width, height) [px].

        Raises:
            DataError: if the principal point lies outside the image, so that the file is for another size.
        """
        K, (width, height) = self.K, self.size or size
        if not (0 < K[0, 2] < width and 0 < K[1, 2] < height):
            raise DataError(
                f"the principal point ({K[0, 2]:g}, {K[1, 2]:g}) lies outside the {width}x{height} image",
                source=source,
                hint="The intrinsics are for another image size: scale them or use the original images",
            )
        fx, fy, cx, cy, skew = K[[0, 1, 0, 1, 0], [0, 1, 2, 2, 1]].tolist()
        camera = Camera(width, height, fx, fy, cx, cy, cam_from_world, skew=skew)
        return camera if (width, height) == size else camera.scaled(*size)


@dataclass(frozen=True, eq=False)
class ColorRig:
    """A color camera calibrated apart from the depth camera: its lens, and where it sits."""

    intrinsics: Intrinsics
    distortion: tuple[float, ...]
    color_from_depth: Float[np.ndarray, "4 4"]


@dataclass(frozen=True, eq=False)
class Calibration:
    """What a folder says about its cameras; ``color`` is ``None`` where it says nothing."""

    depth: Intrinsics
    color: Intrinsics | None
    depth_scale: float
    source: str


def read_calibration(folders: tuple[Path, ...]) -> Calibration:
    """Look for calibration files in the given folders, best first; without any, that of 7-Scenes."""
    for folder in folders:
        if (folder / "intrinsic" / "intrinsic_depth.txt").is_file():
            return _read_scannet(folder / "intrinsic")
        for name in INFO_NAMES:
            if (folder / name).is_file():
                return _read_info(folder / name)
        for name in MATRIX_NAMES:
            if (folder / name).is_file():
                return Calibration(_half(read_matrix(folder / name)), None, 1000.0, name)
    return Calibration(_half(SEVEN_SCENES, (640, 480)), None, 1000.0, "7-Scenes default")


def read_color_rig(path: Path) -> ColorRig:
    """Read a separate calibration of the color camera (JSON).

    Fields: ``fx fy cx cy`` [px]; optional ``k1 k2 p1 p2 k3`` (Brown), ``width height`` [px] when the images may have
    another size, ``color_from_depth_translation_m`` [world], ``color_from_depth_rotation_vector_rad`` [rad] and
    ``pixel_convention``: a text with "integer" puts pixel centers at integers; anything else, as without it, at halves.

    Raises:
        DataError: if a field is missing or not a number.
    """
    content: dict[str, Any] = read_json(path)
    try:
        fx, fy, cx, cy = (float(content[name]) for name in ("fx", "fy", "cx", "cy"))
        distortion = tuple(float(content.get(name, 0)) for name in BROWN_FIELDS)
        rotation = rotation_from_vector(_vector(content, "color_from_depth_rotation_vector_rad"))
        pose = rigid(rotation, _vector(content, "color_from_depth_translation_m"))
        size = (int(content["width"]), int(content["height"])) if "width" in content else None
    except KeyError as error:
        raise DataError(f"{path} has no field {error}", hint="Give at least fx, fy, cx and cy in pixels") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} holds a value that is no number ({error})", hint="Mend the file") from error
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
    integer = "integer" in str(content.get("pixel_convention", "half"))
    return ColorRig(_half(K, size) if integer else Intrinsics(K, size), distortion, pose)


def read_matrix(path: Path) -> np.ndarray:
    """Read a text file of 3 or 4 rows of numbers; infinite values are allowed (lost frames).

    Raises:
        DataError: if it is not a 3x3, 3x4 or 4x4 matrix.
    """
    try:
        rows = [
            [float(value) for value in line.split()] for line in path.read_text("utf-8").splitlines() if line.strip()
        ]
        matrix = np.array(rows)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a matrix ({error})", hint="Restore the file") from error
    if matrix.shape not in ((3, 3), (3, 4), (4, 4)):
        raise DataError(f"{path} holds a matrix of shape {matrix.shape}, expected 4x4 or 3x3", hint="Restore the file")
    return matrix


def _read_scannet(folder: Path) -> Calibration:
    """ScanNet's export writes both cameras as 4x4 matrices, without their image sizes."""
    color = folder / "intrinsic_color.txt"
    depth = _half(read_matrix(folder / "intrinsic_depth.txt"))
    return Calibration(depth, _half(read_matrix(color)) if color.is_file() else None, 1000.0, "intrinsic/")


def _read_info(path: Path) -> Calibration:
    """Lines ``m_key = values`` of BundleFusion and ScanNet's sensor files."""
    pairs = (line.split("=", 1) for line in path.read_text("utf-8").splitlines() if "=" in line)
    fields = {key.strip(): value.split() for key, value in pairs}
    try:
        cameras = {
            kind: _half(
                np.array(fields[f"m_calibration{kind}Intrinsic"], np.float64).reshape(4, 4),
                (int(fields[f"m_{kind.lower()}Width"][0]), int(fields[f"m_{kind.lower()}Height"][0])),
            )
            for kind in ("Depth", "Color")
        }
        scale = float(fields.get("m_depthShift", ["1000"])[0])
    except (KeyError, ValueError, IndexError) as error:
        raise DataError(
            f"{path} lacks a readable field {error}",
            hint="Restore the file, or delete it and give camera-intrinsics.txt",
        ) from error
    return Calibration(cameras["Depth"], cameras["Color"], scale, path.name)


def _half(matrix: np.ndarray, size: tuple[int, int] | None = None) -> Intrinsics:
    K = np.array(matrix[:3, :3], np.float64)
    K[0, 2], K[1, 2] = half_from_integer_centers(K[0, 2]), half_from_integer_centers(K[1, 2])
    return Intrinsics(K, size)


def _vector(content: dict[str, Any], name: str) -> np.ndarray:
    vector = np.array(content.get(name, [0, 0, 0]), np.float64)
    if vector.shape != (3,):
        raise ValueError(f"{name} needs three numbers")
    return vector
