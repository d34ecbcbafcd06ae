"""Depth fusion: reading depth, silhouettes, distortion, Open3D absent, and a real fusion where it is there."""

import builtins

import numpy as np
import pytest

from neuraltex.core.errors import DataError, MissingDependency
from neuraltex.geometry import tsdf
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.geometry.rigid import rigid, rotation_from_vector
from neuraltex.geometry.scene import Scene, View
from neuraltex.io import fuse
from neuraltex.io.images import write_rgb

SPHERE = 0.5
DISTANCE = 2.0


@pytest.fixture
def open3d():
    try:
        return tsdf.import_open3d()
    except MissingDependency as error:
        pytest.skip(str(error))


def sphere_view(angle: float, lens: str = "pinhole", distortion: tuple[float, ...] = ()) -> tuple[np.ndarray, Camera]:
    """Exact z-depth [world] of a sphere at the origin, seen from a circle around it."""
    pose = rigid(rotation_from_vector(np.array([0, angle, 0])), np.array([0, 0, DISTANCE]))
    camera = Camera(160, 120, 200, 200, 81.25, 59.5, pose, lens=lens, distortion=distortion)
    origin, directions = camera.rays()
    a, b = (directions**2).sum(-1), directions @ origin
    root = b**2 - a * (origin @ origin - SPHERE**2)
    return np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, 0).astype(np.float32), camera


def make_scene(folder, **lens) -> Scene:
    views = []
    for index in range(12):
        depth, camera = sphere_view(index * np.pi / 6, **lens)
        file = write_rgb(folder / f"{index}.png", np.round(depth * 5000).astype(np.uint16))
        views.append(View(str(index), camera, file, None, file, None, 5000.0))
    return Scene("sphere", "test", tuple(views))


@pytest.mark.parametrize("lens", [{}, {"lens": "brown", "distortion": (-0.3, 0.1)}])
def test_sphere_is_recovered_where_it_is(tmp_path, open3d, lens):
    """Half a pixel of vertical shift would move the fitted center by 3.75 mm."""
    mesh = fuse.fuse_scene(make_scene(tmp_path, **lens), fuse.FusionOptions(voxel_size=0.02, target_faces=0))
    assert mesh.num_faces > 1000
    band = mesh.vertices[np.abs(mesh.vertices[:, 1]) < 0.3]
    equations = np.column_stack([2 * band, np.ones(len(band))])  # |x|^2 = 2 c x + r^2 - |c|^2
    *center, rest = np.linalg.lstsq(equations, (band**2).sum(1), rcond=None)[0]
    radius = np.sqrt(rest + np.dot(center, center))
    assert np.linalg.norm(center) < 0.0015
    assert abs(radius - SPHERE) < 0.002
    assert np.quantile(np.abs(np.linalg.norm(band, axis=1) - SPHERE), 0.95) < 0.008


def test_decimation_and_small_components(open3d):
    sphere = open3d.geometry.TriangleMesh.create_sphere(1.0, 20)
    large = Mesh(np.asarray(sphere.vertices), np.asarray(sphere.triangles))
    speck = Mesh(large.vertices[:3] + 9, np.array([[0, 1, 2]]))
    both = Mesh(np.vstack([speck.vertices, large.vertices]), np.vstack([speck.faces, large.faces + 3]))
    kept = tsdf.keep_large_components(both, min_share=0.01)
    assert kept.num_faces == large.num_faces
    assert len(kept.vertices) == len(large.vertices)
    assert abs(tsdf.decimate(kept, target_faces=300).num_faces - 300) <= 2
    assert tsdf.decimate(kept, target_faces=10**6) is kept


@pytest.mark.data
@pytest.mark.slow
def test_kitchen_is_fused_close_to_its_mesh(test_data, open3d):
    from neuraltex.io import rgbd
    from neuraltex.io.meshes import read_mesh

    scene = rgbd.read(test_data / "kitchen")
    mesh = fuse.fuse_scene(scene, fuse.FusionOptions(voxel_size=0.02))
    truth = read_mesh(test_data / "kitchen" / "mesh_120k.ply")
    rays = open3d.t.geometry.RaycastingScene()
    rays.add_triangles(
        open3d.core.Tensor(truth.vertices.astype(np.float32)), open3d.core.Tensor(truth.faces.astype(np.uint32))
    )
    distance = rays.compute_distance(open3d.core.Tensor(mesh.vertices.astype(np.float32))).numpy()
    assert np.median(distance) < 0.006


def test_depth_is_scaled_and_both_marks_of_nothing_become_zero(tmp_path):
    file = write_rgb(tmp_path / "d.png", np.array([[0, 65535, 1500, 65534]], np.uint16))
    np.testing.assert_allclose(fuse.read_depth(file, 1000.0), [[0, 0, 1.5, 65.534]])


def test_depth_with_channels_is_refused(tmp_path):
    file = write_rgb(tmp_path / "d.png", np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(DataError, match=r"d\.png has 3 channels"):
        fuse.read_depth(file, 1000.0)


def test_truncated_depth_names_the_file(tmp_path):
    file = write_rgb(tmp_path / "d.png", np.random.default_rng(0).integers(0, 9999, (64, 64)).astype(np.uint16))
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(DataError, match=r"d\.png cannot be read"):
        fuse.read_depth(file, 1000.0)


def test_silhouettes_lose_both_sides_and_missing_pixels_count_as_none():
    depth = np.array([[1, 1, 2, 2, 0, 2.01]], np.float32)
    np.testing.assert_array_equal(fuse.drop_silhouettes(depth, 0.04), np.array([[1, 0, 0, 2, 0, 2.01]], np.float32))
    np.testing.assert_array_equal(fuse.drop_silhouettes(depth.T, 0.04)[:, 0], [1, 0, 0, 2, 0, np.float32(2.01)])


def test_distorted_depth_is_resampled_to_the_same_surface():
    """Points of the resampled image must lie on the sphere as those of the original do."""
    depth, camera = tsdf.resample_to_pinhole(*sphere_view(0.3, "brown", (-0.3, 0.1)))
    exact, pinhole = sphere_view(0.3)
    assert camera.lens == "pinhole"
    np.testing.assert_allclose(camera.K, pinhole.K)
    both = (depth > 0) & (exact > 0)
    assert both.sum() > 0.97 * (exact > 0).sum()
    assert np.median(np.abs(depth - exact)[both]) < 2e-3


def test_pinhole_depth_is_passed_on_untouched():
    depth, camera = sphere_view(0.0)
    assert tsdf.resample_to_pinhole(depth, camera) == (depth, camera)


def test_compact_drops_what_no_face_uses():
    mesh = tsdf.compact(Mesh(np.arange(15.0).reshape(5, 3), np.array([[4, 2, 0]])))
    np.testing.assert_array_equal(mesh.corners, [[[12, 13, 14], [6, 7, 8], [0, 1, 2]]])


def test_scene_without_depth_is_refused(tmp_path):
    scene = make_scene(tmp_path)
    views = tuple(View(view.name, view.camera, view.image) for view in scene.views)
    with pytest.raises(DataError, match="no view of sphere has a depth image"):
        fuse.fuse_scene(scene.with_views(views))


def fail_import(monkeypatch, error: Exception) -> None:
    real = builtins.__import__

    def fake(name, *args, **kwargs):
        if name == "open3d":
            raise error
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", fake)


@pytest.mark.parametrize(
    ("error", "command"),
    [
        (ModuleNotFoundError("No module named 'open3d'"), r"pip install open3d"),
        (OSError("libusb-1.0.so.0: cannot open shared object file"), "apt-get install libusb-1.0-0"),
        (ImportError("libGL.so.1: cannot open shared object file"), "apt-get install libgl1"),
        (OSError("libodd.so.7: cannot open shared object file"), r"libodd\.so\.7.*Install that system library"),
    ],
)
def test_what_is_missing_for_open3d_is_said_with_the_command(tmp_path, monkeypatch, error, command):
    fail_import(monkeypatch, error)
    with pytest.raises(MissingDependency, match=command):
        fuse.fuse_scene(make_scene(tmp_path))
