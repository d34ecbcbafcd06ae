import time

import numpy as np
import pytest

from neuraltex.core.errors import DataError, ShapeError
from neuraltex.geometry.mesh import Mesh
from neuraltex.texture.fill import dilate, push_pull, rasterize_charts


def uv_mesh(uvs, faces) -> Mesh:
    faces = np.asarray(faces)
    return Mesh(np.zeros((len(uvs), 3)), faces, np.asarray(uvs, float), faces)


def grid_mesh(cells: int, low: float, high: float, jitter: float = 0.0) -> Mesh:
    """A square of uv space cut into 2 * cells^2 triangles."""
    u, v = np.meshgrid(*[np.linspace(low, high, cells + 1)] * 2)
    uvs = np.stack([u, v], -1).reshape(-1, 2)
    inner = ((uvs > low) & (uvs < high)).all(1, keepdims=True)
    uvs = uvs + inner * np.random.default_rng(0).uniform(-jitter, jitter, uvs.shape)
    first = np.arange(cells * (cells + 1)).reshape(cells, cells + 1)[:, :-1].ravel()
    lower = np.stack([first, first + 1, first + cells + 2], 1)
    return uv_mesh(uvs, np.concatenate([lower, np.stack([first, first + cells + 2, first + cells + 1], 1)]))


def test_texels_with_their_center_inside_are_covered_and_row_zero_is_v_one():
    mesh = uv_mesh([[0, 1], [0, 0.5], [0.5, 1]], [[0, 1, 2]])
    expected = np.zeros((8, 8), bool)
    expected[:4, :4] = np.add.outer(np.arange(4), np.arange(4)) <= 3  # centers on the slanted edge count
    np.testing.assert_array_equal(rasterize_charts(mesh, 8), expected)


def test_orientation_does_not_matter():
    uvs = np.random.default_rng(0).random((3, 2))
    np.testing.assert_array_equal(
        rasterize_charts(uv_mesh(uvs, [[0, 1, 2]]), 50), rasterize_charts(uv_mesh(uvs, [[2, 1, 0]]), 50)
    )


def test_coverage_equals_a_point_in_triangle_test():
    rng = np.random.default_rng(3)
    uvs = rng.uniform(-0.2, 1.2, (15, 2))
    covered = rasterize_charts(uv_mesh(uvs, np.arange(15).reshape(5, 3)), (40, 30))
    u, v = np.meshgrid((np.arange(30) + 0.5) / 30, 1 - (np.arange(40) + 0.5) / 40)
    expected = np.zeros((40, 30), bool)
    for a, b, c in uvs.reshape(5, 3, 2):
        st = np.linalg.solve(np.stack([b - a, c - a], 1), np.stack([u, v], -1).reshape(-1, 2).T - a[:, None])
        expected |= ((st >= 0).all(0) & (st.sum(0) <= 1)).reshape(40, 30)
    np.testing.assert_array_equal(covered, expected)


@pytest.mark.parametrize("jitter", [0.0, 0.004])
def test_neighboring_faces_leave_no_gap(jitter):
    covered = rasterize_charts(grid_mesh(60, 0.25, 0.75, jitter), 256)
    expected = np.zeros((256, 256), bool)
    expected[64:192, 64:192] = True
    np.testing.assert_array_equal(covered, expected)


def test_broken_uvs_are_harmless():
    uvs = [[np.nan, 0], [0, 1], [1, 1], [1e9, 1e9], [-1e9, 1e9], [-1e9, -1e9]]
    covered = rasterize_charts(uv_mesh(uvs, [[0, 1, 2], [3, 4, 5]]), 16)
    assert covered.any()


def test_mesh_without_uv_is_refused():
    with pytest.raises(DataError, match="no texture coordinates"):
        rasterize_charts(Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]])), 8)


@pytest.mark.slow
def test_large_atlases_take_less_than_a_second():
    mesh = grid_mesh(296, 0.02, 0.98, 0.0004)
    rasterize_charts(grid_mesh(1, 0, 1), 8)
    start = time.process_time()
    rasterize_charts(mesh, 4096)
    assert time.process_time() - start < 1


def test_gutter_has_the_given_width_and_known_texels_stay():
    texture = np.zeros((11, 11, 3), np.float32)
    texture[5, 5] = 0.7
    known = np.zeros((11, 11), bool)
    known[5, 5] = True
    grown, grown_known = dilate(texture, known, 3)
    assert grown_known.sum() == 49
    assert grown_known[2:9, 2:9].all()
    np.testing.assert_allclose(grown[grown_known], 0.7, rtol=1e-6)
    assert (grown[~grown_known] == 0).all()
    assert known.sum() == 1
    assert texture.sum() == pytest.approx(2.1)


def test_gutter_texels_average_only_what_was_known_before_their_ring():
    texture = np.zeros((1, 5, 3), np.float32)
    texture[0, [0, 4]] = [[1], [3]]
    known = np.array([[True, False, False, False, True]])
    grown, _ = dilate(texture, known, 2)
    np.testing.assert_allclose(grown[0], np.repeat([[1], [1], [2], [3], [3]], 3, axis=1))


def test_no_gutter_changes_nothing():
    texture, known = np.random.default_rng(0).random((6, 6, 3)).astype(np.float32), np.eye(6, dtype=bool)
    grown, grown_known = dilate(texture, known, 0)
    np.testing.assert_array_equal(grown, texture)
    np.testing.assert_array_equal(grown_known, known)


def test_garbage_in_unknown_texels_does_not_bleed():
    known = np.zeros((32, 32), bool)
    known[10:20, 10:20] = True
    texture = np.where(known[..., None], np.full(3, 0.5), np.nan).astype(np.float32)
    filled = push_pull(*dilate(texture, known, 4))
    np.testing.assert_allclose(filled, 0.5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(64, 64), (37, 53), (1, 9), (8, 1)])
def test_filling_keeps_known_texels_and_stays_in_their_range(shape):
    rng = np.random.default_rng(0)
    texture, known = rng.random((*shape, 3)).astype(np.float32), rng.random(shape) < 0.2
    known[0, 0] = True
    filled = push_pull(texture, known)
    np.testing.assert_array_equal(filled[known], texture[known])
    assert filled.min() >= texture[known].min() - 1e-6
    assert filled.max() <= texture[known].max() + 1e-6


def test_filling_shows_no_blocks():
    """A hole between a dark and a bright side becomes a ramp: no step exceeds a few times the mean step."""
    texture = np.zeros((128, 128, 3), np.float32)
    texture[:, 96:] = 1
    known = np.zeros((128, 128), bool)
    known[:, :32] = known[:, 96:] = True
    steps = np.abs(np.diff(push_pull(texture, known)[..., 0], axis=1))
    assert steps.max() < 4 / 64
    assert np.abs(np.diff(push_pull(texture, known)[..., 0], axis=0)).max() < 1 / 64


def test_filling_from_nothing_returns_the_texture():
    texture = np.random.default_rng(0).random((8, 8, 3)).astype(np.float32)
    np.testing.assert_array_equal(push_pull(texture, np.zeros((8, 8), bool)), texture)


def test_mask_of_another_size_is_refused():
    with pytest.raises(ShapeError, match=r"\(8, 8, 3\).*\(4, 4\)"):
        push_pull(np.zeros((8, 8, 3), np.float32), np.zeros((4, 4), bool))


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_nothing(threads, monkeypatch):
    """Rows are shared among threads, and sweeps of the relaxation follow each other at a distance."""
    rng = np.random.default_rng(0)
    texture, known = rng.random((60, 50, 3)).astype(np.float32), rng.random((60, 50)) < 0.02
    for place in ("neuraltex.texture.fill", "neuraltex.core.threads"):
        monkeypatch.setattr(f"{place}.cpu_threads", lambda: threads)
    monkeypatch.setattr("neuraltex.texture.fill._TEXELS_PER_THREAD", 100)
    monkeypatch.setattr("neuraltex.texture.fill._ROWS_PER_STEP", 4)
    grown, reached = dilate(texture, known, 3)
    expected, rings = texture.copy(), known.copy()
    for _ in range(3):
        expected, rings = add_ring(expected, rings)
    np.testing.assert_array_equal(reached, rings)
    np.testing.assert_allclose(grown, expected, rtol=1e-6)
    np.testing.assert_array_equal(push_pull(texture, known), fill_last_level(texture, known))


def add_ring(texture, known):
    """One ring of :func:`dilate`, in plain NumPy."""
    height, width = known.shape
    color, count = np.pad(texture * known[..., None], ((1, 1), (1, 1), (0, 0))), np.pad(known.astype(int), 1)
    shifted = [np.s_[j : j + height, i : i + width] for j in range(3) for i in range(3)]
    near, total = sum(count[at] for at in shifted), sum(color[at] for at in shifted)
    new = ~known & (near > 0)
    texture = texture.copy()
    texture[new] = total[new] / near[new, None]
    return texture, known | new


def fill_last_level(texture, known):
    """The last level of :func:`push_pull` filled from the next one: sweep after sweep, texel after texel."""
    height, width = known.shape
    cells = (height // 2, 2, width // 2, 2)
    (a, b), (c, d) = np.moveaxis((texture * known[..., None]).reshape(*cells, 3), (1, 3), (0, 1))
    count = known.reshape(cells).sum((1, 3))
    coarse = push_pull((((a + b) + c) + d) / np.maximum(count, 1)[..., None], count > 0)
    y, x = np.indices(known.shape)
    y1 = np.clip(y // 2 + np.where(y % 2, 1, -1), 0, height // 2 - 1)
    x1 = np.clip(x // 2 + np.where(x % 2, 1, -1), 0, width // 2 - 1)
    near, far = np.float32(0.75), np.float32(0.25)
    above, below = (near * coarse[row, x // 2] + far * coarse[row, x1] for row in (y // 2, y1))
    filled = np.where(known[..., None], texture, near * above + far * below)
    for _ in range(8):
        for j, i in np.argwhere(~known):
            vertical = filled[max(j - 1, 0), i] + filled[min(j + 1, height - 1), i]
            sides = vertical + filled[j, max(i - 1, 0)] + filled[j, min(i + 1, width - 1)]
            filled[j, i] = sides * np.float32(0.25)
    return filled
