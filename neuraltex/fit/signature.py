"""What must be equal between a checkpoint and the run that goes on from it."""

from typing import Any

from neuraltex.config.load import to_plain
from neuraltex.config.schema import FitConfig

PRIOR_WEIGHTS = ("weight", "final_weight", "gradient_weight")


def run_signature(config: FitConfig, size: int, views: list[str]) -> dict[str, Any]:
    """Return the settings that shape the state or the order of the photographs, as plain values.

    Losses, learning rate and number of steps may change: that is what resuming a finished run is for.
    """
    return {
        **{f"texture.{name}": value for name, value in to_plain(config.texture).items()},
        **{f"pixels.{name}": value for name, value in to_plain(config.pixels).items()},
        "texture.size": size,
        **{f"prior.{name}": value for name, value in _prior(config).items()},
        "loop.batch": config.loop.batch,
        "loop.crop": config.loop.crop,
        "loop.check_share": config.loop.check_share,
        "loss.anchor_level": config.loss.anchor_level if config.loss.anchor else None,
        "seed": config.seed,
        "views": views,
    }


def _prior(config: FitConfig) -> dict[str, Any]:
    """Return what decides a prior; nothing if there is none."""
    if config.prior.kind == "none":
        return {}
    return {name: value for name, value in to_plain(config.prior).items() if name not in PRIOR_WEIGHTS}
