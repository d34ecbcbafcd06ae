"""IUV maps: the table to a texture, the order of channels, and partial textures."""

import logging
import time
from pathlib import Path

import numpy as np
import pytest
from iuv_cases import Body, capsule_body, cut_smpl, front_camera, render_iuv, render_photo, save_mat
from scipy.spatial import cKDTree

from neuraltex.config.partial import PartialConfig
from neuraltex.core.errors import DataError
from neuraltex.geometry.mesh import Mesh
from neuraltex.io.densepose import read_densepose
from neuraltex.io.images import read_rgb, write_rgb
from neuraltex.io.meshes import read_mesh
from neuraltex.learn.chart_scatter import ChartFinder, interpolate
from neuraltex.learn.iuv import partial_from_iuv, read_iuv
from neuraltex.learn.iuv_map import ORDERS, IuvMap, arrange
from neuraltex.learn.iuv_surface import lay_on_mesh
from neuraltex.learn.iuv_table import (
    build_table,
    check_table,
    load_table_or_build,
    probe,
    save_table,
)
from neuraltex.texture.atlas import make_atlas
from neuraltex.texture.fill import number_charts
from neuraltex.texture.layout import layout_of

TURN = 0.4


@pytest.fixture(scope="module")
def body() -> Body:
    return capsule_body()


@pytest.fixture(scope="module")
def table(body):
    return build_table(*body.surface)


@pytest.fixture(scope="module")
def iuv(body):
    return render_iuv(body.mesh, body.surface, front_camera(256, TURN))


def smooth_texture(size: int) -> np.ndarray:
    """Colors that tell every place of the texture apart."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    colors = np.stack([x, y, 0.5 + 0.5 * np.sin(25 * x) * np.sin(25 * y)], -1)
    return np.round(colors * 255).astype(np.uint8)


# The table ------------------------------------------------------------------------------------------------------------


def test_table_leads_surface_points_to_their_texture_coordinates(body, table):
    assert table.shape == (24, 256, 256, 2)
    assert table.dtype == np.float32
    assert check_table(table, probe(body.surface)) < 0.001
    assert 0.3 < np.isnan(table[..., 0]).mean() < 0.6  # the parts do not fill their squares


def test_table_entry_is_the_middle_of_its_byte():
    corners = np.array([[[0, 0], [1, 0], [0, 1.0]], [[1, 0], [1, 1], [0, 1.0]]])
    table = build_table(np.array([5, 5]), corners, corners)
    assert np.isnan(table[[0, 3, 5, 23]]).all()
    assert np.allclose(table[4, 100, 30], (30.5 / 255, 100.5 / 255), atol=1e-6)
    assert np.allclose(table[4, 255, 255], (254.5 / 255, 254.5 / 255), atol=1e-6)  # the border repeats its neighbor


def test_gaps_are_closed_inside_a_part_only_and_not_far(body):
    part, part_uv, texture_uv = body.surface
    closed, open_ = build_table(part, part_uv, texture_uv), build_table(part, part_uv, texture_uv, reach=0)
    known = np.isfinite(open_[..., 0])
    assert np.array_equal(closed[known], open_[known])
    added = np.isfinite(closed[..., 0]) & ~known
    assert added.any()
    for index in np.unique(np.argwhere(added)[:, 0]):
        own = {tuple(value) for value in open_[index][known[index]]}
        assert {tuple(value) for value in closed[index][added[index]]} <= own


def test_swapped_and_foreign_tables_are_detected(body, table):
    with pytest.raises(DataError, match=r"indexed \[part, u, v\] instead of \[part, v, u\]"):
        check_table(table.transpose(0, 2, 1, 3), probe(body.surface))
    with pytest.raises(DataError, match="not made for this surface"):
        check_table(table[:, ::-1], probe(body.surface))
    with pytest.raises(DataError, match="not made for this surface"):
        check_table(np.full_like(table, np.nan), probe(body.surface))


def test_build_refuses_parts_and_uvs_out_of_range(body):
    part, part_uv, texture_uv = body.surface
    with pytest.raises(DataError, match="1 to 24"):
        build_table(part - 1, part_uv, texture_uv)
    with pytest.raises(DataError, match="expected 0 to 1"):
        build_table(part, part_uv * 2, texture_uv)


def test_table_is_built_from_densepose_and_kept(body, table, tmp_path):
    save_mat(tmp_path / "UV_Processed.mat", body)
    built = load_table_or_build(tmp_path / "UV_Processed.mat", body.mesh, keep=tmp_path / "table.npz")
    assert np.allclose(built, table, atol=1e-6, equal_nan=True)
    kept = load_table_or_build(tmp_path / "table.npz", body.mesh)
    assert np.array_equal(kept, built, equal_nan=True)


def test_faces_are_found_whatever_their_order_and_first_corner(body, table, tmp_path):
    save_mat(tmp_path / "UV_Processed.mat", body)
    order = np.random.default_rng(0).permutation(body.mesh.num_faces)
    mesh = body.mesh
    shuffled = Mesh(mesh.vertices, np.roll(mesh.faces[order], 1, axis=1), mesh.uvs, np.roll(mesh.uv_faces[order], 1, 1))
    surface = lay_on_mesh(read_densepose(tmp_path / "UV_Processed.mat"), shuffled)
    assert np.allclose(build_table(*surface), table, atol=1e-6, equal_nan=True)


def test_a_table_of_another_layout_is_refused(body, table, tmp_path):
    other = body.mesh.with_uv(body.mesh.uvs * (0.5, 1), body.mesh.uv_faces[::-1])
    save_table(tmp_path / "table.npz", table, probe(body.surface), layout_of(body.mesh))
    with pytest.raises(DataError, match=r"table.npz: the uv layout is .* expected"):
        load_table_or_build(tmp_path / "table.npz", other)


def test_broken_files_are_refused(body, table, tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        load_table_or_build(tmp_path / "table.npz", body.mesh)
    with pytest.raises(DataError, match="does not exist"):
        load_table_or_build(tmp_path / "UV_Processed.mat", body.mesh)
    save_table(tmp_path / "table.npz", table, probe(body.surface), layout_of(body.mesh))
    data = (tmp_path / "table.npz").read_bytes()
    (tmp_path / "table.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="not a table of texture coordinates"):
        load_table_or_build(tmp_path / "table.npz", body.mesh)
    save_table(tmp_path / "table.npz", table.transpose(0, 2, 1, 3), probe(body.surface), layout_of(body.mesh))
    with pytest.raises(DataError, match=r"instead of \[part, v, u\]"):
        load_table_or_build(tmp_path / "table.npz", body.mesh)
    save_mat(tmp_path / "UV_Processed.mat", body)
    data = (tmp_path / "UV_Processed.mat").read_bytes()
    (tmp_path / "UV_Processed.mat").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"MATLAB|lacks"):
        load_table_or_build(tmp_path / "UV_Processed.mat", body.mesh)


def test_a_mesh_of_another_topology_is_refused(body, tmp_path):
    save_mat(tmp_path / "UV_Processed.mat", body)
    with pytest.raises(DataError, match="5376 of DensePose's 10752 faces"):
        load_table_or_build(tmp_path / "UV_Processed.mat", body.mesh.select_faces(np.arange(0, 10752, 2)))


# The channels ---------------------------------------------------------------------------------------------------------


def test_mirroring_a_map_twice_gives_it_back(iuv):
    channels = arrange(iuv, "iuv")
    before = [channel.copy() for channel in (channels.part, channels.u, channels.v)]
    mirrored = channels.mirrored()
    again = mirrored.mirrored()
    for old, kept, back in zip(
        before, (channels.part, channels.u, channels.v), (again.part, again.u, again.v), strict=True
    ):
        assert np.array_equal(old, kept)  # nothing is changed in place
        assert np.array_equal(old, back)


def test_mirroring_follows_the_published_rules():
    part, one, two = (np.array([values], np.uint8) for values in ([0, 1, 2, 3, 5, 24], [10] * 6, [20] * 6))
    found = IuvMap(part, one, two).mirrored()
    assert found.part.tolist() == [[0, 1, 2, 4, 6, 23]]
    assert found.u.tolist() == [[10, 10, 10, 245, 10, 245]]
    assert found.v.tolist() == [[20, 235, 235, 20, 20, 20]]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("turn", [0.0, 1.6, 3.1])
def test_every_order_of_channels_is_found(body, table, order, turn):
    iuv = render_iuv(body.mesh, body.surface, front_camera(192, turn))
    photo = np.zeros_like(iuv)
    stored = iuv[..., ["iuv".index(channel) for channel in order]]
    expected = partial_from_iuv(photo, iuv, table, body.mesh, PartialConfig(size=64), order="iuv")
    found = partial_from_iuv(photo, stored, table, body.mesh, PartialConfig(size=64))
    assert np.array_equal(found.source, expected.source, equal_nan=True)


@pytest.mark.parametrize("last", [2, 24])
def test_v_that_counts_the_other_way_is_found(body, table, iuv, last, caplog):
    flipped = iuv.copy()
    turned = (iuv[..., 0] > 0) & (iuv[..., 0] <= last)
    flipped[turned, 2] = 255 - iuv[turned, 2]
    with caplog.at_level(logging.WARNING, "neuraltex"):
        found = partial_from_iuv(np.zeros_like(iuv), flipped, table, body.mesh, PartialConfig(size=64))
    assert "v counts the other way" in caplog.text
    expected = partial_from_iuv(np.zeros_like(iuv), iuv, table, body.mesh, PartialConfig(size=64))
    assert np.array_equal(found.source, expected.source, equal_nan=True)


def test_order_is_found_in_spite_of_noise(body, table, iuv):
    noise = np.random.default_rng(0).normal(scale=4, size=(*iuv.shape[:2], 2))
    noisy = iuv.copy()
    noisy[..., 1:] = np.where(iuv[..., :1] > 0, np.clip(iuv[..., 1:] + noise, 0, 255), 0)
    found = partial_from_iuv(np.zeros_like(iuv), noisy[..., ::-1], table, body.mesh, PartialConfig(size=64))
    expected = partial_from_iuv(np.zeros_like(iuv), noisy, table, body.mesh, PartialConfig(size=64), order="iuv")
    assert np.array_equal(found.source, expected.source, equal_nan=True)


def test_a_wrong_order_is_refused(body, table, iuv):
    photo = np.zeros_like(iuv)
    with pytest.raises(DataError, match=r"channel 2, where order vui has the parts, goes up to .* order auto finds"):
        partial_from_iuv(photo, iuv, table, body.mesh, PartialConfig(), order="vui", source="a_IUV.png")
    with pytest.raises(DataError, match=r"a_IUV.png: the channels are iuv, not ivu: .* Pass order iuv or auto"):
        partial_from_iuv(photo, iuv, table, body.mesh, PartialConfig(), order="ivu", source="a_IUV.png")
    with pytest.raises(DataError, match="order 'rgb' is unknown"):
        partial_from_iuv(photo, iuv, table, body.mesh, PartialConfig(), order="rgb")


def test_undecidable_orders_are_refused():
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    square = Mesh(np.column_stack([corners, np.zeros(4)]), faces, corners, faces)
    table = build_table(np.array([5, 5]), square.corner_uvs, square.corner_uvs)
    v, u = np.mgrid[:64, :64].astype(np.uint8) + 60
    iuv = np.stack([np.full_like(u, 5), u, 255 - v], -1)
    with pytest.raises(DataError, match=r"order of its channels cannot be told: .* Say which it is"):
        partial_from_iuv(iuv, iuv, table, square, PartialConfig(mirror=False))
    found = partial_from_iuv(iuv, iuv, table, square, PartialConfig(size=64, mirror=False), order="iuv")
    assert found.direct.any()


def test_one_color_everywhere_is_refused(body, table):
    flat = np.zeros((64, 64, 3), np.uint8)
    flat[8:56, 8:56] = (2, 90, 110)  # one place of the front: no side of the surface to judge by
    with pytest.raises(DataError, match="agrees with the body in 0%"):
        partial_from_iuv(flat, flat, table, body.mesh, PartialConfig())


def test_what_is_no_iuv_map_is_refused(body, table, iuv, tmp_path):
    photo, noise = np.zeros_like(iuv), np.random.default_rng(0).integers(0, 256, iuv.shape).astype(np.uint8)
    with pytest.raises(DataError, match="no channel holds part numbers: they go up to 255, 255, 255"):
        partial_from_iuv(photo, noise, table, body.mesh, PartialConfig())
    fake = np.concatenate([iuv[..., :1], noise[..., 1:]], -1)
    with pytest.raises(DataError, match=r"agrees with the body in .* Pass an IUV image of DensePose"):
        partial_from_iuv(photo, fake, table, body.mesh, PartialConfig())
    with pytest.raises(DataError, match="shows nobody"):
        partial_from_iuv(photo, np.zeros_like(iuv), table, body.mesh, PartialConfig())
    with pytest.raises(DataError, match="the map is 256x256, the photograph 128x256"):
        partial_from_iuv(photo[:, :128], iuv, table, body.mesh, PartialConfig())
    with pytest.raises(DataError, match="the matte is 9x9, the photograph 256x256"):
        partial_from_iuv(photo, iuv, table, body.mesh, PartialConfig(), matte=np.ones((9, 9), bool))
    with pytest.raises(DataError, match="no pixel of the person is left"):
        partial_from_iuv(photo, iuv, table, body.mesh, PartialConfig(), matte=np.zeros((256, 256), bool))
    with pytest.raises(DataError, match="three channels"):
        partial_from_iuv(photo, iuv[..., 0], table, body.mesh, PartialConfig())
    with pytest.raises(DataError, match="changes values"):
        read_iuv(tmp_path / "a_IUV.jpg")
    write_rgb(tmp_path / "a_IUV.png", iuv)
    assert np.array_equal(read_iuv(tmp_path / "a_IUV.png"), iuv)


# Partial textures -----------------------------------------------------------------------------------------------------


def test_direct_and_mirrored_texels_have_their_colors(body, table):
    """Mean errors measured: 0.9 of 255 direct, 0.4 of these with confidence."""
    texture, camera = smooth_texture(256), front_camera(512, TURN)
    iuv, photo = render_iuv(body.mesh, body.surface, camera), render_photo(body.mesh, texture, camera)
    start = time.perf_counter()
    found = partial_from_iuv(photo, iuv, table, body.mesh, PartialConfig())
    assert time.perf_counter() - start < 2
    error = np.abs(found.color * 255 - texture).mean(-1)
    assert found.direct.sum() > 0.35 * found.inside.sum()
    assert error[found.direct].mean() < 1.5
    assert error[found.direct & (found.confidence > 0.5)].mean() < 0.6
    plain = partial_from_iuv(photo, iuv, table, body.mesh, PartialConfig(mirror=False))
    assert not plain.mirrored.any()
    assert np.array_equal(plain.direct, found.direct)
    error = np.abs(found.color * 255 - mirror_texels(body, texture)).mean(-1)[found.mirrored]
    assert found.mirrored.sum() > 2000
    assert error.mean() < 4


def mirror_texels(body: Body, texture: np.ndarray) -> np.ndarray:
    """What every texel would show if it were the nearest texel of its mirror image on the body."""
    atlas = make_atlas(body.mesh, len(texture))
    points, found = atlas.positions(body.mesh)[atlas.inside], np.zeros_like(texture)
    found[atlas.inside] = texture[atlas.inside][cKDTree(points).query(points * (-1, 1, 1))[1]]
    return found


def test_confidence_source_and_maps_are_those_of_the_house(body, table, iuv):
    photo = render_photo(body.mesh, smooth_texture(128), front_camera(256, TURN))
    found = partial_from_iuv(photo, iuv, table, body.mesh, PartialConfig(size=128, mirror_confidence=0.25))
    assert not (found.direct & found.mirrored).any()
    assert (found.known <= found.inside).all()
    assert (found.confidence[found.known] > 0).all()
    assert (found.confidence[found.mirrored] <= 0.25).all()
    assert found.confidence.max() == 1
    assert np.isnan(found.source[~found.known]).all()
    assert not found.color[~found.known].any()
    assert np.allclose(np.linalg.norm(found.normals[found.inside], axis=-1), 1, atol=1e-5)
    # Seen from where the camera is, the texels lie at their sources.
    own = found.direct & (found.confidence > 0.9)
    points = make_atlas(body.mesh, 128).positions(body.mesh)[own]
    pixels, _ = front_camera(256, TURN).project(points)
    gap = np.linalg.norm(pixels - found.source[own] * 256, axis=1)
    assert np.median(gap) < 0.35
    assert np.percentile(gap, 99) < 2


def test_texels_take_the_nearest_pixel_of_their_own_chart():
    charts = np.ones((8, 8), int)
    charts[:, 4:] = 2
    chart = np.array([[1, 0, 2]])
    uv = np.full((1, 3, 2), np.nan, np.float32)
    uv[0, 0], uv[0, 2] = (0.45, 0.5), (0.95, 0.5)  # the first one is nearer to most texels of the second chart
    found = interpolate(uv, chart, charts, np.ones((8, 8), bool))
    assert (found[charts == 1] == (0.5, 0.5)).all()
    assert (found[charts == 2] == (2.5, 0.5)).all()


@pytest.mark.parametrize("turn", [0.0, 0.9])
def test_no_color_leaks_from_one_chart_into_another(body, table, turn):
    iuv = render_iuv(body.mesh, body.surface, front_camera(256, turn))
    chart = ChartFinder(body.mesh).find(arrange(iuv, "iuv").on_texture(table))
    palette = np.random.default_rng(1).integers(0, 256, (chart.max() + 1, 3)).astype(np.uint8)
    found = partial_from_iuv(palette[chart], iuv, table, body.mesh, PartialConfig(mirror=False, margin=0))
    expected = palette[number_charts(body.mesh, (256, 256))]
    assert found.direct.sum() > 10000
    assert np.abs(found.color * 255 - expected)[found.direct].max() < 0.01


def test_a_matte_leaves_pixels_out(body, table, iuv):
    photo = np.full_like(iuv, 200)
    matte = np.zeros(iuv.shape[:2], bool)
    matte[:, 128:] = True
    found = partial_from_iuv(photo, iuv, table, body.mesh, PartialConfig(size=64, mirror=False), matte=matte)
    assert found.direct.any()
    assert (found.source[found.direct][:, 0] > 0.5).all()


# Real layout ----------------------------------------------------------------------------------------------------------


@pytest.mark.data
def test_a_clothed_person_on_the_smpl_layout(test_data: Path):
    """Mean error on direct texels measured: 3.7 of 255, of a texture seen at half its resolution."""
    folder = test_data / "textures_smpl"
    if not folder.is_dir():
        pytest.skip(f"no SMPL textures at {folder}")
    mesh = read_mesh(folder / "mesh" / "SMPL_male_default_resolution.obj")
    body, camera = cut_smpl(mesh), front_camera(512, TURN, 0.95)
    table = build_table(*body.surface)
    assert check_table(table, probe(body.surface)) < 0.001
    texture = read_rgb(folder / "deepfashion_002.jpg")
    iuv, photo = render_iuv(mesh, body.surface, camera), render_photo(mesh, texture, camera)
    start = time.perf_counter()
    found = partial_from_iuv(photo, iuv[..., ::-1], table, mesh, PartialConfig(mirror=False))
    assert time.perf_counter() - start < 2
    truth = texture.reshape(256, 2, 256, 2, 3).mean((1, 3))
    error = np.abs(found.color * 255 - truth).mean(-1)
    assert found.direct.sum() > 0.4 * found.inside.sum()
    assert error[found.direct].mean() < 5
    assert error[found.direct & (found.confidence > 0.5)].mean() < 3.5
