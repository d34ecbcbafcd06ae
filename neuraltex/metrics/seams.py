"""How visible the borders between charts are: the color jumps where one point of the surface has two places."""

import numpy as np
import torch
from jaxtyping import Float

from neuraltex.texture.sample import sample_bilinear


def seam_jumps(
    texture: Float[np.ndarray, "Ht Wt 3"], here: Float[np.ndarray, "E 2 2"], there: Float[np.ndarray, "E 2 2"]
) -> Float[np.ndarray, " S"]:
    """Return the color jumps along cut edges, sampled about once per texel of their length.

    Args:
        texture: Colors, row 0 is v = 1.
        here: uvs of both ends of every cut edge on one of its sides.
        there: Those of the same ends on the other side.

    Returns:
        Mean absolute difference over the channels of the bilinear samples of both sides, in units of the colors; edges
        count by their length on the texture. Empty if no edge is cut.
    """
    size = np.array([texture.shape[1], texture.shape[0]])
    length = np.maximum(*(np.linalg.norm((side[:, 1] - side[:, 0]) * size, axis=1) for side in (here, there)))
    count = np.maximum(np.ceil(length), 1).astype(np.int64)
    edge = np.repeat(np.arange(len(count)), count)
    along = ((np.arange(len(edge)) - (np.cumsum(count) - count)[edge] + 0.5) / count[edge])[:, None]
    colors = torch.from_numpy(np.ascontiguousarray(texture, np.float32))
    sides = [side[edge, 0] * (1 - along) + side[edge, 1] * along for side in (here, there)]
    first, second = (sample_bilinear(colors, torch.from_numpy(uv.astype(np.float32))).numpy() for uv in sides)
    return np.abs(first - second).mean(1)
