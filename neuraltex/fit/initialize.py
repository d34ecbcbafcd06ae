"""The weighted robust mean of the photographs on the texture: a good start, and a fair result by itself."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from neuraltex.config.schema import FitConfig, TextureConfig
from neuraltex.core.conventions import GREY, chw_from_hwc, hwc_from_chw
from neuraltex.core.errors import ConfigError, DataError
from neuraltex.core.runtime import progress
from neuraltex.fit.base import MIN_SEEN
from neuraltex.fit.calibrate.color_fit import calibrate_colors
from neuraltex.fit.calibrate.exposure import ColorMatch
from neuraltex.fit.data import ViewStore
from neuraltex.fit.direct.start import direct_start
from neuraltex.fit.prior import Prior, blend_in, is_used
from neuraltex.fit.sampler import Window
from neuraltex.fit.tiles import Tile
from neuraltex.io.prepared import PreparedScene
from neuraltex.texture.fill import push_pull
from neuraltex.texture.resample import read_texture_as
from neuraltex.texture.sample import sample_bilinear, splat_bilinear

SPLAT_PIXELS = 4_000_000
"""Pixels gathered before they are splatted: a splat visits the whole texture, so many small ones are slow."""
PRIOR = 0.05
"""Weight of the coarser level in the mean of a texel, in pixels of full confidence."""


class Start(NamedTuple):
    """What a fit starts from: a texture, the sum of pixel weights of every texel, color matches, figures to report."""

    texture: Float[Tensor, "Ht Wt 3"]
    weights: Float[Tensor, "Ht Wt"]
    matches: ColorMatch
    stats: dict[str, Any]


def initial_texture(
    store: ViewStore,
    size: int,
    scene: PreparedScene,
    config: FitConfig,
    folder: Path | None = None,
    prior: Prior | None = None,
) -> Start:
    """Return the initial texture and what was found out on the way.

    Args:
        store: Photographs to fit to.
        size: Side of the texture [texel].
        scene: Where they come from; the mesh tells the direct fit which texels belong to charts.
        config: Settings.
        folder: Run folder, where a direct fit may leave its equations.
        prior: What is predicted: to start from, and to lean on.

    Raises:
        DataError: if no pixel of any photograph lies on the texture, or a given texture cannot be read.
        ConfigError: if a prediction is asked for and there is none.
    """
    kind = "given" if config.texture.init_file is not None else config.texture.init
    if kind == "direct":
        return _direct(store, size, scene, config, folder, prior)
    image, weights, matches = _mean(store, size, config) if kind == "mean" else _given(store, size, config, prior)
    if prior is not None and is_used(config.prior, prior) and kind != "given":
        blended = blend_in(image.cpu().numpy(), weights.cpu().numpy() > MIN_SEEN, prior)
        image = torch.from_numpy(blended).to(store.device)
    return Start(image, weights, matches, {})


def _given(
    store: ViewStore, size: int, config: FitConfig, prior: Prior | None
) -> tuple[Float[Tensor, "Ht Wt 3"], Float[Tensor, "Ht Wt"], ColorMatch]:
    """Start from what no photograph was looked at for: a constant, a file or a prediction."""
    texture = config.texture
    weights = _splat(store, size, lambda tile: (tile.image, tile.weight), "coverage")[1]
    if texture.init_file is None and texture.init in ("grey", "zeros"):
        value = GREY if texture.init == "grey" else 0.0
        return torch.full((size, size, 3), value, device=store.device), weights, ColorMatch.identity(len(store))
    if texture.init_file is not None:
        image = read_texture_as(texture.init_file, size)
    elif prior is None:
        raise ConfigError("nothing predicts a texture to start from", source="texture.init", hint="Choose another one")
    else:
        image = prior.texture
    return torch.from_numpy(image).to(store.device), weights, calibrate_colors(store, config.color)


def _mean(
    store: ViewStore, size: int, config: FitConfig
) -> tuple[Float[Tensor, "Ht Wt 3"], Float[Tensor, "Ht Wt"], ColorMatch]:
    matches = calibrate_colors(store, config.color)
    return *_robust_mean(store, size, config.texture, matches), matches


def _direct(
    store: ViewStore, size: int, scene: PreparedScene, config: FitConfig, folder: Path | None, prior: Prior | None
) -> Start:
    found, matches = direct_start(store, size, scene, config, folder, prior)
    colors = found.texture
    if config.loop.steps:  # mip maps and smoothness would draw what lies between charts into their borders
        colors = push_pull(colors, found.known, copy=False)
    image, weights = (torch.from_numpy(array).to(store.device) for array in (colors, found.weights))
    return Start(image, weights, matches, {"direct": found.stats})


def _robust_mean(
    store: ViewStore, size: int, texture: TextureConfig, matches: ColorMatch
) -> tuple[Float[Tensor, "Ht Wt 3"], Float[Tensor, "Ht Wt"]]:
    rounds = max(texture.init_rounds, 1)
    mean: Tensor | None = None
    weights = torch.zeros(size, size, device=store.device)
    for index in range(rounds):
        contribution = partial(_contribution, matches=matches, mean=mean, outlier=texture.init_outlier)
        sums, weights = _splat(store, size, contribution, f"mean {index + 1}/{rounds}")
        mean = coarse_to_fine_mean(sums, weights)
    assert mean is not None
    return mean, weights


def _contribution(
    tile: Tile, matches: ColorMatch, mean: Tensor | None, outlier: float
) -> tuple[Float[Tensor, "H W 3"], Float[Tensor, "H W"]]:
    """Return the colors of a photograph as the texture would show them, and their weights: less for outliers.

    The weights are those of iterated least squares with a Cauchy penalty of the difference from the mean.
    """
    color = matches.to_texture(tile.image, tile.view, tile.radius2)
    if mean is None:
        return color, tile.weight
    residual = (color - sample_bilinear(mean, tile.uv)).abs().mean(-1)
    return color, tile.weight / (1 + (residual / outlier) ** 2)


def _splat(
    store: ViewStore, size: int, contribution: Callable[[Tile], tuple[Tensor, Tensor]], label: str
) -> tuple[Float[Tensor, "Ht Wt 3"], Float[Tensor, "Ht Wt"]]:
    """Sum weighted colors and weights over all photographs; few are in memory at a time."""
    total = torch.zeros(size, size, 4, device=store.device)
    uvs: list[Tensor] = []
    values: list[Tensor] = []
    for index, data in progress(store.stream(), label=label, unit="photo", total=len(store)):
        tile = store.cut(data, Window(index, 0, 0, *store.sizes[index]))
        color, weight = contribution(tile)
        uvs.append(tile.uv[tile.mask])
        values.append(torch.cat([color * weight[..., None], weight[..., None]], -1)[tile.mask])
        if sum(map(len, uvs)) > SPLAT_PIXELS or index + 1 == len(store):
            total += splat_bilinear(torch.cat(values), torch.cat(uvs), (size, size))[0]
            uvs, values = [], []
    if not total[..., 3].any():
        raise DataError(
            "no pixel of any training photograph lies on the texture",
            source=str(store.views[0].uv.parent) if len(store) else "training views",
            hint="Check the proof sheet: cameras and mesh do not agree",
        )
    return total[..., :3], total[..., 3]


def coarse_to_fine_mean(
    sums: Float[Tensor, "Ht Wt 3"], weights: Float[Tensor, "Ht Wt"], prior: float = PRIOR
) -> Float[Tensor, "Ht Wt 3"]:
    """Divide sums by weights, leaning on coarser levels where a texel has little weight.

    Box sums over 2x2 texels are what splatting into a texture of half the size would give, so a texture that is finer
    than the photographs is filled from the level that matches them.
    """
    if min(sums.shape[:2]) <= 1 or sums.shape[0] % 2 or sums.shape[1] % 2:
        return torch.where(weights[..., None] > 0, sums / weights[..., None].clamp(min=1e-12), GREY)
    coarse = coarse_to_fine_mean(_box_sum(sums), _box_sum(weights[..., None])[..., 0], prior)
    up = functional.interpolate(chw_from_hwc(coarse)[None], scale_factor=2, mode="bilinear", align_corners=False)
    return (sums + prior * hwc_from_chw(up[0])) / (weights[..., None] + prior)


def _box_sum(image: Float[Tensor, "Ht Wt C"]) -> Float[Tensor, "h w C"]:
    return hwc_from_chw(functional.avg_pool2d(chw_from_hwc(image)[None], 2)[0]) * 4
