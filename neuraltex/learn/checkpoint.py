"""Trained networks as files: tensors with everything one must know to use them, and under which terms.

The format is safetensors, which holds numbers and text and cannot run anything. Its metadata have one entry,
``neuraltex``, with the fields of :class:`About` as JSON.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor, nn

from neuraltex import __version__
from neuraltex.core.errors import DataError, DivergenceError
from neuraltex.core.files import atomic_path
from neuraltex.texture.layout import Layout

VERSION = 1
KEY = "neuraltex"
_HALF_MAX = torch.finfo(torch.float16).max
_NAMED = 3  # tensors that a message lists


@dataclass(frozen=True)
class About:
    """What a checkpoint says of itself.

    Args:
        kind: What it holds, e.g. ``sampler`` or ``sampler+refiner``.
        config: Settings of networks and training, as plain values.
        layout: The uv layout that it was trained for.
        resolution: Side of the textures that it was trained on [texel].
        step: Steps of training.
        data: What it was trained on, in a sentence.
        license: Terms of that data, and of the weights.
        created_by: Program and version.
    """

    kind: str
    config: dict[str, Any]
    layout: Layout
    resolution: int
    step: int
    data: str
    license: str
    created_by: str = f"neuraltex {__version__}"

    def require(self, kind: str, source: Path | str, layout: Layout | None = None) -> None:
        """Check that a checkpoint is what is needed.

        Raises:
            DataError: if it holds another kind of network, or was trained for another uv layout.
        """
        if self.kind != kind:
            hint = f"Pass a checkpoint of kind {kind!r}, or make one: neuraltex train"
            raise DataError(f"it holds {self.kind!r}, expected {kind!r}", source=str(source), hint=hint)
        if layout is not None:
            self.layout.require(layout, f"mesh for {source}")


def write_checkpoint(path: Path, network: nn.Module, about: About, *, half: bool = False) -> Path:
    """Write the weights of a network atomically.

    Args:
        path: File, usually ``*.safetensors``.
        network: Its ``state_dict`` is written.
        about: What to say of it.
        half: Write parameters in half precision: half the size, for files that are shipped. Buffers, and parameters
            too large for it, stay as they are.

    Raises:
        DivergenceError: if a tensor is not finite.
        OutputError: if it cannot be written.
    """
    state = {name: value.detach().cpu() for name, value in network.state_dict().items()}
    broken = [name for name, value in state.items() if not value.isfinite().all()]
    if broken:
        raise DivergenceError(f"the weights {_listed(broken)} are not finite", hint="Train again with a lower rate")
    if half:
        learned = {name for name, _ in network.named_parameters()}
        state = {name: _halved(value) if name in learned else value for name, value in state.items()}
    plain = {"version": VERSION, **asdict(about), "layout": about.layout.to_plain()}
    with atomic_path(path) as temporary:
        # Copies, since tensors that share memory or are not in C order (channels last) cannot be written.
        tensors = {name: value.clone(memory_format=torch.contiguous_format) for name, value in state.items()}
        save_file(tensors, temporary, {KEY: json.dumps(plain, ensure_ascii=False, allow_nan=False)})
    return path


def read_about(path: Path) -> About:
    """Read what a checkpoint says of itself, without its weights.

    Raises:
        DataError: as :func:`read_checkpoint`.
    """
    return _parse_about(_read_header(path), path)


def read_checkpoint(path: Path) -> tuple[About, dict[str, Tensor]]:
    """Read a checkpoint; numbers in half precision become float32 again.

    Raises:
        DataError: if the file is missing, truncated, no checkpoint of this program, or of a newer one.
    """
    about = read_about(path)
    try:
        tensors = load(path.read_bytes())
    except (SafetensorError, ValueError, KeyError) as error:
        raise DataError(f"{path} is broken ({error})", hint="Copy or download it again") from error
    return about, {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}


def load_weights(network: nn.Module, tensors: Mapping[str, Tensor], source: Path | str) -> None:
    """Put the tensors of a checkpoint into a network; all must be there and fit.

    Raises:
        DataError: naming tensors that are missing, that the network does not have, or of another shape.
    """
    wanted = network.state_dict()
    missing, additional = (sorted(a - b) for a, b in ((wanted.keys(), tensors.keys()), (tensors.keys(), wanted.keys())))
    common = sorted(wanted.keys() & tensors.keys())
    shapes = [name for name in common if wanted[name].shape != tensors[name].shape]
    problems = [f"lacks {_listed(missing)}"] if missing else []
    problems += [f"adds {_listed(additional)}"] if additional else []
    problems += [
        f"has {name} as {tuple(tensors[name].shape)}, not {tuple(wanted[name].shape)}" for name in shapes[:_NAMED]
    ]
    if problems:
        hint = "Use the settings that it was trained with, which are in its metadata"
        raise DataError(f"it does not fit the network: {'; '.join(problems)}", source=str(source), hint=hint)
    network.load_state_dict(dict(tensors))


def _halved(value: Tensor) -> Tensor:
    fits = value.is_floating_point() and value.abs().max() <= _HALF_MAX if value.numel() else False
    return value.half() if fits else value


def _read_header(path: Path) -> dict[str, Any]:
    """Read the table of contents, and check that everything in it is there."""
    hint = "Copy or download it again, or make one: neuraltex train"
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length, start = int.from_bytes(file.read(8), "little"), file.read(1)
            if size > 8 and start != b"{":
                raise DataError(f"{path} is not a safetensors file", hint="Pass a checkpoint of: neuraltex train")
            content = start + file.read(min(length, size) - 1) if size > 8 else b""
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})", hint="Check the path") from error
    if size <= 8 or size < 8 + length:
        raise DataError(f"{path} is truncated: {size} bytes, not even its table of contents", hint=hint)
    try:
        header = json.loads(content)
        end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is broken: its table of contents cannot be read", hint=hint) from error
    if size < 8 + length + end:
        raise DataError(f"{path} is truncated: {size} of {8 + length + end} bytes", hint=hint)
    return header.get("__metadata__") or {}


def _parse_about(metadata: Mapping[str, str], path: Path) -> About:
    if KEY not in metadata:
        raise DataError(f"{path} holds tensors, but not of this program", hint="Pass a checkpoint of: neuraltex train")
    try:
        plain = json.loads(metadata[KEY])
        version = plain.pop("version")
        if version > VERSION:
            raise DataError(
                f"{path} has format {version} (by {plain.get('created_by', 'a newer version')}), "
                f"this program reads up to {VERSION}",
                hint="Update neuraltex",
            )
        return About(**{**plain, "layout": Layout(**plain["layout"])})
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} does not say what it holds ({error})", hint="Download it again") from error


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
