"""Texel atlas and layouts."""

from dataclasses import replace

import numpy as np
import pytest

from neuraltex.core.errors import DataError
from neuraltex.geometry.mesh import Mesh
from neuraltex.learn.partial import Partial, read_partial, write_partial
from neuraltex.texture.atlas import canonical_positions, make_atlas
from neuraltex.texture.fill import rasterize_charts
from neuraltex.texture.layout import layout_of


def square(turned: bool = False) -> Mesh:
    """A square of two faces at z = 2 whose uvs fill the left half of the texture."""
    points = np.array([[0, 0, 2], [4, 0, 2], [4, 4, 2], [0, 4, 2]], float)
    faces = np.array([[1, 2, 3], [1, 3, 0]] if turned else [[0, 1, 2], [0, 2, 3]])
    return Mesh(points, faces, points[:, :2] / (8, 4), faces)


def test_positions_are_those_of_the_texel_centers() -> None:
    atlas = make_atlas(square(), 8)
    assert np.array_equal(atlas.inside, rasterize_charts(square(), 8))
    assert atlas.inside[:, :4].all()
    assert not atlas.inside[:, 4:].any()
    # Texel (row 0, column 1): uv (1.5 / 8, 7.5 / 8), of which the square's 4 units span half of u and all of v.
    assert np.allclose(atlas.positions(square())[0, 1], (1.5, 3.75, 2), atol=1e-6)
    assert np.allclose(atlas.normals(square())[0, 1], (0, 0, 1))
    assert not atlas.positions(square())[0, 5].any()


def test_canonical_positions_fill_the_box() -> None:
    atlas = make_atlas(square(), 64)
    found = canonical_positions(atlas.positions(square()), atlas.inside)[atlas.inside]
    longest = np.array([31 / 32, 63 / 64, 0]) / (63 / 64)  # from the first texel center to the last one
    assert np.allclose(found.min(0), -longest)
    assert np.allclose(found.max(0), longest)


def test_layouts_are_told_apart_but_not_by_pose_or_triangulation() -> None:
    mesh = square()
    layout = layout_of(mesh, "square")
    posed = replace(mesh, vertices=mesh.vertices * 3)
    assert layout.matches(layout_of(posed))
    assert layout.matches(layout_of(square(turned=True)))
    other = mesh.with_uv(mesh.uvs[:, ::-1] * (1, 0.5), mesh.uv_faces[:, ::-1])
    assert not layout.matches(layout_of(other))
    with pytest.raises(DataError, match=r"checkpoint: the uv layout is unnamed .* expected square"):
        layout.require(layout_of(other), "checkpoint")


def test_partials_survive_the_disk(tmp_path) -> None:
    generator, mask = np.random.default_rng(0), make_atlas(square(), 8).inside
    maps = [generator.random((8, 8, 3)).astype(np.float32) for _ in range(3)]
    flags = [mask & (generator.random((8, 8)) < 0.5) for _ in range(2)]
    source = np.full((8, 8, 2), np.nan, np.float32)
    confidence = np.zeros((8, 8), np.float32)
    partial = Partial(
        maps[0], flags[0], flags[1] & ~flags[0], confidence, source, mask, maps[1], maps[2], layout_of(square())
    )
    write_partial(tmp_path, partial)
    found = read_partial(tmp_path)
    assert np.array_equal(found.color, partial.color)
    assert np.array_equal(found.unseen, partial.unseen)
    assert found.layout == partial.layout
    (tmp_path / "partial.npz").write_bytes((tmp_path / "partial.npz").read_bytes()[:500])
    with pytest.raises(DataError, match="cannot be read"):
        read_partial(tmp_path)
