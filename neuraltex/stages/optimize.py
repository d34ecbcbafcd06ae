"""``neuraltex optimize``: fit a texture to a prepared scene."""

import logging
import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from neuraltex.config.load import dump_yaml, find_preset, merge, read_yaml
from neuraltex.config.schema import FitConfig
from neuraltex.core.files import claim_output_dir, translate_write_errors, write_text
from neuraltex.core.runtime import is_main, logger, resolve_device, seed_everything
from neuraltex.stages.common import Common, Result

if TYPE_CHECKING:
    from neuraltex.fit.base import Fit
    from neuraltex.fit.prior import Prior

DEFAULT_PRESET = "quality"
CALIBRATED = "calibrated"
"""Folder of a run for the scene with refined cameras."""


@dataclass(frozen=True, kw_only=True)
class Config(FitConfig, Common):
    """Flags of ``neuraltex optimize``; a preset sets their defaults."""

    data: Annotated[Path, tyro.conf.arg(metavar="P")]
    """Prepared scene (output of neuraltex prepare)."""
    output_dir: Annotated[Path, tyro.conf.arg(metavar="R")]
    """Run folder to write."""
    preset: str = DEFAULT_PRESET
    """Preset by name or YAML file; flags win over it."""
    resume: bool = False
    """Go on from the newest checkpoint in the run folder, bit by bit as if never interrupted."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to work; auto takes CUDA where there is one."""


def default_config(preset: str | None) -> Config:
    """Return the defaults of the flags under a preset.

    Raises:
        ConfigError: if the preset does not exist or has unknown keys.
    """
    path = find_preset(preset or DEFAULT_PRESET)
    base = Config(data=tyro.MISSING, output_dir=tyro.MISSING, preset=preset or DEFAULT_PRESET)
    return merge(base, read_yaml(path), str(path))


def run(config: Config) -> Result:
    """Fit, complete the texture and write the run folder.

    Raises:
        NeuralTexError: if the scene, the settings or the output folder cannot be used.
    """
    from neuraltex.fit.distributed import process_group, wait_for_all
    from neuraltex.fit.run import read_manifest
    from neuraltex.io.prepared import read_prepared

    device = resolve_device(config.device)
    scene = read_prepared(config.data)
    _require_views(scene, config.data)
    with process_group(device):
        config = _without_missing_lpips(config)
        if config.resume and (config.output_dir / "manifest.json").is_file():
            read_manifest(config.output_dir)
        if is_main():
            claim_output_dir(config.output_dir, overwrite=config.overwrite, keep=config.resume)
            write_text(config.output_dir / "config.yaml", dump_yaml(_fit_settings(config)))
        wait_for_all()
        handler = _log_to(config.output_dir / "log.txt")
        try:
            fit = _choose_fit(config, device)
            scene = _calibrated(config, scene)
            fitted = fit(scene, _predicted(config, scene))
            return Result(config.output_dir, _write(config, scene, fitted, device) if is_main() else {})
        finally:
            logger.removeHandler(handler)
            handler.close()


def _choose_fit(config: Config, device: str) -> "Fit":
    """Return the fit that the settings ask for; torch, which takes a second to load, is needed for gradients only."""
    from neuraltex.fit.direct.alone import DirectOnly, is_direct_only

    if is_direct_only(config) and not config.resume:
        return DirectOnly(config, device, config.output_dir)
    from neuraltex.fit.loop import GradientFit

    seed_everything(config.seed)
    return GradientFit(config, device, config.output_dir, resume=config.resume)


def _without_missing_lpips(config: Config) -> Config:
    """Leave LPIPS out where its weights cannot be had and were not named: a fit goes on without it, as scores do."""
    from neuraltex.core.errors import DataError, OutputError
    from neuraltex.fit.distributed import wait_for_all
    from neuraltex.io.weights import fetch_weights

    loss = config.loss
    others = loss.l1 or loss.l2 or loss.charbonnier or loss.gradient or loss.ssim
    if not (loss.lpips and others and config.loop.steps) or config.vgg_weights or config.lpips_weights:
        return config
    if not is_main():
        wait_for_all()
    try:
        fetch_weights()
    except (DataError, OutputError) as error:
        logger.warning("LPIPS is left out of the fit. %s", error)
        return replace(config, loss=replace(loss, lpips=0.0))
    finally:
        if is_main():
            wait_for_all()
    return config


def _calibrated(config: Config, scene: Any) -> Any:
    """Refine the cameras if asked to; every process, and a resumed run, reads what the first one wrote."""
    calibrate, folder = config.calibrate, config.output_dir / CALIBRATED
    if not (calibrate.cameras or calibrate.intrinsics or calibrate.rig or calibrate.flow):
        return scene
    from neuraltex.fit.calibrate.scene import calibrate_scene
    from neuraltex.fit.distributed import wait_for_all
    from neuraltex.io.prepared import read_prepared

    if is_main() and not (config.resume and (folder / "scene.json").is_file()):
        calibrate_scene(scene, config, folder)
    wait_for_all()
    return read_prepared(folder)


def _predicted(config: Config, scene: Any) -> "Prior | None":
    """Predict the texture if settings make use of that: as a prior, or to start from."""
    starts_there = config.texture.init == "learned" and config.texture.init_file is None
    if config.prior.kind == "none" and not starts_there:
        return None
    from neuraltex.learn.prior import scene_prior

    return scene_prior(scene, config)


def _write(config: Config, scene: Any, fitted: Any, device: str) -> dict[str, Any]:
    """Complete the texture and write it with its manifest; returns the figures."""
    from neuraltex.fit.finish import finish_texture
    from neuraltex.fit.run import write_run

    finished = finish_texture(fitted.texture, fitted.seen, scene.mesh, config.texture, fitted.predicted)
    manifest = {
        "name": scene.info.get("name", config.data.name),
        "method": Path(config.preset).stem,
        "scene": Path(os.path.relpath(config.data.resolve(), config.output_dir.resolve())).as_posix(),
        "calibrated": CALIBRATED if scene.path == config.output_dir / CALIBRATED else None,
        **fitted.stats,
        "seed": config.seed,
        "device": device,
        "texture_size": int(finished.texture.shape[0]),
        "seen_share": round(float(fitted.seen.mean()), 4),
        "init": "file" if config.texture.init_file is not None else config.texture.init,
        "prior": config.prior.kind,
    }
    write_run(
        config.output_dir,
        manifest,
        finished.texture,
        finished.coverage,
        fitted.history,
        dump_yaml(_fit_settings(config)),
    )
    last = {key: value for entry in fitted.history[-1:] for key, value in entry.items() if key != "step"}
    return {**manifest, **last}


def _require_views(scene: Any, path: Path) -> None:
    from neuraltex.core.errors import DataError

    if not scene.split("train"):
        raise DataError(
            f"{path} has no training views", hint="Prepare it with more photographs or another --test-every"
        )


def _fit_settings(config: Config) -> dict[str, Any]:
    """Return the settings that can be given again as ``--preset RUN/config.yaml``."""
    return {item.name: getattr(config, item.name) for item in fields(FitConfig)}


def _log_to(path: Path) -> logging.Handler:
    if not is_main():
        return logging.NullHandler()
    with translate_write_errors(path):
        handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    return handler
