"""Scores of a render against a photograph, raw and after a color fit.

Convention:
    Images are [H, W, 3] arrays in [0, 1] (8 bit ones are scaled); masks are boolean, true = score this pixel.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter
from torch import Tensor

from neuraltex.core.errors import DataError
from neuraltex.losses.lpips import LONG_SIDE, Lpips

Image = Float[np.ndarray, "H W 3"]
Mask = Bool[np.ndarray, "H W"]

_SSIM_SIGMA, _SSIM_RADIUS = 1.5, 5  # [px]; 11 x 11 window
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601
_MARGIN = 16  # kept around the mask when cropping [px]; more than the window of SSIM reaches
_COVERED = 0.99  # share of a pixel's samples that must be textured for it to enter the color fit
_MIN_FIT_PIXELS = 100


def psnr(image: Image | Tensor, reference: Image | Tensor, mask: Mask | None = None) -> float:
    """Return the peak signal-to-noise ratio over the mask [dB]; at most 120."""
    error = np.square(_as_image(image) - _as_image(reference))
    mean = float((error if mask is None else error[np.asarray(mask)]).mean(dtype=np.float64))
    return float(-10 * np.log10(max(mean, 1e-12)))


def ssim(image: Image | Tensor, reference: Image | Tensor, mask: Mask | None = None) -> float:
    """Return the structural similarity, averaged over the mask and the channels.

    Z. Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP 2004: Gaussian
    window of 1.5 px, population covariance. Outside the mask both images should show the same.
    """
    x, y = (np.moveaxis(_as_image(item), -1, 0) for item in (image, reference))
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = _blur(np.stack([x, y, x * x, y * y, x * y]))
    c1, c2 = 0.01**2, 0.03**2
    covariance = mean_xy - mean_x * mean_y
    variances = mean_xx - mean_x**2 + mean_yy - mean_y**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    similarity = (luminance * (2 * covariance + c2) / (variances + c2)).mean(0)
    return float((similarity if mask is None else similarity[np.asarray(mask)]).mean(dtype=np.float64))


def sharpness(image: Image | Tensor, reference: Image | Tensor, mask: Mask | None = None) -> float:
    """Return the mean gradient magnitude of the luma of ``image`` relative to that of ``reference``; 1 is as sharp."""
    image, reference = _as_image(image), _as_image(reference)
    mask = np.ones(image.shape[:2], np.bool_) if mask is None else np.asarray(mask)
    pairs = mask[:-1, :-1] & mask[1:, :-1] & mask[:-1, 1:]
    return _mean_gradient(image, pairs) / max(_mean_gradient(reference, pairs), 1e-9)


def fit_color(image: Image | Tensor, reference: Image | Tensor, mask: Mask) -> Image:
    """Return ``image`` with the least-squares gain and bias per channel towards ``reference``, clipped to [0, 1].

    Only pixels of the mask are used and changed. It takes exposure and white balance out of a comparison.
    """
    fitted, reference = _as_image(image).copy(), _as_image(reference)
    for channel in range(fitted.shape[2]):
        x, y = (item[..., channel][mask].astype(np.float64) for item in (fitted, reference))
        variance = x.var()
        gain = ((x - x.mean()) * (y - y.mean())).mean() / variance if variance > 1e-6 / 255**2 else 1.0
        fitted[..., channel][mask] = np.clip(gain * (x - x.mean()) + y.mean(), 0, 1)
    return fitted


def score_view(
    render: Image | Tensor,
    coverage: Float[np.ndarray, "H W"],
    photo: Image | Tensor,
    mask: Mask,
    lpips: Lpips | None = None,
) -> dict[str, float]:
    """Return all scores of one view; equal to the neutral evaluator's.

    Args:
        render: Render, grey where nothing is textured; such pixels of the mask do count.
        coverage: Textured share of every pixel in [0, 1].
        photo: Held-out photograph.
        mask: Pixels to score. Outside, both images show the photograph.
        lpips: Perceptual distance; its two scores are left out without it.

    Returns:
        ``psnr`` [dB], ``ssim``, ``lpips``, ``sharpness``, each also as ``*_fit`` after a color fit on covered pixels,
        and ``coverage``, the textured share of the mask.

    Raises:
        DataError: if the mask is empty.
    """
    mask = np.asarray(mask, np.bool_)
    if not mask.any():
        raise DataError("no pixel of the view is to be scored", hint="Check the masks of the held-out photographs")
    crop = _crop(mask)
    inside, reference = mask[crop], _as_image(photo)[crop]
    raw = np.where(inside[..., None], _as_image(render)[crop], reference)
    covered = inside & (np.asarray(coverage)[crop] > _COVERED)
    fitted = fit_color(raw, reference, covered) if covered.sum() > _MIN_FIT_PIXELS else raw
    scores = {"coverage": float(np.asarray(coverage)[mask].mean(dtype=np.float64))}
    for suffix, image in (("", raw), ("_fit", fitted)):
        for metric in (psnr, ssim, sharpness):
            scores[metric.__name__ + suffix] = metric(image, reference, inside)
    if lpips is not None:
        factor = max(1, -(-max(mask.shape) // LONG_SIDE))
        scores["lpips"], scores["lpips_fit"] = _perceptual_distances(lpips, [raw, fitted], reference, inside, factor)
    return scores


@torch.no_grad()
def _perceptual_distances(lpips: Lpips, images: list[Image], reference: Image, mask: Mask, factor: int) -> list[float]:
    device = next(lpips.parameters()).device
    arrays = (np.stack([_reduce(image, factor) for image in images]), _reduce(reference, factor))
    pred, target = (torch.from_numpy(array).to(device) for array in arrays)
    weights = torch.from_numpy(_reduce(mask.astype(np.float32), factor)).to(device)
    return [float(value) for value in lpips(pred, target, weights)]


def _as_image(image: Image | Tensor) -> Image:
    """Return an image as float32 in [0, 1]."""
    array = image.detach().cpu().numpy() if isinstance(image, Tensor) else np.asarray(image)
    return array.astype(np.float32) / 255 if array.dtype == np.uint8 else array.astype(np.float32, copy=False)


def _blur(images: Float[np.ndarray, "N C H W"]) -> Float[np.ndarray, "N C H W"]:
    """Convolve every plane with a Gaussian; planes are mirrored at their border, edge pixels repeated."""
    blur = partial(gaussian_filter, sigma=_SSIM_SIGMA, radius=_SSIM_RADIUS, mode="reflect")
    planes = images.reshape(-1, *images.shape[2:])
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # the filter works outside the interpreter lock
        return np.stack(list(pool.map(blur, planes))).reshape(images.shape)


def _mean_gradient(image: Image, pairs: Mask) -> float:
    luma = image @ _LUMA
    magnitude = np.hypot(luma[:-1, 1:] - luma[:-1, :-1], luma[1:, :-1] - luma[:-1, :-1])
    return float(magnitude[pairs].mean(dtype=np.float64)) if pairs.any() else 0.0


def _crop(mask: Mask) -> tuple[slice, slice]:
    """Return the bounding box of a mask with a margin."""
    lines = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    rows, columns = (slice(max(line[0] - _MARGIN, 0), line[-1] + _MARGIN + 1) for line in lines)
    return rows, columns


def _reduce(image: np.ndarray, factor: int) -> np.ndarray:
    """Average blocks of ``factor`` x ``factor`` pixels; an incomplete last block is dropped."""
    height, width = (size // factor * factor for size in image.shape[:2])
    blocks = image[:height, :width].reshape(height // factor, factor, width // factor, factor, *image.shape[2:])
    return blocks.mean((1, 3))
