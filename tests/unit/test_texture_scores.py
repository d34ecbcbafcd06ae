"""Scores of textures by region, compared with what they must be by hand."""

import numpy as np
import pytest

from neuraltex.learn.scores import compare_methods, score_rows, score_table
from neuraltex.metrics.texture import REGIONS, mean_scores, score_texture, texture_regions, too_dark


def masks(size=32):
    direct, mirrored, inside = (np.zeros((size, size), np.bool_) for _ in range(3))
    inside[:, 4:], direct[:, :12], mirrored[:, 8:20] = True, True, True
    return direct, mirrored, inside


def test_regions_partition_the_charts():
    regions = texture_regions(*masks())
    assert tuple(regions) == REGIONS
    counts = {name: int(mask.sum()) // 32 for name, mask in regions.items()}
    assert counts == {"all": 28, "direct": 8, "mirrored": 8, "unseen": 12, "unseen+mirrored": 20}


def test_scores_see_their_region_only():
    truth = np.full((32, 32, 3), 0.5, np.float32)
    regions = texture_regions(*masks())
    texture = truth.copy()
    texture[regions["unseen"]] += 0.1
    texture[:, :4] = 0  # outside charts
    scores = score_texture(texture, truth, regions)
    assert scores["unseen"]["psnr"] == pytest.approx(20, abs=1e-4)
    assert scores["unseen"]["l1"] == pytest.approx(0.1, abs=1e-6)
    assert scores["direct"]["psnr"] == 120
    assert scores["direct"]["ssim"] == pytest.approx(1, abs=1e-6)
    assert scores["all"]["psnr"] == pytest.approx(20 + 10 * np.log10(28 / 12), abs=1e-4)
    assert scores["unseen"]["ssim"] < 1


def test_too_dark_counts_holes_and_no_shadows():
    truth = np.full((4, 4, 3), 0.6)
    truth[3] = 0.05
    texture = truth.copy()
    texture[0], texture[3] = 0.25, 0
    everywhere = np.ones((4, 4), np.bool_)
    assert too_dark(texture, truth, everywhere) == 0.25
    texture[0] = 0.31
    assert too_dark(texture, truth, everywhere) == 0


def test_means_leave_out_regions_that_do_not_exist():
    rows = [{"all": {"psnr": 10.0}}, {"all": {"psnr": 20.0}, "unseen": {"psnr": 5.0}}]
    assert mean_scores(rows) == {"all": {"psnr": 15.0}, "unseen": {"psnr": 5.0}}


class Two:
    def __len__(self):
        return 2

    def arrays(self, index):
        direct, mirrored, inside = masks()
        truth = np.full((32, 32, 3), 0.25 * (index + 1), np.float32)
        return {"truth": truth, "direct": direct, "mirrored": mirrored, "inside": inside, "color": truth}


def test_methods_do_not_see_the_truth_and_stand_side_by_side():
    seen = []

    def grey(arrays):
        seen.append("truth" in arrays)
        return np.full_like(arrays["color"], 0.5)

    compared = compare_methods(Two(), {"grey": grey, "copy": lambda arrays: arrays["color"]})
    assert seen == [False, False]
    rows = score_rows(compared)
    assert len(rows) == 2 * len(REGIONS)
    assert rows[0] == {"region": "all", "method": "grey", **compared["grey"]["all"]}
    assert compared["grey"]["all"]["l1"] == pytest.approx(0.125)
    assert compared["copy"]["all"]["psnr"] == 120
    table = score_table(compared).splitlines()
    assert table[0] == "| region | method | psnr | ssim | l1 | too_dark |"
    assert table[2].startswith("| all | grey | 66.02 |")
    assert len(table) == 2 + len(rows)


@pytest.mark.data
def test_lpips_of_a_region_ignores_the_rest(real_lpips):
    truth = np.random.default_rng(0).random((64, 64, 3)).astype(np.float32)
    texture, regions = truth.copy(), texture_regions(*masks(64))
    texture[regions["unseen"]] = 0.5
    scores = score_texture(texture, truth, regions, real_lpips)
    assert scores["direct"]["lpips"] == pytest.approx(0, abs=1e-6)
    assert scores["unseen"]["lpips"] > scores["all"]["lpips"] > 0.05
