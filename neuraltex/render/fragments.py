"""What a rasterizer returns, and what a rasterizer is."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from jaxtyping import Bool, Float, Int

from neuraltex.core.errors import UsageError
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.render import kernels
from neuraltex.render.parallel import for_row_blocks
from neuraltex.render.rays import normalized_grid, ray_planes

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Backend = Literal["auto", "zbuffer", "embree", "pytorch3d", "reference"]


@dataclass(frozen=True, eq=False)
class Fragments:
    """The nearest surface point behind every pixel center.

    Convention:
        ``bary`` are barycentric coordinates on the 3D triangle (perspective-correct), in the order of its corners.
        ``depth`` is z-depth in camera axes [world]. Where ``mask`` is false, ``face_idx`` is -1 and the rest is 0.
        No sample is ever an average of two surfaces: there is no anti-aliasing.
    """

    face_idx: Int[Tensor, "H W"]  # int64
    bary: Float[Tensor, "H W 3"]  # float32
    depth: Float[Tensor, "H W"]  # float32
    mask: Bool[Tensor, "H W"]


class Rasterizer(Protocol):
    """Renders one fixed mesh from any number of cameras; both sides of a face are visible."""

    def visible_faces(self, camera: Camera) -> Int[np.ndarray, "H W"]:
        """Return the face behind every pixel center, int32, -1 for none; needs no torch."""
        ...

    def render(self, camera: Camera) -> Fragments:
        """Return the fragments of a view."""
        ...


def make_rasterizer(mesh: Mesh, backend: Backend = "auto", device: str | torch.device = "cpu") -> Rasterizer:
    """Build a rasterizer.

    ``auto`` takes pytorch3d on CUDA where it is installed, else the z-buffer on the CPU.

    Raises:
        MissingDependency: if the chosen backend is not installed.
        UsageError: if the backend is unknown.
    """
    if backend == "auto":
        backend = "pytorch3d" if str(device).startswith("cuda") and find_spec("pytorch3d") is not None else "zbuffer"
    match backend:
        case "zbuffer":
            from neuraltex.render.zbuffer import ZBufferRasterizer  # noqa: PLC0415

            return ZBufferRasterizer(mesh)
        case "embree":
            from neuraltex.render.embree_backend import EmbreeRasterizer  # noqa: PLC0415

            return EmbreeRasterizer(mesh)
        case "pytorch3d":
            from neuraltex.render.pytorch3d_backend import PyTorch3DRasterizer  # noqa: PLC0415

            return PyTorch3DRasterizer(mesh, device=device)
        case "reference":
            from neuraltex.render.reference_backend import ReferenceRasterizer  # noqa: PLC0415

            return ReferenceRasterizer(mesh, device=device)
    raise UsageError(
        f"rasterizer backend {backend!r} is unknown", hint="Use auto, zbuffer, embree, pytorch3d or reference"
    )


def fragments_of(face_idx: Int[np.ndarray, "H W"], mesh: Mesh, camera: Camera) -> Fragments:
    """Compute barycentric coordinates and depth behind every pixel in float64, given the faces (-1 for none)."""
    import torch  # noqa: PLC0415

    grid, vertices = normalized_grid(camera), vertices_in_camera(mesh, camera)
    faces = np.empty(face_idx.shape, np.int64)
    bary = np.empty((*face_idx.shape, 3), np.float32)
    depth, mask = np.empty(face_idx.shape, np.float32), np.empty(face_idx.shape, np.bool_)

    def refine(begin: int, end: int) -> None:
        rows = slice(begin, end)
        kernels.refine_hits(
            grid[rows], face_idx[rows], vertices, mesh.faces, faces[rows], bary[rows], depth[rows], mask[rows]
        )

    for_row_blocks(refine, len(faces))
    return Fragments(*(torch.from_numpy(array) for array in (faces, bary, depth, mask)))


def render_depth(face_idx: Int[np.ndarray, "H W"], mesh: Mesh, camera: Camera) -> Float[np.ndarray, "H W"]:
    """Compute the z-depth behind every pixel [world], given the faces; 0 where there is none."""
    (x, y), vertices = ray_planes(camera), vertices_in_camera(mesh, camera)
    depth = np.empty(face_idx.shape, np.float32)

    def fill(begin: int, end: int) -> None:
        rows = slice(begin, end)
        kernels.face_depth(x[rows], y[rows], face_idx[rows], vertices, mesh.faces, depth[rows])

    for_row_blocks(fill, len(depth))
    return depth


def vertices_in_camera(mesh: Mesh, camera: Camera) -> Float[np.ndarray, "V 3"]:
    """Return all vertices in camera axes; subtracts the center first, which keeps far scenes exact."""
    return kernels.rotate_about(mesh.vertices, camera.center, np.ascontiguousarray(camera.cam_from_world[:3, :3]))
