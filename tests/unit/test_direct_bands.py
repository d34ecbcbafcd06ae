"""Two bands: colors in the large from one fit, details from another."""

from pathlib import Path

import numpy as np
from direct_cases import fit_config
from plane_scene import SIZE, write_plane_scene

from neuraltex.config.schema import PixelConfig
from neuraltex.fit.calibrate.exposure import ColorMatch
from neuraltex.fit.data import ViewStore
from neuraltex.fit.direct.base import replace_base
from neuraltex.fit.direct.cells import KNOT
from neuraltex.fit.direct.chain import STEP, ColorChain, mean_levels
from neuraltex.fit.direct.layout import MipLayout
from neuraltex.fit.direct.stream import DirectFit, DirectResult


def masked_texture() -> tuple[np.ndarray, np.ndarray]:
    """Random colors where something is unknown, and cells."""
    cells = np.zeros((32, 32), np.uint8)
    cells[4:27, 6:30] = KNOT
    return np.random.default_rng(0).random((32, 32, 3)).astype(np.float32) * cells[..., None], cells


def test_another_base_moves_colors_and_keeps_details() -> None:
    texture, cells = masked_texture()
    before = texture.copy()
    *_, (coarse_cells, coarse) = mean_levels(texture, cells, 3)
    change = np.array([0.25, -0.1, 0.0], np.float32)
    replace_base(texture, coarse, coarse + change, cells, 2)
    np.testing.assert_allclose((texture - before)[cells > 0], np.tile(change, (int((cells > 0).sum()), 1)), atol=1e-6)
    assert not texture[cells == 0].any()
    assert coarse_cells.shape == (8, 8)


def test_the_same_base_changes_nothing() -> None:
    texture, cells = masked_texture()
    *_, (_, coarse) = mean_levels(texture, cells, 4)
    before = texture.copy()
    replace_base(texture, coarse, coarse.copy(), cells, 3)
    assert np.array_equal(texture, before)


def test_means_leave_out_what_is_not_unknown() -> None:
    texture, cells = masked_texture()
    (_, means), *_ = mean_levels(texture, cells, 2)
    np.testing.assert_allclose(means[13, 3], texture[26, 6:8].mean(0), rtol=1e-5)  # the row below is no unknown


def test_chain_keeps_colors_beyond_white_and_black_to_half_a_step() -> None:
    chain = ColorChain(MipLayout.of((8, 8), 2))
    texture = np.random.default_rng(1).uniform(-0.5, 2, (8, 8, 3)).astype(np.float32)
    chain.fill(texture, np.full((8, 8), KNOT, np.uint8))
    np.testing.assert_allclose(chain.level(0), texture, atol=STEP / 2 + 3e-7)
    mean = texture.reshape(4, 2, 4, 2, 3).mean((1, 3))
    np.testing.assert_allclose(chain.level(1), mean, atol=STEP)


def test_base_level_takes_colors_in_the_large_from_all_photographs_alike(tmp_path: Path) -> None:
    """One of six photographs is brighter all over: robust weights ignore it, the mean does not."""
    scene, found = write_plane_scene(tmp_path, num_views=8), []
    for level in (0, 3):
        store = ViewStore(scene.split("train"), PixelConfig(margin=0), 1.0)
        image = store.load(0).image
        image[:] = np.minimum(image.astype(int) + 60, 255)
        config = fit_config(penalty="geman_mcclure", scale=0.03, base_level=level, passes=3).direct
        fit = DirectFit(scene.mesh, SIZE, config)
        fit.run(store, ColorMatch.identity(len(store)))
        found.append(fit.finish())
    brighter = _inner(found[1]).mean() - _inner(found[0]).mean()
    assert 0.01 < brighter < 60 / 255 / 2
    details = [_inner(result) - _box(_inner(result)) for result in found]
    assert np.corrcoef(details[0].ravel(), details[1].ravel())[0, 1] > 0.97


def _inner(result: DirectResult) -> np.ndarray:
    return result.texture[8:-8, 8:-8]


def _box(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    return image.reshape(height // 8, 8, width // 8, 8, 3).mean((1, 3)).repeat(8, 0).repeat(8, 1)
