"""The binary interface file of OpenMVS: header ``MVSI``, versions 1 to 7, little-endian.

Strings and arrays start with a 64 bit count. Field order and the version a field appeared in follow
``libs/MVS/Interface.h`` of OpenMVS. Only platforms and images are read; points, lines and what follows them are of no
use here.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from neuraltex.core.errors import FormatError
from neuraltex.core.files import atomic_path

MAGIC = b"MVSI"
NEWEST = 7
WRITTEN = 5
"""Version that is written: the first with masks."""
NO_ID = 0xFFFFFFFF
VIEW_SCORE_BYTES = 24
HINT = "Export the scene again with OpenMVS (InterfaceCOLMAP, InterfaceOpenMVG, ...)"

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class MvsCamera:
    """A camera on a platform; ``K`` [px] with integer pixel centers, divided by the larger side if the size is 0x0."""

    width: int
    height: int
    K: Float[np.ndarray, "3 3"]
    R: Float[np.ndarray, "3 3"]
    C: Float[np.ndarray, " 3"]


@dataclass(frozen=True, eq=False)
class MvsPose:
    """A place of a platform: ``x_platform = R (x_world - C)``."""

    R: Float[np.ndarray, "3 3"]
    C: Float[np.ndarray, " 3"]


@dataclass(frozen=True, eq=False)
class MvsPlatform:
    """Cameras that move together."""

    cameras: list[MvsCamera]
    poses: list[MvsPose]


@dataclass(frozen=True)
class MvsImage:
    """A photograph; ``pose`` is :data:`NO_ID` if it was not registered."""

    name: str
    mask: str
    platform: int
    camera: int
    pose: int


def read_archive(path: Path) -> tuple[list[MvsPlatform], list[MvsImage]]:
    """Read the platforms and images.

    Raises:
        FormatError: if this is no interface file, its version is unknown, or it ends early.
    """
    stream = _Stream(path)
    platforms = stream.array(lambda: _read_platform(stream))
    return platforms, stream.array(lambda: _read_image(stream))


def write_archive(path: Path, platforms: list[MvsPlatform], images: list[MvsImage]) -> Path:
    """Write an interface file without points, in version 5."""
    parts = [MAGIC, struct.pack("<II", WRITTEN, 0), _count(platforms)]
    for platform in platforms:
        parts += [_text("platform"), _count(platform.cameras)]
        for camera in platform.cameras:
            parts += [_text("camera"), _text(""), struct.pack("<II", camera.width, camera.height)]
            parts += [_reals(camera.K), _reals(camera.R), _reals(camera.C)]
        parts += [_count(platform.poses)]
        parts += [_reals(values) for pose in platform.poses for values in (pose.R, pose.C)]
    parts += [_count(images)]
    for index, image in enumerate(images):
        parts += [_text(image.name), _text(image.mask)]
        parts += [struct.pack("<4I", image.platform, image.camera, image.pose, index)]
    parts += [bytes(8)] * 6  # points, their normals and colors; lines likewise
    parts += [_reals(np.eye(4))]
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"".join(parts))
    return path


class _Stream:
    """A position in the file; every read is checked against its end."""

    def __init__(self, path: Path) -> None:
        self.path, self.data, self.position = path, path.read_bytes(), 12
        if self.data[:4] != MAGIC:
            raise FormatError(f"{path} does not start with MVSI, so it is no OpenMVS interface file", hint=HINT)
        self.version = self.unpack("<I", 4)[0]
        if not 1 <= self.version <= NEWEST:
            raise FormatError(f"{path} has version {self.version}; 1 to {NEWEST} are known", hint=HINT)
        self.position = 12  # the version is followed by four reserved bytes

    def unpack(self, layout: str, at: int | None = None) -> tuple:
        start = self.position if at is None else at
        end = start + struct.calcsize(layout)
        if end > len(self.data):
            raise FormatError(f"{self.path} ends early, after {len(self.data)} bytes", hint=HINT)
        self.position = end
        return struct.unpack(layout, self.data[start:end])

    def count(self) -> int:
        (count,) = self.unpack("<Q")
        if count > len(self.data) - self.position:
            raise FormatError(f"{self.path} announces {count} entries at byte {self.position - 8}, too many", hint=HINT)
        return count

    def text(self) -> str:
        size = self.count()
        self.position += size
        return self.data[self.position - size : self.position].decode("utf-8", "replace")

    def reals(self, *shape: int) -> np.ndarray:
        return np.array(self.unpack(f"<{np.prod(shape)}d")).reshape(shape)

    def array(self, item: Callable[[], T]) -> list[T]:
        return [item() for _ in range(self.count())]


def _read_platform(stream: _Stream) -> MvsPlatform:
    stream.text()
    cameras = stream.array(lambda: _read_camera(stream))
    return MvsPlatform(cameras, stream.array(lambda: MvsPose(stream.reals(3, 3), stream.reals(3))))


def _read_camera(stream: _Stream) -> MvsCamera:
    stream.text()
    if stream.version > 3:
        stream.text()  # name of the spectral band
    width, height = stream.unpack("<II")
    return MvsCamera(width, height, stream.reals(3, 3), stream.reals(3, 3), stream.reals(3))


def _read_image(stream: _Stream) -> MvsImage:
    name = stream.text()
    mask = stream.text() if stream.version > 4 else ""
    image = MvsImage(name, mask, *stream.unpack("<III"))
    if stream.version > 2:
        stream.unpack("<I")  # identifier outside of the scene
    if stream.version > 6:
        stream.unpack("<3f")  # range of depths
        stream.unpack(f"<{VIEW_SCORE_BYTES * stream.count()}x")
    return image


def _count(items: list) -> bytes:
    return struct.pack("<Q", len(items))


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _reals(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, "<f8").tobytes()
