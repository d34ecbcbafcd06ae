"""The lite refiner: a gated U-Net that repairs a sampled texture and says where to use which."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuraltex.config.learn import RefinerConfig
from neuraltex.learn.nets.inputs import APPEARANCE, GEOMETRY, Inputs, channels, stack
from neuraltex.learn.nets.outputs import Refined, Sampled
from neuraltex.learn.nets.spread import spread_direct
from neuraltex.learn.nets.unet import Decoder, Encoder, GatedBlock, level_widths, make_head

_SAMPLED = 4  # color and confidence
_STARTS = 3  # sampled texture, mean texture, known colors spread
_BLEND = 3 + _STARTS  # channels of the head before it: a correction of the color, and the mixture
_MARGIN = 0.02  # colors closer to black and white than this are taken for it before the logit
_MIN_VARIANCE = 1e-3  # of a color: below it, a gain would be made of noise
_MAX_GAIN = 3.0


class LiteRefiner(nn.Module):
    """Predicts refined colors and a blend mask.

    Refined colors start from a mixture of the sampled texture, the mean texture of the training matched to what is
    known, and what is known spread smoothly; the network decides the mixture and corrects it (on the logits). The mask
    starts by trusting the sample.

    Args:
        config: Settings.
        mean: Mean of the textures of the training [3, H, W].
    """

    mean: Tensor

    def __init__(self, config: RefinerConfig, mean: Float[Tensor, "3 H W"] | None = None) -> None:
        super().__init__()
        self.config = config
        widths = level_widths(config.width, config.levels)
        shown = _SAMPLED + 3 * (_STARTS - 1) + channels(APPEARANCE) + (channels(GEOMETRY) if config.geometry else 0)
        self.encoder = Encoder(shown, widths, GatedBlock)
        self.decoder = Decoder(widths, widths, GatedBlock)
        self.head = make_head(widths[0], _BLEND + 1)
        with torch.no_grad():
            self.head.bias[_BLEND] = 1.0  # type: ignore[index]
        self.register_buffer("mean", torch.full((3, 1, 1), 0.5) if mean is None else mean.float())

    def forward(self, inputs: Inputs, sampled: Sampled) -> Refined:
        """Refine a sampled texture."""
        size = sampled.color.shape[-2:]
        mean = nn.functional.interpolate(self.mean[None], size=size, mode="bilinear", align_corners=False)
        mean = match_colors(mean.expand(len(sampled.color), -1, -1, -1), inputs)
        starts = [sampled.color.float(), mean, spread_direct(inputs)]
        shown = [*starts, sampled.confidence, stack(inputs, APPEARANCE)]
        shown += [stack(inputs, GEOMETRY)] if self.config.geometry else []
        raw = self.head(self.decoder(self.encoder(torch.cat(shown, 1)))[0]).float()
        shares = raw[:, 3:_BLEND].softmax(1)
        mixed = torch.stack([start * shares[:, k : k + 1] for k, start in enumerate(starts)]).sum(0)
        start = torch.logit(mixed.clamp(_MARGIN, 1 - _MARGIN))
        return Refined((start + raw[:, :3]).sigmoid(), raw[:, _BLEND:].sigmoid())


def match_colors(texture: Float[Tensor, "N 3 H W"], inputs: Inputs) -> Float[Tensor, "N 3 H W"]:
    """Match a texture to what is known of each sample by a gain and a bias per channel, least squares over texels.

    Args:
        texture: Complete textures.
        inputs: ``color``, ``confidence`` and ``inside`` of partial ones; without any known texel nothing changes.
    """
    weight = inputs["confidence"].float() * inputs["inside"]
    total = weight.sum((2, 3), keepdim=True)
    weight = weight / total.clamp(min=1e-6)
    known = inputs["color"].float()
    ours, theirs = ((values * weight).sum((2, 3), keepdim=True) for values in (texture, known))
    variance = ((texture - ours).square() * weight).sum((2, 3), keepdim=True)
    covariance = ((texture - ours) * (known - theirs) * weight).sum((2, 3), keepdim=True)
    gain = (covariance / variance.clamp(min=_MIN_VARIANCE)).clamp(0, _MAX_GAIN)
    matched = ((texture - ours) * gain + theirs).clamp(0, 1)
    return torch.where(total > 0, matched, texture)
