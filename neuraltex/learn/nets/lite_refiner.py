"""The lite refiner: a gated U-Net that repairs a sampled texture and says where to use which."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuraltex.config.learn import RefinerConfig
from neuraltex.learn.nets.inputs import APPEARANCE, GEOMETRY, Inputs, channels, stack
from neuraltex.learn.nets.outputs import Refined, Sampled
from neuraltex.learn.nets.unet import Decoder, Encoder, GatedBlock, level_widths, make_head

_SAMPLED = 4  # color and confidence
_MEAN = 3
_MARGIN = 0.02  # colors closer to black and white than this are taken for it before the logit
_MIN_VARIANCE = 1e-3  # of a color: below it, a gain would be made of noise
_MAX_GAIN = 3.0


class LiteRefiner(nn.Module):
    """Predicts refined colors and a blend mask.

    Refined colors start from a mixture of the sampled texture and the mean texture of the training, matched to what is
    known; the network decides the mixture and corrects it (on the logits). The mask starts by trusting the sample.

    Args:
        config: Settings.
        mean: Mean of the textures of the training [3, H, W].
    """

    mean: Tensor

    def __init__(self, config: RefinerConfig, mean: Float[Tensor, "3 H W"] | None = None) -> None:
        super().__init__()
        self.config = config
        widths = level_widths(config.width, config.levels)
        shown = _SAMPLED + _MEAN + channels(APPEARANCE) + (channels(GEOMETRY) if config.geometry else 0)
        self.encoder = Encoder(shown, widths, GatedBlock)
        self.decoder = Decoder(widths, widths, GatedBlock)
        self.head = make_head(widths[0], 5)
        with torch.no_grad():
            self.head.bias[4] = 1.0  # type: ignore[index]
        self.register_buffer("mean", torch.full((3, 1, 1), 0.5) if mean is None else mean.float())

    def forward(self, inputs: Inputs, sampled: Sampled) -> Refined:
        """Refine a sampled texture."""
        color, size = sampled.color.float(), sampled.color.shape[-2:]
        mean = nn.functional.interpolate(self.mean[None], size=size, mode="bilinear", align_corners=False)
        mean = match_colors(mean.expand(len(color), -1, -1, -1), inputs)
        shown = [sampled.color, sampled.confidence, mean, stack(inputs, APPEARANCE)]
        shown += [stack(inputs, GEOMETRY)] if self.config.geometry else []
        raw = self.head(self.decoder(self.encoder(torch.cat(shown, 1)))[0]).float()
        share = raw[:, 3:4].sigmoid()
        start = torch.logit((color * share + mean * (1 - share)).clamp(_MARGIN, 1 - _MARGIN))
        return Refined((start + raw[:, :3]).sigmoid(), raw[:, 4:].sigmoid())


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
