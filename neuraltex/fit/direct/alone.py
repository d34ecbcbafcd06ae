"""The direct fit as a whole: what a gradient fit of no steps finds, without its loop and without torch."""

import time
from pathlib import Path

from neuraltex.config.schema import FitConfig
from neuraltex.core.runtime import peak_memory_gb
from neuraltex.fit.base import MIN_SEEN, Fitted
from neuraltex.fit.data import training_store
from neuraltex.fit.direct.start import direct_start
from neuraltex.io.prepared import PreparedScene


def is_direct_only(config: FitConfig) -> bool:
    """Whether settings ask for a direct fit and nothing after it."""
    texture = config.texture
    return not config.loop.steps and texture.init == "direct" and texture.kind == "plain"


class DirectOnly:
    """A :class:`~neuraltex.fit.base.Fit` by normal equations.

    Args:
        config: All settings; those of gradient steps have no effect.
        device: Where to sum.
        folder: Run folder, for ``direct.save_equations``; ``None`` saves nothing.
    """

    def __init__(self, config: FitConfig, device: str = "cpu", folder: Path | None = None) -> None:
        self.config, self.device, self.folder = config, device, folder

    def __call__(self, scene: PreparedScene) -> Fitted:
        """Fit the training views.

        Raises:
            DataError: if no pixel lies on the texture, or saved equations cannot be read.
            ConfigError: if saved equations belong to another size or other levels.
        """
        start, config = time.monotonic(), self.config
        store = training_store(scene, config, self.device)
        found, _ = direct_start(store, config.texture.size or scene.texture_size, scene, config, self.folder)
        seconds = round(time.monotonic() - start, 2)
        stats = {"steps": 0, "seconds": seconds, "direct": found.stats, "peak_memory_gb": round(peak_memory_gb(), 3)}
        return Fitted(found.texture, found.weights > MIN_SEEN, [], stats)
