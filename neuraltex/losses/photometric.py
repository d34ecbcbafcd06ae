"""Color differences between a render and a photograph, as masked means.

Convention:
    ``mask`` is a boolean mask or non-negative weights per pixel; ``None`` counts every pixel. A loss is the weighted
    mean over pixels and channels, so that it does not depend on how much of the image is valid; zero where nothing is.
    Values outside the mask change neither the loss nor its gradient, even if they are NaN.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from neuraltex.core.conventions import chw_from_hwc, hwc_from_chw

Mask = Bool[Tensor, "*B"] | Float[Tensor, "*B"]


def masked_mean(values: Float[Tensor, "*B C"], mask: Mask | None = None) -> Float[Tensor, ""]:
    """Return the mean of ``values`` over channels and the pixels of ``mask`` [*B]."""
    if mask is None:
        return values.mean()
    weights = mask.to(values.dtype)
    total = weights.sum() * values.shape[-1]
    return (values * weights[..., None]).sum() / total.clamp(min=torch.finfo(values.dtype).tiny)


def masked_difference(
    pred: Float[Tensor, "*B C"], target: Float[Tensor, "*B C"], mask: Mask | None
) -> Float[Tensor, "*B C"]:
    """Return ``pred - target``, zero outside the mask."""
    difference = pred - target
    return difference if mask is None else torch.where((mask > 0)[..., None], difference, 0)


def l1(pred: Float[Tensor, "*B C"], target: Float[Tensor, "*B C"], mask: Mask | None = None) -> Float[Tensor, ""]:
    """Return the mean absolute difference."""
    return masked_mean(masked_difference(pred, target, mask).abs(), mask)


def l2(pred: Float[Tensor, "*B C"], target: Float[Tensor, "*B C"], mask: Mask | None = None) -> Float[Tensor, ""]:
    """Return the mean squared difference."""
    return masked_mean(masked_difference(pred, target, mask).square(), mask)


def charbonnier(
    pred: Float[Tensor, "*B C"], target: Float[Tensor, "*B C"], mask: Mask | None = None, epsilon: float = 1e-3
) -> Float[Tensor, ""]:
    """Return the mean of sqrt(difference^2 + epsilon^2) - epsilon: like L1, but smooth at zero.

    P. Charbonnier et al., "Two deterministic half-quadratic regularization algorithms for computed imaging", ICIP 1994.
    """
    return masked_mean((masked_difference(pred, target, mask).square() + epsilon**2).sqrt() - epsilon, mask)


def gradient_difference(
    pred: Float[Tensor, "*B H W C"], target: Float[Tensor, "*B H W C"], mask: Mask | None = None
) -> Float[Tensor, ""]:
    """Return the mean absolute difference of horizontal neighbor differences plus that of vertical ones.

    A pair of neighbors counts where both pixels are valid; so neither image contributes an edge along the mask.
    It ignores a constant color offset between the images.
    """
    difference = masked_difference(pred, target, mask)
    mask = None if mask is None else mask.to(pred.dtype)
    across = None if mask is None else mask[..., :, 1:] * mask[..., :, :-1]
    down = None if mask is None else mask[..., 1:, :] * mask[..., :-1, :]
    horizontal = (difference[..., :, 1:, :] - difference[..., :, :-1, :]).abs()
    vertical = (difference[..., 1:, :, :] - difference[..., :-1, :, :]).abs()
    return masked_mean(horizontal, across) + masked_mean(vertical, down)


def ssim(pred: Float[Tensor, "H W C"], target: Float[Tensor, "H W C"], mask: Mask | None = None) -> Float[Tensor, ""]:
    """Return 1 - structural similarity; pixels outside the mask take part as if both images showed the same there.

    Z. Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP 2004, with a
    Gaussian window of 1.5 px cut off at 11 x 11. Images smaller than that reach are beyond it.
    """
    from kornia.metrics import ssim as ssim_map  # slow to import

    inside = target + masked_difference(pred, target, mask)
    similarity = ssim_map(chw_from_hwc(inside[None]), chw_from_hwc(target[None]), 11)
    return masked_mean(1 - hwc_from_chw(similarity)[0], mask)
