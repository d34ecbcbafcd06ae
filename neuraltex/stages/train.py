"""``neuraltex train``: train a sampler, or a refiner on top of it, on a folder of avatars."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from neuraltex.config.learn import LearnConfig
from neuraltex.config.load import dump_yaml, find_preset, merge, read_yaml
from neuraltex.core.errors import UsageError
from neuraltex.core.files import claim_output_dir, write_json, write_text
from neuraltex.core.runtime import is_main, resolve_device, seed_everything
from neuraltex.stages.common import Common, OptionalPath, Result

if TYPE_CHECKING:
    from neuraltex.learn.data.dataset import FolderSet
    from neuraltex.learn.networks import TextureNetworks
    from neuraltex.learn.train import Material

DEFAULTS_FROM = ("--preset", "--network")
"""Flags that decide the defaults of all others."""


@dataclass(frozen=True, kw_only=True)
class Config(LearnConfig, Common):
    """Train a network for learned textures; a preset sets the defaults of the flags."""

    network: Literal["sampler", "refiner"]
    """What to train; a refiner needs the sampler it works on."""
    data: Path
    """Folder of samples (output of neuraltex make-avatars, or of the published scripts)."""
    output_dir: Path
    """Folder to write: checkpoint, TensorBoard, states to resume from."""
    preset: str = "lite"
    """lite: for CPUs; paper: the published layers, losses and schedule."""
    sampler_checkpoint: OptionalPath = None
    """Finished sampler, for --network refiner."""
    subjects: str = "*"
    """Pattern of the names of the subjects to learn from, e.g. core_* for those that shipped weights may come from."""
    angles: tuple[str, ...] = ()
    """Views to learn from; others of the subjects only join them with --train.fused. All by default."""
    license: str = ""
    """Terms of the subjects that are learned from, kept in the checkpoint; by default what the data say."""
    half: bool = False
    """Write the checkpoint in half precision, for shipping."""
    resume: bool = False
    """Go on from the newest state in the output folder."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to work; auto takes CUDA where there is one."""
    vgg_weights: OptionalPath = None
    """File with the VGG weights of perceptual terms; without it the cache is searched, then they are downloaded."""
    lpips_weights: OptionalPath = None
    """File with the LPIPS heads; likewise."""


def default_config(preset: str | None, network: str | None) -> Config:
    """Return the defaults of the flags under a preset for one of the networks.

    Raises:
        ConfigError: if the preset does not exist or has unknown keys.
    """
    name, part = preset or "lite", network if network in ("sampler", "refiner") else "sampler"
    path = find_preset(name if name.endswith((".yaml", ".yml")) else f"learn/{name}-{part}")
    given: Any = {"network": tyro.MISSING, "data": tyro.MISSING, "output_dir": tyro.MISSING}
    return merge(Config(**given, preset=name), read_yaml(path), str(path))


def run(config: Config) -> Result:
    """Train and write ``sampler.safetensors`` or ``refiner.safetensors``.

    Raises:
        NeuralTexError: if the data, the settings or the output folder cannot be used.
    """
    from neuraltex.fit.distributed import process_group, wait_for_all
    from neuraltex.learn.data.dataset import FolderSet
    from neuraltex.learn.train import Training

    if (config.network == "refiner") != (config.sampler_checkpoint is not None):
        raise UsageError(
            "a refiner is trained on a finished sampler, a sampler on its own",
            source="--sampler-checkpoint",
            hint="Give it with --network refiner only",
        )
    device, folder = resolve_device(config.device), config.output_dir
    seed_everything(config.train.seed)
    samples = FolderSet(config.data, "train", subjects=config.subjects, size=config.train.size)
    with process_group(device):
        if is_main():
            claim_output_dir(folder, overwrite=config.overwrite, keep=config.resume)
            write_text(folder / "config.yaml", dump_yaml(_settings(config)))
        wait_for_all()
        material = _material(config, samples, device)
        networks = _networks(config, samples, material, device)
        training = Training(config, networks, material, folder, device, resume=config.resume)
        training.run()
        return _finish(config, samples, training) if is_main() else Result(None)


def _material(config: Config, samples: FolderSet, device: str) -> Material:
    """Put samples, curriculum and perceptual terms together."""
    import numpy as np

    from neuraltex.learn.batches import Batches
    from neuraltex.learn.data.dataset import FolderSet
    from neuraltex.learn.perceptual import PerceptualTerms
    from neuraltex.learn.prepare import make_curriculum, make_parts
    from neuraltex.learn.train import Material

    first = [not config.angles or samples.angle(index) in config.angles for index in range(len(samples))]
    train = Batches(samples, device, np.array(first))
    splits = set(samples.splits.values())
    held_back = FolderSet(config.data, "val", size=config.train.size) if "val" in splits else None
    terms = PerceptualTerms(config, device, config.vgg_weights, config.lpips_weights)
    names = tuple(sorted({samples.subject(index) for index in range(len(samples))}))
    name = config.train.curriculum if config.network == "sampler" else "none"
    curriculum = make_curriculum(name, samples.rest_mesh, train.size, device)
    parts = make_parts(config.train.parts, samples.rest_mesh, train.size, device) if config.loss.parts else None
    watched = None if held_back is None else Batches(held_back, device)
    return Material(train, watched, curriculum, terms, parts, names)


def _networks(config: Config, samples: FolderSet, material: Material, device: str) -> TextureNetworks:
    from neuraltex.learn.load import load_networks
    from neuraltex.learn.networks import TextureNetworks, build_refiner, build_sampler
    from neuraltex.learn.prepare import layout_bases

    if config.sampler_checkpoint is None:
        bases = layout_bases(material.train, samples.rest_mesh, config.sampler.hypotheses)
        return TextureNetworks(build_sampler(config.sampler, bases))
    finished, about = load_networks(config.sampler_checkpoint)
    about.layout.require(samples.layout, str(config.sampler_checkpoint))
    return TextureNetworks(finished.sampler, build_refiner(config.refiner, material.train.mean()))


def _finish(config: Config, samples: FolderSet, training: Any) -> Result:
    """Write the checkpoint and the history; returns where and the last scores."""
    from neuraltex.config.load import merge
    from neuraltex.learn.checkpoint import read_about
    from neuraltex.learn.load import save_networks

    settings = {item.name: getattr(config, item.name) for item in fields(LearnConfig)}
    used = LearnConfig(**settings)
    if config.sampler_checkpoint is not None:  # the settings of the sampler are those it was trained with
        plain = read_about(config.sampler_checkpoint).config["sampler"]
        used = merge(used, {"sampler": plain}, str(config.sampler_checkpoint))
    names = {samples.subject(index) for index in range(len(samples))}
    words = f"{len(samples)} partial textures of {len(names)} subjects ({config.subjects}) of {config.data.name}"
    path = save_networks(
        config.output_dir / f"{config.network}.safetensors",
        training.finished(),
        used,
        samples.layout,
        training.material.train.size[0],
        training.step,
        words,
        config.license or samples.license or "not stated",
        half=config.half,
    )
    history = training.monitor.history
    write_json(config.output_dir / "history.json", history)
    last = {key: value for entry in history[-2:] for key, value in entry.items()}
    return Result(path, {"steps": training.step, "subjects": len(names), "samples": len(samples), **last})


def _settings(config: Config) -> dict[str, Any]:
    """Return the settings that can be given again as ``--preset RUN/config.yaml``."""
    return {item.name: getattr(config, item.name) for item in fields(LearnConfig)}
