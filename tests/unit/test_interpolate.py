"""Interpolation: gradients, the jacobian against finite differences, and the compiled twins."""

import numpy as np
import pytest
import torch
from synthetic import lumps, orbit

from neuraltex.core.errors import ShapeError
from neuraltex.geometry.camera import Camera
from neuraltex.render import uv_maps
from neuraltex.render.fragments import Fragments, make_rasterizer
from neuraltex.render.interpolate import footprint, interpolate, surface_normals, surface_points, uv_jacobian
from neuraltex.render.reference_backend import fragments_from_faces

LENSES = {"pinhole": (), "brown": (-0.1, 0.03, 0.002, -0.001), "fisheye": (0.03, -0.01, 0.0, 0.0)}


@pytest.fixture(scope="module")
def mesh():
    return lumps(8)


def camera_with(lens: str, **options) -> Camera:
    base = orbit(7, 80, 60, 70.0)[2]
    return Camera(80, 60, 70.0, 72.0, 41.0, 29.5, base.cam_from_world, lens=lens, distortion=LENSES[lens], **options)


def test_interpolation_is_differentiable_in_the_values(mesh) -> None:
    fragments = make_rasterizer(mesh, "embree").render(camera_with("pinhole").scaled(12, 9))
    faces = torch.unique(fragments.face_idx[fragments.mask])
    small = Fragments(
        torch.searchsorted(faces, fragments.face_idx.clamp_min(0)), fragments.bary, fragments.depth, fragments.mask
    )
    values = torch.rand(len(faces), 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(lambda v: interpolate(small, v), values.requires_grad_())


def test_background_is_zero_and_wrong_shapes_are_refused(mesh) -> None:
    fragments = make_rasterizer(mesh, "embree").render(camera_with("pinhole"))
    image = interpolate(fragments, torch.ones(mesh.num_faces, 3, 1))
    assert torch.equal(image[..., 0] > 0.5, fragments.mask)
    assert not image[~fragments.mask].any()
    with pytest.raises(ShapeError, match=r"\[F, 3, C\]"):
        interpolate(fragments, torch.ones(mesh.num_faces, 2))


@pytest.mark.parametrize("lens", LENSES)
def test_points_project_back_to_their_pixels(mesh, lens: str) -> None:
    camera = camera_with(lens)
    fragments = make_rasterizer(mesh, "embree").render(camera)
    mask = fragments.mask.numpy()
    pixels, _ = camera.project(surface_points(fragments, mesh).numpy()[mask])
    rows, columns = np.nonzero(mask)
    np.testing.assert_allclose(pixels, np.stack([columns, rows], 1) + 0.5, atol=1e-4)


@pytest.mark.parametrize("lens", LENSES)
def test_jacobian_agrees_with_shifted_rays_on_the_same_face(mesh, lens: str) -> None:
    camera = camera_with(lens, skew=0.0)
    fragments = make_rasterizer(mesh, "embree").render(camera)
    jacobian = uv_jacobian(fragments, mesh, camera)
    normals, points = surface_normals(fragments, mesh).numpy(), surface_points(fragments, mesh).numpy()
    corners = mesh.corners[fragments.face_idx.clamp_min(0).numpy()]
    corner_uvs = mesh.corner_uvs[fragments.face_idx.clamp_min(0).numpy()]
    step, inner = 1e-3, (slice(2, -2), slice(2, -2))
    for axis in (0, 1):
        shifted = []
        for sign in (-1, 1):
            pixels = np.stack(np.meshgrid(np.arange(80) + 0.5, np.arange(60) + 0.5), -1)
            pixels[..., axis] += sign * step
            origin, directions = camera.rays(pixels)
            with np.errstate(all="ignore"):
                t = ((points - origin) * normals).sum(-1) / (directions * normals).sum(-1)
            hit = origin + t[..., None] * directions
            matrix = np.stack([corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :]], -1)
            weights = np.linalg.pinv(matrix) @ (hit - corners[..., 0, :])[..., None]
            sides = np.stack(
                [corner_uvs[..., 1, :] - corner_uvs[..., 0, :], corner_uvs[..., 2, :] - corner_uvs[..., 0, :]], -1
            )
            shifted.append((sides @ weights)[..., 0])
        numeric = (shifted[1] - shifted[0]) / (2 * step)
        mask = fragments.mask.numpy()[inner]
        steep = np.abs(numeric[inner][mask]).max(-1)
        error = np.abs(jacobian.numpy()[inner][mask][..., axis] - numeric[inner][mask]).max(-1)
        assert (error <= 2e-3 * steep + 1e-6).mean() > 0.999


def test_footprint_counts_texels_per_pixel() -> None:
    jacobian = torch.tensor([[[2.0, 0.0], [0.0, 0.5]], [[0.0, 1.0], [-4.0, 0.0]]]) / 256
    torch.testing.assert_close(footprint(jacobian, 256), torch.tensor([1.0, 2.0]))


@pytest.mark.parametrize("lens", LENSES)
def test_compiled_loops_equal_their_torch_twins(mesh, lens: str) -> None:
    camera = camera_with(lens)
    fragments = make_rasterizer(mesh, "embree").render(camera)
    twin = fragments_from_faces(fragments.face_idx, mesh, camera)
    torch.testing.assert_close(fragments.bary, twin.bary, atol=1e-5, rtol=0)
    torch.testing.assert_close(fragments.depth, twin.depth)
    maps = uv_maps.render_maps(make_rasterizer(mesh, "embree"), mesh, camera, 512)
    found, trust = maps.uv_map, maps.confidence
    np.testing.assert_allclose(maps.depth, fragments.depth, rtol=1e-5)
    expected = interpolate(fragments, torch.from_numpy(mesh.corner_uvs)).numpy()
    np.testing.assert_allclose(found.uv, expected, atol=1e-6)
    truth = footprint(uv_jacobian(fragments, mesh, camera), 512).numpy()
    np.testing.assert_allclose(trust.footprint, truth, rtol=1e-4, atol=1e-6)
    to_camera = camera.center - surface_points(fragments, mesh).numpy()
    to_camera /= np.linalg.norm(to_camera, axis=-1, keepdims=True)
    cosine = np.abs((surface_normals(fragments, mesh).numpy() * to_camera).sum(-1))
    np.testing.assert_allclose(trust.cosine, np.where(fragments.mask, cosine, 0), atol=1e-5)
