"""What networks are shown: named maps [N, C, H, W] on one device."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from neuraltex.learn.partial import Partial

Inputs = dict[str, Tensor]

APPEARANCE = {"color": 3, "direct": 1, "mirrored": 1, "confidence": 1}
"""Channels of what a photograph shows."""
GEOMETRY = {"normals": 3, "positions": 3, "uv": 4, "inside": 1}
"""Channels of what the target mesh looks like."""


def channels(names: Mapping[str, int]) -> int:
    """Number of channels of all maps of a kind."""
    return sum(names.values())


def stack(inputs: Inputs, names: Mapping[str, int]) -> Float[Tensor, "N C H W"]:
    """Put maps behind each other, by name and never by position."""
    return torch.cat([inputs[name] for name in names], 1)


def inputs_from_partial(partial: Partial, device: torch.device | str = "cpu") -> Inputs:
    """Return a partial texture as the inputs of a network, for a batch of one."""
    return inputs_from_arrays({name: getattr(partial, name)[None] for name in ARRAYS}, device)


ARRAYS = ("color", "direct", "mirrored", "confidence", "inside", "normals", "positions")
"""Fields of a partial texture that networks see."""
SHIFT = "shift"
"""From each texel to where its color truly lies, NaN if unknown; for a loss only, never shown to a network."""


def inputs_from_arrays(arrays: Mapping[str, np.ndarray], device: torch.device | str = "cpu") -> Inputs:
    """Turn arrays ``[N, Ht, Wt]`` or ``[N, Ht, Wt, C]`` into inputs, and add uv.

    Args:
        arrays: The fields of partial textures in :data:`ARRAYS`, and :data:`SHIFT` if known; all else is ignored.
        device: Where to put them.
    """
    names = (*ARRAYS, SHIFT) if SHIFT in arrays else ARRAYS
    found = {name: _channels_first(torch.from_numpy(np.ascontiguousarray(arrays[name]))).to(device) for name in names}
    found = {name: value.float() for name, value in found.items()}
    found["confidence"] = found["confidence"] * (found["direct"] + found["mirrored"])
    found["color"] = found["color"] * (found["direct"] + found["mirrored"])
    samples, _, height, width = found["color"].shape
    found["uv"] = encoded_uv(height, width, device).expand(samples, -1, -1, -1)
    return found


def without_mirrored(inputs: Inputs) -> Inputs:
    """Return inputs in which only what a photograph shows directly is known."""
    direct = inputs["direct"]
    maps = {name: inputs[name] * direct for name in ("color", "confidence")}
    return {**inputs, **maps, "mirrored": torch.zeros_like(direct)}


def encoded_uv(height: int, width: int, device: torch.device | str = "cpu") -> Float[Tensor, "1 4 H W"]:
    """Return sine and cosine of one turn over the texture in u, and of half a turn in v (which has two ends)."""
    u = (torch.arange(width, device=device) + 0.5) * (2 * torch.pi / width)
    v = (torch.arange(height, device=device) + 0.5) * (torch.pi / height)
    maps = torch.broadcast_tensors(u.sin(), u.cos(), v.sin()[:, None], v.cos()[:, None])
    return torch.stack(maps)[None]


def _channels_first(values: Tensor) -> Tensor:
    return values[:, None] if values.dim() == 3 else values.movedim(-1, 1)
