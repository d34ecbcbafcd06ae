"""Where the color of a texel is likely to be found elsewhere on the body: at the mirror images of its surface point."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.spatial import cKDTree
from torch import Tensor

from neuraltex.learn.nets.sampling import identity_grid

REFLECTIONS = np.array([(1, 1, 1), (-1, 1, 1), (1, 1, -1), (-1, 1, -1)], float)
"""Factors of the canonical axes: the point itself, left-right, front-back, and both."""
NORMAL_WEIGHT = 0.1
"""Distance in the canonical box that a normal turned by 60 degrees counts for: keeps hands and legs apart."""


def base_grids(
    positions: Float[np.ndarray, "H W 3"],
    normals: Float[np.ndarray, "H W 3"],
    inside: Bool[np.ndarray, "H W"],
    count: int,
) -> Float[Tensor, "K H W 2"]:
    """Return where the texel nearest to each reflection of a texel's point lies.

    Args:
        positions: Surface points of the rest mesh in its canonical box, x to its left or right, z to its front or back.
        normals: Unit normals.
        inside: Texels in charts.
        count: Number of bases; from the fifth on they repeat.

    Returns:
        Grids with the coordinates of ``grid_sample(align_corners=False)``; outside charts the identity.
    """
    points, directions = positions[inside], normals[inside]
    own = identity_grid(*inside.shape)
    grids = own.repeat(count, 1, 1, 1)
    if not len(points):
        return grids
    tree, places = cKDTree(surface_places(points, directions)), own[torch.from_numpy(inside)]
    for index in range(1, min(count, len(REFLECTIONS))):
        reflection = REFLECTIONS[index]
        nearest = tree.query(surface_places(points * reflection, directions * reflection))[1]
        grids[index][torch.from_numpy(inside)] = places[torch.from_numpy(nearest)]
    for index in range(len(REFLECTIONS), count):
        grids[index] = grids[index % len(REFLECTIONS)]
    return grids


def surface_places(
    positions: Float[np.ndarray, "*B 3"], normals: Float[np.ndarray, "*B 3"]
) -> Float[np.ndarray, "*B 6"]:
    """Return what tells whether points of a surface are near each other: where they are and where they face."""
    return np.concatenate([positions, NORMAL_WEIGHT * normals], -1)
