"""glTF, binary (.glb) and text (.gltf), through trimesh, which turns v up when it reads and down when it writes."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from neuraltex.core.errors import DataError, MissingDependency
from neuraltex.core.files import atomic_path
from neuraltex.geometry.mesh import Mesh, TexturedMesh
from neuraltex.io.polygons import split_seams


def _trimesh() -> Any:
    try:
        import trimesh
    except ImportError as error:
        raise MissingDependency("glTF files need trimesh", hint="Run: pip install trimesh") from error
    return trimesh


def read(path: Path, *, textures: bool = True) -> TexturedMesh:
    """Read all triangles of a glTF scene in world coordinates, joined; each primitive may have its own texture.

    Raises:
        DataError: if trimesh cannot read the file.
    """
    trimesh = _trimesh()
    try:
        scene = trimesh.load(path, force="scene", process=False, file_type=path.suffix[1:].lower())
        parts = [part for part in scene.dump() if isinstance(part, trimesh.Trimesh)]
    except Exception as error:  # trimesh raises whatever its parsers raise
        raise DataError(f"{path} cannot be read as glTF ({error})", hint="Export the mesh again") from error
    if not parts:
        raise DataError(f"{path} holds no triangles", hint="Export the mesh again")
    pictures = [_picture(part) if textures else None for part in parts]
    return _join(parts, pictures)


def write(path: Path, mesh: Mesh) -> Path:
    """Write geometry and uvs as GLB without a material (vertices on seams are repeated)."""
    trimesh = _trimesh()
    vertices, faces, visual = mesh.vertices, mesh.faces, None
    if mesh.has_uv:
        vertices, uvs, faces, _ = split_seams(mesh)
        visual = trimesh.visual.TextureVisuals(uv=uvs)
    buffer = io.BytesIO()
    trimesh.Trimesh(vertices, faces, visual=visual, process=False).export(buffer, file_type="glb")
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())
    return path


def _join(parts: list[Any], pictures: list[np.ndarray | None]) -> TexturedMesh:
    """Concatenate parts; those without uv get (0, 0) when another part has uvs."""
    offsets = np.cumsum([0, *(len(part.vertices) for part in parts)])
    faces = np.concatenate([part.faces + offset for part, offset in zip(parts, offsets, strict=False)])
    vertices = np.concatenate([part.vertices for part in parts])
    uvs = [getattr(part.visual, "uv", None) for part in parts]
    mesh = Mesh(vertices, faces)
    if any(uv is not None for uv in uvs):
        rows = [np.zeros((len(p.vertices), 2)) if uv is None else uv for p, uv in zip(parts, uvs, strict=True)]
        mesh = mesh.with_uv(np.concatenate(rows), mesh.faces)
    found = [picture for picture in pictures if picture is not None]
    index = np.cumsum([picture is not None for picture in pictures]) - 1
    per_part = [i if picture is not None else -1 for i, picture in zip(index, pictures, strict=True)]
    texture_idx = np.repeat(per_part, [len(part.faces) for part in parts])
    return TexturedMesh(mesh, tuple(found), texture_idx if found else None, _vertex_colors(parts))


def _picture(part: Any) -> np.ndarray | None:
    """Return the base color texture times the base color factor, 8 bit."""
    material = getattr(part.visual, "material", None)
    image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    if image is None or getattr(part.visual, "uv", None) is None:
        return None
    pixels = np.asarray(image.convert("RGBA" if "A" in image.getbands() or "transparency" in image.info else "RGB"))
    factor = getattr(material, "baseColorFactor", None)
    if factor is not None and (np.asarray(factor)[:3] != 255).any():
        scale = np.asarray(factor, np.float64)[: pixels.shape[2]] / 255
        pixels = np.round(pixels * scale).astype(np.uint8)
    return pixels


def _vertex_colors(parts: list[Any]) -> np.ndarray | None:
    if not all(part.visual.kind == "vertex" for part in parts):
        return None
    return np.concatenate([np.asarray(part.visual.vertex_colors)[:, :3] / 255.0 for part in parts])
