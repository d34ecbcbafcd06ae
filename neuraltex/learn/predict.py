"""From a partial texture to a complete one."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional

from neuraltex.core.conventions import chw_from_hwc, hwc_from_chw
from neuraltex.learn.mirrored import Maps, mean_of_mirrored
from neuraltex.learn.nets.inputs import Inputs, inputs_from_partial
from neuraltex.learn.networks import TextureNetworks, freeze
from neuraltex.learn.objective import blended
from neuraltex.learn.partial import Partial
from neuraltex.learn.prediction import Prediction
from neuraltex.texture.fill import push_pull
from neuraltex.texture.layout import Layout

WHOLE = 0.99
"""Share of a texel in charts from which it counts as one of them when a prediction is enlarged."""
FEATHER = 3.0
"""Width of the rim over which observed texels fade into predicted ones [texel]."""
PAINTED = 0.5
"""Confidence of texels that are painted; those read from known ones have up to 1."""
REACH = 1 / 16
"""Distance from observed texels over which their difference from a prediction fades to 1/e, as a share of the side."""
TRUSTED = 0.3
"""Confidence from which an observed texel is taken as it is."""


class Predictor:
    """Completes partial textures over one uv layout.

    Args:
        networks: Sampler and, if there is one, refiner.
        layout: The layout they were trained for.
        size: Side of the textures they were trained on [texel]; partial textures of other sizes are brought to it.
        device: Where to work.
    """

    def __init__(
        self, networks: TextureNetworks, layout: Layout, size: int, device: torch.device | str = "cpu"
    ) -> None:
        self.networks, self.layout, self.size = networks, layout, size
        self.device = torch.device(device)
        freeze(networks.to(self.device, memory_format=torch.channels_last))  # type: ignore[call-overload]

    def __call__(self, partial: Partial, *, paste: bool = True) -> Prediction:
        """Complete a texture.

        Args:
            partial: What is known.
            paste: Put observed texels back where they are trusted; not for correspondences that may be off (IUV maps).

        Raises:
            DataError: if the partial texture has another uv layout.
        """
        self.layout.require(partial.layout, "partial texture")
        small = resize_partial(partial, self.size)
        found = self.complete(inputs_from_partial(small, self.device))
        whole = _shrunk(partial.inside[..., None].astype(np.float32), self.size)[..., 0] > WHOLE
        maps = {name: _enlarged(value, whole, partial.inside.shape) for name, value in found.items()}
        texture = maps.pop("texture")
        if paste:
            share = pasted_share(partial)[..., None]
            texture = partial.color * share + joined(texture, partial) * (1 - share)
        filled = push_pull(texture.astype(np.float32), partial.inside)
        confidence = np.where(partial.inside, maps.pop("confidence")[..., 0], 0).astype(np.float32)
        return Prediction(texture=filled, blend=maps.pop("blend")[..., 0], confidence=confidence, **maps)

    @torch.no_grad()
    def complete(self, inputs: Inputs) -> Maps:
        """Return texture, sampled, refined, blend and confidence of a batch at the size of the training."""
        return mean_of_mirrored(self._complete_once, inputs, self.networks.sampler)

    def _complete_once(self, inputs: Inputs) -> Maps:
        sampled, refined = self.networks(inputs)
        sure = sampled.confidence.clamp(0, 1)
        if refined is None:
            ones = torch.ones_like(sure)
            return {"texture": sampled.color, "sampled": sampled.color, "refined": sampled.color, "blend": ones} | {
                "confidence": sure
            }
        result = {"texture": blended(sampled, refined), "sampled": sampled.color, "refined": refined.color}
        return {**result, "blend": refined.blend, "confidence": PAINTED + (1 - PAINTED) * refined.blend * sure}


def pasted_share(partial: Partial) -> Float[np.ndarray, "Ht Wt"]:
    """Return the share of the observed color: less near the rim of what is seen, and where it is doubtful."""
    depth = distance_transform_edt(np.pad(partial.direct | ~partial.inside, 1, mode="edge"))[1:-1, 1:-1]
    rim = np.clip(depth / FEATHER, 0, 1) * partial.direct
    return (rim * np.clip(partial.confidence / TRUSTED, 0, 1)).astype(np.float32)


def joined(texture: Float[np.ndarray, "Ht Wt 3"], partial: Partial) -> Float[np.ndarray, "Ht Wt 3"]:
    """Shift a prediction near observed texels toward them, so that it continues their colors.

    What is added is the membrane through the differences at trusted texels, which fades with the distance to them
    (P. Perez et al., "Poisson image editing", SIGGRAPH 2003).
    """
    trusted = partial.direct & (partial.confidence > TRUSTED)
    if not trusted.any():
        return texture
    step = push_pull(np.where(trusted[..., None], partial.color - texture, 0).astype(np.float32), trusted)
    fade = np.exp(-distance_transform_edt(~partial.direct) / (REACH * len(trusted))).astype(np.float32)
    return (texture + step * fade[..., None]).clip(0, 1)


def resize_partial(partial: Partial, size: int) -> Partial:
    """Bring a partial texture to another size; values are means over the texels that have them."""
    if partial.inside.shape == (size, size):
        return partial
    inside, inside_share = _shrunk_mask(partial.inside, size)
    direct, _ = _shrunk_mask(partial.direct, size)
    known, known_share = _shrunk_mask(partial.known, size)
    known &= inside

    def known_mean(values: Float[np.ndarray, "Ht Wt C"]) -> Float[np.ndarray, "h w C"]:
        sums = _shrunk(values * partial.known[..., None], size)
        return np.where(known[..., None], sums / np.maximum(known_share, 1e-6), 0).astype(np.float32)

    return Partial(
        color=known_mean(partial.color),
        direct=direct & known,
        mirrored=known & ~direct,
        confidence=known_mean(partial.confidence[..., None])[..., 0],
        source=np.where(known[..., None], known_mean(np.nan_to_num(partial.source)), np.nan).astype(np.float32),
        inside=inside,
        normals=_shrunk(partial.normals, size) / np.maximum(inside_share, 1e-6),
        positions=_shrunk(partial.positions, size) / np.maximum(inside_share, 1e-6),
        layout=partial.layout,
    )


def _shrunk_mask(mask: Bool[np.ndarray, "Ht Wt"], size: int) -> tuple[Bool[np.ndarray, "h w"], np.ndarray]:
    """Return where at least half of a mask is set, and how much of it [h, w, 1]."""
    share = _shrunk(mask[..., None].astype(np.float32), size)
    return share[..., 0] >= 0.5, share


def _shrunk(values: Float[np.ndarray, "Ht Wt C"], size: int) -> Float[np.ndarray, "h w C"]:
    tensor = chw_from_hwc(torch.from_numpy(np.ascontiguousarray(values, np.float32)))[None]
    return hwc_from_chw(functional.interpolate(tensor, size=(size, size), mode="area")[0]).numpy()


def _enlarged(
    values: Float[Tensor, "1 C h w"], inside: Bool[np.ndarray, "h w"], shape: tuple[int, int]
) -> Float[np.ndarray, "Ht Wt C"]:
    """Bring a prediction to the size of the texture; what networks make between charts must not bleed into them."""
    values = values.float().cpu()
    if values.shape[-2:] == shape:
        return hwc_from_chw(values[0]).numpy()
    filled = push_pull(hwc_from_chw(values[0].expand(3, -1, -1)).numpy(), inside)
    large = functional.interpolate(chw_from_hwc(torch.from_numpy(filled))[None], size=shape, mode="bilinear")
    return hwc_from_chw(large[0, : values.shape[1]]).numpy()
