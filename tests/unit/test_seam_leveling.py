"""Cut edges leveled in a finished texture."""

import numpy as np
from direct_cases import folded_mesh
from scipy.ndimage import distance_transform_edt

from neuraltex.fit.direct.seams import seam_equations
from neuraltex.fit.seam_leveling import level_seams
from neuraltex.metrics.seams import seam_jumps
from neuraltex.texture.fill import dilate, rasterize_charts

SIZE, WIDTH = 128, 6
MESH = folded_mesh()
CHARTS = rasterize_charts(MESH, SIZE)


def two_colors() -> np.ndarray:
    """One chart darker than the other, and a pattern on both."""
    texture = np.full((SIZE, SIZE, 3), 0.4, np.float32)
    texture[:, SIZE // 2 :] = 0.6
    texture += np.random.default_rng(0).uniform(-0.05, 0.05, texture.shape).astype(np.float32)
    return dilate(texture * CHARTS[..., None], CHARTS, 8)[0]


def test_both_sides_agree_afterwards() -> None:
    texture = two_colors()
    assert np.median(seam_jumps(MESH, texture)) * 255 > 20
    level_seams(texture, CHARTS, MESH, WIDTH)
    assert np.median(seam_jumps(MESH, texture)) * 255 < 1


def test_only_a_strip_along_the_edges_changes_and_smoothly() -> None:
    before, after = two_colors(), two_colors()
    used = level_seams(after, CHARTS, MESH, WIDTH)
    marked = np.ones((SIZE, SIZE), bool)
    marked.reshape(-1)[used] = False
    change, away = after - before, distance_transform_edt(marked)
    assert np.array_equal(used, seam_equations(MESH, (SIZE, SIZE)).used)
    assert not change[away > WIDTH].any()
    assert not change[~CHARTS & marked].any()
    strip, inside = (away <= WIDTH) & CHARTS, CHARTS[:, 1:] & CHARTS[:, :-1]
    assert np.abs(change[strip]).mean() > 0.01
    assert np.abs(np.diff(change, axis=1)[inside]).max() < 0.1


def test_nothing_changes_where_nothing_is_asked_for_or_nothing_jumps() -> None:
    texture = two_colors()
    assert len(level_seams(texture, CHARTS, MESH, 0)) == 0
    assert np.array_equal(texture, two_colors())
    even = np.full((SIZE, SIZE, 3), 0.3, np.float32)
    level_seams(even, CHARTS, MESH, WIDTH)
    np.testing.assert_allclose(even, 0.3, atol=1e-6)


def test_what_is_seen_stays_where_the_other_side_is_not() -> None:
    before, after = two_colors(), two_colors()
    seen = CHARTS.copy()
    seen[:, SIZE // 2 :] = False
    level_seams(after, CHARTS, MESH, WIDTH, seen)
    np.testing.assert_allclose(after[seen], before[seen], atol=1e-4)
    assert np.median(seam_jumps(MESH, after)) * 255 < 4
