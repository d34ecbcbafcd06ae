"""How each photograph sees the colors of the texture: exposure, white balance, contrast, vignetting."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from neuraltex.core.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

DARKEST = 1e-4
"""Colors below this are taken for this one where a power is applied, whose slope at 0 may be infinite."""
VIGNETTE_TERMS = 3
"""Coefficients of radius^2, radius^4, radius^6."""


@dataclass(frozen=True, eq=False)
class ColorMatch:
    """Colors of the texture as each photograph shows them.

    ``photo = falloff(radius) * (gain * texture ** power + bias)`` per channel, with
    ``falloff = exp(v1 radius^2 + v2 radius^4 + v3 radius^6)``, the radius 1 half a diagonal from the principal point.
    Colors and radii may be arrays or tensors, and so is what comes back.

    Args:
        gain: Exposure and white balance.
        bias: Black level [color in 0 to 1].
        power: Contrast.
        vignette: Coefficients v1, v2, v3; the same for photographs of one camera.
    """

    gain: Float[np.ndarray, "N 3"]
    bias: Float[np.ndarray, "N 3"]
    power: Float[np.ndarray, "N 3"]
    vignette: Float[np.ndarray, "N 3"]

    @classmethod
    def identity(cls, num_views: int) -> "ColorMatch":
        """Photographs and texture agree."""
        one, zero = np.ones((num_views, 3), np.float32), np.zeros((num_views, 3), np.float32)
        return cls(one, zero, one, np.zeros((num_views, VIGNETTE_TERMS), np.float32))

    @classmethod
    def from_tensors(cls, tensors: "Mapping[str, Tensor]") -> "ColorMatch":
        """Inverse of :meth:`tensors`."""
        return cls(**{name: value.cpu().numpy() for name, value in tensors.items()})

    def tensors(self) -> "dict[str, Tensor]":
        """Return all numbers by name, for a checkpoint."""
        import torch  # noqa: PLC0415

        return {name: torch.from_numpy(value.copy()) for name, value in vars(self).items()}

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
        self, color: Float[Any, "*B 3"], view: int, radius2: Float[Any, "*B"] | None = None
    ) -> Float[Any, "*B 3"]:
        """Turn colors of the texture into those of a photograph.

        Args:
            color: Colors of the texture.
            view: Index of the photograph.
            radius2: Squared radius of each pixel (``Tile.radius2``); ``None`` leaves the vignette out.
        """
        gain, bias, power = (_like(color, x[view]) for x in (self.gain, self.bias, self.power))
        bent = color.clip(min=DARKEST) ** power if self.is_bent else color
        return (bent * gain + bias) * self._falloff(view, radius2)

    def to_texture(
        self, color: Float[Any, "*B 3"], view: int, radius2: Float[Any, "*B"] | None = None
    ) -> Float[Any, "*B 3"]:
        """Inverse of :meth:`to_photo`."""
        gain, bias, power = (_like(color, x[view]) for x in (self.gain, self.bias, self.power))
        flat = (color / self._falloff(view, radius2) - bias) / gain
        return flat.clip(min=DARKEST) ** (1 / power) if self.is_bent else flat

    def falloff(self, view: int, radius2: Float[Any, "*B"]) -> Float[Any, "*B"]:
        """Return what the vignette leaves of the light at squared radii."""
        v1, v2, v3 = map(float, self.vignette[view])
        exponent = radius2 * (v1 + radius2 * (v2 + radius2 * v3))
        return np.exp(exponent) if isinstance(exponent, np.ndarray) else exponent.exp()

    def inverse_numbers(self, view: int) -> Float[np.ndarray, "3 3"]:
        """Return scale, shift and power per channel, for kernels; float32.

        ``texture = (photo / falloff * scale + shift) ** power``.
        """
        gain, bias, power = (x[view] for x in (self.gain, self.bias, self.power))
        return np.stack([1 / gain, -bias / gain, 1 / power]).astype(np.float32)

    def average(self, color: Float[Any, "*B 3"], reference: int | None = None) -> Float[Any, "*B 3"]:
        """Turn colors of the texture into those of the texture that fits :meth:`centered`."""
        scale, shift, power = (_like(color, x) for x in self._gauge(reference))
        bent = color.clip(min=DARKEST) ** power if self.is_bent else color
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

    def _gauge(self, reference: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return scale, shift and power that make the new texture, ``scale * texture ** power + shift``.

        Bias and power never occur together, so that the new match has the form of the old one.
        """
        if reference is not None:
            return self.gain[reference], self.bias[reference], self.power[reference]
        power = _median(self.power)
        relative = self.power / power
        scale = np.exp(_median(np.log(self.gain) / relative))
        return scale, _median(self.bias * scale**relative / self.gain), power

    def _falloff(self, view: int, radius2: Float[Any, "*B"] | None) -> Any:
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


def _median(values: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "3"]:
    return np.median(values, 0).astype(np.float32)


def _like(other: Any, values: Float[np.ndarray, "3"]) -> Float[Any, "3"]:
    """Return three numbers as what the other array is: a tensor on the same device, or as they are."""
    return values if isinstance(other, np.ndarray) else other.new_tensor(values)
