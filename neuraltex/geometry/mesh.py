"""Triangle meshes with per-corner texture coordinates."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int, UInt8

from neuraltex.core.errors import DataError, ShapeError


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle mesh; counter-clockwise faces seen from outside.

    ``uvs`` is indexed by ``uv_faces``, not by ``faces`` (as in OBJ), so that a vertex on a seam may have several uvs.
    Both are ``None`` for a mesh without texture coordinates. uv has its origin at the bottom left.
    """

    vertices: Float[np.ndarray, "V 3"]  # float64 [world]
    faces: Int[np.ndarray, "F 3"]  # int64
    uvs: Float[np.ndarray, "U 2"] | None = None  # float64
    uv_faces: Int[np.ndarray, "F 3"] | None = None  # int64

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "vertices", np.ascontiguousarray(self.vertices, np.float64))
        put(self, "faces", np.ascontiguousarray(self.faces, np.int64))
        if self.vertices.ndim != 2 or self.vertices.shape[1] != 3:
            raise ShapeError(f"vertices have shape {self.vertices.shape}, expected [V, 3]")
        if self.faces.ndim != 2 or self.faces.shape[1] != 3:
            raise ShapeError(f"faces have shape {self.faces.shape}, expected [F, 3]")
        if (self.uvs is None) != (self.uv_faces is None):
            raise ShapeError("uvs and uv_faces must be given together")
        if self.uvs is not None and self.uv_faces is not None:
            put(self, "uvs", np.ascontiguousarray(self.uvs, np.float64))
            put(self, "uv_faces", np.ascontiguousarray(self.uv_faces, np.int64))
            if self.uv_faces.shape != self.faces.shape:
                raise ShapeError(f"uv_faces have shape {self.uv_faces.shape}, faces {self.faces.shape}")

    @property
    def has_uv(self) -> bool:
        """Whether texture coordinates exist."""
        return self.uvs is not None

    @property
    def num_faces(self) -> int:
        """Number of triangles F."""
        return len(self.faces)

    @cached_property
    def corners(self) -> Float[np.ndarray, "F 3 3"]:
        """Corner positions of every face [world]."""
        return self.vertices[self.faces]

    @property
    def corner_uvs(self) -> Float[np.ndarray, "F 3 2"]:
        """Corner uvs of every face; not kept, because whoever needs them needs them once.

        Raises:
            DataError: if the mesh has no uvs.
        """
        if self.uvs is None or self.uv_faces is None:
            raise DataError("the mesh has no texture coordinates", hint="Unwrap it first: neuraltex prepare does")
        return self.uvs[self.uv_faces]

    @cached_property
    def face_normals(self) -> Float[np.ndarray, "F 3"]:
        """Unit normals; zero where the face has no area."""
        cross = self._cross
        length = np.linalg.norm(cross, axis=1, keepdims=True)
        return np.divide(cross, length, out=np.zeros_like(cross), where=length > 0)

    @cached_property
    def face_areas(self) -> Float[np.ndarray, " F"]:
        """Areas [world^2]."""
        return np.linalg.norm(self._cross, axis=1) / 2

    @cached_property
    def vertex_normals(self) -> Float[np.ndarray, "V 3"]:
        """Area-weighted unit normals; smooth across uv seams. Vertices without area get (0, 0, 1)."""
        weighted = np.repeat(self._cross, 3, axis=0)
        sums = [np.bincount(self.faces.reshape(-1), weighted[:, axis], len(self.vertices)) for axis in range(3)]
        summed = np.stack(sums, 1)
        length = np.linalg.norm(summed, axis=1, keepdims=True)
        return np.where(length > 0, summed / np.where(length > 0, length, 1), [0.0, 0.0, 1.0])

    @property
    def _cross(self) -> np.ndarray:
        a, b, c = np.moveaxis(self.corners, 1, 0)
        return np.cross(b - a, c - a)

    def with_uv(self, uvs: np.ndarray, uv_faces: np.ndarray) -> "Mesh":
        """Return the same surface with other texture coordinates."""
        return replace(self, uvs=uvs, uv_faces=uv_faces)

    def select_faces(self, keep: np.ndarray) -> "Mesh":
        """Return the mesh with only the faces of a mask or index array; vertices stay as they are."""
        return replace(self, faces=self.faces[keep], uv_faces=None if self.uv_faces is None else self.uv_faces[keep])


@dataclass(frozen=True, eq=False)
class TexturedMesh:
    """A mesh with its appearance as read from a file, possibly made by another program.

    ``face_texture_idx`` is -1 for faces without a texture. Textures are 8 bit with 3 or 4 channels, row 0 is v = 1.
    ``vertex_colors`` in [0, 1] are used when there are no textures.
    """

    mesh: Mesh
    textures: tuple[UInt8[np.ndarray, "Ht Wt C"], ...] = ()
    face_texture_idx: Int[np.ndarray, " F"] | None = None
    vertex_colors: Float[np.ndarray, "V 3"] | None = None
