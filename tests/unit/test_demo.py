"""The demo scene: its charts, its geometry, its cameras and what is done to its photographs."""

import numpy as np
import pytest

from neuraltex.core.errors import UsageError
from neuraltex.demo import atlas, bake, cameras, photograph, scene
from neuraltex.demo.atlas import Chart
from neuraltex.demo.patterns import noise
from neuraltex.demo.photograph import Flaws
from neuraltex.demo.primitives import ball, box, disc, lathe, pillow, place, rectangle, sweep
from neuraltex.geometry.mesh import Mesh
from neuraltex.render.fragments import make_rasterizer


def grey(surface):
    return np.full((*surface.shape, 3), 0.5, np.float32)


@pytest.fixture(scope="module")
def room() -> tuple[Mesh, tuple[Chart, ...]]:
    """Geometry of the full room; its texture is not needed here."""
    charts = atlas.layout(scene.furniture.furnish(), 2048)
    return atlas.build_mesh(charts, 2048), charts


@pytest.fixture(scope="module")
def fragments(room):
    mesh, charts = room
    rasterizer, objects = make_rasterizer(mesh), atlas.face_objects(charts, mesh, 2048)
    return [(view, rasterizer.render(view), objects) for view in cameras.walk(40, 160, 120)]


def test_full_room_has_the_promised_size(room):
    mesh, _ = room
    assert mesh.num_faces >= 40_000
    assert (mesh.face_areas > 0).all()


@pytest.mark.parametrize("size", [512, 2048])
def test_charts_and_their_gutters_do_not_overlap(size):
    charts = atlas.layout(scene.furniture.furnish(), size)
    owner = np.zeros((size, size), np.int64)
    gutter = atlas.GUTTER
    for chart in charts:
        area = owner[
            chart.y - gutter : chart.y + chart.height + gutter, chart.x - gutter : chart.x + chart.width + gutter
        ]
        assert area.shape == (chart.height + 2 * gutter, chart.width + 2 * gutter)
        area += 1
    assert owner.max() == 1
    assert sum(chart.width * chart.height for chart in charts) > 0.6 * size**2 * (size / 2048)


def test_every_face_lies_in_its_own_texels(room):
    mesh, _ = room
    assert mesh.uvs.min() > 0
    assert mesh.uvs.max() < 1
    a, b, c = np.moveaxis(mesh.corner_uvs, 1, 0)
    doubled = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    assert (doubled > 0).all(), "charts are not mirrored and have an area"
    assert doubled.sum() / 2 < 1


def test_charts_are_in_proportion_to_world_area(room):
    _, charts = room
    density = [
        chart.width / (chart.patch.knots[0][-1] * chart.patch.density)
        for chart in charts
        if min(chart.width, chart.height) > 60
    ]
    assert max(density) / min(density) < 1.05


@pytest.mark.parametrize(
    "solid",
    [
        [ball(1.0, grey)],
        [lathe([(0, 0), (1, 0), (1, 0), (0.5, 1), (0, 1)], grey)],
        box((1, 2, 3), grey, without=()),
        pillow((1, 1), 0.4, grey),
        [
            sweep(
                np.stack([np.zeros(9), np.zeros(9), np.linspace(0, 1, 9)], 1),
                np.sin(np.linspace(0, np.pi, 9))[:, None].round(12) * [1, 0.5],
                np.array([1.0, 0, 0]),
                grey,
            )
        ],
    ],
    ids=["ball", "lathe", "box", "pillow", "sweep"],
)
def test_solids_are_watertight_and_face_outwards(solid):
    mesh = atlas.build_mesh(atlas.layout(place(solid, "it", (0, 0, 0)), 512), 512)
    edges = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    assert len(np.unique(edges, axis=0)) == len(edges), "each directed edge occurs once"
    _, counts = np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)
    assert (counts == 2).all()
    volume = np.einsum("fi,fi->f", mesh.corners[:, 0], np.cross(mesh.corners[:, 1], mesh.corners[:, 2])).sum() / 6
    assert volume > 0


def test_sphere_has_the_right_area_and_volume():
    mesh = atlas.build_mesh(atlas.layout([ball(1.0, grey, 96)], 512), 512)
    assert mesh.face_areas.sum() == pytest.approx(4 * np.pi, rel=5e-3)


def test_disc_is_flat_and_faces_up():
    mesh = atlas.build_mesh(atlas.layout([disc(2.0, 0.5, grey)], 512), 512)
    assert mesh.face_areas.sum() == pytest.approx(4 * np.pi, rel=5e-3)
    np.testing.assert_allclose(mesh.face_normals, np.tile([0, 0, 1], (mesh.num_faces, 1)), atol=1e-9)


def test_normals_of_what_is_seen_point_to_the_camera(room, fragments):
    mesh, _ = room
    for view, seen, _ in fragments:
        faces = seen.face_idx[seen.mask].numpy()
        towards = view.center - mesh.corners[faces].mean(1)
        facing = np.einsum("pi,pi->p", towards, mesh.face_normals[faces]) > 0
        assert facing.mean() > 0.999


def test_every_object_is_in_two_training_views(room, fragments):
    _, charts = room
    names = list(dict.fromkeys(chart.patch.name for chart in charts))
    counts = np.zeros(len(names), np.int64)
    for index, (_, seen, objects) in enumerate(fragments):
        if index % 8:
            counts[np.unique(objects[seen.face_idx[seen.mask].numpy()])] += 1
    hidden = [name for name, count in zip(names, counts, strict=True) if count < 2]
    assert not hidden


def test_photographs_show_the_room_and_little_else(fragments):
    shares = [seen.mask.float().mean().item() for _, seen, _ in fragments]
    assert min(shares) > 0.97
    assert np.mean(shares) > 0.995


def test_cameras_keep_their_distance(fragments):
    for _, seen, _ in fragments:
        assert seen.depth[seen.mask].min() > 0.3


def test_noise_continues_across_the_closing_of_a_chart():
    chart = atlas.layout([ball(0.2, grey)], 512)[0]
    pattern = noise(bake.surface_of(chart), 0.05, 1)
    jump = np.abs(pattern[:, 0] - pattern[:, -1]).max()
    assert jump < 1e-4
    assert pattern.std() > 0.2


def test_painting_leaves_gutters_that_repeat_the_border():
    chart = atlas.layout([rectangle((0, 0, 0), (1, 0, 0), (0, 0.5, 0), grey)], 256)[0]
    texture = np.zeros((256, 256, 3), np.uint8)
    color = np.random.default_rng(0).random((chart.height, chart.width, 3))
    bake._paint(texture, chart, color)
    np.testing.assert_array_equal(
        texture[chart.y - 1, chart.x : chart.x + chart.width], texture[chart.y, chart.x : chart.x + chart.width]
    )
    below = chart.y + chart.height + atlas.GUTTER
    assert texture[below - 1].any()
    assert not texture[below].any()


def test_disturbed_camera_is_off_by_the_wanted_pixels(room):
    mesh, _ = room
    camera = cameras.walk(3, 640, 480)[1]
    wrong = cameras.disturb(camera, mesh.vertices, 2.0, np.random.default_rng(0))
    exact, depth = camera.project(mesh.vertices)
    inside = ((exact >= 0) & (exact < (640, 480))).all(1) & (depth > 0)
    error = wrong.project(mesh.vertices[inside])[0] - exact[inside]
    assert np.sqrt((error**2).sum(1).mean()) == pytest.approx(2.0, rel=0.02)


def test_flaws_change_the_photograph_as_named():
    image = np.random.default_rng(0).uniform(0.2, 0.6, (32, 32, 3)).astype(np.float32)
    plain = photograph.develop(image, Flaws())
    np.testing.assert_allclose(photograph.develop(image, Flaws(gain=1.25)).mean(), 1.25 * plain.mean(), rtol=5e-3)
    assert photograph.develop(image, Flaws(blur=3)).std() < 0.5 * plain.std()


def test_blurred_photo_is_never_held_out():
    for count in (2, 8, 9, 12, 16, 17, 40):
        flaws = scene._flaws(scene.DemoOptions(num_views=count, blurred_photo=True))
        blurred = [index for index, flaw in enumerate(flaws) if flaw.blur > 0]
        assert len(blurred) == 1
        assert blurred[0] % 8 != 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"formats": ("gltf",)},
        {"num_views": 0},
        {"exposure_jitter": 1.0},
        {"lens_distortion": True, "formats": ("openmvs",)},
    ],
)
def test_impossible_options_are_refused(wrong):
    with pytest.raises(UsageError):
        scene.DemoOptions(**wrong)
