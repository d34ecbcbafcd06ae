"""``neuraltex evaluate``: score trained networks beside plain fills on held-out subjects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from neuraltex.core.errors import UsageError
from neuraltex.core.files import claim_output_dir, write_json, write_text
from neuraltex.core.runtime import logger, resolve_device
from neuraltex.stages.common import Common, OptionalPath, Result

if TYPE_CHECKING:
    from neuraltex.losses.lpips import Lpips


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Score predictions on subjects that nothing was learned from, beside fills that learn nothing."""

    data: Path
    """Folder of samples (output of neuraltex make-avatars)."""
    output_dir: Path
    """Folder to write: metrics.json, table.md, pictures."""
    checkpoint: OptionalPath = None
    """Checkpoint of neuraltex train; by default the one that ships for the uv layout."""
    split: Literal["test", "val", "train"] = "test"
    """Subjects to score on."""
    angles: tuple[str, ...] = ()
    """Names of the views to score, e.g. 0 for the front; all by default."""
    paste: bool = True
    """Put observed texels back where they are trusted."""
    lpips: bool = True
    """Score LPIPS, too."""
    pictures: int = 6
    """Subjects in the picture that shows input, predictions and truth."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to work; auto takes CUDA where there is one."""


def run(config: Config) -> Result:
    """Score and write table and pictures.

    Raises:
        NeuralTexError: if data, checkpoint or output folder cannot be used.
    """
    from neuraltex.learn.data.dataset import FolderSet
    from neuraltex.learn.evaluate import compare_with_fills, write_sheet
    from neuraltex.learn.load import load_predictor
    from neuraltex.learn.scores import score_rows, score_table

    samples = FolderSet(config.data, config.split, angles=config.angles)
    if config.split == "train":
        logger.warning("these subjects were learned from: the scores say nothing about others")
    predictor = load_predictor(config.checkpoint, samples.layout, resolve_device(config.device))
    size = len(samples.arrays(0)["inside"])
    if size > predictor.size:
        raise UsageError(
            f"the samples have {size} texels a side, the networks {predictor.size}",
            source="--data",
            hint="Make the samples at the size of the networks",
        )
    training = FolderSet(config.data, "train")
    folder = claim_output_dir(config.output_dir, overwrite=config.overwrite)
    found = compare_with_fills(samples, predictor, training, _lpips(config), paste=config.paste)
    write_sheet(folder / "predictions.png", samples, predictor, config.pictures, paste=config.paste)
    table = score_table(found)
    write_text(folder / "table.md", table + "\n")
    facts: dict[str, Any] = {"samples": len(samples), "split": config.split, "rows": score_rows(found)}
    return Result(write_json(folder / "metrics.json", facts), facts, table)


def _lpips(config: Config) -> Lpips | None:
    """Return the perceptual distance; without its weights the scores go on without it."""
    from neuraltex.core.errors import DataError, OutputError
    from neuraltex.io.weights import load_lpips_heads, load_vgg_weights
    from neuraltex.losses.lpips import Lpips

    if not config.lpips:
        return None
    try:
        return Lpips(load_vgg_weights(), load_lpips_heads())
    except (DataError, OutputError) as error:
        logger.warning("LPIPS is left out. %s", error)
        return None
