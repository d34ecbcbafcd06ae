"""The direct fit as a whole: what a gradient fit of no steps finds, without its loop and without torch."""

import time
from pathlib import Path

from neuraltex.config.schema import FitConfig
from neuraltex.core.runtime import peak_memory_gb
from neuraltex.fit.base import MIN_SEEN, Fitted
from neuraltex.fit.data import training_store
from neuraltex.fit.direct.start import direct_start
from neuraltex.fit.prior import Prior, predicted_texels
from neuraltex.io.prepared import PreparedScene


def is_direct_only(config: FitConfig) -> bool:
    """Whether settings ask for a direct fit and nothing after it."""
    texture = config.texture
    is_direct = texture.init == "direct" and texture.init_file is None
    return not config.loop.steps and is_direct and texture.kind == "plain"


class DirectOnly:
    """A :class:`~neuraltex.fit.base.Fit` by normal equations.

    Args:
        config: All settings; those of gradient steps have no effect.
        device: Where to sum.
        folder: Run folder, for ``direct.save_equations``; ``None`` saves nothing.
    """

    def __init__(self, config: FitConfig, device: str = "cpu", folder: Path | None = None) -> None:
        self.config, self.device, self.folder = config, device, folder

    def __call__(self, scene: PreparedScene, prior: Prior | None = None) -> Fitted:
        """Fit the training views.

        Args:
            scene: Where they come from.
            prior: What is predicted of the texture, to lean on where photographs say little.

        Raises:
            DataError: if no pixel lies on the texture, or saved equations cannot be read.
            ConfigError: if saved equations belong to another size or other levels.
        """
        start, config = time.monotonic(), self.config
        store = training_store(scene, config, self.device)
        size = config.texture.size or scene.texture_size
        found, _ = direct_start(store, size, scene, config, self.folder, prior)
        seconds = round(time.monotonic() - start, 2)
        stats = {"steps": 0, "seconds": seconds, "direct": found.stats, "peak_memory_gb": round(peak_memory_gb(), 3)}
        seen = found.weights > MIN_SEEN
        return Fitted(found.texture, seen, [], stats, predicted_texels(config, prior, seen))
