"""The weighted sum of losses that a gradient fit lowers."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from neuraltex.config.schema import LossConfig
from neuraltex.core.errors import ConfigError
from neuraltex.core.runtime import multiplies_bfloat16
from neuraltex.fit.tiles import Tile
from neuraltex.io.images import read_rgb
from neuraltex.io.weights import load_lpips_heads, load_vgg_weights
from neuraltex.losses import photometric, regularizers
from neuraltex.losses.lpips import LONG_SIDE, Lpips
from neuraltex.losses.perceptual import VggFeatures, content_loss, reduce_image, show_outside, style_loss
from neuraltex.losses.regularizers import Anchor
from neuraltex.texture.base import Texture

DATA_TERMS = ("l1", "l2", "charbonnier", "gradient", "ssim", "vgg_content", "vgg_style", "lpips")
"""Terms that compare a render with a photograph; the others concern the texture alone."""


class Objective:
    """Evaluates the terms whose weight is not 0.

    Args:
        config: Weights and layers.
        vgg: Feature extractor, needed by the VGG terms.
        lpips: Perceptual distance, needed by LPIPS.
        style: Image [h, w, 3] whose style to take; ``None`` compares with the photograph.
        amp: Evaluate perceptual terms in bfloat16; half the time where the processor multiplies such numbers.

    Raises:
        ConfigError: if all data terms have weight 0.
    """

    def __init__(
        self,
        config: LossConfig,
        vgg: VggFeatures | None = None,
        lpips: Lpips | None = None,
        style: Float[Tensor, "h w 3"] | None = None,
        *,
        amp: bool = False,
    ) -> None:
        self.config, self._vgg, self._lpips, self._amp = config, vgg, lpips, amp
        self._style = self._style_features(style)
        self.data_names = tuple(name for name in DATA_TERMS if getattr(config, name))
        if not self.data_names:
            raise ConfigError("every loss has weight 0", source="loss", hint="Give one, e.g. --loss.l1 10")

    def data_terms(
        self,
        render: Float[Tensor, "H W 3"],
        tile: Tile,
        perceptual: float = 1.0,
        shown: Bool[Tensor, "H W"] | None = None,
    ) -> dict[str, Tensor]:
        """Return the unweighted terms of one window, each a mean over its valid pixels.

        Args:
            render: The texture as the photograph would show it.
            tile: The window of the photograph.
            perceptual: Factor of the VGG and LPIPS terms; 0 leaves them out.
            shown: Pixels where VGG and LPIPS see the render, elsewhere the photograph; ``None`` takes those that count.
        """
        target, weight, terms = tile.image, tile.weight, {}
        for name in ("l1", "l2", "charbonnier"):
            if getattr(self.config, name):
                terms[name] = getattr(photometric, name)(render, target, weight)
        if self.config.gradient:
            terms["gradient"] = photometric.gradient_difference(render, target, weight)
        if self.config.ssim:
            terms["ssim"] = photometric.ssim(render, target, weight)
        if perceptual and (self.config.vgg_content or self.config.vgg_style or self.config.lpips):
            terms |= {name: perceptual * value for name, value in self._perceptual_terms(render, tile, shown).items()}
        return terms

    def texture_terms(
        self, texture: Texture, anchor: Anchor | None = None, slopes: tuple[Tensor, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Return the unweighted terms that concern the texture alone.

        Args:
            texture: The texture.
            anchor: Its start, which the anchor holds it to.
            slopes: Differences of neighbors that total variation leaves alone if the texture is one image.
        """
        terms = {}
        if self.config.anchor and anchor is not None:
            terms["anchor"] = anchor.distance(texture.image())
        if self.config.tv:
            images = [parameter for parameter in texture.parameters() if parameter.ndim == 3]
            free = slopes if slopes is not None and texture.image() is images[0] else None
            terms["tv"] = torch.stack([regularizers.total_variation(image, slopes=free) for image in images]).sum()
        if self.config.energy:
            terms["energy"] = regularizers.pyramid_energy(texture.energies())
        return terms

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """Return the weighted sum of terms."""
        return torch.stack([getattr(self.config, name) * value for name, value in terms.items()]).sum()

    def _perceptual_terms(self, render: Tensor, tile: Tile, shown: Tensor | None) -> dict[str, Tensor]:
        factor, terms = self.config.perceptual_reduce, {}
        area = _middle(tile.image.shape, self.config.perceptual_crop * factor)
        target, valid = tile.image[area][None], tile.mask[area][None]
        seen = valid if shown is None else shown[area][None]
        pred = show_outside(render[area][None], target, seen)
        pred, target = reduce_image(pred, factor), reduce_image(target, factor)
        mask, seen = (reduce_image(x[..., None].to(pred.dtype), factor)[..., 0] for x in (valid, seen))
        with torch.autocast(render.device.type, torch.bfloat16, enabled=self._amp):
            if self.config.lpips:
                assert self._lpips is not None
                terms["lpips"] = self._lpips(pred, target, mask, seen).mean()
            if self.config.vgg_content or self.config.vgg_style:
                terms |= self._vgg_terms(pred, target, mask)
        return {name: value.float() for name, value in terms.items()}

    def _vgg_terms(self, pred: Tensor, target: Tensor, mask: Tensor) -> dict[str, Tensor]:
        config, terms = self.config, {}
        assert self._vgg is not None
        ours = dict(self._vgg.walk(pred))
        with torch.no_grad():
            theirs = dict(self._vgg.walk(target))
        if config.vgg_content:
            layers = config.content_layers
            terms["vgg_content"] = content_loss([ours[x] for x in layers], [theirs[x] for x in layers], mask)
        if config.vgg_style:
            layers, example = config.style_layers, theirs if self._style is None else self._style
            style_mask = mask if self._style is None else None
            terms["vgg_style"] = style_loss([ours[x] for x in layers], [example[x] for x in layers], mask, style_mask)
        return terms

    @torch.no_grad()
    def _style_features(self, style: Tensor | None) -> dict[str, Tensor] | None:
        return None if style is None or self._vgg is None else dict(self._vgg.walk(style[None]))


def scaled_loss(config: LossConfig, sizes: Sequence[tuple[int, int]]) -> LossConfig:
    """Choose the scale at which VGG and LPIPS see photographs of some (H, W) [px], where that is left open."""
    if config.perceptual_reduce:
        return config
    return replace(config, perceptual_reduce=max(1, -(-max((max(size) for size in sizes), default=1) // LONG_SIDE)))


def build_objective(
    config: LossConfig,
    device: torch.device,
    *,
    amp: bool = False,
    vgg_weights: Path | None = None,
    lpips_weights: Path | None = None,
) -> Objective:
    """Load the networks that the terms need, and nothing else.

    Raises:
        DataError: if weights or the style image cannot be had.
    """
    vgg = lpips = style = None
    layers = config.content_layers * bool(config.vgg_content) + config.style_layers * bool(config.vgg_style)
    if layers:
        state = load_vgg_weights(config.vgg, vgg_weights)
        vgg = VggFeatures(state, tuple(dict.fromkeys(layers)), normalize=config.vgg_normalize).to(device)
    if config.lpips:
        state = load_vgg_weights("vgg16", vgg_weights if config.vgg == "vgg16" else None)
        lpips = Lpips(state, load_lpips_heads(lpips_weights)).to(device)
    if config.style_image is not None and config.vgg_style:
        style = torch.from_numpy(read_rgb(config.style_image).copy()).to(device).float() / 255
    return Objective(config, vgg, lpips, style, amp=amp and multiplies_bfloat16(device.type))


def _middle(shape: tuple[int, ...], crop: int) -> tuple[slice, slice]:
    def cut(length: int) -> slice:
        size = min(crop or length, length)
        return slice((length - size) // 2, (length - size) // 2 + size)

    return cut(shape[0]), cut(shape[1])
