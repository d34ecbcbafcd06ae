"""Confidence: discontinuities, distances, threads."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic import lumps, orbit, with_grid_uv

from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.io.packed import write_packed
from neuraltex.io.prepared import PreparedView, write_confidence, write_uv_map
from neuraltex.render import uv_maps
from neuraltex.render.discontinuity import distance_to, find_discontinuities
from neuraltex.render.fragments import make_rasterizer
from neuraltex.render.parallel import for_row_blocks, map_threads, num_threads
from neuraltex.render.rays import normalized_grid, ray_planes
from neuraltex.render.uv_maps import depth_error, render_maps, render_packed

CAMERA = Camera(60, 40, 60.0, 60.0, 30.0, 20.0, np.eye(4))


def squares(*places: tuple[float, float, float, float]) -> Mesh:
    """Squares facing the camera: (left, right, depth, slope of depth along x)."""
    vertices, faces = [], []
    for left, right, z, slope in places:
        first = len(vertices)
        vertices += [[left, -9, z + slope * left], [right, -9, z + slope * right]]
        vertices += [[right, 9, z + slope * right], [left, 9, z + slope * left]]
        faces += [[first, first + 1, first + 2], [first, first + 2, first + 3]]
    return with_grid_uv(Mesh(vertices, faces))


def look(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Discontinuities and distances to them."""
    maps = render_maps(make_rasterizer(mesh), mesh, CAMERA, 256)
    return find_discontinuities(maps.face_idx, maps.depth, mesh, CAMERA), maps.confidence.distance


def test_step_marks_both_sides_and_only_them() -> None:
    mesh = squares((-9, 0, 2, 0), (-9, 9, 3, 0))
    edges, distance = look(mesh)
    assert edges[:, 29:31].all()
    assert edges.sum() == 2 * 40
    np.testing.assert_array_equal(distance[7, :30], np.arange(29, -1, -1))


def test_slanted_planes_and_creases_are_no_discontinuities() -> None:
    mesh = squares((-9, 0, 3, 0.3), (0, 9, 3, -0.25))
    edges, distance = look(mesh)
    assert not edges.any()
    assert (distance == 255).all()


def test_silhouette_against_background_counts() -> None:
    mesh = squares((-9, 0, 2, 0))
    edges, distance = look(mesh)
    assert edges[:, 29].all()
    assert edges.sum() == 40
    assert not distance[:, 30:].any()


@pytest.mark.parametrize("shape", [(37, 53), (1, 9), (9, 1), (300, 280)])
def test_distances_are_exact(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    edges = rng.random(shape) < 2.5 / np.prod(shape)
    edges[rng.integers(shape[0]), rng.integers(shape[1])] = True
    rows, columns = np.nonzero(edges)
    y, x = np.mgrid[: shape[0], : shape[1]]
    truth = np.sqrt(((y[..., None] - rows) ** 2 + (x[..., None] - columns) ** 2).min(-1))
    np.testing.assert_allclose(distance_to(edges), np.minimum(truth, 255), atol=1e-4)


def test_distance_without_any_edge_is_the_cap() -> None:
    assert (distance_to(np.zeros((5, 300), bool)) == 255).all()


def test_result_does_not_depend_on_threads() -> None:
    mesh, camera = lumps(8), orbit(5)[1]
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            results.append(render_maps(make_rasterizer(mesh), mesh, camera, 256))
    finally:
        torch.set_num_threads(before)
    for name in ("uv", "mask"):
        np.testing.assert_array_equal(getattr(results[0].uv_map, name), getattr(results[1].uv_map, name))
    for name in ("cosine", "footprint", "distance"):
        np.testing.assert_array_equal(getattr(results[0].confidence, name), getattr(results[1].confidence, name))


@pytest.mark.parametrize("suffix", [".npz", ".exr"])
@pytest.mark.parametrize("lens", ["pinhole", "brown"])
def test_packed_maps_are_stored_as_whole_frames_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lens: str, suffix: str
) -> None:
    monkeypatch.setattr(uv_maps, "BLOCK_PIXELS", 999)
    mesh, camera = lumps(8), replace(orbit(5)[1], lens=lens, distortion=() if lens == "pinhole" else (0.05,))
    mesh = mesh.with_uv(
        mesh.uvs, np.where(np.arange(mesh.num_faces)[:, None] % 9, mesh.uv_faces, 0)
    )  # some have no area
    files = [[tmp_path / name / f"a{suffix}", tmp_path / name / "b.npz"] for name in ("whole", "packed")]
    maps, packed = (render(make_rasterizer(mesh), mesh, camera, 256) for render in (render_maps, render_packed))
    write_uv_map(files[0][0], maps.uv_map)
    write_confidence(files[0][1], maps.confidence)
    write_packed(PreparedView("a", "train", camera, tmp_path / "a.png", *files[1]), packed.pixels)
    assert [file.read_bytes() for file in files[0]] == [file.read_bytes() for file in files[1]]
    np.testing.assert_array_equal(packed.depth, maps.depth)
    np.testing.assert_array_equal(packed.seen, maps.confidence.footprint > 0)
    assert packed.seen.sum() < maps.uv_map.mask.sum() < maps.uv_map.mask.size
    counts = np.bincount(maps.face_idx[maps.uv_map.mask], minlength=mesh.num_faces)
    np.testing.assert_array_equal(packed.hits, counts)


@pytest.mark.parametrize("changes", [{}, {"skew": 3.0}, {"lens": "brown", "distortion": (0.1, 0.02)}])
def test_planes_of_rays_are_those_of_the_grid(changes: dict) -> None:
    camera = replace(CAMERA, cx=29.3, fy=-61.7, **changes)
    np.testing.assert_array_equal(np.stack(ray_planes(camera), -1), normalized_grid(camera))


def test_a_failure_in_a_thread_is_raised() -> None:
    def fail(begin: int, end: int) -> None:
        raise ValueError(f"rows {begin} to {end}")

    with pytest.raises(ValueError, match="rows"):
        for_row_blocks(fail, 100)


@pytest.mark.parametrize("lens", ["pinhole", "brown"])
def test_depth_error_sees_through_the_eyes_of_the_sensor(lens: str) -> None:
    """The sensor stands 0.2 to the right and looks at a plane, except for a hole and an obstacle in front of it."""
    mesh, pose = squares((-9, 9, 2, 0)), np.eye(4)
    pose[0, 3] = -0.2
    sensor = Camera(30, 20, 30.0, 30.0, 15.0, 10.0, pose, lens=lens, distortion=() if lens == "pinhole" else (1e-9,))
    measured = np.full((20, 30), 2.0, np.float32)
    measured[:, 10], measured[:, 12] = 0, 1.5
    depth = render_maps(make_rasterizer(mesh), mesh, CAMERA, 64).depth
    error = depth_error(depth, CAMERA, measured, sensor)
    column = (np.arange(60) + 0.5) / 2 - 3  # 0.2 * 30 / 2 = 3 pixels of the sensor
    seen = column >= 0
    assert np.isnan(error[:, ~seen]).all()
    assert np.isnan(error[:, np.floor(column) == 10]).all()
    np.testing.assert_allclose(error[:, np.floor(column) == 12], 0.25, rtol=1e-6)
    assert (error[:, seen & ~np.isin(np.floor(column), (10, 12))] < 1e-6).all()


def test_work_within_a_worker_does_not_start_threads() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert list(map_threads(lambda _: num_threads(), range(5))) == [1] * 5
        assert num_threads() == 3
    finally:
        torch.set_num_threads(before)
