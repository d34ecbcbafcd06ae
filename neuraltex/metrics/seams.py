"""How visible the borders of charts are: the jump of color across cut edges."""

import numpy as np
from jaxtyping import Float

from neuraltex.core.conventions import texel_from_uv
from neuraltex.geometry.mesh import Mesh
from neuraltex.geometry.seams import sample_cut_edges


def seam_jumps(mesh: Mesh, texture: Float[np.ndarray, "Ht Wt 3"]) -> Float[np.ndarray, " P"]:
    """Return the color difference between both sides of every cut edge, sampled once per texel of its length.

    Both sides are read bilinearly, as a renderer would.

    Args:
        mesh: Mesh with uvs.
        texture: Colors in [0, 1].

    Returns:
        Mean absolute difference over the channels [color in 0 to 1]; empty if no edge is cut.

    Raises:
        DataError: if the mesh has no uvs.
    """
    height, width = texture.shape[:2]
    samples = sample_cut_edges(mesh, (height, width))
    sides = [_look_up(texture, uv) for uv in (samples.here, samples.there)]
    return np.abs(sides[0] - sides[1]).mean(1)


def median_seam_jump(mesh: Mesh, texture: Float[np.ndarray, "Ht Wt 3"]) -> float:
    """Return the median of :func:`seam_jumps` in 1/255; 0 if no edge is cut."""
    jumps = seam_jumps(mesh, texture)
    return float(np.median(jumps)) * 255 if len(jumps) else 0.0


def _look_up(texture: np.ndarray, uv: Float[np.ndarray, "P 2"]) -> Float[np.ndarray, "P 3"]:
    height, width = texture.shape[:2]
    x, y = texel_from_uv(uv, width, height)
    x, y = x.clip(0, width - 1), y.clip(0, height - 1)
    x0, y0 = x.astype(np.int64), y.astype(np.int64)
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    wx, wy = (x - x0)[:, None], (y - y0)[:, None]
    upper = texture[y0, x0] * (1 - wx) + texture[y0, x1] * wx
    lower = texture[y1, x0] * (1 - wx) + texture[y1, x1] * wx
    return np.asarray(upper * (1 - wy) + lower * wy)
