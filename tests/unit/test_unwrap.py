import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from neuraltex.core.errors import DataError
from neuraltex.geometry import charting
from neuraltex.geometry.charts import flatten_each, signed_areas
from neuraltex.geometry.clustering import Limits, cluster_faces
from neuraltex.geometry.fast_charts import squeeze
from neuraltex.geometry.flatten import flatten_clusters
from neuraltex.geometry.mesh import Mesh
from neuraltex.geometry.overlaps import overlapping_in_chart
from neuraltex.geometry.pack import pack_charts
from neuraltex.geometry.planar_charts import planar_charts
from neuraltex.geometry.topology import face_adjacency
from neuraltex.geometry.unwrap import unwrap
from neuraltex.geometry.uv_check import check_uv
from neuraltex.geometry.uv_quality import l2_stretch


def sphere(n=40, noise=0.0):
    """A sphere of 2 n^2 faces around a seamless grid of angles; the poles hold n faces without area each."""
    theta, phi = np.meshgrid(np.linspace(0, np.pi, n + 1), np.arange(n) * 2 * np.pi / n, indexing="ij")
    vertices = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    vertices[0], vertices[-1] = (0, 0, 1), (0, 0, -1)
    i, j = (index.reshape(-1) for index in np.meshgrid(np.arange(n), np.arange(n), indexing="ij"))
    a, b, c, d = i * n + j, (i + 1) * n + j, (i + 1) * n + (j + 1) % n, i * n + (j + 1) % n
    vertices = vertices.reshape(-1, 3)
    if noise:
        radius = 1 + np.random.default_rng(0).normal(0, noise, len(vertices))
        radius[:n], radius[-n:] = 1, 1
        vertices = vertices * radius[:, None]
    return Mesh(vertices, np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]))


@pytest.mark.parametrize("method", ["fast", "xatlas"])
def test_result_is_valid_and_keeps_the_geometry(method):
    mesh = sphere()
    result, report = unwrap(mesh, texture_size=512, method=method, block_faces=1500, workers=2)
    assert (result.vertices == mesh.vertices).all()
    assert (result.faces == mesh.faces).all()
    assert check_uv(result).clean
    assert report.method == method
    assert report.blocks >= (2 if method == "xatlas" else 1)
    assert report.degenerate_faces == 80
    assert report.quality.utilization > 0.5
    assert report.quality.stretch < 1.3
    assert json.loads(json.dumps(report.to_dict()))["charts"] == report.quality.charts


def test_degenerate_faces_cover_no_texel():
    result, report = unwrap(sphere(), texture_size=256)
    flat = signed_areas(result.corner_uvs)
    assert (flat[sphere().face_areas < 1e-12] == 0).all()
    assert (flat == 0).sum() == report.degenerate_faces


def test_noise_is_charted_on_a_smoothed_copy():
    mesh = sphere(40, noise=0.03)
    _, raw = unwrap(mesh, texture_size=512, smoothing=0, method="xatlas")
    _, smoothed = unwrap(mesh, texture_size=512, method="xatlas")
    assert smoothed.smoothing > 0
    assert smoothed.quality.charts < 0.5 * raw.quality.charts


def test_fast_charts_stretch_less_than_those_of_xatlas_on_noise():
    mesh = sphere(40, noise=0.03)
    (_, fast), (_, slow) = (unwrap(mesh, texture_size=512, method=method) for method in ("fast", "xatlas"))
    assert fast.quality.stretch < 1.03 < slow.quality.stretch
    assert fast.quality.density_p95 / fast.quality.density_p5 < slow.quality.density_p95 / slow.quality.density_p5
    assert fast.quality.charts < 40


@pytest.mark.parametrize(("turns", "limit"), [(0.45, 3), (2.0, 16)])
def test_developable_strips_are_unrolled_without_stretch(turns, limit):
    """A part of a cylinder is flat in truth; a whole coil would overlap itself and is cut."""
    angle, height = np.meshgrid(np.linspace(0, 2 * np.pi * turns, 60), np.linspace(0, 1, 12), indexing="ij")
    vertices = np.stack([np.cos(angle), np.sin(angle), height + 0.3 * angle], -1).reshape(-1, 3)
    corner = np.arange(angle.size).reshape(angle.shape)
    a, b, c, d = (part.ravel() for part in (corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]))
    mesh = Mesh(vertices, np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]))
    faces = mesh.faces
    charts = flatten_clusters(mesh.corners, mesh.vertices, faces, np.zeros(len(faces), int)) if turns < 1 else None
    if charts is not None:
        assert l2_stretch(mesh.corners, charts.corners) < 1.01
        assert (signed_areas(charts.corners) > 0).all()
    result, report = unwrap(mesh, texture_size=256)
    assert check_uv(result).clean
    assert report.quality.stretch < 1.01
    assert report.quality.charts <= limit


def test_clusters_follow_creases_and_stay_connected():
    """Two parallel plates joined by a wall: three clusters, though two have the same normal."""
    profile = np.array([[0, 0], [1, 0], [2, 0], [2, 1], [2, 2], [3, 2], [4, 2.0]])
    y = np.arange(5.0)
    vertices = np.concatenate([[(x, depth, z) for depth in y] for x, z in profile])
    corner = np.arange(len(vertices)).reshape(len(profile), len(y))
    a, b, c, d = (part.ravel() for part in (corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]))
    mesh = Mesh(vertices, np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]))
    adjacency = face_adjacency(mesh.faces)
    label = cluster_faces(mesh.face_normals, mesh.face_areas, adjacency, np.ones(len(adjacency)), Limits(0.05))
    column = np.tile(np.repeat(np.arange(len(profile) - 1), len(y) - 1), 2)
    assert len(np.unique(label)) == 3
    assert all(len(np.unique(label[np.isin(column, part)])) == 1 for part in ((0, 1), (2, 3), (4, 5)))


def test_squeezed_and_flipped_triangles_are_told_apart():
    true = np.array([[[0.0, 0], [1, 0], [0, 1]]]).repeat(4, 0)
    flat = true * [[[1, 1]], [[1, 0.1]], [[-1, 1]], [[0.5, 0.5]]]
    np.testing.assert_allclose(squeeze(true, flat), [1, 0.1, -1, 0.5], atol=1e-12)


def _common_area(first, second):
    """Area of the intersection of two counter-clockwise triangles, by clipping (Sutherland and Hodgman 1974)."""
    shape = list(first)
    for a, b in zip(second, np.roll(second, -1, axis=0), strict=True):
        side = [(b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) for p in shape]
        clipped = []
        for k, p in enumerate(shape):
            q, here, there = shape[k - 1], side[k], side[k - 1]
            if (here >= 0) != (there >= 0):
                clipped.append(q + (p - q) * there / (there - here))
            if here >= 0:
                clipped.append(p)
        shape = clipped
    rolled = shape[1:] + shape[:1]
    return sum(p[0] * q[1] - p[1] * q[0] for p, q in zip(shape, rolled, strict=True)) / 2


def test_overlaps_are_found_exactly_and_touching_is_none():
    """The grid of 4096 cells that looked for overlaps before missed small ones, and packing had to be repeated."""
    rng = np.random.default_rng(3)
    corners = rng.random((300, 1, 2)) * 0.9 + rng.random((300, 3, 2)) * 0.06
    corners = np.where((signed_areas(corners) < 0)[:, None, None], corners[:, ::-1], corners)
    label, rank = rng.integers(0, 3, 300), rng.random(300)
    upper = overlapping_in_chart(corners, label, rank)
    kept = np.flatnonzero(~upper)

    def meet(i, j):
        return label[i] == label[j] and _common_area(corners[i], corners[j]) > 1e-12

    assert not any(meet(i, j) for i in kept for j in kept if i < j)
    assert all(any(meet(i, j) and rank[j] <= rank[i] for j in kept) for i in np.flatnonzero(upper))
    fan = np.array(
        [[[0.5, 0.5], [1, 0.5], [0.5, 1]], [[0.5, 0.5], [0.5, 1], [0, 0.5]], [[0.5, 0.5], [0, 0.5], [0.5, 0]]]
    )
    assert not overlapping_in_chart(fan, np.zeros(3, int), np.arange(3.0)).any()


def test_scale_and_place_do_not_matter():
    mesh = sphere(20)
    _, report = unwrap(mesh, texture_size=256)
    _, tiny = unwrap(Mesh(mesh.vertices * 1e-5 + 3.0, mesh.faces), texture_size=256)
    assert tiny.quality.charts <= 1.5 * report.quality.charts
    assert tiny.quality.density == pytest.approx(1e5 * report.quality.density, rel=0.2)


def test_non_manifold_edges_are_split_and_counted():
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0.5, 1, 0], [0.5, -1, 0], [0.5, 0, 1]])
    result, report = unwrap(Mesh(vertices, np.array([[0, 1, 2], [1, 0, 3], [0, 1, 4]])), texture_size=128)
    assert report.split_edges == 1
    assert check_uv(result).clean


def test_time_budget_falls_back_to_planar_charts_and_says_so(caplog):
    start = time.monotonic()
    result, report = unwrap(sphere(40), texture_size=512, method="xatlas", block_faces=1500, time_budget=0.0)
    assert time.monotonic() - start < 20
    assert report.method == "planar"
    assert report.planar_blocks == report.blocks
    assert "planar charts" in caplog.text
    assert check_uv(result).clean


def test_a_hanging_worker_is_killed_in_time(monkeypatch):
    monkeypatch.setattr(charting, "_spawn", lambda: _child("import time; time.sleep(60)"))
    start = time.monotonic()
    _, report = unwrap(sphere(20), texture_size=256, method="xatlas", time_budget=1.0)
    assert time.monotonic() - start < 20
    assert report.method == "planar"


def test_a_crash_costs_one_block_only(monkeypatch, caplog):
    spawn, children = charting._spawn, []

    def crash_first():
        children.append(1)
        return _child("import os; os.abort()") if len(children) == 1 else spawn()

    monkeypatch.setattr(charting, "_spawn", crash_first)
    result, report = unwrap(sphere(40), texture_size=512, method="xatlas", block_faces=1000, workers=1)
    assert report.method == "xatlas+planar"
    assert report.planar_blocks == 1
    assert "xatlas failed" in caplog.text
    assert check_uv(result).clean


def test_no_child_outlives_the_call(monkeypatch):
    spawn, children = charting._spawn, []

    def remember():
        children.append(spawn())
        return children[-1]

    monkeypatch.setattr(charting, "_spawn", remember)
    unwrap(sphere(20), texture_size=256, method="xatlas", workers=2)
    assert children
    assert all(child.poll() is not None for child in children)


def test_mesh_without_area_is_refused():
    with pytest.raises(DataError, match="none of the mesh's 1 faces"):
        unwrap(Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]])))


def test_planar_charts_never_flip():
    mesh = sphere(30, noise=0.01)
    solid = mesh.select_faces(mesh.face_areas > 1e-12)
    charts = planar_charts(solid.vertices, solid.faces)
    assert (signed_areas(charts.corners) > 0).all()
    assert charts.num_charts < 120


@pytest.mark.parametrize("gutter", [2, 6])
def test_charts_keep_their_distance(gutter):
    rng = np.random.default_rng(1)
    charts = flatten_each(rng.normal(size=(60, 3, 3)))
    size = 512
    packed = pack_charts(charts, size, gutter)
    assert (packed.uvs >= 0).all()
    assert (packed.uvs <= 1).all()
    points = np.stack([_outline(triangle) for triangle in packed.corners]) * size
    near = min(np.linalg.norm(points[i][:, None] - points[j][None], axis=2).min() for i in range(60) for j in range(i))
    assert near >= gutter
    scale = signed_areas(packed.corners) / signed_areas(charts.corners)
    assert np.ptp(scale) < 1e-9  # one factor for all, and nothing mirrored
    assert signed_areas(packed.corners).sum() > 0.45


def test_more_charts_than_gutters_fit():
    charts = flatten_each(np.random.default_rng(2).normal(size=(3000, 3, 3)))
    packed = pack_charts(charts, 64, 4.0)
    assert check_uv(Mesh(np.zeros((9000, 3)), packed.uv_faces, packed.uvs, packed.uv_faces)).clean


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", ["castle/scene_mesh_refine.ply", "kitchen/mesh_120k.ply"])
def test_real_scans_unwrap_cleanly(test_data: Path, name):
    from neuraltex.io.meshes import read_mesh

    result, report = unwrap(read_mesh(test_data / name))
    assert check_uv(result).clean
    assert report.quality.utilization > 0.68
    assert report.quality.num_faces / report.quality.charts > 60, "fragmented"
    assert report.quality.stretch < 1.05


@pytest.mark.data
@pytest.mark.parametrize("name", ["spot_cow", "fuze_bottle", "leeperrysmith_head"])
def test_real_objects_unwrap_cleanly(test_data: Path, name):
    from neuraltex.io.meshes import read_mesh

    result, _ = unwrap(read_mesh(test_data / "textured_objects" / name / "mesh.obj"))
    assert check_uv(result).clean


def _outline(triangle):
    t = np.linspace(0, 1, 40)[:, None]
    return np.concatenate([triangle[k] * (1 - t) + triangle[(k + 1) % 3] * t for k in range(3)])


def _child(code):
    import subprocess

    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
