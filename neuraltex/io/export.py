"""Writing a textured mesh so that other programs show exactly what was fitted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped, UInt8

from neuraltex.core.conventions import texel_from_uv
from neuraltex.core.errors import DataError, MissingDependency, UsageError
from neuraltex.core.files import atomic_path, write_text
from neuraltex.geometry.mesh import Mesh
from neuraltex.io import images, obj, ply
from neuraltex.io.polygons import split_seams

SUFFIXES = (".glb", ".obj", ".ply", ".png", ".exr")
FAR_FROM_ORIGIN = 16.0
"""Distance to the origin, in mesh sizes, beyond which float32 positions are avoided (a GLB is moved by its node)."""


def write_textured(path: str | Path, mesh: Mesh, texture: Shaped[np.ndarray, "Ht Wt 3"]) -> Path:
    """Write a mesh with its texture; the suffix chooses the format.

    Convention:
        Row 0 of the texture is v = 1 (core.conventions); the GLB exporter is the only place that turns v downwards.
        8 bit formats hold ``round(255 * value)``; values outside [0, 1] are clipped. ``.exr`` keeps float32.

    Args:
        path: ``.glb`` (one file), ``.obj`` (with ``.mtl`` and ``.png``), ``.ply`` (with ``.png``), or the texture
            alone as ``.png`` or ``.exr``. Sidecar files carry the same stem.
        mesh: Mesh with uvs.
        texture: Color in [0, 1] (float) or 0..255 (8 bit).

    Returns:
        The path, as given.

    Raises:
        UsageError: if the suffix is none of the above.
        DataError: if the mesh has no uvs, or the texture is not finite.
        OutputError: if the file cannot be written; what was there before stays.
    """
    path = Path(path)
    check_suffix(path)
    if not mesh.has_uv and path.suffix.lower() in (".glb", ".obj", ".ply"):
        raise DataError("the mesh has no texture coordinates", hint="Unwrap it first: neuraltex prepare does")
    if not np.isfinite(texture).all():
        raise DataError(
            "the texture has NaN or infinite texels", source=str(path), hint="Optimize again and export that run"
        )
    writers: dict[str, Callable[[], Path]] = {
        ".glb": lambda: _write_glb(path, mesh, to_uint8(texture)),
        ".obj": lambda: _write_obj(path, mesh, to_uint8(texture)),
        ".ply": lambda: _write_ply(path, mesh, to_uint8(texture)),
        ".png": lambda: images.write_rgb(path, to_uint8(texture)),
        ".exr": lambda: images.write_exr(path, _to_float(texture)),
    }
    return writers[path.suffix.lower()]()


def check_suffix(path: Path) -> None:
    """Refuse a file name that no writer here understands.

    Raises:
        UsageError: if the suffix is not one of :data:`SUFFIXES`.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"{path} has the suffix {path.suffix!r}", source="export", hint=f"Use one of {', '.join(SUFFIXES)}"
        )


def sidecars(path: Path) -> tuple[Path, ...]:
    """Files that :func:`write_textured` writes besides ``path``."""
    suffixes = {".obj": (".mtl", ".png"), ".ply": (".png",)}.get(path.suffix.lower(), ())
    return tuple(path.with_suffix(suffix) for suffix in suffixes)


def to_uint8(texture: Shaped[np.ndarray, "*B C"]) -> UInt8[np.ndarray, "*B C"]:
    """Round color in [0, 1] to 8 bit; 8 bit input is returned as it is."""
    if texture.dtype == np.uint8:
        return texture
    return np.round(np.clip(texture, 0, 1) * 255).astype(np.uint8)


def vertex_normals(mesh: Mesh) -> Float[np.ndarray, "V 3"]:
    """Area-weighted unit normals; smooth across uv seams. Vertices without area get (0, 0, 1)."""
    weighted = mesh.face_normals * mesh.face_areas[:, None]
    summed = np.stack(
        [np.bincount(mesh.faces.reshape(-1), np.repeat(weighted[:, i], 3), len(mesh.vertices)) for i in range(3)],
        axis=1,
    )
    length = np.linalg.norm(summed, axis=1, keepdims=True)
    return np.where(length > 0, summed / np.where(length > 0, length, 1), [0.0, 0.0, 1.0])


def _to_float(texture: np.ndarray) -> np.ndarray:
    return texture.astype(np.float32) / 255 if texture.dtype == np.uint8 else texture.astype(np.float32)


def glb_bytes(mesh: Mesh, texture: UInt8[np.ndarray, "Ht Wt 3"], name: str = "textured") -> bytes:
    """Return a textured mesh as the content of a ``.glb`` file.

    Written by trimesh, which stores float32 positions and a lossless PNG and flips v; the rest is set afterwards.

    Raises:
        MissingDependency: if trimesh is not installed.
        DataError: if the mesh has no uvs.
    """
    try:
        import trimesh
    except ImportError as error:
        raise MissingDependency("writing GLB needs trimesh", hint="Run: pip install trimesh") from error
    from PIL import Image  # noqa: PLC0415

    positions, uvs, faces, vertex = split_seams(mesh)
    shift = _gltf_origin(positions)
    material = trimesh.visual.material.PBRMaterial(
        name=name,
        baseColorTexture=Image.fromarray(texture),
        metallicFactor=0.0,
        roughnessFactor=1.0,
        doubleSided=True,
    )
    body = trimesh.Trimesh(
        vertices=positions - shift,
        faces=faces,
        vertex_normals=vertex_normals(mesh)[vertex],
        visual=trimesh.visual.TextureVisuals(uv=uvs, material=material),
        process=False,
    )
    scene = trimesh.Scene()
    scene.add_geometry(
        body, node_name=name, geom_name=name, transform=trimesh.transformations.translation_matrix(shift)
    )
    return trimesh.exchange.gltf.export_glb(scene, include_normals=True, tree_postprocessor=_finish_gltf)


def _write_glb(path: Path, mesh: Mesh, texture: np.ndarray) -> Path:
    content = glb_bytes(mesh, texture, path.stem)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return path


def _is_far(positions: np.ndarray) -> bool:
    """Whether float32 would visibly round the shape away (georeferenced scenes)."""
    size = float(np.ptp(positions, axis=0).max(initial=0.0))
    return bool(np.abs(positions).max(initial=0.0) > FAR_FROM_ORIGIN * size)


def _gltf_origin(positions: np.ndarray) -> np.ndarray:
    """Offset moved into the node transform (double precision), because glTF positions are float32."""
    return (positions.min(0) + positions.max(0)) / 2 if _is_far(positions) else np.zeros(3)


def _finish_gltf(tree: dict[str, Any]) -> None:
    """Photographs carry their own light, so no shading (KHR_materials_unlit); bilinear without mip levels, clamped."""
    linear, clamp = 9729, 33071
    tree["samplers"] = [{"magFilter": linear, "minFilter": linear, "wrapS": clamp, "wrapT": clamp}]
    tree["extensionsUsed"] = sorted({*tree.get("extensionsUsed", []), "KHR_materials_unlit"})
    for texture in tree["textures"]:
        texture["sampler"] = 0
    for material in tree["materials"]:
        material["extensions"] = {"KHR_materials_unlit": {}}
    tree["asset"]["generator"] = "neuraltex"


def _write_obj(path: Path, mesh: Mesh, texture: np.ndarray) -> Path:
    """Texture and material first, so that an interrupted export never leaves a mesh that names missing files."""
    images.write_rgb(path.with_suffix(".png"), texture)
    material = "newmtl textured\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 0\nmap_Kd {0}\n"
    write_text(path.with_suffix(".mtl"), material.format(path.with_suffix(".png").name))
    return obj.write(path, mesh, mtl=path.with_suffix(".mtl").name, material="textured")


def _write_ply(path: Path, mesh: Mesh, texture: np.ndarray) -> Path:
    """Wedge uvs with ``comment TextureFile`` (OpenMVS, MeshLab); vertex colors for programs that ignore it."""
    colors = _vertex_colors(mesh, texture) / 255
    images.write_rgb(path.with_suffix(".png"), texture)
    return ply.write(path, mesh, texture_file=path.with_suffix(".png").name, vertex_colors=colors)


def _vertex_colors(mesh: Mesh, texture: np.ndarray) -> np.ndarray:
    """Mean of the texels nearest to the corners of each vertex, 8 bit ``[V, 3]``."""
    height, width = texture.shape[:2]
    x, y = texel_from_uv(mesh.corner_uvs.reshape(-1, 2), width, height)
    colors = texture[np.round(y).astype(int).clip(0, height - 1), np.round(x).astype(int).clip(0, width - 1), :3]
    index = mesh.faces.reshape(-1)
    count = np.maximum(np.bincount(index, minlength=len(mesh.vertices)), 1)
    sums = [np.bincount(index, colors[:, channel], len(mesh.vertices)) for channel in range(3)]
    return np.round(np.stack(sums, axis=1) / count[:, None]).astype(np.uint8)
