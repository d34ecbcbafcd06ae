"""Stanford PLY, text and binary of both byte orders.

Texture coordinates: per vertex as ``s t``, ``u v`` or ``texture_u texture_v``; per corner as the face list ``texcoord``
with ``texnumber`` and ``comment TextureFile`` (MeshLab, OpenMVS); v is up in all of them.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from neuraltex.core.errors import DataError
from neuraltex.core.files import atomic_path
from neuraltex.geometry.mesh import Mesh, TexturedMesh
from neuraltex.io import images
from neuraltex.io.ply_body import Columns, Element, read_elements
from neuraltex.io.polygons import HINT, fan, merge_equal

UV_NAMES = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"), ("texture_s", "texture_t"))
COLOR_NAMES = (("red", "green", "blue"), ("diffuse_red", "diffuse_green", "diffuse_blue"), ("r", "g", "b"))
TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}


@dataclass
class Header:
    """What stands before ``end_header``."""

    encoding: str = ""
    elements: list[Element] = field(default_factory=list)
    texture_files: list[str] = field(default_factory=list)


def read(path: Path, *, textures: bool = True) -> TexturedMesh:
    """Read a PLY mesh.

    Raises:
        DataError: if the header is broken, the file ends early, or a texture cannot be read.
    """
    data = path.read_bytes()
    header, start = _read_header(path, data)
    columns = read_elements(path, data, start, header.encoding, header.elements)
    vertex, face = columns.get("vertex", Columns()), columns.get("face", Columns())
    index_list = face.lists.get("vertex_indices") or face.lists.get("vertex_index")
    if any(axis not in vertex.scalars for axis in "xyz") or index_list is None:
        raise DataError(f"{path} has no vertex positions or no faces (a point cloud?)", hint="Pass a triangle mesh")
    indices, sizes = index_list
    triangles, polygon = fan(sizes)
    vertices = np.stack([vertex.scalars[axis] for axis in "xyz"], axis=1).astype(np.float64)
    mesh = Mesh(vertices, indices.astype(np.int64)[triangles])
    mesh = _with_uv(path, mesh, vertex, face, sizes, triangles)
    files = header.texture_files if textures and mesh.has_uv else []
    maps = tuple(images.read_texture(path.parent / name) for name in files)
    number = face.scalars.get("texnumber")
    texture_idx = np.zeros(len(polygon), np.int64) if number is None else number.astype(np.int64)[polygon]
    texture_idx = np.where((texture_idx >= 0) & (texture_idx < len(maps)), texture_idx, -1)
    return TexturedMesh(mesh, maps, texture_idx if maps else None, _colors(vertex))


def write(path: Path, mesh: Mesh, *, texture_file: str | None = None, vertex_colors: np.ndarray | None = None) -> Path:
    """Write a binary little-endian PLY; uvs go into the per-corner list ``texcoord``.

    Positions are float32 unless that would move a vertex by more than a millionth of the mesh's extent.

    Args:
        path: File to write, atomically.
        mesh: Mesh.
        texture_file: Name of the texture beside it.
        vertex_colors: ``[V, 3]`` in [0, 1], written as 8 bit.
    """
    real = _position_type(mesh.vertices)
    vertex_type = [(axis, real) for axis in "xyz"] + [(c, "u1") for c in COLOR_NAMES[0] if vertex_colors is not None]
    rows = np.empty(len(mesh.vertices), [(name, "<" + kind) for name, kind in vertex_type])
    for column, axis in enumerate("xyz"):
        rows[axis] = mesh.vertices[:, column]
    if vertex_colors is not None:
        for column, name in enumerate(COLOR_NAMES[0]):
            rows[name] = np.round(vertex_colors[:, column].clip(0, 1) * 255)
    face_type = [("n", "u1"), ("corners", "<i4", 3)] + ([("m", "u1"), ("uv", "<f4", 6)] if mesh.has_uv else [])
    face_type += [("texture", "u1")] if texture_file else []
    faces = np.zeros(mesh.num_faces, face_type)
    faces["n"], faces["corners"] = 3, mesh.faces
    if mesh.has_uv:
        faces["m"], faces["uv"] = 6, mesh.corner_uvs.reshape(-1, 6)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(_header_text(mesh, vertex_type, texture_file).encode("utf-8"))
        file.write(rows.tobytes())
        file.write(faces.tobytes())
    return path


def _header_text(mesh: Mesh, vertex_type: list[tuple[str, str]], texture_file: str | None) -> str:
    names = {"f4": "float", "f8": "double", "u1": "uchar"}
    lines = ["ply", "format binary_little_endian 1.0"]
    lines += [f"comment TextureFile {texture_file}"] if texture_file else []
    lines += [f"element vertex {len(mesh.vertices)}", *(f"property {names[kind]} {name}" for name, kind in vertex_type)]
    lines += [f"element face {mesh.num_faces}", "property list uchar int vertex_indices"]
    lines += ["property list uchar float texcoord"] if mesh.has_uv else []
    lines += ["property uchar texnumber"] if texture_file else []
    return "\n".join([*lines, "end_header", ""])


def _position_type(vertices: np.ndarray) -> str:
    extent = np.ptp(vertices, axis=0).max() if len(vertices) else 0.0
    rounding = np.abs(vertices - vertices.astype(np.float32)).max(initial=0.0)
    return "f8" if rounding > 1e-6 * extent else "f4"


def _read_header(path: Path, data: bytes) -> tuple[Header, int]:
    end = data.find(b"end_header")
    body = data.find(b"\n", end) + 1
    if data[:3] != b"ply" or end < 0 or body == 0:
        raise DataError(f"{path} is not a PLY file (no header)", hint=HINT)
    header = Header()
    for line in data[:end].decode("utf-8", "replace").splitlines():
        match line.split():
            case ["format", encoding, *_]:
                header.encoding = encoding
            case ["comment", "TextureFile", *_]:
                header.texture_files.append(line.split("TextureFile", 1)[1].strip())
            case ["element", name, count] if count.isdecimal():
                header.elements.append(Element(name, int(count)))
            case ["property", *_] if not header.elements:
                raise DataError(f"{path}: the header names a property before any element", hint=HINT)
            case ["property", "list", count_type, item_type, name] if count_type in TYPES and item_type in TYPES:
                header.elements[-1].properties.append((name, TYPES[item_type], TYPES[count_type]))
            case ["property", kind, name] if kind in TYPES:
                header.elements[-1].properties.append((name, TYPES[kind], None))
            case ["property" | "element", *_]:
                raise DataError(f"{path}: the header line {line!r} is not valid PLY", hint=HINT)
    return header, body


def _with_uv(path: Path, mesh: Mesh, vertex: Columns, face: Columns, sizes: np.ndarray, triangles: np.ndarray) -> Mesh:
    wedge = face.lists.get("texcoord")
    if wedge is not None and wedge[1].any():
        values, lengths = wedge
        if (lengths != 2 * sizes).any():
            raise DataError(f"{path}: a face has a texcoord list that is not twice its corners", hint=HINT)
        uvs, corner = merge_equal(values.astype(values.dtype.newbyteorder("=")).reshape(-1, 2))
        return mesh.with_uv(uvs, corner[triangles])
    for u, v in UV_NAMES:
        if u in vertex.scalars and v in vertex.scalars:
            uvs = np.stack([vertex.scalars[u], vertex.scalars[v]], axis=1).astype(np.float64)
            return mesh.with_uv(uvs, mesh.faces)
    return mesh


def _colors(vertex: Columns) -> np.ndarray | None:
    for names in COLOR_NAMES:
        if all(name in vertex.scalars for name in names):
            columns = np.stack([vertex.scalars[name] for name in names], axis=1)
            return columns.astype(np.float64) / (1.0 if vertex.kinds[names[0]].startswith("f") else 255.0)
    return None
