"""Every usual mistake of convention is recognized by its name, and a correct scene is not accused of any."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic import lumps, orbit, photograph

from neuraltex.geometry.camera import Camera
from neuraltex.render.alignment import Alignment, check_alignment
from neuraltex.render.fragments import make_rasterizer
from neuraltex.render.silhouettes import silhouette_offset

COUNT = 12
OPENGL = np.diag([1.0, -1, -1, 1])
TURN_X = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def scene():
    mesh = lumps()
    cameras = orbit(COUNT)
    return mesh, make_rasterizer(mesh, "embree"), cameras, [photograph(mesh, camera) for camera in cameras]


def check(scene, cameras: list[Camera], names: list[str] | None = None) -> Alignment:
    mesh, rasterizer, _, photos = scene
    names = names or [f"{index:03d}" for index in range(COUNT)]
    return check_alignment(mesh, rasterizer, cameras, names, dict(enumerate(photos)))


def posed(change):
    return lambda camera: camera.with_pose(change(camera.cam_from_world))


MISTAKES = {
    "camera and world swapped: ": posed(np.linalg.inv),
    "OpenGL's, not OpenCV's": posed(lambda pose: OPENGL @ pose),
    "swapped, and camera axes of OpenGL": posed(lambda pose: np.linalg.inv(pose) @ OPENGL),
    "y and z of the world": posed(lambda pose: pose @ OPENGL),
    "that of the mesh y up": posed(lambda pose: pose @ np.linalg.inv(TURN_X)),
    "that of the mesh z up": posed(lambda pose: pose @ TURN_X),
    "x of the camera": posed(lambda pose: np.diag([-1.0, 1, 1, 1]) @ pose),
    "y of the camera": posed(lambda pose: np.diag([1.0, -1, 1, 1]) @ pose),
    "of twice the size": lambda c: replace(c, fx=c.fx * 2, fy=c.fy * 2, cx=c.cx * 2, cy=c.cy * 2),
    "of half the size": lambda c: replace(c, fx=c.fx / 2, fy=c.fy / 2, cx=c.cx / 2, cy=c.cy / 2),
    "twice too long": lambda c: replace(c, fx=c.fx * 2, fy=c.fy * 2),
    "half of what it should be": lambda c: replace(c, fx=c.fx / 2, fy=c.fy / 2),
    "intrinsics transposed": lambda c: replace(c, fx=c.fy, fy=c.fx, cx=c.cy, cy=c.cx),
}


def test_correct_scene_scores_high_and_names_nothing(scene) -> None:
    found = check(scene, scene[2])
    assert found.score > 0.85
    assert not found.suspicious


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_named(scene, name: str) -> None:
    found = check(scene, [MISTAKES[name](camera) for camera in scene[2]])
    assert name in found.likely_mistake, sorted(found.candidates.items(), key=lambda item: -item[1])[:4]
    assert found.suspicious
    assert found.corrected_score > 0.85


@pytest.mark.parametrize(("shift", "word"), [(1, "next"), (-1, "previous")])
def test_frames_off_by_one_are_named(scene, shift: int, word: str) -> None:
    found = check(scene, [scene[2][(index + shift) % COUNT] for index in range(COUNT)])
    assert "wrong frame order" in found.likely_mistake
    assert word in found.likely_mistake


def test_numeric_instead_of_alphabetic_order_is_named(scene) -> None:
    names = sorted(str(index) for index in range(COUNT))
    photos_by_number = [scene[2][names.index(str(index))] for index in range(COUNT)]
    found = check(scene, photos_by_number, names)
    assert "photographs sorted by name, poses by number" in found.likely_mistake


def test_unrelated_cameras_are_suspicious_without_a_wrong_accusation(scene) -> None:
    rng = np.random.default_rng(3)
    order = rng.permutation(COUNT)
    found = check(scene, [scene[2][index] for index in order])
    assert found.suspicious
    assert found.score < 0.45


def test_half_pixel_shows_at_silhouettes(scene) -> None:
    mesh, rasterizer, cameras, photos = scene
    right = silhouette_offset(mesh, rasterizer, cameras, photos)
    assert np.abs(right).max() < 0.15
    shifted = [replace(camera, cx=camera.cx - 0.5, cy=camera.cy - 0.5) for camera in cameras]
    wrong = silhouette_offset(mesh, rasterizer, shifted, photos)
    np.testing.assert_allclose(wrong, 0.5, atol=0.2)


def test_offset_is_unknown_without_silhouettes(scene) -> None:
    mesh, rasterizer, cameras, photos = scene
    flat = [np.full_like(photo, 0.5) for photo in photos]
    assert np.isnan(silhouette_offset(mesh, rasterizer, cameras, flat)).all()
