"""``neuraltex export``: the textured mesh of a run, for other programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from neuraltex.core.errors import OutputError
from neuraltex.core.runtime import logger
from neuraltex.stages.common import Common, Result


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Write the textured mesh as GLB, OBJ or PLY, or the texture alone as PNG or EXR."""

    run: Path
    """Run folder (output of neuraltex optimize)."""
    to: Path
    """File to write; the suffix chooses the format: .glb .obj .ply .png .exr."""


def run(config: Config) -> Result:
    """Write the file, and beside it what its format needs (.mtl, .png).

    Raises:
        UsageError: if the suffix is unknown.
        DataError: if the run cannot be read.
        OutputError: if a file exists already and ``overwrite`` is not given, or cannot be written.
    """
    from neuraltex.fit.run import read_run, read_run_files
    from neuraltex.io.export import check_suffix, sidecars, write_textured

    check_suffix(config.to)
    files = [config.to, *sidecars(config.to)]
    for file in files:
        if file.exists() and not config.overwrite:
            raise OutputError(f"{file} exists already", hint="Pass --overwrite or choose another name with --to")
    if config.to.suffix.lower() == ".exr":
        opened = read_run(config.run)
        write_textured(config.to, opened.mesh, opened.texture)
    else:  # the 8 bit texture of the run is what would be written
        write_textured(config.to, *read_run_files(config.run))
    logger.info("wrote %s", ", ".join(str(file) for file in files))
    return Result(config.to, {"files": [str(file) for file in files]})
