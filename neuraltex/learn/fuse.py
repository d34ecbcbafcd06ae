"""The training photographs of a prepared scene as one partial texture."""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from neuraltex.config.partial import PartialConfig
from neuraltex.config.prior import PriorConfig
from neuraltex.config.schema import FitConfig, PixelConfig
from neuraltex.core.runtime import progress
from neuraltex.fit.calibrate.color_fit import calibrate_colors
from neuraltex.fit.calibrate.exposure import ColorMatch
from neuraltex.fit.data import ViewStore
from neuraltex.fit.direct.layout import MipLayout
from neuraltex.fit.sampler import Window
from neuraltex.fit.tiles import Tile
from neuraltex.io.prepared import PreparedScene
from neuraltex.learn.extract import complete, find_symmetry, make_partial
from neuraltex.learn.partial import Partial
from neuraltex.texture.atlas import make_atlas
from neuraltex.texture.layout import layout_of
from neuraltex.texture.mirror import Observed, SymmetryMap
from neuraltex.texture.sample import splat_bilinear

SHARPNESS = 10.0
"""Factor of the scores of views in the softmax that fuses them (D. Svitov et al., "DINAR", ICCV 2023)."""
MIN_SCORE, RAMP = 0.15, 0.5
"""Score from which a texel counts as seen, and over which its confidence rises to 1."""
MIN_SHARE = 0.3
"""Share of a texel that the pixels of a view must cover."""
LEVELS = 4
"""Levels of the mip chain that pixels are splatted to by their footprint, so that distant views leave no holes."""


def fuse_scene(scene: PreparedScene, config: FitConfig, symmetry: SymmetryMap | None = None) -> Partial:
    """Fuse the training views: the mean of what they show, weighted by softmax(10 * cosine * confidence).

    Args:
        scene: Prepared scene.
        config: Size of the result (of ``config.prior``), how pixels are weighted and colors matched.
        symmetry: Mirror images of the texels; ``None`` leaves unseen what is known from its mirror image only.
    """
    atlas = make_atlas(scene.mesh, config.prior.size)
    fused = _fuse(scene, config)
    confidence = np.where(atlas.inside, fused.confidence, 0)
    seen = observed(fused.color, confidence, fused.source)
    layout = layout_of(scene.mesh, str(scene.info.get("name", "")))
    return make_partial(complete(seen, symmetry, PartialConfig()), atlas, scene.mesh, layout)


def scene_symmetry(scene: PreparedScene, config: PriorConfig) -> SymmetryMap | None:
    """Return the mirror images of the texels of a scene's mesh, if it is symmetric and they are wanted."""
    return find_symmetry(scene.mesh, PartialConfig(size=config.size)) if config.mirror else None


def observed(
    color: Float[np.ndarray, "Ht Wt 3"],
    confidence: Float[np.ndarray, "Ht Wt"],
    source: Float[np.ndarray, "Ht Wt 2"] | None = None,
) -> Observed:
    """Return what is seen where the confidence is not 0; ``source`` is where."""
    seen, nowhere = confidence > 0, np.float32(np.nan)
    place = np.full((*seen.shape, 2), nowhere) if source is None else np.where(seen[..., None], source, nowhere)
    shown = np.where(seen[..., None], color, 0).astype(np.float32)
    return Observed(shown, seen, np.zeros_like(seen), confidence.astype(np.float32), place)


@dataclass(eq=False)
class Fusion:
    """Sums over views.

    Args:
        size: Side [texel].
    """

    size: int
    _colors: Tensor = field(init=False)
    _total: Tensor = field(init=False)
    _best: Tensor = field(init=False)
    _source: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self._colors, self._source = torch.zeros(self.size, self.size, 3), torch.zeros(self.size, self.size, 2)
        self._total, self._best = torch.zeros(self.size, self.size), torch.zeros(self.size, self.size)

    def add(self, sums: Float[Tensor, "Ht Wt 7"]) -> None:
        """Add a view: per texel sums of weight times color, of weight times place, of weights, and of 1, by area."""
        weight, area = sums[..., 5], sums[..., 6]
        seen = (area > MIN_SHARE) & (weight > 0)
        score = torch.where(seen, weight / area.clamp(min=MIN_SHARE), 0)
        share = torch.where(seen, torch.exp(SHARPNESS * score), 0)
        means = sums[..., :5] / weight[..., None].clamp(min=1e-9)
        self._colors += share[..., None] * means[..., :3]
        self._total += share
        self._source = torch.where((score > self._best)[..., None], means[..., 3:], self._source)
        self._best = torch.maximum(self._best, score)

    @property
    def color(self) -> Float[np.ndarray, "Ht Wt 3"]:
        """Fused colors; 0 where nothing is seen."""
        return (self._colors / self._total[..., None].clamp(min=1e-9)).clamp(0, 1).numpy()

    @property
    def confidence(self) -> Float[np.ndarray, "Ht Wt"]:
        """How well the best view sees each texel, in [0, 1]."""
        return ((self._best - MIN_SCORE) / RAMP).clamp(0, 1).numpy()

    @property
    def source(self) -> Float[np.ndarray, "Ht Wt 2"]:
        """Where the best view shows it, in [0, 1] of width and height."""
        return self._source.numpy()


def _fuse(scene: PreparedScene, config: FitConfig) -> Fusion:
    size = config.prior.size
    store = ViewStore(scene.split("train"), _pixels(config.pixels), config.loop.cache_gb)
    matches, fusion = calibrate_colors(store, config.color), Fusion(size)
    for index, data in progress(store.stream(), label="fuse", unit="photo", total=len(store)):
        tile = store.cut(data, Window(index, 0, 0, *store.sizes[index]))
        fusion.add(_splat_view(tile, matches, size, size / scene.texture_size))
    return fusion


def _pixels(config: PixelConfig) -> PixelConfig:
    """Return weights that are cosine times confidence, and need no look at all photographs first."""
    return replace(config, cosine_power=1.0, footprint_power=0.0, sharpness_power=0.0)


def _splat_view(tile: Tile, matches: ColorMatch, size: int, scale: float) -> Float[Tensor, "Ht Wt 7"]:
    """Splat the pixels of a view onto the levels that their footprints cover, and add coarser levels to finer ones."""
    used, sizes = tile.mask, MipLayout.of((size, size), LEVELS).sizes
    weight, color = tile.weight[used][:, None], matches.to_texture(tile.image, tile.view, tile.radius2)[used]
    values = torch.cat([weight * color, weight * _places(tile)[used], weight, torch.ones_like(weight)], -1)
    footprint = tile.footprint[used] * scale
    values *= footprint[:, None].square()
    level = footprint.clamp(min=1).log2().round().long().clamp(max=len(sizes) - 1)
    total = torch.zeros(*sizes[-1], 7)
    for index, shape in reversed(list(enumerate(sizes))):
        if index + 1 < len(sizes):
            total = total.repeat_interleave(2, 0).repeat_interleave(2, 1) / 4
        here = level == index
        if here.any():
            total = total + splat_bilinear(values[here], tile.uv[used][here], shape)[0]
    return total


def _places(tile: Tile) -> Float[Tensor, "H W 2"]:
    """Return the place of every pixel in [0, 1] of width and height."""
    height, width = tile.weight.shape
    y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij")
    return torch.stack([x, y], -1)
