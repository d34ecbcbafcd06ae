"""One gain and bias per photograph and channel, fitted in closed form to the texture at hand."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from neuraltex.fit.data import Tile, ViewStore

STRIDE = 4
"""Every so many-th pixel in both directions is enough for six numbers."""
ROBUST_SCALE = 0.05
"""Residual at which a pixel has half its weight in the second fit [color in 0 to 1]."""
RIDGE = 0.01
"""Pull of the gain towards 1, as the share of a pixel's weight times a color variance of 1; keeps flat views sane."""


@dataclass(frozen=True, eq=False)
class ColorMatch:
    """How each photograph sees the colors of the texture: ``photo = gain * texture + bias``."""

    gain: Float[Tensor, "N 3"]
    bias: Float[Tensor, "N 3"]

    @classmethod
    def identity(cls, num_views: int, device: torch.device | str = "cpu") -> "ColorMatch":
        """Photographs and texture agree."""
        return cls(torch.ones(num_views, 3, device=device), torch.zeros(num_views, 3, device=device))

    def to_photo(self, color: Float[Tensor, "*B 3"], view: int) -> Float[Tensor, "*B 3"]:
        """Turn colors of the texture into those of a photograph."""
        return color * self.gain[view] + self.bias[view]

    def to_texture(self, color: Float[Tensor, "*B 3"], view: int) -> Float[Tensor, "*B 3"]:
        """Inverse of :meth:`to_photo`."""
        return (color - self.bias[view]) / self.gain[view]

    def average(self, color: Float[Tensor, "*B 3"]) -> Float[Tensor, "*B 3"]:
        """Turn colors of the texture into those of the average photograph: the texture that fits :meth:`centered`."""
        return color * self.gain.mean(0) + self.bias.mean(0)

    def centered(self) -> "ColorMatch":
        """Fix the gauge: the average photograph sees the texture as it is (mean gain 1, mean bias 0)."""
        scale, shift = self.gain.mean(0), self.bias.mean(0)
        gain = self.gain / scale
        return ColorMatch(gain, self.bias - gain * shift)


def fit_colors(
    store: ViewStore, render: Callable[[Tile], Float[Tensor, "H W 3"]], model: Literal["none", "gain", "affine"]
) -> ColorMatch:
    """Fit the match of every photograph to a rendering of the texture."""
    matches = ColorMatch.identity(len(store), store.device)
    if model == "none":
        return matches
    for index in range(len(store)):
        tile = _thin(store.whole(index))
        used = tile.mask
        if used.sum() < 16:
            continue
        with torch.no_grad():
            rendered = render(tile)[used]
        gain, bias = robust_affine(rendered, tile.image[used], tile.weight[used], with_bias=model == "affine")
        matches.gain[index], matches.bias[index] = gain, bias
    return matches


def robust_affine(
    x: Float[Tensor, "P 3"], y: Float[Tensor, "P 3"], weight: Float[Tensor, " P"], *, with_bias: bool
) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
    """Solve ``y = gain * x + bias`` per channel by weighted least squares, twice: pixels that fit badly count less."""
    base, gain, bias = weight[:, None], torch.ones_like(x[0]), torch.zeros_like(x[0])
    w = base.expand_as(x)
    for _ in range(3):
        total = w.sum(0)
        mean_x = (w * x).sum(0) / total if with_bias else torch.zeros_like(total)
        mean_y = (w * y).sum(0) / total if with_bias else torch.zeros_like(total)
        dx, dy = x - mean_x, y - mean_y
        gain = ((w * dx * dy).sum(0) / total + RIDGE * 0.1) / ((w * dx * dx).sum(0) / total + RIDGE * 0.1)
        gain = gain.clamp(0.25, 4)
        bias = mean_y - gain * mean_x
        residual = (gain * x + bias - y).abs()
        w = base / (1 + (residual / ROBUST_SCALE) ** 2)
    return gain, bias


def _thin(tile: Tile) -> Tile:
    step = (slice(None, None, STRIDE), slice(None, None, STRIDE))
    return Tile(tile.view, tile.image[step], tile.uv[step], tile.weight[step], tile.footprint[step])
