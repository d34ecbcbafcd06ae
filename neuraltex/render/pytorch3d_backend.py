"""PyTorch3D's z-buffer: the rasterizer for CUDA."""

import importlib.util

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from neuraltex.core.errors import MissingDependency, UsageError
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.render.fragments import Fragments
from neuraltex.render.reference_backend import corners_in_camera, fragments_from_faces

NEAR = 1e-4
"""Distance of the near plane as a share of the diagonal of the mesh; faces that cross it are cut."""

CLOSING = 1e-3
"""How far faces are grown [px]: pytorch3d leaves pixels empty whose center lies exactly on the edge of two faces."""


def is_available() -> bool:
    """Whether pytorch3d is installed; does not import it."""
    return importlib.util.find_spec("pytorch3d") is not None


class PyTorch3DRasterizer:
    """Projects faces and fills a z-buffer.

    PyTorch3D decides which face is seen; barycentric coordinates and depth are computed in double precision.

    Straight edges stay straight in a projective rasterizer, so lens distortion is refused rather than approximated.

    Args:
        mesh: The surface.
        device: Where it computes and the fragments are.

    Raises:
        MissingDependency: if pytorch3d is not installed.
    """

    def __init__(self, mesh: Mesh, device: str | torch.device = "cpu") -> None:
        if not is_available():
            raise MissingDependency(
                "the pytorch3d rasterizer needs pytorch3d",
                hint="Run: pip install 'git+https://github.com/facebookresearch/pytorch3d', or use --backend embree",
            )
        self.mesh, self.device = mesh, torch.device(device)
        self._near = NEAR * float(torch.from_numpy(mesh.vertices.max(0) - mesh.vertices.min(0)).norm())

    def visible_faces(self, camera: Camera) -> Int[np.ndarray, "H W"]:
        """Return the face behind every pixel center, -1 for none."""
        return self.render(camera).face_idx.numpy(force=True).astype(np.int32)

    def render(self, camera: Camera) -> Fragments:
        """Return the fragments of a view.

        Raises:
            UsageError: if the camera has a distorted lens.
        """
        from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
        from pytorch3d.structures import Meshes

        if camera.lens != "pinhole" and any(camera.distortion):
            raise UsageError(
                f"the pytorch3d rasterizer cannot render lens {camera.lens!r}",
                source="--backend pytorch3d",
                hint="Use --backend embree, which casts distorted rays, or undistort the photographs",
            )
        corners = _normalized_device(corners_in_camera(self.mesh, camera), camera).float().to(self.device)
        faces = torch.arange(3 * len(corners), device=self.device).reshape(-1, 3)
        face_idx, *_ = rasterize_meshes(
            Meshes([corners.reshape(-1, 3)], [faces]),
            image_size=(camera.height, camera.width),
            blur_radius=(CLOSING * 2 / min(camera.width, camera.height)) ** 2,
            faces_per_pixel=1,
            bin_size=None if self.device.type == "cuda" else 0,
            max_faces_per_bin=max(10_000, self.mesh.num_faces) if self.device.type == "cuda" else None,
            perspective_correct=True,
            cull_backfaces=False,
            z_clip_value=self._near,
            cull_to_frustum=False,
        )
        return fragments_from_faces(face_idx[0, ..., 0], self.mesh, camera)


def _normalized_device(corners: Float[Tensor, "F 3 3"], camera: Camera) -> Float[Tensor, "F 3 3"]:
    """Return (x / z, y / z, z) in pytorch3d's normalized device coordinates: +x left, +y up, short side from -1 to 1.

    Corners behind the camera keep their sign of z, by which pytorch3d clips them; it interpolates x and y times z.
    """
    depth = corners[..., 2]
    safe = torch.where(depth.abs() < 1e-12, torch.full_like(depth, 1e-12), depth)
    x = camera.fx * corners[..., 0] / safe + camera.skew * corners[..., 1] / safe + camera.cx
    y = camera.fy * corners[..., 1] / safe + camera.cy
    half = min(camera.width, camera.height) / 2
    return torch.stack([(camera.width / 2 - x) / half, (camera.height / 2 - y) / half, depth], -1)
