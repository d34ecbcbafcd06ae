"""Mesh files of all formats: one entry to read, one to write; what is read is checked once, here."""

from pathlib import Path

import numpy as np

from neuraltex.core.errors import DataError
from neuraltex.core.runtime import logger
from neuraltex.geometry.mesh import Mesh, TexturedMesh
from neuraltex.io import glb, obj, off, ply, stl
from neuraltex.io.discover import MESH_SUFFIXES


def read_mesh(path: str | Path) -> Mesh:
    """Read the geometry and, where there are some, the texture coordinates of a mesh file; textures stay unread.

    Polygons are cut into triangles around their first corner. Zero-area faces are kept, counted and logged.

    Raises:
        DataError: if the file is missing, of an unknown format, broken, empty, has NaN or infinite numbers, or faces
            that refer to vertices which do not exist.
    """
    return _read(Path(path), textures=False).mesh


def read_textured_mesh(path: str | Path) -> TexturedMesh:
    """Read a mesh with its textures (all materials) or vertex colors.

    Raises:
        DataError: as :func:`read_mesh`, or if a texture the file names cannot be read.
    """
    return _read(Path(path), textures=True)


def write_mesh(path: str | Path, mesh: Mesh) -> Path:
    """Write a mesh atomically; the suffix chooses the format.

    ``.obj``, ``.ply`` (per-corner ``texcoord``) and ``.glb`` keep texture coordinates; ``.off`` and ``.stoff`` have the
    header ``STOFF`` when the mesh has some, else ``OFF``; ``.stl`` drops them.

    Raises:
        DataError: if the suffix is unknown.
        OutputError: if the file cannot be written.
    """
    path = Path(path)
    match path.suffix.lower():
        case ".obj":
            return obj.write(path, mesh)
        case ".ply":
            return ply.write(path, mesh)
        case ".off" | ".stoff":
            return off.write(path, mesh, uv=mesh.has_uv)
        case ".stl":
            return stl.write(path, mesh)
        case ".glb":
            return glb.write(path, mesh)
    raise _unknown_suffix(path)


def _read(path: Path, *, textures: bool) -> TexturedMesh:
    if not path.is_file():
        raise DataError(f"{path} does not exist", hint="Check the path of the mesh")
    match path.suffix.lower():
        case ".obj":
            textured = obj.read(path, textures=textures)
        case ".ply":
            textured = ply.read(path, textures=textures)
        case ".off" | ".stoff":
            textured = off.read(path)
        case ".stl":
            textured = stl.read(path)
        case ".glb" | ".gltf":
            textured = glb.read(path, textures=textures)
        case _:
            raise _unknown_suffix(path)
    check_mesh(textured.mesh, path)
    return textured


def check_mesh(mesh: Mesh, path: Path) -> None:
    """Refuse a mesh nothing can be done with.

    Raises:
        DataError: for an empty mesh, NaN or infinite numbers, and faces that refer to missing vertices.
    """
    if mesh.num_faces == 0 or len(mesh.vertices) == 0:
        raise DataError(f"{path} holds no triangles", hint="Export the mesh again, with faces")
    pairs = [("vertex", mesh.vertices, mesh.faces)]
    if mesh.uvs is not None and mesh.uv_faces is not None:
        pairs.append(("texture coordinate", mesh.uvs, mesh.uv_faces))
    for what, values, faces in pairs:
        low, high = int(faces.min()), int(faces.max())
        if low < 0 or high >= len(values):
            raise DataError(
                f"{path}: a face refers to {what} {low if low < 0 else high} but there are {len(values)}",
                hint="Export the mesh again; the file may be truncated",
            )
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(bad):
            raise DataError(
                f"{path} has {len(bad)} {what}(s) that are NaN or infinite, first number {bad[0]} (counted from 0)",
                hint="Remove them in a mesh editor and export again",
            )
    flat = int((mesh.face_areas == 0).sum())
    if flat:
        logger.warning("%s has %d of %d faces without area; they are kept but show nothing", path, flat, mesh.num_faces)


def _unknown_suffix(path: Path) -> DataError:
    return DataError(f"{path} has a suffix no mesh format uses", hint=f"Use one of {', '.join(MESH_SUFFIXES)}")
