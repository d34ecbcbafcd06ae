"""Camera refinement on a bumpy textured surface whose photographs are rendered exactly."""

from dataclasses import replace

import numpy as np
import pytest

from neuraltex.config.schema import CalibrateConfig, ColorConfig, PixelConfig
from neuraltex.fit.calibrate.cameras import Observation, refine_pose, twist_between
from neuraltex.fit.calibrate.flow import grid_shape, refine_flow
from neuraltex.fit.calibrate.kernels import coupled_equations
from neuraltex.fit.calibrate.parameters import (
    SharedModel,
    change_intrinsics,
    intrinsic_columns,
    intrinsic_steps,
    move,
    pose_columns,
)
from neuraltex.fit.calibrate.refine import Problem, refine_cameras
from neuraltex.fit.calibrate.rounds import Photo, Surface, Target, cast_photo, reduced_camera
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.geometry.rigid import rigid, rotation_from_vector
from neuraltex.io.images import write_rgb
from neuraltex.io.prepared import PreparedView
from neuraltex.render.fragments import make_rasterizer
from neuraltex.texture.kernels import gather

SIZE = 256
PIXELS = PixelConfig(margin=0.0)


def smooth_noise(seed: int, size: int = SIZE) -> np.ndarray:
    """Colors with structure from 6 texels on, so that subpixel shifts can be told."""
    generator = np.random.default_rng(seed)
    spectrum = np.fft.rfft2(generator.normal(size=(size, size, 3)), axes=(0, 1))
    y, x = np.meshgrid(np.fft.fftfreq(size), np.fft.rfftfreq(size), indexing="ij")
    image = np.fft.irfft2(spectrum * np.exp(-((np.hypot(x, y) * 10) ** 2))[..., None], axes=(0, 1))
    return (0.5 + 0.15 * image / image.std()).clip(0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def surface() -> Surface:
    """A unit square with hills, seen from above (-z)."""
    count = 24
    y, x = np.meshgrid(np.linspace(0, 1, count), np.linspace(0, 1, count), indexing="ij")
    z = 0.1 * np.sin(7 * x) * np.cos(5 * y)
    vertices = np.stack([x, y, z], -1).reshape(-1, 3)
    index = np.arange(count * count).reshape(count, count)
    a, b, c, d = (part.reshape(-1) for part in (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]))
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    mesh = Mesh(vertices, faces, uvs=vertices[:, :2].copy(), uv_faces=faces)
    return Surface(mesh, make_rasterizer(mesh, "embree"))


def look(x: float, y: float, tilt: float) -> Camera:
    rotation = rotation_from_vector(np.array([tilt, -tilt / 2, 0.2 * tilt]))
    pose = rigid(rotation, rotation @ -np.array([x, y, -0.6]))
    return Camera(200, 160, 190.0, 190.0, 100.0, 80.0, pose)


def photograph(surface: Surface, camera: Camera, texture: np.ndarray) -> Photo:
    blank = Photo(np.full((camera.height, camera.width, 3), 0.5, np.float32), None)
    cast = cast_photo(surface, camera, blank, replace(PIXELS, min_cosine=0.0, cosine_power=0.0), 1, 10**6, 0)
    assert len(cast.uv) == camera.width * camera.height, "the camera sees beyond the surface"
    return Photo(gather(texture, cast.uv).reshape(camera.height, camera.width, 3), None)


def observe(surface: Surface, camera: Camera, photo: Photo, texture: np.ndarray, points: int = 4000) -> Observation:
    cast = cast_photo(surface, camera, photo, PIXELS, 1, points, 0)
    color = gather(texture, cast.uv[cast.chosen]).astype(np.float64)
    return Observation(photo, cast, Target(color, np.ones(len(color))))


@pytest.mark.parametrize(
    "lens", [("pinhole", ()), ("brown", (-0.1, 0.02, 0.001, -0.002)), ("fisheye", (0.01, 0, 0, 0))]
)
def test_columns_are_the_derivatives_of_the_projection(lens: tuple) -> None:
    camera = replace(look(0.5, 0.5, 0.1), lens=lens[0], distortion=lens[1])
    points = np.random.default_rng(0).uniform([0.2, 0.2, -0.1], [0.8, 0.8, 0.1], (40, 3))
    for columns, apply, steps in (
        (pose_columns(camera, points), move, np.full(6, 1e-6)),
        (intrinsic_columns(camera, points), change_intrinsics, intrinsic_steps(camera) * 1e-3),
    ):
        for k, step in enumerate(steps):
            change = np.zeros(len(steps))
            change[k] = step
            ahead, behind = apply(camera, change).project(points)[0], apply(camera, -change).project(points)[0]
            numeric = (ahead - behind) / (2 * step)
            assert np.abs(numeric - columns[:, :, k]).max() < 1e-4 * (1 + np.abs(numeric).max())


def test_a_disturbed_pose_is_found_again(surface: Surface) -> None:
    texture, true = smooth_noise(0), look(0.5, 0.5, 0.1)
    photo = photograph(surface, true, texture)
    camera = move(true, np.array([0.01, -0.008, 0.01, 0.01, -0.012, 0.01]))
    for _ in range(3):  # The surface points are cast from where the camera is thought to be.
        camera, gain = refine_pose(observe(surface, camera, photo, texture), camera)
    corners = np.array([[0.3, 0.3, 0], [0.7, 0.3, 0], [0.3, 0.7, 0], [0.7, 0.7, 0.0]])
    assert np.abs(camera.project(corners)[0] - true.project(corners)[0]).max() < 0.05
    assert gain >= 1


def test_a_pose_that_is_right_stays_where_it_is(surface: Surface) -> None:
    texture, true = smooth_noise(1), look(0.5, 0.5, -0.1)
    found, _ = refine_pose(observe(surface, true, photograph(surface, true, texture), texture), true)
    assert np.abs(twist_between(true, found)).max() < 1e-3


def test_a_step_that_only_fits_its_own_points_is_refused(surface: Surface) -> None:
    """The colors of the points that drive the step lie; those of the checked tenth tell the truth."""
    texture, true = smooth_noise(2), look(0.5, 0.5, 0.1)
    photo = photograph(surface, true, texture)
    honest = observe(surface, true, photo, texture)
    lying = observe(surface, move(true, np.array([0, 0, 0, 0.02, 0.0, 0])), photo, texture).target.color
    color = np.where(honest.cast.checked[:, None], honest.target.color, lying)
    found, gain = refine_pose(replace(honest, target=Target(color, honest.target.weight)), true)
    assert np.abs(twist_between(true, found)).max() < 2e-3
    assert gain >= 1


def test_a_smooth_warp_is_found(surface: Surface) -> None:
    texture, plain = smooth_noise(3), look(0.5, 0.5, 0.05)
    shape = grid_shape(plain, 40)
    y, x = np.meshgrid(np.linspace(0, 3, shape[0]), np.linspace(0, 3, shape[1]), indexing="ij")
    true = replace(plain, warp=np.stack([1.5 * np.sin(x + y), 1.2 * np.cos(x)], -1))
    photo, found = photograph(surface, true, texture), plain
    for _ in range(3):
        found, gain = refine_flow(observe(surface, found, photo, texture, 30_000), found, shape)
        assert gain >= 1
    inner = np.stack(np.meshgrid(np.linspace(20, 180, 9), np.linspace(20, 140, 7)), -1).reshape(-1, 2)
    before = np.abs(true.displacement(inner)).mean()
    assert np.abs(true.displacement(inner) - found.displacement(inner)).mean() < 0.2 * before


def test_reducing_a_camera_keeps_its_rays() -> None:
    camera = replace(look(0.5, 0.5, 0.1), width=203, height=161, warp=np.random.default_rng(0).normal(size=(4, 5, 2)))
    reduced = reduced_camera(camera, 4)
    assert (reduced.width, reduced.height) == (50, 40)
    assert (
        np.abs(reduced.directions(np.array([[10.0, 20.0]])) - camera.directions(np.array([[40.0, 80.0]]))).max() < 2e-3
    )


def _views(surface: Surface, cameras: list[Camera], believed: list[Camera], folder) -> list[PreparedView]:  # type: ignore[no-untyped-def]
    texture, views = smooth_noise(4), []
    for index, (camera, belief) in enumerate(zip(cameras, believed, strict=True)):
        image = folder / f"{index}.png"
        write_rgb(image, (photograph(surface, camera, texture).image * 255).round().astype(np.uint8))
        views.append(PreparedView(str(index), "train", belief, image, image, image))
    return views


CAMERAS = [look(0.5 + 0.04 * i, 0.5 + 0.04 * j, 0.08 * (i - j)) for i in (-1, 0, 1) for j in (-1, 0, 1)]


def _spread(cameras: list[Camera], truth: list[Camera]) -> float:
    """Mean distance of pixels from the truth after a common shift, which no photograph can tell, is taken away [px]."""
    points = np.stack([*np.meshgrid([0.4, 0.5, 0.6], [0.4, 0.5, 0.6])], -1).reshape(-1, 2)
    points = np.concatenate([points, np.zeros((9, 1))], 1)
    error = np.stack([a.project(points)[0] - b.project(points)[0] for a, b in zip(cameras, truth, strict=True)])
    return float(np.linalg.norm(error - error.mean(0), axis=-1).mean())


def test_noisy_cameras_come_to_agree(surface: Surface, tmp_path) -> None:  # type: ignore[no-untyped-def]
    generator = np.random.default_rng(5)
    noisy = [move(camera, generator.normal(size=6) * 0.005) for camera in CAMERAS]
    config = CalibrateConfig(cameras=True, rounds=6, coarsest=2)
    problem = Problem(_views(surface, CAMERAS, noisy, tmp_path), surface, SIZE, config, PIXELS, ColorConfig())
    refined = refine_cameras(problem)
    assert _spread(refined.cameras, CAMERAS) < 0.25 * _spread(noisy, CAMERAS)
    assert refined.history[-1]["error"] < refined.history[0]["error"]


def test_what_neighbors_have_in_common_ends_in_one_joint_round(surface: Surface, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Cameras that are off in proportion to where they stand hold each other in place when moved one by one."""
    noisy = [move(c, 0.15 * (c.center[0] - 0.5) * np.array([0, 0, 0, 1.0, 0, 0])) for c in CAMERAS]
    views, spread = _views(surface, CAMERAS, noisy, tmp_path), []
    for joint in (0, 1):
        config = CalibrateConfig(cameras=True, rounds=1, joint_rounds=joint, coarsest=1)
        refined = refine_cameras(Problem(views, surface, SIZE, config, PIXELS, ColorConfig()))
        spread.append(_spread(refined.cameras, CAMERAS))
    assert spread[1] < 0.6 * spread[0]
    assert spread[1] < 0.3 * _spread(noisy, CAMERAS)


def test_coupled_equations_are_those_with_the_colors_eliminated() -> None:
    """Against dense normal equations of three poses and the colors of two squares; the last is seen only once."""
    generator = np.random.default_rng(6)
    view, square = np.array([0, 1, 2, 0, 2, 1]), np.array([0, 0, 0, 1, 1, 2])
    weight, color = generator.uniform(0.5, 2, 6), generator.random((6, 3))
    rows = generator.normal(size=(6, 3, 6))
    sums = np.concatenate([np.ones((6, 1)), color, rows.reshape(6, 18)], 1) * weight[:, None]
    matrix, gradient = np.zeros((18, 18)), np.zeros(18)
    coupled_equations(np.array([0, 3, 5, 6]), view, sums.astype(np.float32), 1e6, matrix, gradient)
    jacobian = np.zeros((5, 3, 18 + 6))
    for n in range(5):
        jacobian[n, :, 6 * view[n] : 6 * view[n] + 6] = rows[n]
        jacobian[n, :, 18 + 3 * square[n] : 21 + 3 * square[n]] = -np.eye(3)
    root = np.sqrt(weight[:5, None, None])
    dense, right = (root * jacobian).reshape(15, -1), (root[..., 0] * color[:5]).reshape(15)
    normal, side = dense.T @ dense, dense.T @ right
    inverse = np.linalg.inv(normal[18:, 18:])
    expected = normal[:18, :18] - normal[:18, 18:] @ inverse @ normal[18:, :18]
    lower = np.kron(np.tril(np.ones((3, 3))), np.ones((6, 6)))
    np.testing.assert_allclose(matrix, expected * lower, atol=1e-4)
    np.testing.assert_allclose(gradient, side[:18] - normal[:18, 18:] @ inverse @ side[18:], atol=1e-4)


def test_a_rig_offset_and_focal_length_are_shared_with_photographs_that_are_never_read(
    surface: Surface, tmp_path
) -> None:  # type: ignore[no-untyped-def]
    model = SharedModel(rig=True, intrinsics=True)
    wrong = np.array([0.0, 0.0, 0.02, 0.0, 0.0, 0.0, 6.0, 6.0, 0.0, 0.0, 0.0, 0.0])
    believed = [model.apply(camera, wrong) for camera in CAMERAS]
    config = CalibrateConfig(rig=True, intrinsics=True, rounds=5, coarsest=2, shared_rounds=5)
    problem = Problem(_views(surface, CAMERAS, believed, tmp_path), surface, SIZE, config, PIXELS, ColorConfig())
    refined = refine_cameras(problem, [believed[0]])
    assert abs(refined.others[0].fx - CAMERAS[0].fx) < 2.0
    assert np.allclose(refined.others[0].cam_from_world, refined.cameras[0].cam_from_world)
    assert _spread(refined.cameras, CAMERAS) < 0.3 * _spread(believed, CAMERAS)
