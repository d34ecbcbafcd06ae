"""Wavefront OBJ with MTL: polygons, relative indices, several materials, per-vertex colors (``v x y z r g b``)."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from neuraltex.core.errors import DataError
from neuraltex.core.files import write_text
from neuraltex.core.runtime import logger
from neuraltex.geometry.mesh import Mesh, TexturedMesh
from neuraltex.io import images
from neuraltex.io.polygons import HINT, fan, format_rows, line_starts, parse_numbers, token_starts, tokens_per_line


def read(path: Path, *, textures: bool = True) -> TexturedMesh:
    """Read an OBJ file; all lines of one kind are parsed in one call.

    Raises:
        DataError: if the file is broken or one of its textures cannot be read.
    """
    lines = _Lines(path)
    vertices = lines.table(b"v ", "vertices")
    uvs = lines.table(b"vt", "texture coordinates")
    corners, uv_corners, sizes = _face_corners(lines, len(vertices), len(uvs))
    triangles, polygon = fan(sizes)
    uv_faces, has_uv = uv_corners[triangles], True
    bare = (uv_faces < 0).any(axis=1)
    if bare.all():
        has_uv = False
    elif bare.any():  # faces without uv in a file that has some: they point at an extra row and carry no texture
        uv_faces[bare] = len(uvs)
        uvs = np.concatenate([uvs[:, :2], [[0.0, 0.0]]])
    mesh = Mesh(vertices[:, :3], corners[triangles], uvs[:, :2] if has_uv else None, uv_faces if has_uv else None)
    colors = vertices[:, 3:6] if vertices.shape[1] >= 6 else None
    if not (textures and has_uv):
        return TexturedMesh(mesh, vertex_colors=colors)
    maps, material_map = _read_materials(path, lines)
    face_texture = material_map[_material_of_polygon(lines)][polygon]
    face_texture[bare] = -1
    return TexturedMesh(mesh, maps, face_texture if maps else None, colors)


def write(path: Path, mesh: Mesh, *, mtl: str | None = None, material: str | None = None) -> Path:
    """Write a mesh (10 significant digits), with uvs if it has them.

    Args:
        path: File to write, atomically.
        mesh: Mesh.
        mtl: Name of the material library beside it; the caller writes that file.
        material: Name of the material of all faces.
    """
    head = (f"mtllib {mtl}\n" if mtl else "") + (f"usemtl {material}\n" if material else "")
    text = format_rows("v %.10g %.10g %.10g\n", mesh.vertices)
    if mesh.uvs is None or mesh.uv_faces is None:
        text += head + format_rows("f %d %d %d\n", mesh.faces + 1)
    else:
        text += format_rows("vt %.10g %.10g\n", mesh.uvs)
        text += head + format_rows("f %d/%d %d/%d %d/%d\n", np.stack([mesh.faces, mesh.uv_faces], axis=2) + 1)
    return write_text(path, text)


class _Lines:
    """The lines of a file, found by their first two bytes."""

    def __init__(self, path: Path) -> None:
        text = path.read_bytes().replace(b"\r", b"").replace(b"\\\n", b" ").replace(b"\t", b" ")
        if b"\n " in text or text[:1] == b" ":
            text = b"\n".join(line.lstrip() for line in text.split(b"\n"))
        self.path, self.text = path, text if text.endswith(b"\n") else text + b"\n"
        self.starts = line_starts(self.text)
        self.bytes = np.frombuffer(self.text, np.uint8)
        self.lengths = np.diff(np.append(self.starts, len(self.text)))
        self.first = self.bytes[self.starts]
        self.second = self.bytes[np.minimum(self.starts + 1, len(self.text) - 1)]

    def find(self, keyword: bytes) -> np.ndarray:
        """Indices of the lines that start with a keyword of two bytes."""
        return np.flatnonzero((self.first == keyword[0]) & (self.second == keyword[1]))

    def body(self, lines: np.ndarray) -> bytes:
        """Text of some lines, their first two bytes blanked."""
        keep = np.zeros(len(self.starts), bool)
        keep[lines] = True
        text = self.bytes[np.repeat(keep, self.lengths)]
        starts = np.cumsum(self.lengths[lines]) - self.lengths[lines]
        text[starts] = text[starts + 1] = ord(" ")
        return text.tobytes()

    def table(self, keyword: bytes, what: str) -> Float[np.ndarray, "N C"]:
        """Numbers of all lines of a kind, one row per line; rows of unequal length are cut to the shortest."""
        found = self.find(keyword)
        text = self.body(found)
        if b"#" in text:
            text = b"\n".join(line.split(b"#")[0] for line in text.split(b"\n"))
        numbers, counts = parse_numbers(text, self.path, what), tokens_per_line(text)
        width = int(counts.min(initial=99)) if len(found) else 3
        if width < (2 if keyword == b"vt" else 3):
            raise DataError(f"{self.path}: a line of the {what} has {width} numbers", hint=HINT)
        if len(numbers) == width * len(found):
            return numbers.reshape(len(found), width)
        return numbers[(np.cumsum(counts) - counts)[:, None] + np.arange(width)]

    def words(self, lines: np.ndarray) -> list[str]:
        """What follows the keyword on each of some lines."""
        spans = [self.text[self.starts[i] : self.starts[i] + self.lengths[i]] for i in lines]
        return [b" ".join(span.split()[1:]).decode("utf-8", "replace") for span in spans]


def _face_corners(lines: _Lines, num_vertices: int, num_uvs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vertex and uv index of every polygon corner (0-based, uv -1 where absent) and the polygons' sizes."""
    found = lines.find(b"f ")
    text = lines.body(found)
    if b"#" in text:
        text = b"\n".join(line.split(b"#")[0] for line in text.split(b"\n"))
    text = text.replace(b"//", b"/0/").replace(b"/ ", b"/0 ").replace(b"/\n", b"/0\n")
    tokens = token_starts(text)
    sizes = tokens_per_line(text, tokens)
    slashes = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("/"))
    per_token = np.diff(np.append(np.searchsorted(slashes, tokens), len(slashes)))
    numbers = parse_numbers(text.replace(b"/", b" "), lines.path, "faces").astype(np.int64)
    if len(numbers) != len(tokens) + len(slashes):
        raise DataError(f"{lines.path}: a face has an unreadable corner", hint=HINT)
    offset = np.cumsum(per_token + 1) - per_token - 1
    vertex = numbers[offset]
    uv = np.where(per_token > 0, numbers[np.minimum(offset + 1, len(numbers) - 1)], 0) if len(numbers) else vertex
    line_of_corner = np.repeat(found, sizes[: len(found)])
    vertex = _absolute(vertex, lines, b"v ", line_of_corner)
    uv = _absolute(uv, lines, b"vt", line_of_corner)
    if (vertex == -1).any():
        raise DataError(f"{lines.path}: a face refers to vertex 0; OBJ counts from 1", hint=HINT)
    if uv.max(initial=-1) >= num_uvs or vertex.max(initial=-1) >= num_vertices:
        raise DataError(
            f"{lines.path}: faces refer to vertex {vertex.max(initial=-1) + 1} of {num_vertices} "
            f"and uv {uv.max(initial=-1) + 1} of {num_uvs}",
            hint=HINT,
        )
    return vertex, uv, sizes


def _absolute(index: np.ndarray, lines: _Lines, keyword: bytes, line_of_corner: np.ndarray) -> np.ndarray:
    """Turn 1-based and negative (counted back from the line they stand on) indices into 0-based ones; 0 gives -1."""
    negative = index < 0
    index = index - 1
    if negative.any():
        before = np.searchsorted(lines.find(keyword), line_of_corner[negative])
        index[negative] += before + 1
        if (index[negative] < 0).any():
            raise DataError(f"{lines.path}: a relative index points before the first element", hint=HINT)
    return index


def _named_lines(lines: _Lines, keyword: bytes) -> np.ndarray:
    found = lines.find(keyword[:2])
    return np.array([i for i in found if lines.text.startswith(keyword, lines.starts[i])], np.int64)


def _material_of_polygon(lines: _Lines) -> np.ndarray:
    """Index into the sorted set of material names for every polygon; the last index stands for 'none'."""
    uses = _named_lines(lines, b"usemtl ")
    names = lines.words(uses)
    order = {name: index for index, name in enumerate(sorted(set(names)))}
    table = np.array([len(order), *(order[name] for name in names)])
    return table[np.searchsorted(uses, lines.find(b"f "))]


def _read_materials(path: Path, lines: _Lines) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Return the textures and, per sorted material name (and 'none' last), which texture it shows or -1."""
    files: dict[str, Path] = {}
    for library in lines.words(_named_lines(lines, b"mtllib ")):
        files |= _read_mtl(path.parent / library)
    names = sorted(set(lines.words(_named_lines(lines, b"usemtl "))))
    used = sorted({files[name] for name in names if name in files})
    index = np.array([*(used.index(files[name]) if name in files else -1 for name in names), -1], np.int64)
    return tuple(images.read_texture(file) for file in used), index


def _read_mtl(path: Path) -> dict[str, Path]:
    """Return the diffuse map of every material that has one; a missing library is only warned of."""
    if not path.is_file():
        logger.warning("%s does not exist although the OBJ beside it names it; its materials have no textures", path)
        return {}
    maps, name = {}, ""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split(maxsplit=1)
        if len(words) == 2 and words[0] == "newmtl":
            name = words[1].strip()
        elif len(words) == 2 and words[0].lower() == "map_kd":
            maps[name] = _texture_file(path.parent, words[1].strip())
    return maps


def _texture_file(folder: Path, text: str) -> Path:
    """Find the file in ``-option values file name.png``: the longest tail of the words that exists."""
    words = text.replace("\\", "/").split(" ")
    tails = [folder / " ".join(words[start:]) for start in range(len(words))]
    return next((tail for tail in tails if tail.is_file()), tails[-1] if text.startswith("-") else tails[0])
