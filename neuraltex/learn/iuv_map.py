"""The three channels of an IUV image told apart, and the map of the body's mirror image."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from neuraltex.io.densepose import NUM_PARTS
from neuraltex.learn.iuv_table import Table

Order = Literal["auto", "iuv", "vui", "ivu", "uvi", "uiv", "viu"]
ORDERS: tuple[Order, ...] = ("iuv", "vui", "ivu", "uvi", "uiv", "viu")
"""What the red, green and blue channel hold; those that programs are known to write come first."""
Flip = Literal["none", "torso", "all"]
FLIPS: tuple[Flip, ...] = ("none", "torso", "all")
"""Parts whose v counts the other way."""

_TORSO = 2  # parts 1 and 2
_SWAPPED = np.array([0, 1, 2, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15, 18, 17, 20, 19, 22, 21, 24, 23])
_FLIPS_U, _FLIPS_V = (np.isin(np.arange(NUM_PARTS + 1), parts) for parts in ((3, 4, 23, 24), (1, 2)))


@dataclass(frozen=True, eq=False)
class IuvMap:
    """The channels of an IUV image, told apart; 0 is the background.

    Args:
        part: 1 to 24.
        u: Byte across the square of the part.
        v: Byte along it.
    """

    part: UInt8[np.ndarray, "H W"]
    u: UInt8[np.ndarray, "H W"]
    v: UInt8[np.ndarray, "H W"]

    def on_texture(self, table: Table) -> Float[np.ndarray, "H W 2"]:
        """Return the texture coordinates of every pixel; NaN on the background and where the table has none."""
        uv = np.full((*self.part.shape, 2), np.nan, np.float32)
        seen = self.part > 0
        uv[seen] = table[self.part[seen] - 1, self.v[seen], self.u[seen]]
        return uv

    def mirrored(self) -> "IuvMap":
        """Return the map of the body's mirror image: left parts become right ones.

        Hands and head count u the other way, the torso v (B. AlBahar et al. 2021, "Pose with style"). Its own inverse.
        """
        turn_u, turn_v = _FLIPS_U[self.part], _FLIPS_V[self.part]
        part = _SWAPPED[self.part].astype(np.uint8)
        return IuvMap(part, np.where(turn_u, 255 - self.u, self.u), np.where(turn_v, 255 - self.v, self.v))


def arrange(iuv: UInt8[np.ndarray, "H W 3"], order: Order, flip: Flip = "none") -> IuvMap:
    """Take the channels apart."""
    part, u, v = (iuv[..., order.index(channel)] for channel in "iuv")
    last = {"none": 0, "torso": _TORSO, "all": NUM_PARTS}[flip]
    return IuvMap(part, u, np.where((part > 0) & (part <= last), 255 - v, v))
