"""``neuraltex predict``: complete a partial texture with trained networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from neuraltex.core.files import claim_output_dir
from neuraltex.core.runtime import logger, resolve_device
from neuraltex.stages.common import Common, OptionalPath, Result

if TYPE_CHECKING:
    from neuraltex.learn.prediction import Prediction


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Complete a partial texture with a trained sampler and, if the checkpoint has one, its refiner."""

    partial: Path
    """Partial texture (output folder of neuraltex partial)."""
    output_dir: Path
    """Folder to write: texture, what was sampled and refined, blend mask, confidence."""
    checkpoint: OptionalPath = None
    """Checkpoint of neuraltex train; by default the one that ships for the uv layout."""
    mesh: OptionalPath = None
    """Mesh of the same uv layout to write with the texture, as textured.glb."""
    paste: bool = True
    """Put observed texels back where they are trusted; turn off for partial textures from IUV maps."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to work; auto takes CUDA where there is one."""


def run(config: Config) -> Result:
    """Predict and write the maps.

    Raises:
        DataError: if the partial texture or the checkpoint cannot be used, or their uv layouts differ.
        OutputError: if the folder holds another result and ``overwrite`` is not given, or cannot be written.
    """
    from time import monotonic

    from neuraltex.learn.load import load_predictor
    from neuraltex.learn.partial import read_partial

    partial = read_partial(config.partial)
    predictor = load_predictor(config.checkpoint, partial.layout, resolve_device(config.device))
    start = monotonic()
    prediction = predictor(partial, paste=config.paste)
    seconds = round(monotonic() - start, 3)
    folder = claim_output_dir(config.output_dir, overwrite=config.overwrite)
    _write(folder, prediction)
    if config.mesh is not None:
        _write_mesh(config.mesh, folder, prediction, predictor.layout)
    logger.info("predicted %d x %d texels in %.2f s", *partial.inside.shape, seconds)
    sampled = float(prediction.blend[partial.inside].mean())
    return Result(folder, {"seconds": seconds, "sampled_share": round(sampled, 4), "size": len(partial.inside)})


def _write(folder: Path, prediction: Prediction) -> None:
    import numpy as np

    from neuraltex.io.images import to_uint8
    from neuraltex.io.png import write_png

    for name in ("texture", "sampled", "refined"):
        write_png(folder / f"{name}.png", to_uint8(getattr(prediction, name)))
    for name in ("blend", "confidence"):
        write_png(folder / f"{name}.png", np.round(getattr(prediction, name).clip(0, 1) * 255).astype(np.uint8))


def _write_mesh(path: Path, folder: Path, prediction: Prediction, layout: object) -> None:
    from neuraltex.io.export import write_textured
    from neuraltex.io.meshes import read_mesh
    from neuraltex.texture.layout import Layout, layout_of

    mesh = read_mesh(path)
    assert isinstance(layout, Layout)
    layout.require(layout_of(mesh), str(path))
    write_textured(folder / "textured.glb", mesh, prediction.texture)
