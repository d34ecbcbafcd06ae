"""Held-out cameras aligned to finished textures of any origin."""

from dataclasses import replace

import numpy as np
import pytest
from box_scene import around, box_mesh, box_texture

from neuraltex.fit.calibrate.held_out import TexturedSurface, align_to_texture
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import TexturedMesh
from neuraltex.geometry.rigid import rigid, rotation_from_vector
from neuraltex.render.shade import TexturedRenderer

GAIN, BIAS = np.array([0.8, 0.9, 1.0]), np.array([0.05, 0.0, 0.03])


@pytest.fixture(scope="module")
def textured() -> TexturedMesh:
    return TexturedMesh(box_mesh(), (box_texture(256),), np.zeros(12, np.int64))


@pytest.fixture(scope="module")
def exact() -> Camera:
    camera = around(4)[1]
    return camera.scaled(4 * camera.width, 4 * camera.height)


@pytest.fixture(scope="module")
def photo(textured: TexturedMesh, exact: Camera) -> np.ndarray:
    """What the camera sees, in other colors than the texture's."""
    return np.round((TexturedRenderer(textured).render(exact, supersampling=3)[0] * GAIN + BIAS) * 255).astype(np.uint8)


def disturbed(camera: Camera) -> Camera:
    shift = rigid(rotation_from_vector(np.array([0.006, -0.005, 0.008])), np.array([0.02, -0.015, 0.03]))
    return camera.with_pose(shift @ camera.cam_from_world)


def error(camera: Camera, exact: Camera) -> float:
    points = box_mesh().vertices
    return float(np.abs(camera.project(points)[0] - exact.project(points)[0]).max())


def everything(camera: Camera) -> np.ndarray:
    return np.ones((camera.height, camera.width), bool)


def test_a_disturbed_camera_comes_back_to_a_tenth_of_a_pixel(textured, exact, photo):
    start = disturbed(exact)
    aligned = align_to_texture(TexturedSurface.of(textured), start, photo, everything(exact))
    assert error(start, exact) > 2
    assert error(aligned.camera, exact) < 0.15
    assert aligned.shift == pytest.approx(error(start, exact), rel=0.6)


def test_an_exact_camera_stays(textured, exact, photo):
    aligned = align_to_texture(TexturedSurface.of(textured), exact, photo, everything(exact))
    assert error(aligned.camera, exact) < 0.1
    assert aligned.shift < 0.1


def test_vertex_colors_of_a_mesh_without_uvs_will_do(textured, exact, photo):
    """Peers bring meshes of their own kind."""
    fine, colors = _painted(textured)
    assert fine.uvs is None
    aligned = align_to_texture(
        TexturedSurface.of(TexturedMesh(fine, (), vertex_colors=colors)), disturbed(exact), photo, everything(exact)
    )
    assert error(aligned.camera, exact) < 0.6


def test_intrinsics_and_the_other_photographs_pixels_are_left_alone(textured, exact, photo):
    mask = everything(exact)
    mask[:, : exact.width // 2] = False
    spoiled = photo.copy()
    spoiled[:, : exact.width // 2] = 0
    aligned = align_to_texture(TexturedSurface.of(textured), disturbed(exact), spoiled, mask).camera
    assert replace(aligned, cam_from_world=exact.cam_from_world).K.tolist() == exact.K.tolist()
    assert error(aligned, exact) < 0.6


def test_too_little_surface_leaves_the_camera_as_it_is(textured, exact, photo):
    mask = np.zeros((exact.height, exact.width), bool)
    mask[:4, :4] = True
    start = disturbed(exact)
    aligned = align_to_texture(TexturedSurface.of(textured), start, photo, mask)
    assert aligned.camera is start
    assert aligned.shift == 0


def _painted(textured: TexturedMesh):
    """The box cut into many triangles, with the texture's colors at its vertices instead of uvs."""
    from neuraltex.geometry.mesh import Mesh

    count = 40
    corners, uvs = textured.mesh.corners, textured.mesh.corner_uvs
    a, b = (array.reshape(-1) for array in np.meshgrid(np.arange(count + 1), np.arange(count + 1), indexing="ij"))
    inside = a + b <= count
    a, b = a[inside], b[inside]
    number = {(i, j): k for k, (i, j) in enumerate(zip(a, b, strict=True))}
    cells = [[(i, j), (i + 1, j), (i, j + 1)] for i, j in number if i + j < count]
    cells += [[(i + 1, j), (i + 1, j + 1), (i, j + 1)] for i, j in number if i + j < count - 1]
    local = np.array([[number[point] for point in cell] for cell in cells])
    weights = np.stack([count - a - b, a, b], 1) / count
    vertices = np.einsum("pk,fkd->fpd", weights, corners).reshape(-1, 3)
    uv = np.einsum("pk,fkd->fpd", weights, uvs).reshape(-1, 2)
    texture = textured.textures[0]
    column, row = np.rint(uv[:, 0] * 256 - 0.5).astype(int), np.rint((1 - uv[:, 1]) * 256 - 0.5).astype(int)
    faces = (np.arange(len(corners))[:, None, None] * len(a) + local[None]).reshape(-1, 3)
    return Mesh(vertices, faces), texture[row, column] / 255
