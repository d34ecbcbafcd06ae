"""Differentiable interpolation over fragments, shared by all backends; plain torch."""

import torch
from jaxtyping import Float
from torch import Tensor

from neuraltex.core.errors import ShapeError
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.render.fragments import Fragments
from neuraltex.render.reference_backend import camera_rays, corners_in_camera, edge_normals


def interpolate(fragments: Fragments, corner_values: Float[Tensor, "F 3 C"]) -> Float[Tensor, "H W C"]:
    """Interpolate values given at the corners of faces; perspective-correct, differentiable in the values.

    Pixels without a face get 0 (and no gradient). The result has the dtype of ``corner_values``.

    Raises:
        ShapeError: if ``corner_values`` is not ``[F, 3, C]``.
    """
    if corner_values.ndim != 3 or corner_values.shape[1] != 3:
        raise ShapeError(f"corner_values have shape {tuple(corner_values.shape)}, expected [F, 3, C]")
    weights = fragments.bary[fragments.mask].to(corner_values.dtype)
    values = (corner_values[fragments.face_idx[fragments.mask]] * weights[..., None]).sum(-2)
    image = values.new_zeros((*fragments.mask.shape, corner_values.shape[2]))
    return image.index_put((fragments.mask,), values)


def surface_points(fragments: Fragments, mesh: Mesh) -> Float[Tensor, "H W 3"]:
    """Return the surface point behind every pixel [world], float64; 0 where there is none."""
    return interpolate(fragments, torch.from_numpy(mesh.corners).to(fragments.bary.device))


def surface_normals(fragments: Fragments, mesh: Mesh) -> Float[Tensor, "H W 3"]:
    """Return unit face normals (outside of counter-clockwise faces), float64, world axes; 0 where there is no face."""
    normals = torch.from_numpy(mesh.face_normals).to(fragments.bary.device)
    return torch.where(fragments.mask[..., None], normals[fragments.face_idx.clamp_min(0)], 0)


def uv_jacobian(fragments: Fragments, mesh: Mesh, camera: Camera) -> Float[Tensor, "H W 2 2"]:
    """Return the derivative of uv with respect to the pixel, ``[..., i, j] = d uv_i / d pixel_j`` [1/px], float64.

    Exact for the plane of the face under each pixel, also under lens distortion (whose own derivative is taken by
    central differences of the neighboring rays). On a ray ``d`` with corners A, B, C in camera axes, the barycentric
    coordinates are ``d . (B x C)`` and so on over their sum; the quotient rule gives the rest.
    """
    rays = camera_rays(camera).to(fragments.bary.device)
    face = fragments.face_idx.clamp_min(0)
    edges, _ = edge_normals(corners_in_camera(mesh, camera).to(rays)[face])
    weights = (edges @ rays[..., None])[..., 0]
    total = weights.sum(-1, keepdim=True)
    bary = weights / total
    by_ray = (edges - bary[..., None] * edges.sum(-2, keepdim=True)) / total[..., None]  # d bary / d ray
    by_pixel = by_ray[..., :2] @ _lens_slopes(rays[..., :2])
    uvs = torch.from_numpy(mesh.corner_uvs).to(rays)[face]
    return torch.where(fragments.mask[..., None, None], uvs.mT @ by_pixel, 0)


def footprint(jacobian: Float[Tensor, "*B 2 2"], texture_size: int) -> Float[Tensor, "*B"]:
    """Return the square root of the area that a pixel covers on the texture [texel]."""
    return torch.linalg.det(jacobian).abs().sqrt() * texture_size


def _lens_slopes(grid: Float[Tensor, "H W 2"]) -> Float[Tensor, "H W 2 2"]:
    """Derivative of normalized coordinates with respect to the pixel; ``[..., i, j] = d xy_i / d pixel_j``."""
    along_rows, along_columns = torch.gradient(grid, dim=(0, 1))
    return torch.stack([along_columns, along_rows], -1)
