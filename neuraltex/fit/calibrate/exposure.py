"""How each photograph sees the colors of the texture: exposure, white balance, contrast, vignetting."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from neuraltex.core.errors import ConfigError

DARKEST = 1e-4
"""Colors below this are taken for this one where a power is applied, whose slope at 0 may be infinite."""
VIGNETTE_TERMS = 3
"""Coefficients of radius^2, radius^4, radius^6."""


@dataclass(frozen=True, eq=False)
class ColorMatch:
    """Colors of the texture as each photograph shows them.

    ``photo = falloff(radius) * (gain * texture ** power + bias)`` per channel, with
    ``falloff = exp(v1 radius^2 + v2 radius^4 + v3 radius^6)``, the radius 1 half a diagonal from the principal point.

    Args:
        gain: Exposure and white balance.
        bias: Black level [color in 0 to 1].
        power: Contrast.
        vignette: Coefficients v1, v2, v3; the same for photographs of one camera.
    """

    gain: Float[Tensor, "N 3"]
    bias: Float[Tensor, "N 3"]
    power: Float[Tensor, "N 3"]
    vignette: Float[Tensor, "N 3"]

    @classmethod
    def identity(cls, num_views: int, device: torch.device | str = "cpu") -> "ColorMatch":
        """Photographs and texture agree."""
        one, zero = torch.ones(num_views, 3, device=device), torch.zeros(num_views, 3, device=device)
        return cls(one, zero, one.clone(), torch.zeros(num_views, VIGNETTE_TERMS, device=device))

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], device: torch.device | str = "cpu") -> "ColorMatch":
        """Inverse of :meth:`tensors`."""
        return cls(**{name: value.to(device) for name, value in tensors.items()})

    def tensors(self) -> dict[str, Tensor]:
        """Return all numbers by name, for a checkpoint."""
        return {name: getattr(self, name) for name in ("gain", "bias", "power", "vignette")}

    def __len__(self) -> int:
        return len(self.gain)

    @property
    def is_bent(self) -> bool:
        """Some power differs from 1."""
        return bool((self.power != 1).any())

    @property
    def is_shaded(self) -> bool:
        """Some photograph has a vignette, so colors depend on the place in the photograph."""
        return bool((self.vignette != 0).any())

    def to_photo(
        self, color: Float[Tensor, "*B 3"], view: int, radius2: Float[Tensor, "*B"] | None = None
    ) -> Float[Tensor, "*B 3"]:
        """Turn colors of the texture into those of a photograph.

        Args:
            color: Colors of the texture.
            view: Index of the photograph.
            radius2: Squared radius of each pixel (``Tile.radius2``); ``None`` leaves the vignette out.
        """
        bent = color.clamp(min=DARKEST) ** self.power[view] if self.is_bent else color
        return (bent * self.gain[view] + self.bias[view]) * self._falloff(view, radius2)

    def to_texture(
        self, color: Float[Tensor, "*B 3"], view: int, radius2: Float[Tensor, "*B"] | None = None
    ) -> Float[Tensor, "*B 3"]:
        """Inverse of :meth:`to_photo`."""
        flat = (color / self._falloff(view, radius2) - self.bias[view]) / self.gain[view]
        return flat.clamp(min=DARKEST) ** (1 / self.power[view]) if self.is_bent else flat

    def falloff(self, view: int, radius2: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
        """Return what the vignette leaves of the light at squared radii."""
        v1, v2, v3 = self.vignette[view]
        return torch.exp(radius2 * (v1 + radius2 * (v2 + radius2 * v3)))

    def inverse_numbers(self, view: int) -> Float[np.ndarray, "3 3"]:
        """Return scale, shift and power per channel, for kernels; float32.

        ``texture = (photo / falloff * scale + shift) ** power``.
        """
        gain, bias, power = (x[view].cpu().numpy() for x in (self.gain, self.bias, self.power))
        return np.stack([1 / gain, -bias / gain, 1 / power]).astype(np.float32)

    def average(self, color: Float[Tensor, "*B 3"], reference: int | None = None) -> Float[Tensor, "*B 3"]:
        """Turn colors of the texture into those of the texture that fits :meth:`centered`."""
        scale, shift, power = self._gauge(reference)
        bent = color.clamp(min=DARKEST) ** power if self.is_bent else color
        return bent * scale + shift

    def centered(self, reference: int | None = None) -> "ColorMatch":
        """Fix the gauge: the reference photograph, or else the median one, sees the texture as it is.

        Medians (of the logarithm, for gains and powers) are a geometric mean that a few odd exposures do not pull.

        Args:
            reference: Index of a photograph.
        """
        scale, shift, power = self._gauge(reference)
        new_power = self.power / power
        gain = self.gain / scale**new_power
        return ColorMatch(gain, self.bias - gain * shift, new_power, self.vignette)

    def _gauge(self, reference: int | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return scale, shift and power that make the new texture, ``scale * texture ** power + shift``.

        Bias and power never occur together, so that the new match has the form of the old one.
        """
        if reference is not None:
            return self.gain[reference], self.bias[reference], self.power[reference]
        power = _median(self.power)
        relative = self.power / power
        scale = torch.exp(_median(self.gain.log() / relative))
        return scale, _median(self.bias * scale**relative / self.gain), power

    def _falloff(self, view: int, radius2: Tensor | None) -> Tensor | float:
        return self.falloff(view, radius2)[..., None] if self.is_shaded and radius2 is not None else 1.0


def find_reference(name: str, names: list[str]) -> int | None:
    """Return the index of the photograph whose colors the texture takes, ``None`` for an empty name.

    Raises:
        ConfigError: if there is no training photograph of this name.
    """
    if not name:
        return None
    if name in names:
        return names.index(name)
    near = get_close_matches(name, names, 1)
    raise ConfigError(
        f"{name!r} is not a training photograph",
        source="color.reference",
        hint=f"Did you mean {near[0]!r}?" if near else f"Use one of {', '.join(names[:3])}, ...",
    )


def _median(values: Float[Tensor, "N 3"]) -> Float[Tensor, "3"]:
    return values.quantile(0.5, 0)
