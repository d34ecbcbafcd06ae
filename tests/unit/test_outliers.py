"""Regions of a photograph that no other photograph agrees with."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from plane_scene import write_plane_scene

from neuraltex.config.schema import PixelConfig
from neuraltex.fit.data import ViewStore
from neuraltex.fit.outliers import enlarge, medians, outlier_regions, thumbnail
from neuraltex.io.images import read_rgb, write_rgb

SIDE = 40
BALL = (slice(10, 22), slice(12, 24))


def plane(gains: list[float], noise: float = 0.0) -> list[np.ndarray]:
    """Return photographs of one smooth texture, each with an exposure of its own."""
    generator = np.random.default_rng(0)
    texture = 60 + 80 * generator.random((1, 1, 3)) + np.linspace(0, 60, SIDE)[:, None, None] * np.ones((1, SIDE, 1))
    return [
        np.clip(texture * gain + noise * generator.normal(size=texture.shape), 0, 255).astype(np.uint8)
        for gain in gains
    ]


def found(images: list[np.ndarray], hidden: list[tuple] | None = None, threshold: float = 0.1) -> list[np.ndarray]:
    """Look for outliers; ``hidden`` lists (photograph, area) that is not on the texture."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    uv = (np.stack([columns, rows], -1) + 0.5).astype(np.float32) / SIDE
    weights = [np.full((SIDE, SIDE), 255, np.uint8) for _ in images]
    for index, area in hidden or []:
        weights[index][area] = 0
    pictures = [thumbnail(image, uv, weight) for image, weight in zip(images, weights, strict=True)]
    return outlier_regions(pictures, threshold)


def test_only_the_photograph_with_the_thing_in_it_is_blamed() -> None:
    images = plane([1.0, 1.0, 1.0, 1.0], noise=3)
    images[2][BALL] = (250, 20, 30)
    regions = found(images)
    assert regions[2][BALL].all()
    assert regions[2].mean() < 0.25
    assert not any(regions[index].any() for index in (0, 1, 3))


def test_exposure_is_no_outlier() -> None:
    assert not any(region.any() for region in found(plane([0.7, 0.85, 1.0, 1.2, 1.3])))


def test_a_region_reaches_on_where_two_photographs_disagree() -> None:
    """Of the right half of the thing only one other photograph knows; alone it could not tell who is wrong."""
    images = plane([1.0] * 4)
    images[0][BALL] = (250, 20, 30)
    right = (BALL[0], slice(18, 24))
    assert found(images, hidden=[(2, right), (3, right)])[0][BALL].all()


def test_two_photographs_accuse_nobody() -> None:
    images = plane([1.0, 1.0])
    images[0][BALL] = 255
    assert not any(region.any() for region in found(images))


def test_fine_detail_that_is_off_is_no_region() -> None:
    images = plane([1.0] * 4)
    images[1][::4] = 255
    assert not any(region.any() for region in found(images))


def test_medians_skip_what_is_not_alive() -> None:
    group = np.array([0, 0, 0, 2, 2, 3])
    value = np.array([[9.0], [1.0], [2.0], [4.0], [8.0], [7.0]])
    alive = np.array([0.0, 1, 1, 1, 1, 0])
    assert medians(group, value, alive)[:, 0].tolist() == [1.5, 0, 6, 7]


def test_enlarged_masks_cover_cropped_rows() -> None:
    large = enlarge(np.array([[True, False], [False, True]]), (7, 6))
    assert large.shape == (7, 6)
    assert large[6].tolist() == [False] * 3 + [True] * 3


def test_a_store_hides_them_on_demand(tmp_path: Path) -> None:
    views = write_plane_scene(tmp_path).split("train")
    image = read_rgb(views[0].image)
    image[BALL] = (255, 0, 255)
    write_rgb(views[0].image, image)
    config = PixelConfig(cosine_power=0, min_cosine=0, margin=0)
    plain, careful = (ViewStore(views, replace(config, outlier_regions=x), 1) for x in (0.0, 0.1))
    assert plain.load(0).weight[BALL].any()
    middle = (slice(14, 20), BALL[1])
    assert not careful.load(0).weight[middle].any()
    assert np.array_equal(plain.load(1).weight, careful.load(1).weight)
