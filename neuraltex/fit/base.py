"""What a fit is: anything that turns a prepared scene into a texture."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from jaxtyping import Bool, Float

from neuraltex.io.prepared import PreparedScene

if TYPE_CHECKING:
    from neuraltex.fit.prior import Prior

MIN_SEEN = 1e-3
"""Sum of pixel weights from which a texel counts as seen."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """The result of a fit, before texels nobody saw are filled.

    Args:
        texture: Color of every texel.
        seen: Texels that at least one photograph says something about.
        history: One plain dict per logged step, with ``step`` and tags such as ``train/loss/l1``.
        stats: Plain JSON values about the fit (steps, seconds, memory).
        predicted: Texels nobody saw whose colors come from a prediction and stay; ``None`` if there are none.
    """

    texture: Float[np.ndarray, "Ht Wt 3"]  # float32
    seen: Bool[np.ndarray, "Ht Wt"]
    history: list[dict[str, float]] = field(default_factory=list)
    stats: dict[str, Any] = field(default_factory=dict)
    predicted: Bool[np.ndarray, "Ht Wt"] | None = None


class Fit(Protocol):
    """A method; its settings are its own business."""

    def __call__(self, scene: PreparedScene, prior: "Prior | None" = None) -> Fitted:
        """Fit a texture to the training views of a scene; held-out views may only be scored.

        Args:
            scene: Prepared scene.
            prior: What is predicted of the texture, if settings make use of it.
        """
        ...
