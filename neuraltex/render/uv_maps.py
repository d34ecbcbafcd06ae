"""Uv maps and per-pixel confidence of a view."""

import numpy as np

from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.io.prepared import Confidence, UvMap
from neuraltex.render import kernels
from neuraltex.render.discontinuity import discontinuity_distance
from neuraltex.render.embree_backend import vertices_in_camera
from neuraltex.render.fragments import Fragments, Rasterizer
from neuraltex.render.parallel import for_row_blocks
from neuraltex.render.rays import normalized_grid


def render_uv_map(rasterizer: Rasterizer, mesh: Mesh, camera: Camera, texture_size: int) -> tuple[UvMap, Confidence]:
    """Render the uv map of a view and how far each pixel can be trusted.

    Args:
        rasterizer: Made for ``mesh``.
        mesh: Surface with uvs.
        camera: The view.
        texture_size: Side of the texture [texel], in which footprints are given.

    Raises:
        DataError: if the mesh has no uvs.
    """
    fragments = rasterizer.render(camera)
    return uv_map(fragments, mesh), confidence(fragments, mesh, camera, texture_size)


def uv_map(fragments: Fragments, mesh: Mesh) -> UvMap:
    """Interpolate uv at every pixel center; the compiled twin of :func:`neuraltex.render.interpolate.interpolate`."""
    face_idx, bary = fragments.face_idx.cpu().numpy(), fragments.bary.cpu().numpy()
    uv = np.empty((*face_idx.shape, 2), np.float32)
    corner_uvs = mesh.corner_uvs

    def fill(begin: int, end: int) -> None:
        kernels.interpolate_uv(face_idx[begin:end], bary[begin:end], corner_uvs, uv[begin:end])

    for_row_blocks(fill, len(uv))
    return UvMap(uv, fragments.mask.cpu().numpy())


def confidence(fragments: Fragments, mesh: Mesh, camera: Camera, texture_size: int) -> Confidence:
    """Measure viewing angle, footprint [texel] and distance to the nearest depth discontinuity [px]."""
    face_idx = fragments.face_idx.cpu().numpy()
    cosine, footprint = np.empty(face_idx.shape, np.float32), np.empty(face_idx.shape, np.float32)
    grid, vertices = normalized_grid(camera), vertices_in_camera(mesh, camera)

    def fill(begin: int, end: int) -> None:
        kernels.surface_confidence(begin, end, grid, face_idx, vertices, mesh.faces, mesh.corner_uvs, cosine, footprint)

    for_row_blocks(fill, len(cosine))
    footprint *= texture_size
    return Confidence(cosine, footprint, discontinuity_distance(fragments, mesh, camera))
