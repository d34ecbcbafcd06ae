"""Windows of photographs as tensors, for fits by gradients."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from neuraltex.fit.data import ViewData, squared_radius
from neuraltex.fit.sampler import Window
from neuraltex.geometry.camera import Camera


@dataclass(frozen=True, eq=False)
class Tile:
    """A window of a photograph as tensors on the device of the fit.

    Args:
        view: Index of the photograph.
        image: Its colors.
        uv: Where its pixels lie on the texture.
        weight: How far they are trusted; 0 = not used.
        footprint: Square root of their area on the texture [texel].
        radius2: Their squared distance from the principal point, 1 half a diagonal of the photograph away; ``None``
            for windows of no camera.
    """

    view: int
    image: Float[Tensor, "H W 3"]
    uv: Float[Tensor, "H W 2"]
    weight: Float[Tensor, "H W"]
    footprint: Float[Tensor, "H W"]
    radius2: Float[Tensor, "H W"] | None = None

    @property
    def mask(self) -> Bool[Tensor, "H W"]:
        """Pixels that count at all."""
        return self.weight > 0


def cut_tile(data: ViewData, window: Window, camera: Camera, device: torch.device | str) -> Tile:
    """Cut a window out of a photograph and take it to a device."""
    area = (slice(window.top, window.top + window.height), slice(window.left, window.left + window.width))
    rows, columns = (np.arange(part.start, part.stop) for part in area)

    def put(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array[area].copy()).to(device, non_blocking=True)

    return Tile(
        view=window.view,
        image=put(data.image).float() / 255,
        uv=put(data.uv),
        weight=put(data.weight).float() / 255,
        footprint=put(data.footprint).float(),
        radius2=torch.from_numpy(squared_radius(camera, rows, columns)).to(device),
    )
