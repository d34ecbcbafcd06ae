"""The lite sampler: every texel looks at several places of the partial texture and weighs what it finds there."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuraltex.config.learn import SamplerConfig
from neuraltex.learn.nets.inputs import APPEARANCE, GEOMETRY, Inputs, channels, stack, without_mirrored
from neuraltex.learn.nets.outputs import Sampled
from neuraltex.learn.nets.sampling import identity_grid, sample_masked
from neuraltex.learn.nets.unet import Decoder, Encoder, PlainBlock, level_widths, make_head

TRUST = 0.05
"""Least weight of a known texel, whatever its confidence."""
FLOOR = 1e-3
"""Weight of a place where nothing is known, relative to one where everything is."""


class LiteSampler(nn.Module):
    """Predicts an offset and a weight for each of several bases.

    A base says for every texel where a good color is likely: at the texel itself, at its mirror image left-right, at
    the point in front of or behind it, and at that point's mirror image. They follow from the surface
    (:func:`neuraltex.learn.bases.base_grids`); the network corrects and weighs them.

    Args:
        config: Settings.
        bases: Grids of the bases [K, H, W, 2] at the size of the training; K must be ``config.hypotheses``.
    """

    bases: Tensor

    def __init__(self, config: SamplerConfig, bases: Float[Tensor, "K H W 2"] | None = None) -> None:
        super().__init__()
        self.config = config
        widths = level_widths(config.width, config.levels)
        self.appearance = Encoder(channels(APPEARANCE), widths, PlainBlock)
        narrow = [width // 2 for width in widths]
        self.geometry = Encoder(channels(GEOMETRY), narrow, PlainBlock) if config.geometry else None
        skips = [a + b for a, b in zip(widths, narrow, strict=True)] if config.geometry else widths
        self.decoder = Decoder(skips, widths, PlainBlock)
        self.offset_heads = nn.ModuleList(make_head(width, 2 * config.hypotheses) for width in widths[:-1])
        self.weight_head = make_head(widths[0], config.hypotheses)
        if bases is None:
            bases = identity_grid(1, 1).expand(config.hypotheses, -1, -1, -1).clone()
        self.register_buffer("bases", bases.float())

    def forward(self, inputs: Inputs) -> Sampled:
        """Fill a texture; whatever autocast does, places are computed in float32."""
        inputs = inputs if self.config.mirror else without_mirrored(inputs)
        features = self.appearance(stack(inputs, APPEARANCE))
        if self.geometry is not None:
            shape = self.geometry(stack(inputs, GEOMETRY))
            features = [torch.cat(pair, 1) for pair in zip(features, shape, strict=True)]
        decoded = self.decoder(features)
        return self._look(inputs, self._offsets(decoded), self.weight_head(decoded[0]).float())

    def _offsets(self, decoded: list[Tensor]) -> Float[Tensor, "N K H W 2"]:
        """Sum the offsets that every level predicts: a shift of a whole part is learned by one coarse texel."""
        size, total = decoded[0].shape[-2:], torch.zeros((), device=decoded[0].device)
        for head, features in zip(self.offset_heads, decoded, strict=True):
            raw = head(features).float()
            total = total + nn.functional.interpolate(raw, size=size, mode="bilinear", align_corners=False)
        return total.unflatten(1, (self.config.hypotheses, 2)).permute(0, 1, 3, 4, 2).tanh() * self.config.reach

    def _look(self, inputs: Inputs, offsets: Float[Tensor, "N K H W 2"], logits: Float[Tensor, "N K H W"]) -> Sampled:
        samples, count, height, width = logits.shape
        grids = self.bases_at(height, width) + offsets
        source = inputs.get("source", inputs["color"])  # blurred in the first steps of a training
        known = inputs["direct"] + inputs["mirrored"]
        weight = inputs["confidence"].clamp(min=TRUST) * known
        places = grids.reshape(samples, count * height, width, 2)
        with torch.autocast(logits.device.type, enabled=False):
            color, found = sample_masked(source.float(), weight.float(), places, wrap=self.config.wrap)
        color, found = (value.unflatten(2, (count, height)) for value in (color, found))
        weights = logits.softmax(1) * (found[:, 0] + FLOOR)
        weights = weights / weights.sum(1, keepdim=True)
        mixed = (color * weights[:, None]).sum(2)
        return Sampled(mixed, (found * weights[:, None]).sum(2), grids, weights, offsets)

    def bases_at(self, height: int, width: int) -> Float[Tensor, "K H W 2"]:
        """Return the bases at another size; the identity is exact."""
        old_height, old_width = self.bases.shape[1:3]
        if (old_height, old_width) == (height, width):
            return self.bases
        own = identity_grid(old_height, old_width, self.bases.device)
        shift = (self.bases - own).permute(0, 3, 1, 2)
        resized = nn.functional.interpolate(shift, size=(height, width), mode="nearest").permute(0, 2, 3, 1)
        return resized + identity_grid(height, width, self.bases.device)
