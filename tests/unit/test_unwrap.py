import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from neuraltex.core.errors import DataError
from neuraltex.geometry import charting
from neuraltex.geometry.charts import flatten_each, signed_areas
from neuraltex.geometry.mesh import Mesh
from neuraltex.geometry.pack import pack_charts
from neuraltex.geometry.planar_charts import planar_charts
from neuraltex.geometry.unwrap import unwrap
from neuraltex.geometry.uv_check import check_uv


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


def test_result_is_valid_and_keeps_the_geometry():
    mesh = sphere()
    result, report = unwrap(mesh, texture_size=512, block_faces=1500, workers=2)
    assert (result.vertices == mesh.vertices).all()
    assert (result.faces == mesh.faces).all()
    assert check_uv(result).clean
    assert report.method == "xatlas"
    assert report.blocks >= 2
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
    _, raw = unwrap(mesh, texture_size=512, smoothing=0)
    _, smoothed = unwrap(mesh, texture_size=512)
    assert smoothed.smoothing > 0
    assert smoothed.quality.charts < 0.5 * raw.quality.charts


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
    result, report = unwrap(sphere(40), texture_size=512, block_faces=1500, time_budget=0.0)
    assert time.monotonic() - start < 20
    assert report.method == "planar"
    assert report.planar_blocks == report.blocks
    assert "planar charts" in caplog.text
    assert check_uv(result).clean


def test_a_hanging_worker_is_killed_in_time(monkeypatch):
    monkeypatch.setattr(charting, "_spawn", lambda: _child("import time; time.sleep(60)"))
    start = time.monotonic()
    _, report = unwrap(sphere(20), texture_size=256, time_budget=1.0)
    assert time.monotonic() - start < 20
    assert report.method == "planar"


def test_a_crash_costs_one_block_only(monkeypatch, caplog):
    spawn, children = charting._spawn, []

    def crash_first():
        children.append(1)
        return _child("import os; os.abort()") if len(children) == 1 else spawn()

    monkeypatch.setattr(charting, "_spawn", crash_first)
    result, report = unwrap(sphere(40), texture_size=512, block_faces=1000, workers=1)
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
    unwrap(sphere(20), texture_size=256, workers=2)
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
    assert report.method == "xatlas"
    assert report.quality.utilization > 0.6
    assert report.quality.num_faces / report.quality.charts > 40, "fragmented"
    assert report.quality.stretch < 1.5


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
