"""Procedural samples in the folders that all training data come in."""

from pathlib import Path
from typing import Any

import numpy as np

from neuraltex.config.avatars import AvatarConfig
from neuraltex.core.files import write_json
from neuraltex.core.runtime import progress
from neuraltex.io.meshes import write_mesh
from neuraltex.learn.data.avatars import BODIES, INDEX, settings
from neuraltex.learn.data.files import PHOTO, sample_file, write_sample, write_subject
from neuraltex.learn.data.procedural import KindName, procedural_layout, procedural_sample, template_mesh
from neuraltex.learn.data.split import split_groups


def procedural_index(config: AvatarConfig, kind: KindName, count: int) -> dict[str, Any]:
    """Return the contents of ``avatars.json`` for so many subjects: plain JSON values."""
    subjects = {f"{kind}_{config.seed + index:06d}": {"seed": config.seed + index} for index in range(count)}
    split = split_groups([(name,) for name in subjects], config.test_share, config.val_share)
    made = {"version": 1, "layout": procedural_layout(kind).to_plain(), **settings(config), "bodies": [kind]}
    return {**made, "subjects": subjects, "variants": [], "split": split}


def write_procedural(folder: Path, config: AvatarConfig, kind: KindName, index: dict[str, Any]) -> int:
    """Write all procedural samples that are not there yet; returns how many were written.

    Raises:
        OutputError: if the folder cannot be written.
    """
    write_json(folder / INDEX, index)
    write_mesh(folder / BODIES / f"{kind}.obj", template_mesh(kind))
    written = 0
    for subject, item in progress(index["subjects"].items(), total=len(index["subjects"]), label="procedural"):
        written += sum(_write(folder, config, kind, subject, item["seed"], angle) for angle in config.angles())
    return written


def _write(folder: Path, config: AvatarConfig, kind: KindName, subject: str, seed: int, angle: float) -> bool:
    """Write one sample, unless it is there; returns whether it was written."""
    if sample_file(folder, PHOTO, f"{angle:g}", subject).is_file():
        return False
    change = np.random.default_rng([seed, round(angle + 360)]).uniform(-1, 1) * config.azimuth_jitter
    sample = procedural_sample(seed, config.size, kind=kind, azimuth=angle + change, photo_size=config.photo_size)
    write_subject(folder, subject, sample.truth)
    write_sample(folder, subject, f"{angle:g}", sample.partial, sample.photo, shift=sample.shift)
    return True
