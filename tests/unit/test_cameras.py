"""Cameras and lens models against pycolmap and against their own inverses."""

from dataclasses import replace

import numpy as np
import pytest

from neuraltex.core.errors import DataError, MissingDependency
from neuraltex.geometry import lenses
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.rigid import is_rigid, rotation_angle, rotation_from_vector, vector_from_rotation
from neuraltex.io.colmap import camera_from_colmap

EXTRA = {
    "SIMPLE_PINHOLE": [],
    "PINHOLE": [],
    "SIMPLE_RADIAL": [0.05],
    "RADIAL": [0.05, -0.01],
    "OPENCV": [0.05, -0.01, 0.001, -0.002],
    "FULL_OPENCV": [0.05, -0.01, 0.001, -0.002, 0.003, 0.01, 0.02, 0.001],
    "SIMPLE_FISHEYE": [],
    "FISHEYE": [],
    "SIMPLE_RADIAL_FISHEYE": [0.03],
    "RADIAL_FISHEYE": [0.03, -0.01],
    "OPENCV_FISHEYE": [0.03, -0.01, 0.002, 0.001],
    "FOV": [0.8],
    "THIN_PRISM_FISHEYE": [0.03, -0.01, 0.001, 0.002, 0.003, 0.001, 0.002, -0.001],
    "RAD_TAN_THIN_PRISM_FISHEYE": [0.03, -0.01, 0.001, 0.002, 0.003, 0.001, 0.002, -0.001, 0.001, 0.001, 0.001, 0.002],
    "SIMPLE_DIVISION": [-0.1],
    "DIVISION": [-0.1],
    "EUCM": [0.6, 1.1],
}
BARREL = (-0.3, 0.0)


def colmap_camera(name: str):
    pycolmap = pytest.importorskip("pycolmap", reason="pycolmap is not installed")
    camera = pycolmap.Camera.create_from_model_name(1, name, 510.0, 640, 480)
    params, focal = np.array(camera.params), list(camera.focal_length_idxs())
    params[focal] = [510.0, 505.0][: len(focal)]
    params[list(camera.principal_point_idxs())] = [321.0, 238.0]
    params[list(camera.extra_params_idxs())] = EXTRA[name]
    camera.params = params
    return camera


@pytest.fixture
def points() -> np.ndarray:
    xy = np.random.default_rng(0).uniform(-0.6, 0.6, (500, 2))
    return np.column_stack([xy, np.ones(500)]) * np.random.default_rng(1).uniform(0.5, 3, (500, 1))


@pytest.mark.parametrize("name", EXTRA)
def test_every_model_of_colmap_projects_as_pycolmap_does(name, points):
    theirs = colmap_camera(name)
    pixels, depth = camera_from_colmap(theirs, np.eye(4)).project(points)
    np.testing.assert_allclose(pixels, theirs.img_from_cam(points), atol=1e-9)
    np.testing.assert_array_equal(depth, points[:, 2])


@pytest.mark.parametrize("name", EXTRA)
def test_rays_go_back_through_the_points(name, points):
    camera = camera_from_colmap(colmap_camera(name), np.eye(4))
    pixels, _ = camera.project(points)
    np.testing.assert_allclose(camera.directions(pixels), points / points[:, 2:], atol=1e-8)


def test_the_table_covers_every_model_pycolmap_has():
    pycolmap = pytest.importorskip("pycolmap", reason="pycolmap is not installed")
    assert set(pycolmap.CameraModelId.__members__) - {"INVALID", "EQUIRECTANGULAR"} == set(EXTRA)


def test_spherical_camera_is_refused():
    pycolmap = pytest.importorskip("pycolmap", reason="pycolmap is not installed")
    camera = pycolmap.Camera.create_from_model_name(3, "EQUIRECTANGULAR", 1.0, 640, 320)
    with pytest.raises(DataError, match="camera 3 has the spherical model EQUIRECTANGULAR"):
        camera_from_colmap(camera, np.eye(4))


def test_point_beyond_the_fold_does_not_come_back_into_the_picture():
    fold = 1 / np.sqrt(3 * 0.3)
    radii = np.array([[0.9 * fold, 0], [1.1 * fold, 0], [3.0, 0]])
    assert np.isfinite(lenses.distort("brown", BARREL, radii)[0]).all()
    assert np.isnan(lenses.distort("brown", BARREL, radii)[1:]).all()


def test_pixels_that_no_ray_reaches_are_nan():
    largest = lenses.distort("brown", BARREL, np.array([[0.999 / np.sqrt(0.9), 0]]))[0, 0]
    back = lenses.undistort("brown", BARREL, np.array([[largest, 0], [largest * 1.1, 0]]))
    assert np.isfinite(back[0]).all()
    assert np.isnan(back[1]).all()


def test_second_branch_of_a_polynomial_is_not_taken():
    """With k2 > 0 the radius grows again behind the fold: Newton's method may land there."""
    params = (-0.5, 0.08)
    targets = np.column_stack([np.linspace(0, 2, 200), np.zeros(200)])
    found = lenses.undistort("brown", params, targets)
    found = found[np.isfinite(found).all(1)]
    assert found[:, 0].max() < 1.2
    assert (np.diff(found[:, 0]) > 0).all()


def test_equidistant_fisheye_by_hand():
    """At 45 degrees the image radius is f * pi / 4."""
    camera = Camera(100, 100, 40, 40, 50, 50, np.eye(4), lens="fisheye", distortion=(0, 0, 0, 0))
    np.testing.assert_allclose(camera.project(np.array([[1.0, 0, 1]]))[0], [[50 + 40 * np.pi / 4, 50]])


def test_fisheye_pixel_at_90_degrees_has_no_ray():
    xy = np.array([[np.pi / 2 - 0.01, 0], [np.pi / 2 + 0.01, 0], [4.0, 0]])
    for lens in ("fisheye", "colmap:FISHEYE"):
        np.testing.assert_array_equal(np.isfinite(lenses.undistort(lens, (), xy)).all(1), [True, False, False])


def test_points_behind_the_camera_are_nan():
    pixels, depth = Camera(10, 10, 5, 5, 5, 5, np.eye(4)).project(np.array([[0.0, 0, -1], [0, 0, 0], [0, 0, 1]]))
    np.testing.assert_array_equal(np.isnan(pixels).all(1), [True, True, False])
    np.testing.assert_array_equal(depth, [-1, 0, 1])


def test_first_pixel_center_is_at_one_half():
    camera = Camera(4, 2, 2, 2, 2, 1, np.eye(4))
    np.testing.assert_allclose(camera.directions()[0, 0], [(0.5 - 2) / 2, (0.5 - 1) / 2, 1])
    np.testing.assert_allclose(camera.project(np.array([[-0.75, -0.25, 1.0]]))[0], [[0.5, 0.5]])


def test_scaling_keeps_the_picture_where_it_is(points):
    camera = camera_from_colmap(colmap_camera("OPENCV"), np.eye(4))
    np.testing.assert_allclose(camera.scaled(320, 120).project(points)[0], camera.project(points)[0] * [0.5, 0.25])


def test_skew_is_applied_and_undone(points):
    camera = Camera(640, 480, 500, 510, 320, 240, np.eye(4), skew=3.0)
    pixels, _ = camera.project(points)
    expected = points @ camera.K.T
    np.testing.assert_allclose(pixels, expected[:, :2] / expected[:, 2:])
    np.testing.assert_allclose(camera.directions(pixels), points / points[:, 2:], atol=1e-12)


def test_ray_parameter_is_depth():
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation_from_vector(np.array([0.2, 0.4, -0.1])), [1, 2, 3]
    camera = Camera(8, 6, 7, 7, 4, 3, pose, lens="brown", distortion=(0.1,))
    origin, directions = camera.rays()
    points = origin + 2.5 * directions.reshape(-1, 3)
    pixels, depth = camera.project(points)
    np.testing.assert_allclose(depth, 2.5)
    np.testing.assert_allclose(pixels.reshape(6, 8, 2)[3, 5], [5.5, 3.5], atol=1e-9)


@pytest.mark.parametrize(("lens", "params"), [("telescope", ()), ("colmap:TELESCOPE", ()), ("colmap:FOV", (1.0, 2.0))])
def test_unknown_lens_is_an_error(lens, params):
    pytest.importorskip("pycolmap", reason="pycolmap is not installed")
    with pytest.raises(DataError, match=lens.rpartition(":")[2]):
        lenses.distort(lens, params, np.zeros((1, 2)))


def test_lens_of_colmap_without_pycolmap_says_what_to_run(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pycolmap", None)
    with pytest.raises(MissingDependency, match=r"pip install pycolmap"):
        lenses.distort("colmap:FOV", (0.5,), np.zeros((1, 2)))


@pytest.mark.parametrize(
    "bad", [{"fx": np.nan}, {"fx": 0.0}, {"width": 0}, {"cam_from_world": np.full((4, 4), np.inf)}]
)
def test_bad_camera_is_refused(bad):
    good = {"width": 4, "height": 4, "fx": 2.0, "fy": 2.0, "cx": 2.0, "cy": 2.0, "cam_from_world": np.eye(4)}
    with pytest.raises(DataError):
        Camera(**{**good, **bad})


@pytest.mark.parametrize("vector", [[0, 0, 0], [1e-9, 0, 0], [0.3, -0.2, 0.5], [0, 3.1, 0]])
def test_rotation_vector_round_trip(vector):
    rotation = rotation_from_vector(np.array(vector, float))
    np.testing.assert_allclose(vector_from_rotation(rotation), vector, atol=1e-12)
    np.testing.assert_allclose(rotation_angle(rotation), np.linalg.norm(vector), atol=1e-7)


def test_rotation_about_z_turns_x_to_y():
    np.testing.assert_allclose(rotation_from_vector(np.array([0, 0, np.pi / 2])) @ [1, 0, 0], [0, 1, 0], atol=1e-15)


@pytest.mark.parametrize(
    "bad", [np.diag([1, 1, -1, 1.0]), np.zeros((4, 4)), np.eye(3), 2 * np.eye(4), np.full((4, 4), np.nan)]
)
def test_is_rigid_refuses(bad):
    assert is_rigid(np.eye(4))
    assert not is_rigid(bad)


def test_a_warped_camera_projects_what_its_own_rays_hit():
    """The warp displaces pixels before the lens; projecting a point on a pixel's ray gives that pixel back."""
    warp = np.random.default_rng(0).normal(size=(5, 7, 2)) * 3
    camera = Camera(640, 480, 500, 510, 320, 240, np.eye(4), lens="brown", distortion=(-0.1, 0.02, 0, 0), warp=warp)
    pixels = np.random.default_rng(1).uniform([0, 0], [640, 480], (100, 2))
    points = camera.directions(pixels) * 2.5
    assert np.abs(camera.project(points)[0] - pixels).max() < 1e-3
    unwarped = replace(camera, warp=None)
    assert np.abs(unwarped.project(points)[0] - pixels - camera.displacement(pixels)).max() < 1e-6


def test_the_warp_follows_the_size_of_the_photograph():
    warp = np.full((2, 2, 2), (4.0, -2.0))
    half = Camera(640, 480, 500, 510, 320, 240, np.eye(4), warp=warp).scaled(320, 120)
    assert np.allclose(half.displacement(np.array([[7.0, 9.0]])), (2.0, -0.5))
