"""What a rasterizer returns, and what a rasterizer is."""

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from neuraltex.core.errors import UsageError
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh

Backend = Literal["auto", "embree", "pytorch3d", "reference"]


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

    def render(self, camera: Camera) -> Fragments:
        """Return the fragments of a view."""
        ...


def make_rasterizer(mesh: Mesh, backend: Backend = "auto", device: str | torch.device = "cpu") -> Rasterizer:
    """Build a rasterizer.

    ``auto`` takes pytorch3d on CUDA where it is installed, else embree (ray casting on the CPU).

    Raises:
        MissingDependency: if the chosen backend is not installed.
        UsageError: if the backend is unknown.
    """
    device = torch.device(device)
    if backend == "auto":
        from neuraltex.render import pytorch3d_backend  # noqa: PLC0415

        backend = "pytorch3d" if device.type == "cuda" and pytorch3d_backend.is_available() else "embree"
    match backend:
        case "embree":
            from neuraltex.render.embree_backend import EmbreeRasterizer  # noqa: PLC0415

            return EmbreeRasterizer(mesh, device=device)
        case "pytorch3d":
            from neuraltex.render.pytorch3d_backend import PyTorch3DRasterizer  # noqa: PLC0415

            return PyTorch3DRasterizer(mesh, device=device)
        case "reference":
            from neuraltex.render.reference_backend import ReferenceRasterizer  # noqa: PLC0415

            return ReferenceRasterizer(mesh, device=device)
    raise UsageError(f"rasterizer backend {backend!r} is unknown", hint="Use auto, embree, pytorch3d or reference")
