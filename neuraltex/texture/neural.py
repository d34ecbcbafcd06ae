"""A texture of learned features, read through a small decoder.

After J. Thies, M. Zollhöfer, M. Nießner, "Deferred Neural Rendering: Image Synthesis using Neural Textures", SIGGRAPH
2019, with the decoder reduced to a perceptron per texel so that the result can be baked into an ordinary texture.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuraltex.core.conventions import GREY
from neuraltex.core.errors import ShapeError
from neuraltex.texture.plain import check_texture
from neuraltex.texture.sample import build_mip_pyramid, sample_bilinear, sample_mip

_ROWS_PER_BAKE = 256  # rows decoded at a time; bounds the memory of the hidden layer


class NeuralTexture(nn.Module):
    """Square feature texture; color = first three features + decoder(all features).

    The decoder's last layer starts at zero, so that a new or just initialized texture is its first three features.

    Args:
        size: Side [texel].
        num_features: Features per texel, at least three.
        hidden: Width of the decoder's hidden layer.

    Raises:
        ShapeError: if there are fewer than three features.
    """

    def __init__(self, size: int, num_features: int = 8, hidden: int = 32) -> None:
        super().__init__()
        if num_features < 3:
            raise ShapeError(f"a neural texture has {num_features} features, needs at least 3", hint="Choose 3 or more")
        self.size = size
        self.features = nn.Parameter(torch.zeros(size, size, num_features))
        self.decoder = nn.Sequential(nn.Linear(num_features, hidden), nn.LeakyReLU(0.1), nn.Linear(hidden, 3))
        with torch.no_grad():
            self.features[..., :3].fill_(GREY)
            self.features[..., 3:].normal_(std=0.1)
        self._reset_residual()

    def forward(self, uv: Float[Tensor, "*B 2"], footprint: Float[Tensor, "*B"] | None = None) -> Float[Tensor, "*B 3"]:
        """Return colors at ``uv``; features are mip-mapped where a ``footprint`` [texel] is given, else bilinear."""
        if footprint is None:
            return self._decode(sample_bilinear(self.features, uv))
        return self._decode(sample_mip(build_mip_pyramid(self.features), uv, footprint))

    def image(self) -> Float[Tensor, "Ht Wt 3"]:
        """Return the colors at the texel centers, with gradients."""
        return torch.cat([self._decode(rows) for rows in self.features.split(_ROWS_PER_BAKE)])

    @torch.no_grad()
    def bake(self) -> Float[Tensor, "Ht Wt 3"]:
        """Return the colors at the texel centers, exactly as :meth:`forward` gives them there.

        Between centers a viewer interpolates colors where :meth:`forward` interpolates features.
        """
        return self.image()

    def energies(self) -> list[Float[Tensor, ""]]:
        """Return no energies: there are no levels to balance."""
        return []

    @torch.no_grad()
    def initialize_(self, texture: Float[Tensor, "Ht Wt 3"]) -> None:
        """Show ``texture`` exactly: it becomes the first three features and the decoder adds nothing yet.

        Raises:
            ShapeError: if it has another size.
        """
        check_texture(texture, self.size)
        self.features[..., :3] = texture.to(self.features)
        self._reset_residual()

    def _decode(self, features: Tensor) -> Tensor:
        return features[..., :3] + self.decoder(features)

    def _reset_residual(self) -> None:
        for parameter in self.decoder[-1].parameters():
            nn.init.zeros_(parameter)
