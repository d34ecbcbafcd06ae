"""How much every texel counts in training, where parts of a layout matter more than others.

S. Cha et al., "Generating Texture for 3D Human Avatar from a Single Image using Sampling and Refinement Networks",
Computer Graphics Forum 2023: the sum of the mean absolute differences over six parts, that of the head times six.

Convention:
    A weight map [Ht Wt] holds for every texel the weight of its part divided by the number of its texels; so the sum
    of a map times differences is the weighted sum of the parts' means. A map sums to the weights of its parts.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


class Part(NamedTuple):
    """A part of a layout: the box that the centers of its charts lie in, as shares of the texture, and its weight."""

    top: float
    bottom: float
    left: float
    right: float
    weight: float = 1.0


SMPL_PARTS = {
    "head": Part(0, 225 / 512, 0, 309 / 512, 6.0),
    "body": Part(215 / 512, 1, 0, 323 / 512),
    "legs": Part(0, 215 / 512, 297 / 512, 1),
    "arms": Part(207 / 512, 383 / 512, 319 / 512, 1),
    "feet": Part(379 / 512, 448 / 512, 327 / 512, 504 / 512),
    "hands": Part(440 / 512, 1, 315 / 512, 1),
}
"""The published parts of the SMPL layout."""


def label_parts(charts: Int[np.ndarray, "Ht Wt"], parts: Mapping[str, Part]) -> Int[np.ndarray, "Ht Wt"]:
    """Return the number of the part of each texel, from 1 in the order of ``parts``; 0 where there is none (int32).

    A whole chart belongs to the first part whose box holds the center of the chart's texels, since boxes overlap.

    Args:
        charts: Number of the chart of each texel, 0 between charts (:func:`neuraltex.texture.fill.number_charts`).
        parts: Boxes.
    """
    labels = np.zeros(charts.shape, np.int32)
    for chart in np.unique(charts[charts > 0]):
        rows, columns = np.nonzero(charts == chart)
        y, x = (rows.mean() + 0.5) / charts.shape[0], (columns.mean() + 0.5) / charts.shape[1]
        for number, part in enumerate(parts.values(), 1):
            if part.top <= y < part.bottom and part.left <= x < part.right:
                labels[rows, columns] = number
                break
    return labels


def weight_map(labels: Int[np.ndarray, "Ht Wt"], parts: Mapping[str, Part]) -> Float[np.ndarray, "Ht Wt"]:
    """Return the weight map (float32) of parts numbered as by :func:`label_parts`; 0 outside of them."""
    areas = np.bincount(labels.reshape(-1), minlength=len(parts) + 1)[1:]
    weights = [part.weight for part in parts.values()] / np.maximum(areas, 1)
    return np.concatenate([[0], weights]).astype(np.float32)[labels]


def part_l1(
    pred: Float[Tensor, "N 3 H W"], target: Float[Tensor, "N 3 H W"], weights: Float[Tensor, "H W"]
) -> Float[Tensor, ""]:
    """Return the weighted sum over parts of the mean absolute difference, mean over the batch."""
    return torch.einsum("nhw,hw->n", (pred - target).abs().mean(1), weights).mean()
