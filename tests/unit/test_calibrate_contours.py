"""All cameras moved together until contours of the mesh meet edges of the photographs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from neuraltex.fit.calibrate.contours import edge_offsets, find_contours, move_onto_contours, move_world
from neuraltex.fit.calibrate.rounds import Surface
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.geometry.rigid import rigid, rotation_from_vector
from neuraltex.render.fragments import make_rasterizer
from neuraltex.render.uv_maps import render_maps

WRONG = np.array([0.004, -0.003, 0.005, 0.008, -0.006, 0.01])
"""Motion of the world of a pixel or two."""


@dataclass(frozen=True)
class Photograph:
    """What contours need of a view."""

    image: np.ndarray

    def load_image(self) -> np.ndarray:
        return self.image


@pytest.fixture(scope="module")
def surface() -> Surface:
    """Three plates at different depths before a wall."""
    square = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    parts = [
        4 * square + (0, 0, 3),
        0.3 * square + (-0.5, 0.1, 1.5),
        0.25 * square + (0.5, 0.3, 2),
        0.2 * square + (0.1, -0.4, 1),
    ]
    vertices = np.concatenate(parts)
    faces = np.concatenate([np.array([[0, 1, 2], [0, 2, 3]]) + 4 * k for k in range(len(parts))])
    mesh = Mesh(vertices, faces, uvs=np.tile(square[:, :2] / 2 + 0.5, (len(parts), 1)), uv_faces=faces)
    return Surface(mesh, make_rasterizer(mesh, "embree"))


@pytest.fixture(scope="module")
def cameras() -> list[Camera]:
    angles = [(0.0, 0.0), (0.1, 0.1), (-0.15, 0.05), (0.05, -0.2)]
    poses = [rigid(rotation_from_vector(np.array([a, b, 0.3 * a])), np.array([b, -a, 0.1])) for a, b in angles]
    return [Camera(240, 200, 200.0, 200.0, 120.0, 100.0, pose) for pose in poses]


def photographs(surface: Surface, cameras: Sequence[Camera]) -> list[Photograph]:
    """Paint surfaces by their depth: plates bright, the wall dark."""
    depths = [render_maps(surface.rasterizer, surface.mesh, camera, 1).depth for camera in cameras]
    return [Photograph(np.where(depth[..., None] < 2.5, 220, 40).astype(np.uint8).repeat(3, -1)) for depth in depths]


def misplaced(camera: Camera, exact: Camera, surface: Surface) -> float:
    """Distance between where two cameras see the contours [px rms]."""
    points = find_contours(exact, surface).points
    offset = camera.project(points)[0] - exact.project(points)[0]
    return float(np.sqrt((offset**2).sum(1).mean()))


def test_exact_cameras_see_edges_on_contours(surface: Surface, cameras: list[Camera]) -> None:
    photo = photographs(surface, cameras)[1].image / 255
    offset, weight = edge_offsets(photo, find_contours(cameras[1], surface))
    assert (weight > 0).mean() > 0.9
    assert abs(np.average(offset, weights=weight)) < 0.1


def test_a_motion_of_all_cameras_is_taken_back(surface: Surface, cameras: list[Camera]) -> None:
    views = photographs(surface, cameras)
    wrong = [move_world(camera, WRONG) for camera in cameras]
    found = move_onto_contours(views, wrong, surface, 4)  # type: ignore[arg-type]
    before = [misplaced(*pair, surface) for pair in zip(wrong, cameras, strict=True)]
    after = [misplaced(*pair, surface) for pair in zip(found, cameras, strict=True)]
    assert min(before) > 0.8
    assert max(after) < 0.15


def test_photographs_without_edges_move_nothing(surface: Surface, cameras: list[Camera]) -> None:
    grey = [Photograph(np.full((200, 240, 3), 128, np.uint8)) for _ in cameras]
    found = move_onto_contours(grey, cameras, surface, 2)  # type: ignore[arg-type]
    assert all(a is b for a, b in zip(found, cameras, strict=True))
