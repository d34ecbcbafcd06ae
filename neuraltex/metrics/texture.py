"""Scores of a texture against the true one, region by region.

Convention:
    Textures are [Ht, Wt, 3] arrays in [0, 1]; regions are masks of texels. Outside a region both textures show the
    same, so that windows and features that reach beyond it see no difference there.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float

from neuraltex.losses.lpips import Lpips
from neuraltex.metrics.image import psnr, ssim

Texture = Float[np.ndarray, "Ht Wt 3"]
Mask = Bool[np.ndarray, "Ht Wt"]
Scores = dict[str, dict[str, float]]
"""Metric by region."""

REGIONS = ("all", "direct", "mirrored", "unseen", "unseen+mirrored")
METRICS = ("psnr", "ssim", "l1", "lpips", "too_dark")
DARK_SHARE, DARK_FLOOR = 0.5, 0.1
"""A texel is too dark below this share of the true luma, where that is above the floor: holes, not shadows."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601


def texture_regions(direct: Mask, mirrored: Mask, inside: Mask) -> dict[str, Mask]:
    """Return the regions that textures are scored on.

    Args:
        direct: Texels that a photograph shows.
        mirrored: Texels known from their mirror image only.
        inside: Texels in charts.
    """
    direct, mirrored = direct & inside, mirrored & inside & ~direct
    masks = (inside, direct, mirrored, inside & ~direct & ~mirrored, inside & ~direct)
    return dict(zip(REGIONS, masks, strict=True))


def score_texture(texture: Texture, truth: Texture, regions: Mapping[str, Mask], lpips: Lpips | None = None) -> Scores:
    """Return the scores of a texture over each region that has texels.

    Args:
        texture: To be scored.
        truth: The true one.
        regions: From :func:`texture_regions`.
        lpips: Perceptual distance; its score is left out without it.

    Returns:
        ``psnr`` [dB], ``ssim`` (window of 11 texels), ``l1``, ``lpips`` and ``too_dark`` (share of the texels).
    """
    texture, truth = np.asarray(texture, np.float32), np.asarray(truth, np.float32)
    present = {name: mask for name, mask in regions.items() if mask.any()}
    scores = {name: _plain_scores(texture, truth, mask) for name, mask in present.items()}
    if lpips is not None:
        for name, mask in present.items():
            scores[name]["lpips"] = _distance(lpips, texture, truth, mask)
    return scores


def too_dark(texture: Texture, truth: Texture, mask: Mask) -> float:
    """Return the share of texels of a mask that are less than half as bright as they should be."""
    ours, theirs = texture[mask] @ _LUMA, truth[mask] @ _LUMA
    return float(((ours < DARK_SHARE * theirs) & (theirs > DARK_FLOOR)).mean())


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Return the means of the scores of several textures; each region over the textures that have it."""
    regions = [name for name in REGIONS if any(name in item for item in scores)]
    found: Scores = {}
    for region in regions:
        rows = [item[region] for item in scores if region in item]
        found[region] = {
            metric: float(np.mean([row[metric] for row in rows])) for metric in METRICS if metric in rows[0]
        }
    return found


def _plain_scores(texture: Texture, truth: Texture, mask: Mask) -> dict[str, float]:
    shown = np.where(mask[..., None], texture, truth)
    return {
        "psnr": psnr(texture, truth, mask),
        "ssim": ssim(shown, truth, mask),
        "l1": float(np.abs(texture - truth)[mask].mean(dtype=np.float64)),
        "too_dark": too_dark(texture, truth, mask),
    }


@torch.no_grad()
def _distance(lpips: Lpips, texture: Texture, truth: Texture, mask: Mask) -> float:
    device = next(lpips.parameters()).device
    arrays = (torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in (texture, truth, mask))
    return float(lpips(*arrays))
