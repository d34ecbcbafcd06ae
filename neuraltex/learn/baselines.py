"""What textures are without learning: the fills that every prediction is compared with.

Convention:
    A baseline takes the arrays of a sample (:class:`neuraltex.learn.data.dataset.SampleSet`), without looking at
    ``truth``, and returns a texture [Ht, Wt, 3] in [0, 1]. Known texels keep their colors, except in ``mean``.
"""

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import distance_transform_edt

from neuraltex.core.conventions import GREY
from neuraltex.learn.bases import surface_places
from neuraltex.learn.data.packed import Arrays
from neuraltex.texture.fill import push_pull

Texture = Float[np.ndarray, "Ht Wt 3"]
Baseline = Callable[[Arrays], Texture]


def fill_nearest(color: Texture, known: Bool[np.ndarray, "Ht Wt"]) -> Texture:
    """Give every texel the color of the known one nearest on the texture; grey if none is known."""
    if not known.any():
        return np.full_like(color, GREY)
    rows, columns = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return color[rows, columns]


def fill_diffusion(color: Texture, known: Bool[np.ndarray, "Ht Wt"]) -> Texture:
    """Fill smoothly from the known texels, towards the membrane through them; grey if none is known."""
    return push_pull(color, known) if known.any() else np.full_like(color, GREY)


def fill_nearest_surface(
    color: Texture, known: Bool[np.ndarray, "Ht Wt"], positions: Texture, normals: Texture, inside: np.ndarray
) -> Texture:
    """Give every texel in a chart the color of the known one nearest on the body, whatever chart that is in.

    Args:
        color: Known colors.
        known: Texels with one.
        positions: Surface points in the canonical box.
        normals: Unit normals.
        inside: Texels in charts; others are filled from the nearest of these on the texture.
    """
    from scipy.spatial import KDTree  # noqa: PLC0415  loads slowly

    known = known & inside
    if not known.any():
        return np.full_like(color, GREY)
    places = surface_places(positions, normals)
    filled, missing = color.copy(), inside & ~known
    if missing.any():
        filled[missing] = color[known][KDTree(places[known]).query(places[missing])[1]]
    return fill_nearest(filled, inside)


def nearest(arrays: Arrays) -> Texture:
    """Direct texels and, elsewhere, the nearest of them."""
    return fill_nearest(*_known(arrays, mirror=False))


def diffusion(arrays: Arrays) -> Texture:
    """Direct texels and a smooth continuation."""
    return fill_diffusion(*_known(arrays, mirror=False))


def mirror_nearest(arrays: Arrays) -> Texture:
    """Direct and mirrored texels and, elsewhere, the nearest of them."""
    return fill_nearest(*_known(arrays, mirror=True))


def mirror_diffusion(arrays: Arrays) -> Texture:
    """Direct and mirrored texels and a smooth continuation."""
    return fill_diffusion(*_known(arrays, mirror=True))


def mirror_surface(arrays: Arrays) -> Texture:
    """Direct and mirrored texels and, elsewhere, the nearest of them on the body."""
    color, known = _known(arrays, mirror=True)
    return fill_nearest_surface(color, known, arrays["positions"], arrays["normals"], arrays["inside"])


FILLS: dict[str, Baseline] = {
    "nearest": nearest,
    "diffusion": diffusion,
    "mirror+nearest": mirror_nearest,
    "mirror+diffusion": mirror_diffusion,
    "mirror+surface": mirror_surface,
}
"""The baselines that need no training data."""


def baselines(truths: Iterable[Texture]) -> dict[str, Baseline]:
    """Return all baselines, given the true textures of the training samples.

    Args:
        truths: Each subject's counts as often as it appears.

    Returns:
        :data:`FILLS`; ``mean``, the mean texture; and ``mirror+mean``, known texels in front of the mean texture with a
        gain and a bias per channel that fit it to them.
    """
    mean = mean_texture(truths)
    return {**FILLS, "mean": lambda _: mean, "mirror+mean": lambda arrays: _over_mean(arrays, mean)}


def mean_texture(truths: Iterable[Texture]) -> Texture:
    """Return the mean of textures, float32.

    Raises:
        ValueError: if there are none.
    """
    total, count = np.zeros(1), 0
    for truth in truths:
        total, count = total + truth.astype(np.float64), count + 1
    if not count:
        raise ValueError("the mean of no textures")
    return (total / count).astype(np.float32)


def _over_mean(arrays: Arrays, mean: Texture) -> Texture:
    color, known = _known(arrays, mirror=True)
    known = known & arrays["inside"]
    if not known.any():
        return mean
    x, y = mean[known].astype(np.float64), color[known].astype(np.float64)
    variance = np.maximum(x.var(0), 1e-4)
    gain = ((x - x.mean(0)) * (y - y.mean(0))).mean(0) / variance
    fitted = np.clip(gain * (mean - x.mean(0)) + y.mean(0), 0, 1)
    return np.where(known[..., None], color, fitted).astype(np.float32)


def _known(arrays: Arrays, *, mirror: bool) -> tuple[Texture, Bool[np.ndarray, "Ht Wt"]]:
    known = arrays["direct"] | arrays["mirrored"] if mirror else arrays["direct"]
    known = np.asarray(known, np.bool_)
    return np.where(known[..., None], arrays["color"], 0).astype(np.float32), known
