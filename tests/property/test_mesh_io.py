"""Mesh files under random meshes and random damage."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuraltex.core.errors import NeuralTexError
from neuraltex.geometry.mesh import Mesh
from neuraltex.io.meshes import read_mesh, write_mesh
from neuraltex.io.polygons import fan, merge_equal, token_starts, tokens_per_line

quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def meshes(draw):
    """Small meshes of any shape, with or without uvs that split vertices."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    num_vertices, num_faces = draw(st.integers(3, 12)), draw(st.integers(1, 20))
    scale = 10.0 ** draw(st.integers(-4, 5))
    vertices = np.float32(rng.normal(size=(num_vertices, 3)) * scale)
    faces = rng.integers(0, num_vertices, (num_faces, 3))
    if not draw(st.booleans()):
        return Mesh(vertices, faces)
    num_uvs = draw(st.integers(1, 15))
    return Mesh(vertices, faces, np.float32(rng.random((num_uvs, 2))), rng.integers(0, num_uvs, (num_faces, 3)))


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".off", ".stl", ".glb"])
@quick
@given(mesh=meshes())
def test_write_then_read_keeps_every_corner_in_order(tmp_path, suffix, mesh):
    again = read_mesh(write_mesh(tmp_path / f"m{suffix}", mesh))
    np.testing.assert_allclose(again.corners, mesh.corners, rtol=1e-8)
    assert again.has_uv == (mesh.has_uv and suffix != ".stl")
    if again.has_uv:
        np.testing.assert_allclose(again.corner_uvs, mesh.corner_uvs, atol=1e-7)


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".off", ".stl"])
@quick
@given(mesh=meshes(), data=st.data())
def test_damaged_file_gives_a_mesh_or_an_error_of_ours(tmp_path, suffix, mesh, data):
    path = write_mesh(tmp_path / f"m{suffix}", mesh)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    read, refusal = None, None
    try:
        read = read_mesh(path)
    except NeuralTexError as error:
        refusal = error
    if read is None:
        assert str(path) in str(refusal)
        assert refusal.hint
    else:
        assert np.isfinite(read.corners).all()


@quick
@given(st.lists(st.integers(0, 7), max_size=30))
def test_fan_covers_each_polygon_once(sizes):
    triangles, polygon = fan(np.array(sizes, int))
    first = np.cumsum(sizes, dtype=int) - sizes
    expected = [(first[p], first[p] + k, first[p] + k + 1, p) for p, n in enumerate(sizes) for k in range(1, n - 1)]
    assert [(*map(int, t), int(p)) for t, p in zip(triangles, polygon, strict=True)] == expected


@quick
@given(st.text(alphabet="a1 \t\n", max_size=80))
def test_tokens_agree_with_python(text):
    raw = text.encode()
    assert len(token_starts(raw)) == len(text.split())
    lines = text.split("\n")
    lines = lines[:-1] if lines[-1] == "" else lines
    assert tokens_per_line(raw).tolist() == [len(line.split()) for line in lines]


@quick
@given(st.lists(st.tuples(st.sampled_from([0.0, -0.0, 1.0, 2.5]), st.sampled_from([0.0, 1.0])), min_size=1))
def test_merge_equal_is_the_inverse_of_indexing(points):
    distinct, inverse = merge_equal(np.array(points))
    np.testing.assert_array_equal(distinct[inverse], points)
    assert len(distinct) == len(set(points))
