"""The direct fit as the start of a run: from scratch, or by adding photographs to the equations of another run."""

from pathlib import Path

import numpy as np

from neuraltex.config.schema import FitConfig
from neuraltex.core.errors import ConfigError, DataError
from neuraltex.core.runtime import freeing_at_once, is_main, logger
from neuraltex.fit.calibrate.color_fit import calibrate_colors, fit_colors
from neuraltex.fit.calibrate.exposure import ColorMatch
from neuraltex.fit.data import ViewStore
from neuraltex.fit.direct.archive import FILE_NAME, SavedEquations, read_equations, write_equations
from neuraltex.fit.direct.stream import DirectFit, DirectResult, memory_gb
from neuraltex.fit.prior import Prior, is_used
from neuraltex.io.images import read_exr
from neuraltex.io.prepared import PreparedScene


def direct_start(
    store: ViewStore,
    size: int,
    scene: PreparedScene,
    config: FitConfig,
    folder: Path | None = None,
    prior: Prior | None = None,
) -> tuple[DirectResult, ColorMatch]:
    """Fit a texture and the color match of every photograph.

    With ``direct.extend`` only photographs whose names the saved equations do not hold are added, once. The others keep
    the weights they had: an outlier that only the new photographs unmask stays in. Colors are matched to the texture of
    the extended run, which fixes their gauge.

    Args:
        store: Photographs.
        size: Side of the texture [texel].
        scene: Where they come from.
        config: Settings.
        folder: Run folder, for ``direct.save_equations``; ``None`` saves nothing.
        prior: What to lean on where photographs say little, if settings say so.

    Raises:
        DataError: if no pixel lies on the texture, or saved equations cannot be read.
        ConfigError: if saved equations belong to another size or other levels.
    """
    with freeing_at_once():
        fit = DirectFit(scene.mesh, size, config.direct, size / scene.texture_size)
        if config.direct.extend is None:
            with store.lend(memory_gb(fit.size_first)):
                matches = calibrate_colors(store, config.color)
                fit.run_halved(store, matches)
        with store.lend(memory_gb(size)):
            names = tuple(view.name for view in store.views)
            if config.direct.extend is None:
                fit.run(store, matches)
            else:
                matches, names = _extend(fit, store, config, config.direct.extend)
            if config.direct.save_equations and folder is not None and is_main():
                write_equations(folder / FILE_NAME, SavedEquations(fit.equations, names))
            return fit.finish(prior if is_used(config.prior, prior) else None, config.prior), matches


def _extend(fit: DirectFit, store: ViewStore, config: FitConfig, run: Path) -> tuple[ColorMatch, tuple[str, ...]]:
    """Add the new photographs to the equations of a run; returns the color matches and all names."""
    import torch  # noqa: PLC0415

    from neuraltex.texture.sample import sample_bilinear  # noqa: PLC0415

    saved = read_equations(run / FILE_NAME)
    if saved.equations.layout != fit.equations.layout:
        raise ConfigError(
            f"its equations are for {saved.equations.layout.sizes[0]} texels at {len(saved.equations.layout.sizes)} "
            f"levels, this fit is for {fit.equations.layout.sizes[0]} at {len(fit.equations.layout.sizes)}",
            source=f"direct.extend {run}",
            hint="Give the same texture.size and direct.mip",
        )
    texture = read_exr(run / "texture.exr")
    if texture.shape[:2] != fit.equations.size:
        raise DataError(f"{run}/texture.exr does not have the size of its equations", hint="Fit that run again")
    matches = fit_colors(store, lambda tile: sample_bilinear(torch.from_numpy(texture), tile.uv), config.color)
    new = [index for index, view in enumerate(store.views) if view.name not in saved.names]
    logger.info("adding %d photographs to %d", len(new), len(saved.names))
    fit.go_on(saved.equations, np.ascontiguousarray(texture))
    fit.accumulate(store, matches, new, "extend")
    return matches, (*saved.names, *(store.views[index].name for index in new))
