"""Any scene that COLMAP can hold survives being written and read, as binary and as text; lenses invert."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from neuraltex.geometry import lenses
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.rigid import rigid, rotation_from_vector, vector_from_rotation
from neuraltex.geometry.scene import Scene, View
from neuraltex.io import colmap, nerfstudio
from neuraltex.io.images import write_rgb

small = st.floats(-0.05, 0.05)
LENSES = st.one_of(
    st.just(("pinhole", ())),
    st.tuples(st.just("brown"), st.tuples(*[small] * 4)),
    st.tuples(st.just("brown"), st.tuples(*[small] * 8)),
    st.tuples(st.just("fisheye"), st.tuples(*[small] * 4)),
)
FOREIGN_LENSES = st.one_of(
    st.tuples(st.just("colmap:FOV"), st.tuples(st.floats(0.1, 1.2))),
    st.tuples(st.just("colmap:EUCM"), st.tuples(st.floats(0.1, 0.9), st.floats(0.5, 1.5))),
    st.tuples(st.just("colmap:DIVISION"), st.tuples(small)),
)
VECTORS = st.tuples(*[st.floats(-1.5, 1.5)] * 3)


@st.composite
def cameras(draw, models) -> Camera:
    lens, distortion = draw(models)
    pose = rigid(rotation_from_vector(np.array(draw(VECTORS))), np.array(draw(st.tuples(*[st.floats(-1e3, 1e3)] * 3))))
    focal, center = st.floats(5, 5000), st.floats(0.5, 30)
    return Camera(32, 24, draw(focal), draw(focal), draw(center), draw(center), pose, lens=lens, distortion=distortion)


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    return write_rgb(tmp_path_factory.mktemp("photo") / "a.png", np.zeros((24, 32, 3), np.uint8))


def assert_close(first: Camera, second: Camera) -> None:
    np.testing.assert_allclose(first.K, second.K, rtol=1e-12)
    np.testing.assert_allclose(first.cam_from_world, second.cam_from_world, atol=1e-9)
    count = len(first.distortion)
    np.testing.assert_array_equal(first.distortion, (*second.distortion, *[0.0] * 8)[:count])
    assert first.lens == second.lens


relaxed = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@relaxed
@given(listed=st.lists(cameras(LENSES | FOREIGN_LENSES), min_size=1, max_size=3), text=st.booleans())
def test_colmap(listed, text, photo, tmp_path_factory):
    pytest.importorskip("pycolmap", reason="pycolmap is not installed")
    folder = tmp_path_factory.mktemp("colmap")
    views = tuple(View(f"view {index}", camera, photo) for index, camera in enumerate(listed))
    colmap.write(Scene("s", "test", views), folder, text=text)
    for camera, view in zip(listed, colmap.read(folder).views, strict=True):
        assert_close(camera, view.camera)


@relaxed
@given(listed=st.lists(cameras(LENSES), min_size=1, max_size=3))
def test_nerfstudio(listed, photo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nerfstudio")
    views = tuple(View(f"view {index}", camera, photo) for index, camera in enumerate(listed))
    nerfstudio.write(Scene("s", "test", views), folder)
    for camera, view in zip(listed, nerfstudio.read(folder).views, strict=True):
        assume(camera.lens == view.camera.lens)  # a brown lens of zeros is read as pinhole
        assert_close(camera, view.camera)


@relaxed
@given(model=LENSES | FOREIGN_LENSES, points=st.lists(st.tuples(*[st.floats(-0.7, 0.7)] * 2), min_size=1, max_size=20))
def test_every_lens_inverts(model, points):
    lens, distortion = model
    if lens.startswith("colmap"):
        pytest.importorskip("pycolmap", reason="pycolmap is not installed")
    xy = np.array(points)
    back = lenses.undistort(lens, distortion, lenses.distort(lens, distortion, xy))
    np.testing.assert_allclose(back, xy, atol=1e-7)


@given(first=VECTORS, second=VECTORS)
def test_rotations_form_a_group(first, second):
    a, b = (rotation_from_vector(np.array(vector)) for vector in (first, second))
    np.testing.assert_allclose(a @ rotation_from_vector(-np.array(first)), np.eye(3), atol=1e-12)
    np.testing.assert_allclose(rotation_from_vector(vector_from_rotation(a @ b)), a @ b, atol=1e-6)
