"""Networks on disk: what a training leaves, and what ships with the program."""

from pathlib import Path

import torch

from neuraltex.config.learn import LearnConfig
from neuraltex.config.load import merge, to_plain
from neuraltex.core.errors import DataError
from neuraltex.learn.checkpoint import About, load_weights, read_about, read_checkpoint, write_checkpoint
from neuraltex.learn.networks import TextureNetworks, networks_from_tensors
from neuraltex.learn.predict import Predictor
from neuraltex.texture.layout import Layout

SHIPPED = Path(__file__).resolve().parent / "weights"
"""Folder of the checkpoints that ship."""
NETWORKS = ("sampler", "refiner")
"""Settings in a checkpoint that say what the networks look like."""
SAMPLER, BOTH = "sampler", "sampler+refiner"
"""Kinds of checkpoints."""


def save_networks(
    path: Path,
    networks: TextureNetworks,
    config: LearnConfig,
    layout: Layout,
    size: int,
    step: int,
    data: str,
    license: str,
    *,
    half: bool = False,
) -> Path:
    """Write networks with everything one must know to use them.

    Args:
        path: File, ``*.safetensors``.
        networks: A sampler, or sampler and refiner.
        config: Settings they were trained with.
        layout: The uv layout.
        size: Side of the textures of the training [texel].
        step: Steps of the last training.
        data: What they were trained on, in a sentence.
        license: Terms of that data, and of the weights.
        half: Write half precision, for files that ship.
    """
    kind = SAMPLER if networks.refiner is None else BOTH
    about = About(kind, to_plain(config), layout, size, step, data, license)
    return write_checkpoint(path, networks, about, half=half)


def load_networks(path: Path) -> tuple[TextureNetworks, About]:
    """Read networks.

    Raises:
        DataError: if the file is missing, truncated, or holds something else.
    """
    about, tensors = read_checkpoint(path)
    if about.kind not in (SAMPLER, BOTH):
        raise DataError(f"{path} holds {about.kind!r}", hint="Pass a checkpoint of: neuraltex train")
    shape = {name: about.config[name] for name in NETWORKS if name in about.config}  # what it was trained by may change
    networks = networks_from_tensors(merge(LearnConfig(), shape, str(path)), tensors)
    load_weights(networks, tensors, path)
    return networks, about


def load_predictor(path: Path | None, layout: Layout | None = None, device: torch.device | str = "cpu") -> Predictor:
    """Read networks to predict with.

    Args:
        path: Checkpoint; without one, that which ships for the layout.
        layout: What it must have been trained for; needed if there is no path.
        device: Where to work.

    Raises:
        DataError: as :func:`load_networks`, if the checkpoint is for another uv layout, or none ships for it.
    """
    if path is None:
        path = find_shipped(layout)
    networks, about = load_networks(path)
    if layout is not None:
        about.layout.require(layout, str(path))
    return Predictor(networks, about.layout, about.resolution, device)


def find_shipped(layout: Layout | None) -> Path:
    """Return the shipped checkpoint for a uv layout.

    Raises:
        DataError: if there is none; names those there are.
    """
    known = {path: read_about(path).layout for path in sorted(SHIPPED.glob("*.safetensors"))}
    for path, own in known.items():
        if layout is not None and own.matches(layout):
            return path
    raise DataError(
        f"no checkpoint ships for the uv layout {layout or 'asked for'}",
        source=str(SHIPPED),
        hint=f"Pass --checkpoint, or a mesh with one of these: {', '.join(map(str, known.values())) or 'none'}",
    )
