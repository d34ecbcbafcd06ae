"""Partial textures from photographs of a posed mesh."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from head_scene import camera_at, head, head_texture, photograph, shrunk
from synthetic import lumps, orbit
from synthetic import photograph as photograph_scene

from neuraltex.config.partial import PartialConfig
from neuraltex.core.errors import DataError, UsageError
from neuraltex.geometry.mesh import Mesh, TexturedMesh
from neuraltex.geometry.symmetry import box_diagonal
from neuraltex.io.images import read_texture
from neuraltex.io.meshes import read_mesh
from neuraltex.learn.extract import extract_partial, find_symmetry, gather_from_view
from neuraltex.learn.gather import read_footprints
from neuraltex.render.fragments import make_rasterizer
from neuraltex.render.shade import render_textured
from neuraltex.render.uv_maps import render_maps
from neuraltex.texture.atlas import make_atlas
from neuraltex.texture.layout import layout_of
from neuraltex.texture.sample import splat_bilinear

CONFIG = PartialConfig(size=64, mirror=False)


def gathered(mesh, camera, **changes):
    config = replace(CONFIG, **changes)
    atlas = make_atlas(mesh, config.size)
    return gather_from_view(mesh, camera, atlas, config), atlas


@pytest.mark.parametrize("azimuth", [0, 40, -75])
@pytest.mark.parametrize("size", [120, 500])
def test_direct_texels_have_their_color(azimuth, size):
    mesh, texture, camera = head(), head_texture(), camera_at(azimuth, size)
    partial = extract_partial(photograph(mesh, texture, camera), mesh, camera, CONFIG)
    error = np.abs(partial.color - shrunk(texture, 64))[partial.direct]
    assert partial.direct.sum() > 0.12 * partial.inside.sum()
    assert error.mean() < 1.5 / 255
    assert error.max() < 0.05  # nothing of the background, which is magenta
    assert not partial.mirrored.any()


def test_gathering_agrees_with_scattering_through_rendered_uvs():
    mesh, texture, camera, size = head(), head_texture(), camera_at(25, 400), 64
    image = photograph(mesh, texture, camera)
    maps = render_maps(make_rasterizer(mesh), mesh, camera, size)
    shown = maps.uv_map.mask & (maps.confidence.distance > 3)
    uv, color = torch.from_numpy(maps.uv_map.uv[shown]), torch.from_numpy(image[shown])
    total, weight = (part.numpy() for part in splat_bilinear(color, uv, (size, size)))
    gather, _ = gathered(mesh, camera)
    seen = gather.read(image)
    both = seen.direct & (weight > 0.5)
    difference = np.abs(total / np.maximum(weight, 1e-9)[..., None] - seen.color)[both]
    assert both.sum() > 0.9 * seen.direct.sum()
    assert difference.mean() < 2 / 255


def blocked(mesh: Mesh, eye: np.ndarray, points: np.ndarray, slack: float) -> np.ndarray:
    """Whether some face lies between the eye and each point, tried one by one (Moller and Trumbore, 1997)."""
    a, b, c = np.moveaxis(mesh.corners, 1, 0)
    found = np.zeros(len(points), bool)
    for index, point in enumerate(points):
        way = point - eye
        p = np.cross(way, c - a)
        det = np.einsum("fc,fc->f", b - a, p)
        det = np.where(np.abs(det) < 1e-14, np.nan, det)
        u = ((eye - a) * p).sum(1) / det
        q = np.cross(eye - a, b - a)
        v, t = (way * q).sum(1) / det, ((c - a) * q).sum(1) / det
        hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0) & (t < 1 - slack / np.linalg.norm(way))
        found[index] = hit.any()
    return found


@pytest.mark.parametrize("lens", [(), (0.08, -0.03)])
@pytest.mark.parametrize("index", range(2))
def test_what_is_hidden_is_never_direct(index, lens):
    mesh = lumps(8)
    camera = replace(orbit(2)[index], lens="brown" if lens else "pinhole", distortion=lens)
    gather, atlas = gathered(mesh, camera, size=160)
    points = atlas.positions(mesh)[gather.texels].astype(float)
    assert len(points) > 800
    assert not blocked(mesh, camera.center, points, 0.001 * box_diagonal(mesh)).any()
    image = photograph_scene(mesh, camera)
    partial = extract_partial(image, mesh, camera, replace(CONFIG, size=160))
    from synthetic import color

    error = np.abs(partial.color - color(atlas.positions(mesh)))[partial.direct]
    assert error.mean() < 3 / 255
    assert np.quantile(error, 0.999) < 0.12


def test_most_of_what_could_be_seen_is_direct():
    mesh, camera = head(), camera_at(0, 400)
    gather, atlas = gathered(mesh, camera, min_cosine=0.3)
    rays = camera.center - atlas.positions(mesh)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    cosine = (rays * atlas.normals(mesh)).sum(-1)
    rows, columns = np.nonzero(atlas.inside & (cosine > 0.35))
    free = ~blocked(mesh, camera.center, atlas.positions(mesh)[rows, columns].astype(float), 0.01)
    direct = np.zeros(atlas.inside.shape, bool)
    direct[gather.texels] = True
    assert direct[rows, columns][free].mean() > 0.97


def test_confidence_falls_with_angle_resolution_and_toward_borders():
    mesh, camera = head(nose=0), camera_at(0, 300)
    gather, atlas = gathered(mesh, camera)
    rays = camera.center - atlas.positions(mesh)
    cosine = ((rays / np.linalg.norm(rays, axis=-1, keepdims=True)) * atlas.normals(mesh)).sum(-1)[gather.texels]
    assert cosine.min() > 0.15
    assert ((gather.confidence > 0) & (gather.confidence <= 1)).all()
    assert gather.confidence[cosine > 0.8].min() > 0.99
    assert gather.confidence[cosine < 0.25].max() < 0.25
    near, far = (gathered(mesh, camera_at(0, pixels), size=200)[0] for pixels in (300, 80))
    assert np.median(far.footprint) < 1 < np.median(near.footprint)
    maps = np.zeros((2, 200, 200))
    for trust, gather in zip(maps, (near, far), strict=True):
        trust[gather.texels] = gather.confidence
    both = maps[0][maps[1] > 0], maps[1][maps[1] > 0]
    assert np.median(both[1]) < 0.85 * np.median(both[0])
    assert gathered(mesh, camera, min_cosine=0.5)[0].pixels.shape[0] < 0.9 * len(cosine)


def test_footprints_are_areas_of_texels_in_the_photograph():
    mesh, camera = head(rings=48, nose=0), camera_at(0, 300)
    gather, _ = gathered(mesh, camera)
    place = np.full((64, 64, 2), np.nan)
    place[gather.texels] = gather.pixels
    right, down = place[1:-1, 2:] - place[1:-1, :-2], place[2:, 1:-1] - place[:-2, 1:-1]
    area = np.abs(right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0]) / 4
    found = np.full((64, 64), np.nan)
    found[gather.texels] = gather.footprint
    ratio = np.sqrt(area) / found[1:-1, 1:-1]
    assert np.isfinite(ratio).sum() > 500
    assert np.nanquantile(np.abs(ratio - 1), 0.9) < 0.06


def test_a_matte_is_eroded():
    mesh, camera = head(), camera_at(0, 200)
    image = photograph(mesh, head_texture(), camera)
    matte = np.zeros((200, 200), bool)
    matte[:, :100] = True
    gather, _ = gathered(mesh, camera)
    whole, half = gather.read(image), gather.read(image, matte)
    assert half.direct.sum() > 0.3 * whole.direct.sum()
    assert np.nanmax(half.source[..., 0]) * 200 < 100 - 2
    assert np.nanmax(half.source[..., 0]) * 200 > 100 - 5
    assert (half.confidence <= whole.confidence).all()
    assert np.isnan(half.source[~half.direct]).all()
    assert not half.color[~half.direct].any()


def test_lookups_average_over_the_footprint():
    checks = (np.indices((96, 130)).sum(0) % 2).astype(np.float32)[..., None].repeat(3, 2)
    places = np.random.default_rng(0).uniform(20, 70, (50, 2)).astype(np.float32)
    smooth = read_footprints(checks, places, np.full(50, 8, np.float32))
    assert np.allclose(smooth, 0.5, atol=1e-6)
    y, x = np.mgrid[:97, :131] + 0.5
    ramp = np.stack([x / 131, y / 97, 0 * x], -1).astype(np.float32)
    for footprint in (0.3, 1, 3, 6):
        found = read_footprints(ramp, places, np.full(50, footprint, np.float32))
        assert np.allclose(found[:, :2], places / (131, 97), atol=1e-5)
    eight_bit = read_footprints((ramp * 255).round().astype(np.uint8), places, np.ones(50, np.float32))
    assert np.allclose(eight_bit[:, :2], places / (131, 97), atol=1 / 255)


def test_the_mirror_image_completes_a_profile():
    mesh, texture, camera = head(), head_texture(symmetric=True), camera_at(60, 300)
    config = replace(CONFIG, mirror=True)
    symmetry = find_symmetry(mesh, config)
    partial = extract_partial(photograph(mesh, texture, camera), mesh, camera, config, symmetry=symmetry)
    assert partial.mirrored.sum() > 0.15 * partial.inside.sum()
    assert not (partial.mirrored & partial.direct).any()
    assert np.array_equal(partial.known | partial.unseen, partial.inside)
    assert np.abs(partial.color - shrunk(texture, 64))[partial.mirrored].mean() < 3 / 255
    assert partial.confidence[partial.mirrored].max() <= 0.5
    assert partial.confidence[partial.mirrored].min() > 0
    assert not partial.confidence[partial.unseen].any()
    assert np.abs(partial.positions[partial.inside]).max() > 0.95
    assert np.allclose(np.linalg.norm(partial.normals[partial.inside], axis=1), 1, atol=1e-5)


def test_without_a_plane_only_the_direct_texels_are_known(caplog):
    mesh, camera = lumps(6), orbit(1)[0]
    mesh = mesh.select_faces(np.arange(mesh.num_faces - 2))  # without the floor
    partial = extract_partial(photograph_scene(mesh, camera), mesh, camera, replace(CONFIG, mirror=True))
    assert partial.direct.any()
    assert not partial.mirrored.any()
    assert "not symmetric" in caplog.text


def test_bad_inputs_say_what_to_do():
    mesh, camera = head(rings=8), camera_at(0, 80)
    image, matte = np.zeros((80, 80, 3)), np.zeros((80, 80), bool)
    with pytest.raises(DataError, match="100x80 but its camera says 80x80"):
        extract_partial(np.zeros((80, 100, 3)), mesh, camera, CONFIG)
    with pytest.raises(DataError, match="matte is 70x80 but its photograph is 80x80"):
        extract_partial(image, mesh, camera, CONFIG, matte[:, :70])
    with pytest.raises(DataError, match="the matte is empty"):
        extract_partial(image, mesh, camera, CONFIG, matte)
    matte[:5, :5] = True
    with pytest.raises(DataError, match="covers no pixel in which the camera sees the mesh"):
        extract_partial(image, mesh, camera, CONFIG, matte)
    matte[40, 40] = True
    with pytest.raises(DataError, match=r"leaves no texel.*--matte-erosion"):
        extract_partial(image, mesh, camera, CONFIG, matte)
    away = replace(camera, cam_from_world=np.diag([-1.0, 1, -1, 1]) @ camera.cam_from_world)
    with pytest.raises(DataError, match="sees nothing of the mesh"):
        extract_partial(image, mesh, away, CONFIG)
    inside_out = replace(mesh, faces=mesh.faces[:, ::-1], uv_faces=mesh.uv_faces[:, ::-1])
    with pytest.raises(DataError, match="seen from inside"):
        extract_partial(image, inside_out, camera, CONFIG)
    with pytest.raises(DataError, match="no texture coordinates"):
        extract_partial(image, Mesh(mesh.vertices, mesh.faces), camera, CONFIG)
    other = mesh.with_uv(mesh.uvs * (0.5, 1), mesh.uv_faces[:, ::-1])
    with pytest.raises(DataError, match="expected face"):
        extract_partial(image, mesh, camera, CONFIG, layout=layout_of(other, "face"))


@pytest.mark.parametrize("changes", [{"size": 4}, {"min_cosine": 0.7}, {"margin": -1}, {"mirror_confidence": 0}])
def test_settings_are_checked(changes):
    with pytest.raises(UsageError):
        replace(CONFIG, **changes)


@pytest.mark.data
def test_a_real_skin_is_recovered(test_data):
    folder = test_data / "skins_makehuman"
    mesh = read_mesh(folder / "mesh" / "body_female_young.obj")
    texture = read_texture(folder / "core_young_lightskinned_female_diffuse2.jpg")[..., :3]
    middle = (mesh.vertices.min(0) + mesh.vertices.max(0)) / 2
    rotation = np.diag([1.0, -1, -1])  # y is up, the face looks to +z
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ (middle + np.array([0, 0, 42]))
    camera = replace(camera_at(0, 1024, 2200.0), cam_from_world=pose, cx=512, cy=512)
    textured = TexturedMesh(mesh, (texture,), np.zeros(mesh.num_faces, np.int64))
    image, _ = render_textured(textured, camera, supersampling=3)
    partial = extract_partial(image, mesh, camera, PartialConfig(size=256))
    error = (partial.color - shrunk(texture, 256))[partial.direct]
    assert -10 * np.log10((error**2).mean()) > 50
    assert partial.direct.sum() > 0.3 * partial.inside.sum()
