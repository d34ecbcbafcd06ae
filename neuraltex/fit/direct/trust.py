"""How far photographs of half the size agree with a texture: factors of the weights of their pixels."""

import numpy as np
from jaxtyping import Float

from neuraltex.fit.data import ViewData
from neuraltex.fit.direct import kernels
from neuraltex.fit.direct.equations import Robust, tables_of_bits
from neuraltex.fit.direct.penalty import code
from neuraltex.render.parallel import for_row_blocks


def trust_in(
    half: ViewData,
    colors: Float[np.ndarray, "K 3"],
    falloff: Float[np.ndarray, "h w"] | None,
    robust: Robust,
    scale: float,
) -> Float[np.ndarray, "h w"]:
    """Return the weight of the penalty for every pixel; 1 where a pixel has no weight anyway.

    Args:
        half: Photograph.
        colors: Color of the texture that each value of each channel stands for.
        falloff: What a vignette leaves of the light.
        robust: What to compare with.
        scale: Factor that turns footprints into texels of that texture.
    """
    layout, trust = robust.chain.layout, np.empty(half.weight.shape, np.float32)
    nothing = np.zeros((0, 0), np.float32)
    shade = nothing if falloff is None else falloff
    photo = (half.image, half.uv, half.weight, half.footprint.view(np.uint16), shade, nothing)
    lookup = (np.ascontiguousarray(colors, np.float32), *tables_of_bits(len(layout.sizes), scale, False))
    outlier = (robust.chain.rows, layout.table, code(robust.penalty), float(robust.scale))

    def work(first: int, last: int) -> None:
        kernels.weigh_pixels(photo, lookup, outlier, trust, (first, last))

    for_row_blocks(work, len(trust))
    return trust
