import numpy as np
import pytest
from box_scene import box_mesh

from neuraltex.fit.direct.seams import cut_edges
from neuraltex.metrics.seams import seam_jumps

HERE = np.array([[[0.1, 0.1], [0.1, 0.9]], [[0.3, 0.1], [0.3, 0.2]]])
THERE = np.array([[[0.9, 0.1], [0.9, 0.9]], [[0.7, 0.1], [0.7, 0.2]]])


def test_a_texture_of_one_color_has_no_seams():
    assert seam_jumps(np.full((64, 64, 3), 0.4, np.float32), HERE, THERE).max() == 0


def test_the_jump_is_the_mean_over_channels_and_edges_count_by_their_length():
    texture = np.zeros((64, 64, 3), np.float32)
    texture[:, 40:] = (0.3, 0.0, 0.0)
    texture[:, 52:] = (0.3, 0.3, 0.3)
    jumps = seam_jumps(texture, HERE, THERE)
    assert len(jumps) == 52 + 7  # 0.8 and 0.1 of 64 texels
    assert np.median(jumps) == pytest.approx(0.3)
    assert jumps[-1] == pytest.approx(0.1)


def test_each_end_meets_its_own_counterpart():
    """Swapping the ends of one side would find jumps in a texture that has none."""
    ramp = np.repeat(np.linspace(1, 0, 64, dtype=np.float32)[:, None, None], 64, 1).repeat(3, 2)
    assert seam_jumps(ramp, HERE, THERE).max() < 1e-6
    assert seam_jumps(ramp, HERE, THERE[:, ::-1]).max() > 0.1


def test_a_box_has_twelve_cut_edges_and_without_any_there_is_nothing_to_measure():
    here, there = cut_edges(box_mesh())
    assert len(here) == 12
    assert len(seam_jumps(np.zeros((8, 8, 3), np.float32), here[:0], there[:0])) == 0
