import numpy as np
import pytest

from neuraltex.geometry.mesh import Mesh
from neuraltex.metrics.seams import median_seam_jump, seam_jumps


def folded(second: list[list[float]]) -> Mesh:
    """Two triangles with a common edge; the first lies at the left, uvs of the other are given."""
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 1]])
    uvs = np.array([[0.1, 0.1], [0.4, 0.1], [0.1, 0.4], *second])
    return Mesh(vertices, np.array([[0, 1, 2], [1, 3, 2]]), uvs, np.array([[0, 1, 2], [3, 4, 5]]))


APART = folded([[0.9, 0.1], [0.9, 0.4], [0.6, 0.4]])


def test_one_color_has_no_seams_and_two_colors_jump_by_their_mean_difference():
    texture = np.full((64, 64, 3), 0.4, np.float32)
    assert seam_jumps(APART, texture).max() < 1e-6
    texture[:, 32:, 0] = 0.7
    assert median_seam_jump(APART, texture) == pytest.approx(255 * 0.1, rel=1e-3)


def test_each_end_meets_its_own_counterpart():
    """Swapping the ends of one side would find jumps in a texture that has none."""
    ramp = np.repeat(np.linspace(1, 0, 64, dtype=np.float32)[:, None, None], 64, 1).repeat(3, 2)
    assert seam_jumps(APART, ramp).max() < 1e-6
    turned = folded([[0.6, 0.4], [0.9, 0.4], [0.9, 0.1]])
    assert seam_jumps(turned, ramp).max() > 0.1


def test_without_a_cut_edge_there_is_no_jump():
    joined = folded([[0.4, 0.1], [0.4, 0.4], [0.1, 0.4]])
    assert median_seam_jump(joined, np.random.default_rng(0).random((64, 64, 3))) == 0
