"""Writing a textured mesh so that other programs show exactly what was fitted."""

from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt8

from neuraltex.core.conventions import texel_from_uv
from neuraltex.core.errors import DataError, UsageError
from neuraltex.core.files import atomic_path, write_text
from neuraltex.geometry.mesh import Mesh
from neuraltex.io import images, obj, ply
from neuraltex.io.glb_writer import textured_glb
from neuraltex.io.images import to_uint8

SUFFIXES = (".glb", ".obj", ".ply", ".png", ".exr")


def write_textured(path: str | Path, mesh: Mesh, texture: Shaped[np.ndarray, "Ht Wt 3"] | bytes) -> Path:
    """Write a mesh with its texture; the suffix chooses the format.

    Convention:
        Row 0 of the texture is v = 1 (core.conventions); only ``glb_writer`` turns v downwards.
        8 bit formats hold ``round(255 * value)``; values outside [0, 1] are clipped. ``.exr`` keeps float32.

    Args:
        path: ``.glb`` (one file), ``.obj`` (with ``.mtl`` and ``.png``), ``.ply`` (with ``.png``), or the texture
            alone as ``.png`` or ``.exr``. Sidecar files carry the same stem.
        mesh: Mesh with uvs.
        texture: Color in [0, 1] (float) or 0..255 (8 bit), or the content of a PNG file, which is then put into the
            result as it is: encoding a large texture takes seconds.

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
    if not isinstance(texture, bytes) and not np.isfinite(texture).all():
        raise DataError(
            "the texture has NaN or infinite texels", source=str(path), hint="Optimize again and export that run"
        )
    suffix = path.suffix.lower()
    if suffix == ".exr":
        return images.write_exr(path, _to_float(_pixels(texture)), compress=False)
    encoded = texture if isinstance(texture, bytes) else to_uint8(texture)
    if suffix == ".png":
        return _write_png(path, encoded)
    writers = {".glb": _write_glb, ".obj": _write_obj, ".ply": _write_ply}
    return writers[suffix](path, mesh, encoded)


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


def _to_float(texture: np.ndarray) -> np.ndarray:
    return texture.astype(np.float32) / 255 if texture.dtype == np.uint8 else texture.astype(np.float32)


def glb_bytes(mesh: Mesh, texture: UInt8[np.ndarray, "Ht Wt 3"] | bytes, name: str = "textured") -> bytes:
    """Return a textured mesh as the content of a ``.glb`` file; ``texture`` may be the content of a PNG file.

    Raises:
        DataError: if the mesh has no uvs.
    """
    return b"".join(textured_glb(mesh, mesh.vertex_normals, _png(texture), name))


def _write_glb(path: Path, mesh: Mesh, texture: np.ndarray | bytes) -> Path:
    content = textured_glb(mesh, mesh.vertex_normals, _png(texture), path.stem)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.writelines(content)
    return path


def _png(texture: np.ndarray | bytes) -> bytes:
    """Encode a texture unless it is encoded; photographs shrink hardly further at higher levels, only slower."""
    from PIL import Image  # noqa: PLC0415

    if isinstance(texture, bytes):
        return texture
    buffer = BytesIO()
    Image.fromarray(texture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _pixels(texture: np.ndarray | bytes) -> np.ndarray:
    from PIL import Image  # noqa: PLC0415

    if not isinstance(texture, bytes):
        return texture
    with Image.open(BytesIO(texture)) as image:
        return np.array(image.convert("RGB"))


def _write_png(path: Path, texture: np.ndarray | bytes) -> Path:
    content = _png(texture)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return path


def _write_obj(path: Path, mesh: Mesh, texture: np.ndarray | bytes) -> Path:
    """Texture and material first, so that an interrupted export never leaves a mesh that names missing files."""
    _write_png(path.with_suffix(".png"), texture)
    material = "newmtl textured\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 0\nmap_Kd {0}\n"
    write_text(path.with_suffix(".mtl"), material.format(path.with_suffix(".png").name))
    return obj.write(path, mesh, mtl=path.with_suffix(".mtl").name, material="textured")


def _write_ply(path: Path, mesh: Mesh, texture: np.ndarray | bytes) -> Path:
    """Wedge uvs with ``comment TextureFile`` (OpenMVS, MeshLab); vertex colors for programs that ignore it."""
    colors = _vertex_colors(mesh, _pixels(texture)) / 255
    _write_png(path.with_suffix(".png"), texture)
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
