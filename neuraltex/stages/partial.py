"""``neuraltex partial``: the part of a texture that one photograph shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from neuraltex.config.partial import PartialConfig
from neuraltex.core.errors import UsageError
from neuraltex.core.files import claim_output_dir
from neuraltex.core.runtime import logger
from neuraltex.stages.common import Common, OptionalPath, Result

if TYPE_CHECKING:
    from neuraltex.learn.partial import Partial


@dataclass(frozen=True, kw_only=True)
class Config(PartialConfig, Common):
    """Extract the part of a texture that one photograph of a posed mesh shows, completed by its mirror image."""

    image: Path
    """Photograph."""
    mesh: Path
    """Mesh in the pose of the photograph, with the uv layout of the texture."""
    output_dir: Path
    """Folder to write."""
    camera: OptionalPath = None
    """JSON file with the camera, or a transforms.json that lists the photograph."""
    iuv: OptionalPath = None
    """DensePose's IUV map of the photograph, in place of a camera; the mesh then only gives layout, normals and
    positions."""
    table: OptionalPath = None
    """DensePose's UV_Processed.mat, or a table made from it, for --iuv."""
    iuv_order: Literal["auto", "iuv", "vui", "ivu", "uvi", "uiv", "viu"] = "auto"
    """What the channels of the IUV map hold; by default found out."""
    matte: OptionalPath = None
    """Image that is bright where the person is; by default the photograph's own transparency, if any."""
    rest_mesh: OptionalPath = None
    """Mesh of the same uv layout in a symmetric pose, on which mirror images are found; by default the mesh itself."""


def run(config: Config) -> Result:
    """Extract and write partial.npz, layout.json and pictures.

    Raises:
        UsageError: unless either a camera is given, or an IUV map and a table.
        DataError: if an input is missing or broken, sizes or uv layouts differ, or the photograph shows nothing.
        OutputError: if the folder holds another result and ``overwrite`` is not given, or cannot be written.
    """
    from neuraltex.learn.partial import write_partial
    from neuraltex.learn.pictures import write_pictures

    partial = _extract(config)
    folder = claim_output_dir(config.output_dir, overwrite=config.overwrite)
    write_partial(folder, partial)
    write_pictures(folder, partial)
    shares = _shares(partial)
    logger.info("%s", ", ".join(f"{name} {share:.1%}" for name, share in shares.items()))
    return Result(folder, {"size": config.size, "shares": shares, "layout": partial.layout.to_plain()})


def _extract(config: Config) -> Partial:
    """Extract by camera or by IUV map, whichever is given."""
    if config.camera is not None and config.iuv is None:
        return _extract_by_camera(config, config.camera)
    if config.camera is None and config.iuv is not None and config.table is not None:
        return _extract_by_iuv(config, config.iuv, config.table)
    raise UsageError(
        "it is not said where the photograph shows the mesh",
        source="partial",
        hint="Give --camera, or --iuv and --table",
    )


def _extract_by_iuv(config: Config, iuv: Path, table: Path) -> Partial:
    from neuraltex.io.meshes import read_mesh
    from neuraltex.io.subject import read_subject
    from neuraltex.learn.iuv import partial_from_iuv, read_iuv
    from neuraltex.learn.iuv_table import load_table_or_build

    mesh = read_mesh(config.mesh)
    photo, matte = read_subject(config.image, None, config.matte)
    known = load_table_or_build(table, mesh)
    order = config.iuv_order
    return partial_from_iuv(photo, read_iuv(iuv), known, mesh, config, order=order, matte=matte, source=str(iuv))


def _extract_by_camera(config: Config, camera_file: Path) -> Partial:
    from neuraltex.io.camera_file import read_camera
    from neuraltex.io.meshes import read_mesh
    from neuraltex.io.subject import read_subject
    from neuraltex.learn.extract import extract_partial, find_symmetry
    from neuraltex.texture.layout import layout_of

    mesh, camera = read_mesh(config.mesh), read_camera(camera_file, config.image)
    photo, matte = read_subject(config.image, camera, config.matte)
    symmetry = None
    if config.rest_mesh is not None and config.mirror:
        rest = read_mesh(config.rest_mesh)
        layout_of(mesh).require(layout_of(rest), str(config.rest_mesh))
        symmetry = find_symmetry(rest, config)
    return extract_partial(photo, mesh, camera, config, matte, symmetry)


def _shares(partial: Partial) -> dict[str, float]:
    """Shares of the texels in charts that are of each class."""
    total = int(partial.inside.sum())
    names = ("direct", "mirrored", "unseen")
    return {name: round(int(getattr(partial, name).sum()) / total, 4) for name in names}
