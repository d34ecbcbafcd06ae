import json
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from box_scene import box_mesh, box_texture

from neuraltex.core.errors import DataError, OutputError, UsageError
from neuraltex.geometry.mesh import Mesh
from neuraltex.io import export
from neuraltex.io.export import SUFFIXES, sidecars, write_textured
from neuraltex.io.images import read_exr, read_rgb, to_uint8
from neuraltex.io.meshes import read_textured_mesh
from neuraltex.io.polygons import split_seams


def read_gltf(path: Path) -> tuple[dict, bytes]:
    """The JSON and the binary chunk of a GLB, read by hand."""
    content = path.read_bytes()
    length = struct.unpack("<I", content[12:16])[0]
    return json.loads(content[20 : 20 + length]), content[20 + length + 8 :]


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply"])
def test_what_is_written_reads_back_the_same(tmp_path, suffix):
    mesh, texture = box_mesh(), box_texture()
    path = write_textured(tmp_path / f"größe und länge{suffix}", mesh, texture)
    back = read_textured_mesh(path)
    np.testing.assert_allclose(back.mesh.corners, mesh.corners, atol=1e-6)
    np.testing.assert_allclose(back.mesh.corner_uvs, mesh.corner_uvs, atol=1e-6)
    np.testing.assert_array_equal(back.textures[0][..., :3], texture)
    assert (back.face_texture_idx == 0).all()


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply"])
def test_trimesh_reads_the_same_uvs_and_texels(tmp_path, suffix):
    import trimesh

    mesh, texture = box_mesh(), box_texture()
    path = write_textured(tmp_path / f"box{suffix}", mesh, texture)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = trimesh.load(path, process=False, force="mesh")
    np.testing.assert_allclose(loaded.vertices[loaded.faces], mesh.corners, atol=1e-6)
    np.testing.assert_allclose(loaded.visual.uv[loaded.faces], mesh.corner_uvs, atol=1e-6)
    material = loaded.visual.material
    image = getattr(material, "baseColorTexture", None) or material.image
    np.testing.assert_array_equal(np.asarray(image.convert("RGB")), texture)


def test_glb_is_unlit_double_sided_clamped_and_flips_v_once(tmp_path):
    tree, _ = read_gltf(write_textured(tmp_path / "box.glb", box_mesh(), box_texture()))
    assert tree["materials"][0]["extensions"] == {"KHR_materials_unlit": {}}
    assert "KHR_materials_unlit" in tree["extensionsUsed"]
    assert tree["materials"][0]["doubleSided"] is True
    assert tree["samplers"] == [{"magFilter": 9729, "minFilter": 9729, "wrapS": 33071, "wrapT": 33071}]
    assert tree["textures"][0] == {"source": 0, "sampler": 0}
    assert tree["images"][0]["mimeType"] == "image/png"
    attributes = tree["meshes"][0]["primitives"][0]["attributes"]
    assert set(attributes) == {"POSITION", "NORMAL", "TEXCOORD_0"}
    v = box_mesh().uvs[:, 1]
    assert tree["accessors"][attributes["TEXCOORD_0"]]["min"][1] == pytest.approx(1 - v.max(), abs=1e-6)


@pytest.mark.parametrize("suffix", [".glb", ".ply"])
def test_georeferenced_scenes_keep_their_shape_in_single_precision_formats(tmp_path, suffix):
    center = (4.5e5, 5.4e6, 300.0)
    mesh = box_mesh(center)
    back = read_textured_mesh(write_textured(tmp_path / f"far{suffix}", mesh, box_texture()))
    np.testing.assert_allclose(back.mesh.corners, mesh.corners, atol=1e-6)


def test_seams_split_vertices_and_keep_face_order():
    mesh = box_mesh()
    positions, uvs, faces, vertex = split_seams(mesh)
    assert len(positions) == len(uvs) == 24 > len(mesh.vertices) == 8
    np.testing.assert_array_equal(positions[faces], mesh.corners)
    np.testing.assert_array_equal(uvs[faces], mesh.corner_uvs)
    np.testing.assert_array_equal(vertex[faces], mesh.faces)


def test_normals_are_smooth_across_seams_and_point_outwards():
    normals = box_mesh().vertex_normals
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
    assert ((normals * box_mesh().vertices).sum(1) > 0.9).all()
    lonely = Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]]))
    np.testing.assert_array_equal(lonely.vertex_normals, [[0, 0, 1]] * 3)


def test_texture_files_keep_every_texel(tmp_path):
    texture = np.random.default_rng(0).random((20, 30, 3)).astype(np.float32)
    np.testing.assert_array_equal(read_exr(write_textured(tmp_path / "t.exr", box_mesh(), texture)), texture)
    np.testing.assert_array_equal(read_rgb(write_textured(tmp_path / "t.png", box_mesh(), texture)), to_uint8(texture))
    np.testing.assert_array_equal(to_uint8(np.array([[-1.0, 0.5, 2.0]])), [[0, 128, 255]])


def test_ply_has_vertex_colors_for_programs_without_textures(tmp_path):
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    content = write_textured(tmp_path / "box.ply", box_mesh(), red).read_bytes()
    assert b"comment TextureFile box.png\n" in content
    body = content[content.index(b"end_header\n") + 11 :]
    vertices = np.frombuffer(body, [("p", "<f4", 3), ("rgb", "u1", 3)], 8)
    np.testing.assert_array_equal(vertices["rgb"], [[200, 0, 0]] * 8)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_finished_png_is_taken_as_it_is(tmp_path, suffix):
    """Encoding 4096^2 texels again took five seconds."""
    png = write_textured(tmp_path / "in.png", box_mesh(), box_texture()).read_bytes() + b"marked"
    path = write_textured(tmp_path / f"box{suffix}", box_mesh(), png)
    if suffix == ".exr":
        np.testing.assert_allclose(read_exr(path), box_texture() / 255, atol=1e-6)
    else:
        assert png in (path if suffix == ".glb" else path.with_suffix(".png")).read_bytes()


def test_glb_arrays_are_aligned_and_bounded(tmp_path):
    tree, binary = read_gltf(write_textured(tmp_path / "box.glb", box_mesh(), box_texture()))
    assert len(binary) == tree["buffers"][0]["byteLength"]
    assert all(view["byteOffset"] % 4 == 0 for view in tree["bufferViews"])
    position = tree["accessors"][tree["meshes"][0]["primitives"][0]["attributes"]["POSITION"]]
    assert (position["min"], position["max"]) == ([-1, -1, -1], [1, 1, 1])


def test_sidecars_are_named(tmp_path):
    for suffix in SUFFIXES:
        folder = tmp_path / suffix[1:]
        path = write_textured(folder / f"box{suffix}", box_mesh(), box_texture())
        assert {path, *sidecars(path)} == set(folder.iterdir())


def test_refusals_name_the_file_and_the_fix(tmp_path):
    with pytest.raises(UsageError, match=r"box\.fbx has the suffix '\.fbx'.*Use one of \.glb"):
        write_textured(tmp_path / "box.fbx", box_mesh(), box_texture())
    bare = Mesh(box_mesh().vertices, box_mesh().faces)
    for suffix in (".glb", ".obj", ".ply"):
        with pytest.raises(DataError, match="no texture coordinates"):
            write_textured(tmp_path / f"bare{suffix}", bare, box_texture())
    with pytest.raises(DataError, match="NaN or infinite"):
        write_textured(tmp_path / "nan.exr", box_mesh(), np.full((4, 4, 3), np.nan))
    assert not list(tmp_path.glob("*.exr"))


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = write_textured(tmp_path / "box.glb", box_mesh(), box_texture())
    before = path.read_bytes()

    def full_disk(*_):
        yield b"glTF"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "textured_glb", full_disk)
    with pytest.raises(OutputError, match="disk is full"):
        write_textured(path, box_mesh(), 255 - box_texture())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
