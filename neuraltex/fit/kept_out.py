"""Training pixels that a fit never sees, so that it can be watched on them.

They are whole blocks of some photographs, not whole photographs: other photographs show the same texels, so a texture
can be right there without ever having been told, and cannot be right by having learned these pixels by heart.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from neuraltex.io.prepared import PreparedView

BLOCK = 32
"""Side of a block [px]: larger than the errors of cameras, or the neighbors of a pixel would give it away."""


@dataclass(frozen=True)
class KeptOut:
    """Chooses blocks by the name of the view and their place in it; other views and their order do not matter.

    Args:
        share: Share of the blocks that is kept out.
        seed: Seed of the choice.
    """

    share: float
    seed: int = 0

    def pixels(self, view: PreparedView) -> Bool[np.ndarray, "H W"]:
        """Return the pixels of a view that are kept out."""
        height, width = view.camera.height, view.camera.width
        digest = hashlib.blake2b(f"{self.seed}/{view.name}".encode(), digest_size=8).digest()
        generator = np.random.default_rng(int.from_bytes(digest, "little"))
        chosen = generator.random((-(-height // BLOCK), -(-width // BLOCK))) < self.share
        return chosen.repeat(BLOCK, 0)[:height].repeat(BLOCK, 1)[:, :width]

    def rest(self, view: PreparedView) -> Bool[np.ndarray, "H W"]:
        """Return the pixels of a view that the fit may see."""
        return ~self.pixels(view)
