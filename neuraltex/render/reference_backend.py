"""Brute force in plain torch: every ray against every face in double precision. Slow, simple, the truth of tests."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.render.fragments import Fragments
from neuraltex.render.rays import normalized_grid

PAIRS_PER_CHUNK = 4_000_000
"""Ray-face pairs tested at once; bounds the memory to a few hundred MB."""


class ReferenceRasterizer:
    """Tests every ray with every face; exact under lens distortion. For meshes of a few thousand faces.

    Args:
        mesh: The surface.
        device: Where it computes and the fragments are.
    """

    def __init__(self, mesh: Mesh, device: str | torch.device = "cpu") -> None:
        self.mesh, self.device = mesh, torch.device(device)

    def visible_faces(self, camera: Camera) -> Int[np.ndarray, "H W"]:
        """Return the face behind every pixel center, -1 for none."""
        return self.render(camera).face_idx.numpy(force=True).astype(np.int32)

    def render(self, camera: Camera) -> Fragments:
        """Return the fragments of a view."""
        rays = camera_rays(camera).to(self.device)
        edges, volumes = edge_normals(corners_in_camera(self.mesh, camera).to(self.device))
        chunk = max(1, PAIRS_PER_CHUNK // max(1, self.mesh.num_faces))
        face_idx = torch.cat([_nearest_faces(part, edges, volumes) for part in rays.reshape(-1, 3).split(chunk)])
        return fragments_from_faces(face_idx.reshape(rays.shape[:2]), self.mesh, camera)


def camera_rays(camera: Camera) -> Float[Tensor, "H W 3"]:
    """Rays ``(x, y, 1)`` of all pixel centers in camera axes, float64; NaN where a lens has none."""
    grid = torch.from_numpy(normalized_grid(camera).copy())
    return torch.cat([grid, torch.ones_like(grid[..., :1])], -1)


def corners_in_camera(mesh: Mesh, camera: Camera) -> Float[Tensor, "F 3 3"]:
    """Corner positions in camera axes [world], float64; subtracts the center first, which keeps far scenes exact."""
    return torch.from_numpy((mesh.corners - camera.center) @ camera.cam_from_world[:3, :3].T)


def edge_normals(corners: Float[Tensor, "*B 3 3"]) -> tuple[Float[Tensor, "*B 3 3"], Float[Tensor, "*B"]]:
    """Return ``B x C, C x A, A x B`` and the volume ``A . (B x C)`` of triangles with corners A, B, C.

    A ray ``d`` through the origin meets the plane at ``t = volume / sum_k(d . n_k)``; its barycentric coordinates are
    in the proportion of the three ``d . n_k``.
    """
    edges = torch.linalg.cross(corners.roll(-1, -2), corners.roll(-2, -2))
    return edges, (corners[..., 0, :] * edges[..., 0, :]).sum(-1)


def fragments_from_faces(face_idx: Int[Tensor, "H W"], mesh: Mesh, camera: Camera) -> Fragments:
    """Compute barycentric coordinates and depth in double precision where the faces are known (-1 for none).

    The readable twin of :func:`neuraltex.render.kernels.refine_hits`: results are clamped to the face.
    """
    rays = camera_rays(camera).to(face_idx.device)
    mask = face_idx >= 0
    corners = corners_in_camera(mesh, camera).to(face_idx.device)[face_idx[mask]]
    edges, _ = edge_normals(corners)
    weights = (edges @ rays[mask][..., None])[..., 0]
    weights = (weights * weights.sum(-1, keepdim=True).sign()).clamp_min(0)
    weights = weights / weights.sum(-1, keepdim=True)
    bary = torch.zeros((*mask.shape, 3), device=mask.device)
    depth = torch.zeros(mask.shape, device=mask.device)
    bary[mask] = weights.float()
    depth[mask] = (weights * corners[..., 2]).sum(-1).float()
    return Fragments(face_idx, bary, depth, mask)


def _nearest_faces(
    rays: Float[Tensor, "P 3"], edges: Float[Tensor, "F 3 3"], volumes: Float[Tensor, " F"]
) -> Int[Tensor, " P"]:
    """Return the first face in front of each ray, or -1."""
    if not len(edges):
        return torch.full((len(rays),), -1, device=rays.device)
    weights = torch.einsum("pj,fkj->pfk", rays, edges)
    total = weights.sum(-1)
    inside = (weights >= 0).all(-1) | (weights <= 0).all(-1)
    distance = torch.where(inside & (total != 0), volumes / total, torch.inf)
    distance[~(distance > 0)] = torch.inf
    nearest, face = distance.min(-1)
    return torch.where(nearest.isfinite(), face, -1)
