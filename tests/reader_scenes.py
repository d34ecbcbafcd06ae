"""Small scenes that the readers' tests write and read back."""

from pathlib import Path

import numpy as np

from neuraltex.geometry.camera import Camera
from neuraltex.geometry.rigid import rigid, rotation_from_vector
from neuraltex.geometry.scene import Scene, View
from neuraltex.io.images import write_rgb

SIZE = (32, 24)


def make_camera(index: int = 0, lens: str = "pinhole", distortion: tuple[float, ...] = (), **changes: float) -> Camera:
    """A camera whose every number differs, so that no two can be mixed up unnoticed."""
    pose = rigid(rotation_from_vector(np.array([0.1, -0.2, 0.3]) * (index + 1)), np.array([0.1, -0.2, 2.0 + index]))
    values = {"fx": 30.0, "fy": 31.0, "cx": 16.25, "cy": 11.5, **changes}
    return Camera(*SIZE, **values, cam_from_world=pose, lens=lens, distortion=distortion)


def make_scene(
    folder: Path, count: int = 3, suffix: str = ".png", names: tuple[str, ...] = (), **lens: object
) -> Scene:
    """Write photographs of random colors and return the scene that holds them."""
    rng, views = np.random.default_rng(0), []
    for index in range(count):
        name = names[index] if names else f"photo_{index:03d}"
        pixels = rng.integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
        image = write_rgb(folder / f"{name}{suffix}", pixels)
        views.append(View(name, make_camera(index, **lens), image))
    return Scene("made", "test", tuple(views))


PLY = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
VERTICES = "0 0 0\n1 0 0\n0 1 0\n"


def write_triangle(path: Path) -> Path:
    """Write the smallest mesh there is."""
    faces = "element face 1\nproperty list uchar int vertex_indices\n"
    path.write_text(f"{PLY}{faces}end_header\n{VERTICES}3 0 1 2\n")
    return path


def write_points(path: Path) -> Path:
    """Write a point cloud, which must not be taken for a mesh."""
    path.write_text(f"{PLY}end_header\n{VERTICES}")
    return path


def assert_same_camera(first: Camera, second: Camera, tolerance: float = 1e-9) -> None:
    """Compare everything: sizes, intrinsics, pose and what the lens does to points."""
    assert (first.width, first.height) == (second.width, second.height)
    np.testing.assert_allclose(first.K, second.K, atol=tolerance)
    np.testing.assert_allclose(first.cam_from_world, second.cam_from_world, atol=tolerance)
    points = np.random.default_rng(1).uniform(-0.3, 0.3, (50, 3)) + first.center + first.world_from_cam[:3, 2] * 2
    np.testing.assert_allclose(first.project(points)[0], second.project(points)[0], atol=max(tolerance, 1e-9))
