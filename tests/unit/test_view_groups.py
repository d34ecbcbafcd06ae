"""From which side held-out cameras look."""

import numpy as np
import pytest
from box_scene import box_mesh, look_at

from neuraltex.geometry.camera import Camera
from neuraltex.metrics.view_groups import view_sides

CENTER = (1.0, -2.0, 3.0)


def at(degrees: float, height: float = 1.0) -> Camera:
    angle = np.radians(degrees)
    eye = np.add(CENTER, (5 * np.cos(angle), 5 * np.sin(angle), height))
    return look_at(eye, np.array(CENTER))


def test_sides_are_relative_to_the_mean_of_the_training_cameras() -> None:
    training = [at(70, 0.5), at(110, 2.0), at(90)]
    angles = (90, 45, 140, 0, 165, -20, -45, -90, -140)
    found = view_sides(box_mesh(CENTER), training, [at(angle, 1.5) for angle in angles])
    assert found == ["front", "front", "front", "side", "side", "side", "back", "back", "back"]


def test_cameras_all_around_have_no_front() -> None:
    assert view_sides(box_mesh(CENTER), [at(angle) for angle in range(0, 360, 45)], [at(0)]) is None
    assert view_sides(box_mesh(CENTER), [], [at(0)]) is None


@pytest.mark.parametrize("limit", [(59, "front"), (62, "side"), (118, "side"), (121, "back")])
def test_limits(limit: tuple[float, str]) -> None:
    assert view_sides(box_mesh(CENTER), [at(0)], [at(limit[0])]) == [limit[1]]
