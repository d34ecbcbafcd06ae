"""The accumulation in torch, for photographs that a fit keeps on a CUDA device; what it sums is solved on the CPU.

A readable twin of the CPU kernels otherwise: same arguments, same sums but for the order of additions.
"""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from neuraltex.fit.direct import reference
from neuraltex.fit.direct.equations import NormalEquations, Robust
from neuraltex.fit.direct.penalty import SHARPEST, Penalty
from neuraltex.texture.sample import sample_bilinear

CHUNK = 1 << 20
"""Pixels added at a time."""


class DeviceSums:
    """Sums over pixels on a device.

    Args:
        equations: What they are added to in the end.
        device: Where to sum.
    """

    def __init__(self, equations: NormalEquations, device: torch.device | str) -> None:
        self._equations, self._device = equations, torch.device(device)
        layout = equations.layout
        rows = torch.zeros(int(layout.offsets[-1]), 8, device=device)
        self._images = self._levels(rows)
        self._chain: tuple[object, list[Tensor]] = (None, [])

    def add_photo(
        self,
        image: UInt8[np.ndarray, "H W 3"],
        uv: Float[np.ndarray, "H W 2"],
        weight: UInt8[np.ndarray, "H W"],
        footprint: Float[np.ndarray, "H W"],
        colors: Float[np.ndarray, "K 3"],
        falloff: Float[np.ndarray, "H W"] | None = None,
        robust: Robust | Float[np.ndarray, "h w"] | None = None,
        *,
        scale: float = 1.0,
        alike: bool = False,
    ) -> None:
        """Add a photograph; see :meth:`~neuraltex.fit.direct.equations.NormalEquations.add_photo`."""
        table = torch.from_numpy(np.ascontiguousarray(colors, np.float32)).to(self._device)
        for places in torch.from_numpy(weight.reshape(-1)).nonzero()[:, 0].split(CHUNK):
            values = self._pick(image.reshape(-1, 3), places)
            if falloff is not None:
                values = (values / self._pick(falloff.reshape(-1), places)[:, None]).clamp(max=len(colors) - 2)
            pixels = self._pick(uv.reshape(-1, 2), places)
            size = (self._pick(footprint.reshape(-1), places) * scale).nan_to_num(0, 1e5, 0)
            share = self._pick(weight.reshape(-1), places) / 255 * (size**2 if alike else 1)
            found = _interpolate(table, values)
            if isinstance(robust, np.ndarray):
                share = share * self._pick(robust.reshape(-1), _square_of(places, weight.shape, robust.shape))
            elif robust is not None:
                squared = (found - self._seen(robust, pixels, size)).square().mean(-1)
                share = share * penalty_weights(robust.penalty, squared, robust.scale)
            reference.accumulate(self._images, pixels, found, share, size)

    def flush(self) -> None:
        """Add the sums to the equations and start anew."""
        for ours, theirs in zip(self._images, self._equations.images, strict=True):
            np.add(theirs, ours.cpu().numpy(), out=theirs)
            ours.zero_()

    def _pick(self, array: np.ndarray, places: Tensor) -> Tensor:
        return torch.from_numpy(array[places.numpy()]).to(self._device).float()

    def _levels(self, rows: Float[Tensor, "R C"]) -> list[Tensor]:
        parts = rows.split([height * width for height, width in self._equations.layout.sizes])
        return [part.view(*size, -1) for part, size in zip(parts, self._equations.layout.sizes, strict=True)]

    def _seen(self, robust: Robust, uv: Float[Tensor, "P 2"], footprint: Float[Tensor, " P"]) -> Float[Tensor, "P 3"]:
        """Return what the texture shows at pixels, on the level nearest to theirs."""
        if self._chain[0] is not robust.chain:
            levels = [robust.chain.level(index) for index in range(len(self._images))]
            self._chain = (robust.chain, [torch.from_numpy(level).to(self._device) for level in levels])
        nearest = (footprint.clamp(min=1).log2().clamp(max=len(self._images) - 1) + 0.5).floor()
        out = uv.new_zeros(len(uv), 3)
        for index, image in enumerate(self._chain[1]):
            chosen = nearest == index
            out[chosen] = sample_bilinear(image, uv[chosen])
        return out


def penalty_weights(penalty: Penalty, squared: Float[Tensor, "*B"], scale: float) -> Float[Tensor, "*B"]:
    """Return the weights of squared differences; twin of :func:`~neuraltex.fit.direct.penalty.weight_of`."""
    ratio = squared / scale**2
    match penalty:
        case "l1":
            return ratio.clamp(min=SHARPEST**2).rsqrt()
        case "huber":
            return ratio.clamp(min=1).rsqrt()
        case "cauchy":
            return 1 / (1 + ratio)
        case "geman_mcclure":
            return (1 + ratio) ** -2
        case _:
            return torch.ones_like(ratio)


def _square_of(places: Tensor, whole: tuple[int, ...], half: tuple[int, ...]) -> Tensor:
    """Return where in a photograph of half the size the pixels of a whole one lie."""
    row, column = places // whole[1], places % whole[1]
    return (row // 2).clamp(max=half[0] - 1) * half[1] + (column // 2).clamp(max=half[1] - 1)


def _interpolate(table: Float[Tensor, "K 3"], values: Float[Tensor, "P 3"]) -> Float[Tensor, "P 3"]:
    """Look values of each channel up in its column of a table, linearly between its rows."""
    lower = values.floor()
    first = table.gather(0, lower.long())
    second = table.gather(0, (lower.long() + 1).clamp(max=len(table) - 1))
    return first + (second - first) * (values - lower)
