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


class LiteRefiner(nn.Module):
    """Predicts a correction of the sampled colors (on their logits) and a blend mask.

    The mask starts by trusting the sample.

    Args:
        config: Settings.
        mean: Mean of the textures of the training [3, H, W], shown to the network beside the sample.
    """

    mean: Tensor

    def __init__(self, config: RefinerConfig, mean: Float[Tensor, "3 H W"] | None = None) -> None:
        super().__init__()
        self.config = config
        widths = level_widths(config.width, config.levels)
        shown = _SAMPLED + _MEAN + channels(APPEARANCE) + (channels(GEOMETRY) if config.geometry else 0)
        self.encoder = Encoder(shown, widths, GatedBlock)
        self.decoder = Decoder(widths, widths, GatedBlock)
        self.head = make_head(widths[0], 4)
        with torch.no_grad():
            self.head.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 1.0]))  # type: ignore[union-attr]
        self.register_buffer("mean", torch.full((3, 1, 1), 0.5) if mean is None else mean.float())

    def forward(self, inputs: Inputs, sampled: Sampled) -> Refined:
        """Refine a sampled texture."""
        size = sampled.color.shape[-2:]
        mean = nn.functional.interpolate(self.mean[None], size=size, mode="bilinear", align_corners=False)
        shown = [sampled.color, sampled.confidence, mean.expand(len(sampled.color), -1, -1, -1)]
        shown += [stack(inputs, APPEARANCE), *([stack(inputs, GEOMETRY)] if self.config.geometry else [])]
        raw = self.head(self.decoder(self.encoder(torch.cat(shown, 1)))[0]).float()
        start = torch.logit(sampled.color.float().clamp(_MARGIN, 1 - _MARGIN))
        return Refined((start + raw[:, :3]).sigmoid(), raw[:, 3:].sigmoid())
