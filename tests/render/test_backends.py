"""The rasterizers against each other, against analytic planes, and in awkward places."""

import importlib.util

import numpy as np
import pytest
import torch

from neuraltex.core.errors import DataError, UsageError
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.render.fragments import Backend, make_rasterizer
from neuraltex.render.interpolate import interpolate, surface_points

needs_pytorch3d = pytest.mark.skipif(importlib.util.find_spec("pytorch3d") is None, reason="pytorch3d is not installed")
FAST = ["zbuffer", "embree", pytest.param("pytorch3d", marks=needs_pytorch3d)]
ALL = ["reference", *FAST]
RAY_CASTERS = ["reference", "zbuffer", "embree"]
LENSES = {"brown": (-0.21, 0.06, 0.003, -0.002, 0.01), "fisheye": (0.05, -0.01, 0.002, 0.0)}


def look_at(eye, target=(0.0, 0.0, 0.0), width=96, height=64, focal=90.0, **options) -> Camera:
    eye, target = np.asarray(eye, float), np.asarray(target, float)
    z = (target - eye) / np.linalg.norm(target - eye)
    x = np.cross(z, [0.123, 0.2, 1.0])
    x /= np.linalg.norm(x)
    rotation = np.stack([x, np.cross(z, x), z])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ eye
    return Camera(width, height, focal, focal * 1.1, width / 2 + 3.3, height / 2 - 2.1, pose, **options)


def bumpy_sphere(rings: int = 24, offset=(0.0, 0.0, 0.0), scale: float = 1.0) -> Mesh:
    """A closed bumpy sphere of ``4 * rings^2`` faces (some without area at the poles), with a latitude-longitude uv."""
    v, u = np.meshgrid(np.linspace(0, 1, rings + 1), np.linspace(0, 1, 2 * rings + 1), indexing="ij")
    theta, phi = np.pi * v, 2 * np.pi * u
    radius = 1 + 0.15 * np.sin(5 * theta) * np.cos(4 * phi)
    unit = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    corner = np.arange(u.size).reshape(u.shape)
    a, b, c, d = (x.ravel() for x in (corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]))
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    uvs = np.stack([u.ravel(), v.ravel()], 1)
    return Mesh((radius[..., None] * unit).reshape(-1, 3) * scale + offset, faces, uvs, faces)


def plane(z: float, half: float = 50.0) -> Mesh:
    """A square facing the camera at depth ``z`` whose uv is (x, y) in world units."""
    corners = np.array([[-half, -half, z], [half, -half, z], [half, half, z], [-half, half, z]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    return Mesh(corners, faces, corners[:, :2], faces)


def uv_of(fragments, mesh: Mesh) -> np.ndarray:
    return interpolate(fragments, torch.from_numpy(mesh.corner_uvs)).numpy()


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("size", [(96, 64), (64, 96), (80, 80)])
def test_agrees_with_reference(backend: Backend, size: tuple[int, int]) -> None:
    mesh = bumpy_sphere()
    for eye in ((3, 0.5, 0.2), (-1.5, 2.5, 1.5), (0.3, -0.2, -3)):
        camera = look_at(eye, width=size[0], height=size[1])
        truth, found = (make_rasterizer(mesh, name).render(camera) for name in ("reference", backend))
        assert truth.mask.float().mean() > 0.2
        same = found.face_idx == truth.face_idx
        assert same.float().mean() >= 0.995
        uv_error = np.abs(uv_of(found, mesh) - uv_of(truth, mesh)).max(-1)
        assert uv_error[same.numpy()].max() < 1e-5
        assert (uv_error < 1e-3).mean() > 0.995
        assert torch.allclose(found.depth[same], truth.depth[same], atol=1e-5)


@pytest.mark.parametrize("backend", ALL)
def test_half_pixel_is_exact_on_a_plane(backend: Backend) -> None:
    camera = Camera(33, 21, 40.0, 44.0, 15.2, 11.9, np.eye(4), skew=0.7 if backend != "pytorch3d" else 0.0)
    mesh = plane(2.5)
    fragments = make_rasterizer(mesh, backend).render(camera)
    x, y = np.meshgrid(np.arange(33) + 0.5, np.arange(21) + 0.5)
    v = (y - camera.cy) / camera.fy
    u = (x - camera.cx - camera.skew * v) / camera.fx
    assert fragments.mask.all()
    np.testing.assert_allclose(uv_of(fragments, mesh), np.stack([u, v], -1) * 2.5, atol=2e-6 * 50)
    np.testing.assert_allclose(fragments.depth, 2.5, rtol=1e-6)


@pytest.mark.parametrize("backend", ALL)
def test_interpolation_is_perspective_correct(backend: Backend) -> None:
    camera = look_at((0.0, -4.0, 1.0), (0, 0, 0))
    mesh = plane(0.0, half=3.0)
    fragments = make_rasterizer(mesh, backend).render(camera)
    origin, directions = camera.rays()
    t = -origin[2] / directions[..., 2]
    hit = origin + t[..., None] * directions
    mask = fragments.mask.numpy()
    assert 0.2 < mask.mean() < 0.95
    np.testing.assert_allclose(uv_of(fragments, mesh)[mask], hit[mask][:, :2], atol=1e-5)
    np.testing.assert_allclose(fragments.depth.numpy()[mask], t[mask], rtol=1e-6)


@pytest.mark.parametrize("backend", RAY_CASTERS)
@pytest.mark.parametrize("lens", LENSES)
def test_distorted_lens_is_exact(backend: Backend, lens: str) -> None:
    camera = look_at((2.4, 0.4, 0.3), focal=60.0, lens=lens, distortion=LENSES[lens])
    mesh = bumpy_sphere()
    fragments = make_rasterizer(mesh, backend).render(camera)
    mask = fragments.mask.numpy()
    assert mask.mean() > 0.3
    pixels, depth = camera.project(surface_points(fragments, mesh).numpy()[mask])
    rows, columns = np.nonzero(mask)
    np.testing.assert_allclose(pixels, np.stack([columns, rows], 1) + 0.5, atol=2e-4)
    np.testing.assert_allclose(depth, fragments.depth.numpy()[mask], rtol=1e-5)


@needs_pytorch3d
def test_pytorch3d_refuses_distortion_rather_than_approximating() -> None:
    camera = look_at((3, 0, 0), lens="brown", distortion=LENSES["brown"])
    with pytest.raises(UsageError, match="embree"):
        make_rasterizer(bumpy_sphere(6), "pytorch3d").render(camera)


@pytest.mark.parametrize("backend", RAY_CASTERS)
def test_pixels_beyond_the_fold_of_a_lens_are_masked(backend: Backend) -> None:
    camera = Camera(64, 64, 20.0, 20.0, 32.0, 32.0, np.eye(4), lens="brown", distortion=(-0.4,))
    fragments = make_rasterizer(plane(1.0), backend).render(camera)
    assert not fragments.mask[0, 0]
    assert fragments.mask[32, 32]
    assert torch.isfinite(fragments.bary).all()


@pytest.mark.parametrize("backend", ALL)
def test_camera_inside_the_mesh_sees_it_everywhere(backend: Backend) -> None:
    """Faces behind the camera and across its plane must neither show nor tear holes."""
    mesh = bumpy_sphere()
    fragments = make_rasterizer(mesh, backend).render(look_at((0.1, 0.05, 0.0), (1, 0.3, 0.2), focal=40.0))
    assert fragments.mask.float().mean() > 0.998
    assert (fragments.depth[fragments.mask] > 0).all()


@pytest.mark.parametrize("backend", ALL)
def test_face_across_the_camera_plane_is_cut(backend: Backend) -> None:
    floor = Mesh([[-9, 1, -9], [9, 1, -9], [0, 1, 30]], [[0, 1, 2]], [[0, 0], [1, 0], [0.5, 1]], [[0, 1, 2]])
    camera = Camera(40, 30, 30.0, 30.0, 20.0, 15.0, np.eye(4))
    truth = make_rasterizer(floor, "reference").render(camera)
    found = make_rasterizer(floor, backend).render(camera)
    assert truth.mask[-1].all()
    assert not truth.mask[0].any()
    assert (found.mask == truth.mask).float().mean() >= 0.995
    both = found.mask & truth.mask
    assert torch.allclose(found.depth[both], truth.depth[both], rtol=1e-5)


@pytest.mark.parametrize("backend", ALL)
def test_empty_view(backend: Backend) -> None:
    fragments = make_rasterizer(bumpy_sphere(6), backend).render(look_at((3, 0, 0), (6, 0, 0)))
    assert not fragments.mask.any()
    assert (fragments.face_idx == -1).all()
    assert not fragments.depth.any()
    assert not fragments.bary.any()


@pytest.mark.parametrize("backend", ALL)
def test_degenerate_faces_never_show(backend: Backend) -> None:
    good = plane(2.0)
    needle = np.array([[0, 1, 1], [2, 2, 2]])
    mesh = Mesh(good.vertices, np.concatenate([needle, good.faces]), good.uvs, np.concatenate([needle, good.faces]))
    fragments = make_rasterizer(mesh, backend).render(Camera(20, 20, 20.0, 20.0, 10.0, 10.0, np.eye(4)))
    assert (fragments.face_idx >= 2).all()
    assert torch.isfinite(fragments.bary).all()


@pytest.mark.parametrize("backend", FAST)
def test_far_from_the_origin_nothing_is_lost(backend: Backend) -> None:
    """Georeferenced scenes: single precision has 0.5 world units left at 5e6."""
    offset = np.array([5.1e6, -4.7e6, 320.0])
    near, far = bumpy_sphere(), bumpy_sphere(offset=offset)
    eye = np.array([3.0, 0.5, 0.2])
    first = make_rasterizer(near, backend).render(look_at(eye))
    second = make_rasterizer(far, backend).render(look_at(eye + offset, offset))
    assert (first.face_idx == second.face_idx).float().mean() >= 0.999
    same = first.face_idx == second.face_idx
    assert torch.allclose(first.bary[same], second.bary[same], atol=1e-4)


def test_closed_meshes_have_no_pinholes() -> None:
    mesh = bumpy_sphere(120)
    mask = (
        make_rasterizer(mesh, "embree").render(look_at((2.5, 0.1, 0.3), width=240, height=200, focal=120)).mask.numpy()
    )
    inside = mask[1:-1, :-2] & mask[1:-1, 2:] & mask[:-2, 1:-1] & mask[2:, 1:-1]
    assert not (inside & ~mask[1:-1, 1:-1]).any()


def test_mesh_with_nan_is_refused() -> None:
    mesh = plane(1.0)
    broken = Mesh(np.where(mesh.vertices == 1.0, np.nan, mesh.vertices), mesh.faces)
    with pytest.raises(DataError, match="NaN"):
        make_rasterizer(broken, "embree")


def test_unknown_backend_is_refused() -> None:
    with pytest.raises(UsageError, match="embree"):
        make_rasterizer(plane(1.0), "opengl")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"lens": "fisheye", "distortion": (0.0, 0.0, 0.0, 0.0)},
        {"lens": "fisheye", "distortion": (0.3, 0.1, 0.0, 0.0), "focal": 30.0},
        {"lens": "brown", "distortion": (-0.25, 0.08, 0.004, -0.003, 0.0)},
        {"warp": np.random.default_rng(0).normal(0, 1.5, (4, 5, 2))},
    ],
    ids=["plain fisheye", "strong fisheye", "brown", "warp"],
)
def test_bent_rays_hit_the_same_faces_in_the_z_buffer(options: dict) -> None:
    """A fisheye without distortion was taken for a pinhole."""
    mesh = bumpy_sphere()
    for eye in ((2.4, 0.4, 0.3), (0.1, 0.05, 0.0)):
        camera = look_at(eye, **{"focal": 60.0, **options})
        truth, found = (make_rasterizer(mesh, name).visible_faces(camera) for name in ("reference", "zbuffer"))
        assert (truth >= 0).mean() > 0.1
        assert (truth == found).mean() > 0.999
