"""From a fitted texture to one that any renderer can show: fill what nobody saw, paint gutters, say which is which."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from neuraltex.config.schema import TextureConfig
from neuraltex.fit.seam_leveling import level_seams
from neuraltex.geometry.mesh import Mesh
from neuraltex.texture.fill import dilate, push_pull, rasterize_charts

SEEN, GUTTER, PREDICTED, FILLED = 255, 128, 32, 0
"""Values of the coverage map: fitted to photographs, border around a chart, predicted, invented by interpolation."""


@dataclass(frozen=True, eq=False)
class Finished:
    """A complete texture and where each texel comes from."""

    texture: Float[np.ndarray, "Ht Wt 3"]  # float32 in [0, 1]
    coverage: UInt8[np.ndarray, "Ht Wt"]


def finish_texture(
    texture: Float[np.ndarray, "Ht Wt 3"],
    seen: Bool[np.ndarray, "Ht Wt"],
    mesh: Mesh,
    config: TextureConfig,
    predicted: Bool[np.ndarray, "Ht Wt"] | None = None,
) -> Finished:
    """Fill unseen texels smoothly, make both sides of cut edges agree, then repeat the border of every chart outward.

    Works in place.

    Args:
        texture: Fitted colors; changed.
        seen: Texels that photographs say something about.
        mesh: Mesh whose charts lie on the texture.
        config: Width of the border and of the strip in which cut edges are leveled.
        predicted: Unseen texels whose colors stay if they lie in charts; ``None`` fills them all.
    """
    charts = rasterize_charts(mesh, seen.shape)
    known = charts | seen
    given = seen if predicted is None else seen | (predicted & charts)
    colors, done = push_pull(np.clip(texture, 0, 1, out=texture), given, copy=False), known.copy()
    done.reshape(-1)[level_seams(colors, charts, mesh, config.seam_strip, None if predicted is None else seen)] = True
    result, reached = dilate(colors, done, config.gutter, copy=False)
    coverage = np.full(seen.shape, FILLED, np.uint8)
    coverage[reached & ~known] = GUTTER
    coverage[given] = PREDICTED
    coverage[seen] = SEEN
    return Finished(np.clip(result, 0, 1, out=result), coverage)
