from dataclasses import replace

import numpy as np
import pytest
from box_scene import around, box_mesh, box_texture, look_at

from neuraltex.core.conventions import GREY, uv_from_texel
from neuraltex.core.errors import ShapeError
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh, TexturedMesh
from neuraltex.io.export import write_textured
from neuraltex.render import shade
from neuraltex.render.shade import TexturedRenderer, render_textured


def wall(width: int, height: int, uvs: np.ndarray | None = None) -> Mesh:
    """A rectangle at z = 1 that fills a unit-focal camera: the pixel grid is the texel grid."""
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], float)
    uvs = np.array([[0, 1], [1, 1], [1, 0], [0, 0.0]]) if uvs is None else uvs
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    return Mesh(corners, faces, uvs, faces)


def facing(width: int, height: int) -> Camera:
    return Camera(width, height, 1.0, 1.0, 0.0, 0.0, np.eye(4))


def textured(mesh: Mesh, *textures: np.ndarray, index: np.ndarray | None = None) -> TexturedMesh:
    return TexturedMesh(mesh, textures, np.zeros(mesh.num_faces, np.int64) if index is None else index)


def test_one_texel_per_pixel_is_reproduced_exactly():
    texture = box_texture(24)[:18]
    image, coverage = render_textured(textured(wall(24, 18), texture), facing(24, 18), supersampling=1)
    np.testing.assert_allclose(image * 255, texture, atol=1e-3)
    assert (coverage == 1).all()


def test_samples_of_a_pixel_are_averaged_on_the_stored_values():
    texture = box_texture(24)[:18]
    image, _ = render_textured(textured(wall(24, 18), texture), facing(24, 18), supersampling=4)
    fine = TexturedRenderer(textured(wall(24, 18), texture)).render(facing(24, 18).scaled(96, 72), supersampling=1)[0]
    np.testing.assert_allclose(image, fine.reshape(18, 4, 24, 4, 3).mean((1, 3)), atol=1e-5)


def test_bilinear_lookup_is_linear_between_texel_centers_and_clamps_at_the_border():
    texture = np.zeros((1, 4, 3), np.uint8)
    texture[0, :, 0] = [0, 40, 80, 120]
    left, _ = uv_from_texel(0.25, 0.0, 4, 1)
    row = np.array([[left, 0.5]] * 4)
    image, _ = render_textured(textured(wall(2, 2, row), texture), facing(2, 2))
    np.testing.assert_allclose(image[..., 0] * 255, 10, atol=1e-3)
    border = np.array([[0.999, 0.5]] * 4)
    image, _ = render_textured(textured(wall(2, 2, border), texture), facing(2, 2))
    np.testing.assert_allclose(image[..., 0] * 255, 120, atol=1e-3)


def test_uv_outside_the_unit_square_repeats():
    texture = box_texture(32)
    uvs = np.array([[0.2, 0.8], [0.6, 0.8], [0.6, 0.3], [0.2, 0.3]])
    once, _ = render_textured(textured(wall(20, 20, uvs), texture), facing(20, 20))
    again, _ = render_textured(textured(wall(20, 20, uvs + np.array([3, -2])), texture), facing(20, 20))
    np.testing.assert_allclose(once, again, atol=1e-4)


def test_alpha_holes_and_faces_without_texture_are_grey_and_uncovered():
    texture = np.dstack([box_texture(8), np.full((8, 8), 255, np.uint8)])
    texture[:, 4:, 3] = 0
    image, coverage = render_textured(textured(wall(8, 8), texture), facing(8, 8), supersampling=1)
    assert (coverage[:, :4] == 1).all()
    assert (coverage[:, 4:] == 0).all()
    assert (image[:, 4:] == GREY).all()
    partly = textured(wall(8, 8), box_texture(8), index=np.array([0, -1]))
    assert 0.3 < render_textured(partly, facing(8, 8))[1].mean() < 0.7


def test_every_face_looks_into_its_own_texture():
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((2, 8, 3), 255, np.uint8)
    image, _ = render_textured(
        textured(wall(9, 9), black, white, index=np.array([0, 1])), facing(9, 9), supersampling=1
    )
    assert (image[0, -1], image[-1, 0]) == (pytest.approx([0, 0, 0]), pytest.approx([1, 1, 1]))


def test_vertex_colors_are_interpolated_where_there_is_no_texture():
    colors = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    image, coverage = render_textured(TexturedMesh(wall(10, 10), vertex_colors=colors), facing(10, 10))
    np.testing.assert_allclose(image[..., 0], np.tile((np.arange(10) + 0.5) / 10, (10, 1)), atol=1e-4)
    assert (coverage == 1).all()


def test_a_bare_mesh_is_grey():
    image, coverage = render_textured(TexturedMesh(wall(4, 4)), facing(4, 4))
    assert (image == GREY).all()
    assert not coverage.any()


def test_a_mask_changes_nothing_inside_and_leaves_grey_outside():
    renderer, camera = TexturedRenderer(textured(box_mesh(), box_texture())), around()[0]
    mask = np.zeros((72, 96), bool)
    mask[20:51, 30:77] = np.random.default_rng(0).random((31, 47)) > 0.3
    (whole, covered), (part, part_covered) = renderer.render(camera), renderer.render(camera, mask)
    np.testing.assert_allclose(part[mask], whole[mask], atol=1e-6)
    np.testing.assert_array_equal(part_covered[mask], covered[mask])
    assert (part[~mask] == GREY).all()
    assert not part_covered[~mask].any()
    assert (renderer.render(camera, np.zeros((72, 96), bool))[0] == GREY).all()
    with pytest.raises(ShapeError, match=r"\(3, 4\)"):
        renderer.render(camera, np.ones((3, 4), bool))


@pytest.mark.parametrize("lens", ["pinhole", "brown"])
def test_strips_join_without_a_seam(monkeypatch, lens):
    camera = replace(around()[1], lens=lens, distortion=(0.1, -0.05) if lens == "brown" else ())
    renderer = TexturedRenderer(textured(box_mesh(), box_texture()))
    whole, _ = renderer.render(camera)
    monkeypatch.setattr(shade, "STRIP_SAMPLES", 96 * 4 * 5)
    np.testing.assert_allclose(renderer.render(camera)[0], whole, atol=2e-5)


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("suffix", [".obj", ".ply", ".glb"])
def test_renders_equal_those_of_the_neutral_evaluator(tmp_path, evaluator, suffix):
    """Through another library's loader and another renderer: exporter, lookup and half pixels all agree."""
    mesh, texture = box_mesh(), box_texture()
    path = write_textured(tmp_path / f"box{suffix}", mesh, texture)
    loaded = evaluator.load_mesh(str(path))
    camera = look_at(np.array([4.0, 3, 2]), np.zeros(3), size=(160, 120), focal=170)
    theirs = {"K": camera.K, "T": camera.world_from_cam, "width": 160, "height": 120, "dist": None}
    image, coverage = evaluator.render(loaded, evaluator.Caster(loaded["V"], loaded["F"]), theirs)
    ours, our_coverage = render_textured(textured(mesh, texture), camera)
    assert np.abs(ours * 255 - image).mean() < 0.1
    assert np.abs(our_coverage - coverage).mean() < 1e-3
