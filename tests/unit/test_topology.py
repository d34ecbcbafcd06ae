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
    stable_order,
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


def test_weld_names_the_first_of_equal_positions_and_knows_one_zero():
    vertices = np.array([[np.nan, 0, 0], [0.0, 1, 2], [np.nan, 0, 0], [-0.0, 1, 2], [2, 1, 0]])
    np.testing.assert_array_equal(weld(vertices, np.array([[0, 1, 2], [3, 4, 4]])), [[0, 1, 2], [1, 4, 4]])


def test_pairs_are_ordered_by_their_ends():
    rng = np.random.default_rng(0)
    for _ in range(50):
        faces = rng.integers(0, 9, (rng.integers(0, 20), 3))
        half_edges: dict[tuple[int, int], list[int]] = {}
        for index, (a, b) in enumerate(zip(faces.ravel(), np.roll(faces, -1, axis=1).ravel(), strict=True)):
            half_edges.setdefault((min(a, b), max(a, b)), []).append(index)
        start, stop = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
        shared = [half_edges[ends] for ends in sorted(half_edges) if len(half_edges[ends]) > 1]
        expected = [pair for pair in shared if len(pair) == 2 and start[pair[0]] == stop[pair[1]]]
        np.testing.assert_array_equal(manifold_pairs(faces), np.array(expected, int).reshape(-1, 2))
        assert num_irregular_edges(faces) == len(shared) - len(expected)


def test_stable_order_is_that_of_argsort():
    keys, before = np.random.default_rng(0).integers(0, 30, 200), np.random.default_rng(1).permutation(200)
    np.testing.assert_array_equal(stable_order(keys), np.argsort(keys, kind="stable"))
    np.testing.assert_array_equal(stable_order(keys, before), before[np.argsort(keys[before], kind="stable")])
    assert len(stable_order(np.zeros(0, int))) == 0


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
