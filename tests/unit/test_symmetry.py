"""Planes of symmetry, and mirror images on textures."""

from dataclasses import replace

import numpy as np
import pytest
from box_scene import box_mesh
from head_scene import head

from neuraltex.core.errors import DataError, ShapeError
from neuraltex.geometry.mesh import Mesh
from neuraltex.geometry.nearest import closest_bary, sample_surface
from neuraltex.geometry.symmetry import Plane, find_plane
from neuraltex.io.meshes import read_mesh
from neuraltex.texture.atlas import make_atlas
from neuraltex.texture.mirror import MIN_GAIN, Observed, complete_by_mirror, symmetry_map


def turned(mesh: Mesh, generator: np.random.Generator) -> tuple[Mesh, np.ndarray, np.ndarray]:
    rotation, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    shift = generator.normal(size=3) * 5
    return replace(mesh, vertices=mesh.vertices @ rotation.T + shift), rotation, shift


def tetrahedron() -> Mesh:
    points = np.array([[0, 0, 0], [3, 0, 0], [0.4, 1.7, 0], [1.2, 0.2, 1.4]])
    return Mesh(points, np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]]))


def test_reflecting_twice_changes_nothing():
    plane = Plane(np.array([0.6, 0, 0.8]), 2.0)
    points = np.random.default_rng(0).normal(size=(5, 4, 3))
    assert np.allclose(plane.reflect(plane.reflect(points)), points)
    assert np.allclose(plane.distances(plane.reflect(points)), -plane.distances(points))
    assert np.allclose(plane.reflect_directions(plane.normal), -plane.normal)
    assert np.allclose(plane.reflect_directions(np.array([-0.8, 0, 0.6])), [-0.8, 0, 0.6])


@pytest.mark.parametrize("seed", range(4))
def test_the_plane_is_found_in_any_pose(seed):
    mesh, rotation, shift = turned(head(), np.random.default_rng(seed))
    plane = find_plane(mesh)
    assert plane is not None
    assert abs(plane.normal @ rotation[:, 0]) > 0.9998
    assert abs(plane.distances(shift)) < 0.01
    assert plane.score > 0.98


def test_a_mesh_without_symmetry_has_no_plane_unless_told_so():
    assert find_plane(tetrahedron()) is None
    plane = find_plane(tetrahedron(), "x")
    assert plane is not None
    assert plane.score < 0.75
    assert abs(plane.offset - 1.5) < 0.05
    with pytest.raises(DataError, match="no area"):
        find_plane(replace(tetrahedron(), vertices=np.zeros((4, 3))))


def test_points_spread_evenly_over_a_surface():
    mesh = box_mesh()
    points, normals = sample_surface(mesh, 6000)
    assert np.allclose(np.abs(points).max(1), 1)
    assert np.allclose((points * normals).sum(1), 1)
    counts = [(normals[:, axis] * sign > 0.5).sum() for axis in range(3) for sign in (-1, 1)]
    assert np.ptp(counts) <= 4


def test_closest_points_of_triangles_are_closest():
    generator = np.random.default_rng(0)
    points, corners = generator.normal(size=(300, 3)), generator.normal(size=(300, 3, 3))
    corners[:5, 2] = corners[:5, 1]  # without area
    found = closest_bary(points, corners)
    assert np.allclose(found.sum(1), 1)
    assert (found >= 0).all()
    distance = np.linalg.norm(np.einsum("pk,pkc->pc", found, corners) - points, axis=1)
    others = generator.dirichlet(np.ones(3) * 0.5, 2000)
    tried = np.linalg.norm(np.einsum("ok,pkc->poc", others, corners) - points[:, None], axis=-1).min(1)
    assert (distance <= tried + 1e-9).all()
    assert np.median(tried - distance) < 0.05


def test_on_a_symmetric_layout_mirroring_is_a_flip():
    mesh, size = head(), 96
    atlas = make_atlas(mesh, size)
    found = symmetry_map(mesh, atlas, Plane(np.array([1.0, 0, 0]), 0.0))
    assert found.ok[atlas.inside].mean() > 0.99
    rows, columns = np.nonzero(found.ok)
    middle = (rows > 8) & (rows < size - 9)  # at the poles all columns are one point
    expected = np.stack([size - 1 - columns, rows], -1)
    gap = np.linalg.norm(found.texels[rows, columns] - expected, axis=1)
    behind = (columns < 6) | (columns > size - 7)  # at the back either side of the cut is right
    assert gap[middle & ~behind].max() < 0.35
    side = found.group[rows, columns] - found.group[rows, columns].min()
    assert np.array_equal(side[middle], (columns > (size - 1) / 2)[middle])
    assert (found.group[~atlas.inside] == -1).all()


def test_a_thin_plate_does_not_take_its_back():
    mesh = replace(box_mesh(), vertices=box_mesh().vertices * (1, 1, 0.001))
    atlas = make_atlas(mesh, 128)
    found = symmetry_map(mesh, atlas, Plane(np.array([1.0, 0, 0]), 0.0))
    normals = atlas.face_idx // 2
    front = found.ok & ((normals == 4) | (normals == 5))
    target = np.round(found.texels[front]).astype(int).clip(0, 127)
    same = normals[target[:, 1], target[:, 0]] == normals[front]
    assert front.sum() > 3000
    assert same.mean() > 0.99


def round_trip(mesh: Mesh, size: int) -> tuple[float, float]:
    """Share of texels with a mirror image, and of those that mirroring twice brings back within 1.5 texels."""
    atlas = make_atlas(mesh, size)
    plane = find_plane(mesh)
    found = symmetry_map(mesh, atlas, plane)
    rows, columns = np.nonzero(found.ok)
    there = np.round(found.texels[rows, columns]).astype(int).clip(0, size - 1)
    both = found.ok[there[:, 1], there[:, 0]]
    back = found.texels[there[:, 1], there[:, 0]][both]
    gap = np.linalg.norm(back - np.stack([columns, rows], -1)[both], axis=1)
    return float(found.ok[atlas.inside].mean()), float((gap < 1.5).mean())


@pytest.mark.data
@pytest.mark.parametrize(
    "name",
    [
        "skins_makehuman/mesh/body_base.obj",
        "skins_makehuman/mesh/body_male_old.obj",
        "textures_smpl/mesh/smpl_uv.obj",
        "textures_smpl/mesh/SMPL_female_default_resolution.obj",
    ],
)
def test_bodies_are_symmetric(test_data, name):
    covered, returned = round_trip(read_mesh(test_data / name), 128)
    assert covered > 0.99
    assert returned > 0.95


def observed(known: np.ndarray, color: np.ndarray) -> Observed:
    source = np.where(known[..., None], np.array([0.25, 0.75]), np.nan).astype(np.float32)
    masked = np.where(known[..., None], color, 0).astype(np.float32)
    return Observed(masked, known, np.zeros_like(known), (known * 0.8).astype(np.float32), source)


def test_the_unseen_half_comes_from_the_seen_one():
    mesh, size = head(), 96
    atlas = make_atlas(mesh, size)
    symmetry = symmetry_map(mesh, atlas, Plane(np.array([1.0, 0, 0]), 0.0))
    y, x = np.mgrid[:size, :size] / size
    color = np.stack([np.abs(x - (size - 1) / 2 / size), y, 0.3 + 0 * y], -1)
    known = atlas.inside & (x < 0.4)
    done = complete_by_mirror(observed(known, color), symmetry, 0.5)
    assert not (done.direct & done.mirrored).any()
    assert np.array_equal(done.direct, known)
    strip = done.mirrored[12:-12, int(0.62 * size) : int(0.95 * size)]
    assert strip.all()
    assert np.abs(done.color - color)[12:-12][done.mirrored[12:-12]].max() < 0.03
    assert np.allclose(done.confidence[done.mirrored], 0.4)
    assert np.allclose(done.source[done.mirrored], [0.25, 0.75])
    unknown = ~(done.direct | done.mirrored)
    assert not done.color[unknown].any()
    assert np.isnan(done.source[unknown]).all()
    with pytest.raises(ShapeError, match="symmetry map"):
        complete_by_mirror(observed(known[:4], color[:4]), symmetry)


def test_gains_follow_the_light_on_either_side():
    mesh, size = head(), 96
    atlas = make_atlas(mesh, size)
    symmetry = symmetry_map(mesh, atlas, Plane(np.array([1.0, 0, 0]), 0.0))
    _, x = np.mgrid[:size, :size] / size
    light = np.where(x > 0.5, 0.8, 1.0)[..., None] * (1, 1, 0.2)  # the blue differs too much to be believed
    light = np.where((x > 0.5)[..., None], light, 1.0)
    known = atlas.inside & (x > 0.1) & (x < 0.7)
    seen = observed(known, 0.7 * light)
    plain, matched = (complete_by_mirror(seen, symmetry, match_gains=match) for match in (False, True))
    lost = matched.mirrored & (x > 0.72)
    assert lost.sum() > 500
    assert np.allclose(plain.color[lost], 0.7, atol=0.01)
    assert np.allclose(matched.color[lost][:, :2], 0.56, atol=0.01)
    assert np.allclose(matched.color[lost][:, 2], 0.7 * MIN_GAIN, atol=0.01)
