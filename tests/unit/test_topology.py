import numpy as np

from neuraltex.geometry.blocks import spatial_blocks
from neuraltex.geometry.topology import (
    components,
    components_within,
    face_adjacency,
    manifold_pairs,
    num_irregular_edges,
    smooth,
    split_non_manifold,
    weld,
)

TETRAHEDRON = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])


def grid(n):
    """A flat square of 2 n^2 faces."""
    x, y = np.meshgrid(np.arange(n + 1.0), np.arange(n + 1.0))
    a = (np.arange(n)[:, None] * (n + 1) + np.arange(n)).reshape(-1)
    faces = np.concatenate([np.stack([a, a + 1, a + n + 2], 1), np.stack([a, a + n + 2, a + n + 1], 1)])
    return np.stack([x, y, 0 * x], -1).reshape(-1, 3), faces


def test_weld_joins_equal_positions_only():
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    faces = weld(vertices, np.array([[0, 1, 2], [3, 4, 5]]))
    assert len(np.unique(faces)) == 4
    assert face_adjacency(faces).tolist() == [[0, 1]]


def test_closed_surface_pairs_every_half_edge():
    pairs = manifold_pairs(TETRAHEDRON)
    assert sorted(pairs.reshape(-1)) == list(range(12))


def test_opposite_orientation_is_no_manifold_edge():
    assert len(manifold_pairs(np.array([[0, 1, 2], [0, 1, 3]]))) == 0
    assert num_irregular_edges(np.array([[0, 1, 2], [0, 1, 3]])) == 1


def test_split_keeps_a_manifold_as_it_is():
    faces, source = split_non_manifold(TETRAHEDRON)
    assert len(source) == 4
    assert (source[faces] == TETRAHEDRON).all()


def test_three_faces_on_an_edge_are_cut_apart():
    fan = np.array([[0, 1, 2], [1, 0, 3], [0, 1, 4]])
    faces, source = split_non_manifold(fan)
    assert (source[faces] == fan).all()
    assert len(np.unique(faces)) == 9
    assert num_irregular_edges(fan) == 1
    assert num_irregular_edges(faces) == 0


def test_bow_tie_vertex_is_split():
    faces, source = split_non_manifold(np.array([[0, 1, 2], [0, 3, 4]]))
    assert (source == 0).sum() == 2
    assert len(np.intersect1d(faces[0], faces[1])) == 0


def test_components_within_splits_groups():
    links = np.array([[0, 1], [1, 2], [2, 3]])
    assert components(links, 5)[0] == 2
    label = components_within(links, np.array([7, 7, 3, 7, 7]))
    assert label[0] == label[1]
    assert len(set(label.tolist())) == 4


def test_smoothing_removes_noise_and_keeps_size():
    vertices, faces = grid(30)
    noisy = vertices + np.random.default_rng(0).normal(0, 0.2, vertices.shape)
    result = smooth(noisy, faces, 6)
    assert result[:, 2].std() < 0.5 * noisy[:, 2].std()
    assert np.ptp(result[:, 0]) > 0.9 * 30
    assert (smooth(vertices, faces, 0) == vertices).all()


def test_blocks_have_the_wanted_size_and_are_connected():
    vertices, faces = grid(40)
    adjacency = face_adjacency(faces)
    label = spatial_blocks(vertices[faces].mean(1), adjacency, 400)
    assert np.bincount(label).min() > 300
    assert np.bincount(label).max() < 520
    assert components_within(adjacency, label).max() == label.max()


def test_crumbs_of_a_cut_join_their_neighbor():
    # A long strip bent so that a cut by position alone strands one end of it in the wrong half.
    vertices, faces = grid(20)
    bent = vertices.copy()
    bent[vertices[:, 0] > 18, 0] = 3.0
    adjacency = face_adjacency(faces)
    label = spatial_blocks(bent[faces].mean(1), adjacency, 200)
    parts = np.bincount(components_within(adjacency, label))
    assert parts.min() >= 20
