"""What every optimizable texture can do."""

from collections.abc import Iterator
from typing import Protocol

from jaxtyping import Float
from torch import Tensor
from torch.nn import Parameter


class Texture(Protocol):
    """A ``torch.nn.Module`` that is sampled through uv maps while fitting and baked to an image at the end."""

    def __call__(
        self, uv: Float[Tensor, "*B 2"], footprint: Float[Tensor, "*B"] | None = None
    ) -> Float[Tensor, "*B 3"]:
        """Return the colors at ``uv``; with a footprint [texel], averaged over so many texels."""
        ...

    def image(self) -> Float[Tensor, "Ht Wt 3"]:
        """Return the colors at the texel centers, with gradients."""
        ...

    def bake(self) -> Float[Tensor, "Ht Wt 3"]:
        """Return a copy of the colors at the texel centers, without gradients."""
        ...

    def initialize_(self, texture: Float[Tensor, "Ht Wt 3"]) -> None:
        """Become ``texture``: ``bake`` returns it."""
        ...

    def energies(self) -> list[Float[Tensor, ""]]:
        """Return the mean square of every level, finest first; nothing where there are no levels."""
        ...

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Return what is optimized."""
        ...
