"""``neuraltex make-avatars``: training samples from textures and bodies, or from a procedure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from neuraltex.config.avatars import AvatarConfig
from neuraltex.core.errors import OutputError, UsageError
from neuraltex.core.files import claim_output_dir, read_json
from neuraltex.stages.common import Common, OptionalPath, Result

if TYPE_CHECKING:
    from neuraltex.learn.data.avatars import Avatars


@dataclass(frozen=True, kw_only=True)
class Config(AvatarConfig, Common):
    """Photograph textures on bodies from all sides and extract what each photograph shows."""

    output_dir: Path
    """Folder to write; what is there already is kept, so that an interrupted run goes on."""
    textures: tuple[str, ...] = ()
    """Folders, files or patterns of whole textures over one uv layout; their file names are the subjects' names."""
    bodies: tuple[Path, ...] = ()
    """Meshes with that uv layout, the first in a symmetric pose."""
    test_subjects: OptionalPath = None
    """Text file with the names of the textures to score on, one a line, instead of --test-share."""
    procedural: int = 0
    """Make so many procedural subjects instead; they need no textures and no bodies."""
    kind: Literal["figure", "head", "vessel"] = "figure"
    """What procedural subjects are."""


def run(config: Config) -> Result:
    """Write samples and avatars.json.

    Raises:
        UsageError: if flags are missing or contradict each other.
        DataError: if an input is missing or broken, or bodies have different uv layouts.
        OutputError: if the folder holds samples made with other settings.
    """
    from neuraltex.learn.data.avatars import write_avatars
    from neuraltex.learn.data.procedural_files import procedural_index, write_procedural

    _check(config)
    if config.procedural:
        index = procedural_index(config, config.kind, config.procedural)
        folder = _claim(config, index)
        written = write_procedural(folder, config, config.kind, index)
    else:
        avatars = _plan(config)
        index, folder = avatars.index, _claim(config, avatars.index)
        written = write_avatars(folder, avatars)
    return Result(folder, _summary(index, written))


def _check(config: Config) -> None:
    if bool(config.procedural) == bool(config.textures or config.bodies):
        raise UsageError(
            "textures and bodies, or a number of procedural subjects, are needed",
            source="command line",
            hint="Give --textures DIR --bodies MESH, or --procedural N",
        )
    if not config.procedural and not (config.textures and config.bodies):
        flag = "--bodies" if config.textures else "--textures"
        raise UsageError(f"{flag} is missing", source="command line", hint="Give --textures DIR --bodies MESH")


def _plan(config: Config) -> Avatars:
    from neuraltex.learn.data.avatars import Avatars, read_bodies
    from neuraltex.learn.data.skins import find_textures
    from neuraltex.learn.data.split import read_names

    listed = () if config.test_subjects is None else read_names(config.test_subjects)
    return Avatars(config, find_textures(config.textures), read_bodies(config.bodies), listed)


def _claim(config: Config, index: dict[str, Any]) -> Path:
    """Return the output folder, with what an interrupted run left there.

    Raises:
        OutputError: if it was made with other settings or inputs.
    """
    from neuraltex.learn.data.avatars import INDEX

    present = config.output_dir / INDEX
    if config.overwrite or not present.is_file():
        return claim_output_dir(config.output_dir, overwrite=config.overwrite)
    old = read_json(present)
    changed = sorted(key for key in index if old.get(key) != index[key])
    if changed:
        raise OutputError(
            f"{config.output_dir} holds samples made with another {', '.join(changed)}",
            hint="Pass --overwrite to replace them or choose another --output-dir",
        )
    return claim_output_dir(config.output_dir, overwrite=False, keep=True)


def _summary(index: dict[str, Any], written: int) -> dict[str, Any]:
    splits = list(index["split"].values())
    counts = {name: splits.count(name) for name in ("train", "val", "test")}
    return {"subjects": len(splits), "samples_written": written, "split": counts, "license": index["license"]}
