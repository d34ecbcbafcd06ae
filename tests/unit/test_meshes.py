"""Mesh files: every format, the odd corners of each, and what is refused."""

import struct
import time

import numpy as np
import pytest
from PIL import Image

from neuraltex.core.errors import DataError, OutputError
from neuraltex.geometry.mesh import Mesh
from neuraltex.io.meshes import read_mesh, read_textured_mesh, write_mesh
from neuraltex.io.off import write as write_off
from neuraltex.io.ply import write as write_ply

SQUARE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float)
QUAD_FACES = [[0, 1, 2], [0, 2, 3]]


@pytest.fixture
def seam_mesh() -> Mesh:
    """Two triangles over four vertices whose shared edge is a seam: six uvs."""
    uvs = np.array([[0, 0], [0.25, 0], [0.25, 0.5], [0.5, 0.5], [1, 1], [0.5, 1]])
    return Mesh(SQUARE, np.array(QUAD_FACES), uvs, np.array([[0, 1, 2], [3, 4, 5]]))


def put(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".off", ".stoff", ".glb", ".stl"])
def test_written_mesh_reads_back(tmp_path, seam_mesh, suffix):
    path = write_mesh(tmp_path / f"m{suffix}", seam_mesh)
    mesh = read_mesh(path)
    np.testing.assert_array_equal(mesh.corners, seam_mesh.corners)
    if suffix == ".stl":
        assert not mesh.has_uv
        assert len(mesh.vertices) == 4  # shared corners were merged again
    else:
        np.testing.assert_array_equal(mesh.corner_uvs, seam_mesh.corner_uvs)


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".off", ".glb"])
def test_mesh_without_uv_stays_without(tmp_path, suffix):
    path = write_mesh(tmp_path / f"m{suffix}", Mesh(SQUARE, np.array(QUAD_FACES)))
    assert not read_mesh(path).has_uv


def test_obj_polygons_relative_indices_comments_and_continuation_lines(tmp_path):
    text = """# a comment
v 0 0 0
  v 1 0 0 # trailing
v 1 1 0
v 0 1 \\
 0
vt 0 0
vt 1 0 0
vt 1 1
vt 0 1
f -4/-4 -3/-3 -2/-2 -1/-1
v 5 5 5
f 1//7 2//7 3//7 # normals that do not exist are not needed
"""
    mesh = read_mesh(put(tmp_path / "m.obj", text.replace("\n", "\r\n")))
    np.testing.assert_array_equal(mesh.faces, [*QUAD_FACES, [0, 1, 2]])
    np.testing.assert_array_equal(mesh.corner_uvs[:2], SQUARE[:, :2][QUAD_FACES])
    np.testing.assert_array_equal(mesh.corner_uvs[2], 0)  # no uv: a row of its own


def test_obj_negative_index_counts_from_its_own_line(tmp_path):
    text = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -2 -1\nv 0 0 9\nv 1 0 9\nv 0 1 9\nf -3 -2 -1\n"
    np.testing.assert_array_equal(read_mesh(put(tmp_path / "m.obj", text)).faces, [[0, 1, 2], [3, 4, 5]])


def test_obj_with_several_materials(tmp_path):
    for name, color in (("red stone", 200), ("b", 50)):
        Image.fromarray(np.full((4, 4, 3), color, np.uint8)).save(tmp_path / f"{name}.png")
    put(
        tmp_path / "m.mtl",
        "newmtl one\nmap_Kd -s 1 1 1 red stone.png\nnewmtl two\nKd 1 0 0\nnewmtl three\nmap_kd b.png\n",
    )
    faces = "usemtl three\nf 1/1 2/1 3/1\nusemtl one\nf 1/1 2/1 3/1\nusemtl two\nf 1/1 2/1 3/1\n"
    put(tmp_path / "m.obj", "mtllib m.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\n" + faces)
    textured = read_textured_mesh(tmp_path / "m.obj")
    shown = [textured.textures[i][0, 0, 0] if i >= 0 else None for i in textured.face_texture_idx]
    assert shown == [50, 200, None]


def test_obj_vertex_colors(tmp_path):
    text = "v 0 0 0 1 0 0\nv 1 0 0 0 1 0\nv 0 1 0 0 0 .5\nf 1 2 3\n"
    colors = read_textured_mesh(put(tmp_path / "m.obj", text)).vertex_colors
    np.testing.assert_array_equal(colors, [[1, 0, 0], [0, 1, 0], [0, 0, 0.5]])


def test_obj_without_its_material_file_is_read_with_a_warning(tmp_path, caplog):
    text = "mtllib lost.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nusemtl a\nf 1/1 2/1 3/1\n"
    assert read_textured_mesh(put(tmp_path / "m.obj", text)).textures == ()
    assert "lost.mtl" in caplog.text


PLY_HEAD = (
    "ply\nformat {format} 1.0\n{comment}element vertex 4\nproperty {real} x\nproperty {real} y\nproperty {real} z\n"
)


@pytest.mark.parametrize("order", ["ascii", "<", ">"])
@pytest.mark.parametrize("mixed", [False, True], ids=["uniform", "mixed polygons"])
def test_ply_with_wedge_uv_as_openmvs_writes_it(tmp_path, order, mixed):
    formats = {"ascii": "ascii", "<": "binary_little_endian", ">": "binary_big_endian"}
    Image.fromarray(np.full((2, 2, 3), 7, np.uint8)).save(tmp_path / "a b.png")
    Image.fromarray(np.full((2, 2, 3), 9, np.uint8)).save(tmp_path / "second.png")
    comment = "comment TextureFile a b.png\ncomment TextureFile second.png\n"
    polygons = [[0, 1, 2, 3], [2, 1, 0]] if mixed else [[0, 1, 2], [0, 2, 3]]
    numbers = [1, 0]
    head = PLY_HEAD.format(format=formats[order], comment=comment, real="float") + (
        f"element face {len(polygons)}\nproperty list uchar int vertex_indices\n"
        "property list uchar float texcoord\nproperty uchar texnumber\nend_header\n"
    )
    body = b""
    for vertex in SQUARE.tolist():
        body += (
            f"{vertex[0]} {vertex[1]} {vertex[2]}\n".encode()
            if order == "ascii"
            else struct.pack(order + "3f", *vertex)
        )
    for polygon, number in zip(polygons, numbers, strict=True):
        uv = SQUARE[polygon, :2].ravel().tolist()
        values = [len(polygon), *polygon, len(uv), *uv, number]
        layout = f"{order}B{len(polygon)}iB{len(uv)}fB"
        body += (" ".join(map(str, values)) + "\n").encode() if order == "ascii" else struct.pack(layout, *values)
    textured = read_textured_mesh(put(tmp_path / "m.ply", head.encode() + body))
    mesh = textured.mesh
    expected = [*QUAD_FACES, [2, 1, 0]] if mixed else QUAD_FACES
    np.testing.assert_array_equal(mesh.faces, expected)
    np.testing.assert_array_equal(mesh.corner_uvs, SQUARE[:, :2][expected])
    assert [t[0, 0, 0] for t in textured.textures] == [7, 9]
    np.testing.assert_array_equal(textured.face_texture_idx, [1, 1, 0] if mixed else [1, 0])


@pytest.mark.parametrize("names", [("s", "t"), ("u", "v"), ("texture_u", "texture_v")])
def test_ply_with_uv_and_color_per_vertex(tmp_path, names):
    head = PLY_HEAD.format(format="ascii", comment="comment made by hand\n", real="double")
    head += "".join(f"property float {name}\n" for name in names)
    head += "".join(f"property uchar {name}\n" for name in ("red", "green", "blue"))
    rows = "".join(f"{x} {y} {z} {x} {y} 255 0 51\n" for x, y, z in SQUARE)
    text = head + "element face 2\nproperty list uchar uint vertex_index\nend_header\n" + rows + "3 0 1 2\n3 0 2 3\n"
    textured = read_textured_mesh(put(tmp_path / "m.ply", text))
    np.testing.assert_array_equal(textured.mesh.corner_uvs, SQUARE[:, :2][QUAD_FACES])
    np.testing.assert_allclose(textured.vertex_colors, np.tile([1, 0, 0.2], (4, 1)))


def test_ply_elements_that_are_not_needed_are_passed_over(tmp_path):
    head = PLY_HEAD.format(format="ascii", comment="", real="float").replace(
        "element vertex", "element note 2\nproperty list uchar int values\nelement vertex"
    )
    rows = "1 5\n3 1 2 3\n" + "".join(f"{x} {y} {z}\n" for x, y, z in SQUARE)
    text = head + "element face 1\nproperty list uchar int vertex_indices\nend_header\n" + rows + "4 0 1 2 3\n"
    np.testing.assert_array_equal(read_mesh(put(tmp_path / "m.ply", text)).faces, QUAD_FACES)


def test_ply_keeps_georeferenced_positions(tmp_path):
    far = SQUARE + np.array([452_000.123, 5_411_000.456, 0])
    path = write_mesh(tmp_path / "m.ply", Mesh(far, np.array(QUAD_FACES)))
    np.testing.assert_array_equal(read_mesh(path).vertices, far)


def test_ply_writes_texture_name_and_colors(tmp_path, seam_mesh):
    Image.fromarray(np.full((2, 2, 3), 3, np.uint8)).save(tmp_path / "t.png")
    path = write_ply(tmp_path / "m.ply", seam_mesh, texture_file="t.png", vertex_colors=np.full((4, 3), 0.2))
    textured = read_textured_mesh(path)
    assert textured.textures[0].max() == 3
    np.testing.assert_array_equal(textured.face_texture_idx, [0, 0])
    np.testing.assert_allclose(textured.vertex_colors, 0.2)


def test_off_with_colors_comments_and_colored_faces(tmp_path):
    text = "COFF # colored\n# counts\n4 1 0\n\n"
    text += "".join(f"{x} {y} {z} 255 0 51 255\n" for x, y, z in SQUARE) + "4 0 1 2 3 0.5 0.5 0.5\n\n# end\n"
    textured = read_textured_mesh(put(tmp_path / "m.off", text))
    np.testing.assert_array_equal(textured.mesh.faces, QUAD_FACES)
    np.testing.assert_allclose(textured.vertex_colors, np.tile([1, 0, 0.2], (4, 1)))


def test_stoff_of_the_original(tmp_path):
    text = "STOFF\n4 2 0\n" + "".join(f"{x} {y} {z} {x} {y}\n" for x, y, z in SQUARE) + "3 0 1 2\n3 0 2 3\n"
    np.testing.assert_array_equal(read_mesh(put(tmp_path / "m.off", text)).corner_uvs, SQUARE[:, :2][QUAD_FACES])


def test_off_with_counts_on_the_first_line(tmp_path):
    text = "OFF 4 1 0\n" + "".join(f"{x} {y} {z}\n" for x, y, z in SQUARE) + "4 0 1 2 3"
    assert read_mesh(put(tmp_path / "m.off", text)).num_faces == 2


def test_stoff_of_a_mesh_without_uv_is_refused(tmp_path):
    with pytest.raises(DataError, match="no texture coordinates"):
        write_off(tmp_path / "m.off", Mesh(SQUARE, np.array(QUAD_FACES)), uv=True)


def test_text_stl(tmp_path):
    facet = "facet normal 0 0 1\n outer loop\n  vertex 0 0 0\n  vertex 1 0 0\n  vertex 0 1 0\n endloop\nendfacet\n"
    mesh = read_mesh(put(tmp_path / "m.stl", f"solid a\n{facet}{facet}endsolid a\n"))
    assert mesh.num_faces == 2
    assert len(mesh.vertices) == 3


def test_binary_stl_that_starts_with_solid(tmp_path, seam_mesh):
    path = write_mesh(tmp_path / "m.stl", seam_mesh)
    put(path, b"solid" + path.read_bytes()[5:])
    assert read_mesh(path).num_faces == 2


def test_glb_with_two_textures_and_a_moved_node(tmp_path):
    import trimesh

    scene = trimesh.Scene()
    for index, color in enumerate((40, 90)):
        material = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.new("RGB", (2, 2), (color, 0, 0)))
        visual = trimesh.visual.TextureVisuals(uv=SQUARE[:, :2], material=material)
        part = trimesh.Trimesh(SQUARE, QUAD_FACES, visual=visual, process=False)
        scene.add_geometry(part, transform=trimesh.transformations.translation_matrix([0, 0, 3 * index]))
    (tmp_path / "m.glb").write_bytes(scene.export(file_type="glb"))
    textured = read_textured_mesh(tmp_path / "m.glb")
    assert textured.mesh.num_faces == 4
    np.testing.assert_array_equal(np.unique(textured.mesh.vertices[:, 2]), [0, 3])
    for face in range(4):
        red = 40 if textured.mesh.corners[face, 0, 2] == 0 else 90
        assert textured.textures[textured.face_texture_idx[face]][0, 0, 0] == red
    np.testing.assert_array_equal(textured.mesh.corner_uvs[:2], SQUARE[:, :2][QUAD_FACES])


BROKEN = {
    "nan.obj": ("v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "NaN or infinite"),
    "inf.off": ("OFF\n3 1 0\n0 0 inf\n1 0 0\n0 1 0\n3 0 1 2\n", "NaN or infinite"),
    "uv.obj": ("v 0 0 0\nv 1 0 0\nv 0 1 0\nvt nan 0\nf 1/1 2/1 3/1\n", "texture coordinate"),
    "range.obj": ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "vertex 9 of 3"),
    "range.off": ("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 7\n", "vertex 7 but there are 3"),
    "zero.obj": ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n", "counts from 1"),
    "before.obj": ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf -9 -2 -1\n", "before the first"),
    "empty.obj": ("", "no triangles"),
    "points.obj": ("v 0 0 0\nv 1 0 0\n", "no triangles"),
    "words.obj": ("v 0 zero 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "not a number"),
    "short.obj": ("v 0 0\nv 1 0\nv 0 1\nf 1 2 3\n", "has 2 numbers"),
    "short.off": ("OFF\n3 1 0\n0 0 0\n1 0 0\n", "promises 4 lines"),
    "head.off": ("hello", "does not start with"),
    "corner.off": ("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n4 0 1 2\n", "more corners"),
    "head.ply": ("hello", "not a PLY"),
    "points.ply": (
        PLY_HEAD.format(format="ascii", comment="", real="float") + "end_header\n" + "0 0 0\n" * 4,
        "no faces",
    ),
    "format.ply": (PLY_HEAD.format(format="zip", comment="", real="float") + "end_header\n", "unknown PLY format"),
    "type.ply": ("ply\nformat ascii 1.0\nelement vertex 1\nproperty half x\nend_header\n1\n", "half"),
    "cut.stl": ("solid a\nfacet normal 0 0 1\n", "endsolid"),
    "bad.glb": ("glTF", "cannot be read as glTF"),
    "what.xyz": ("0 0 0", "suffix"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_mesh_is_refused_with_the_file_and_a_hint(tmp_path, name):
    text, reason = BROKEN[name]
    with pytest.raises(DataError, match=reason) as caught:
        read_mesh(put(tmp_path / name, text))
    assert name in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("suffix", [".ply", ".stl"])
def test_truncated_binary_mesh_is_refused(tmp_path, seam_mesh, suffix):
    path = write_mesh(tmp_path / f"m{suffix}", seam_mesh)
    put(path, path.read_bytes()[:-9])
    with pytest.raises(DataError, match="ends"):
        read_mesh(path)


def test_missing_mesh_and_missing_texture_are_named(tmp_path, seam_mesh):
    with pytest.raises(DataError, match=r"nowhere\.obj does not exist"):
        read_mesh(tmp_path / "nowhere.obj")
    path = write_ply(tmp_path / "m.ply", seam_mesh, texture_file="lost.png")
    assert read_mesh(path).has_uv
    with pytest.raises(DataError, match="lost"):
        read_textured_mesh(path)


def test_faces_without_area_are_kept_and_counted(tmp_path, caplog):
    mesh = Mesh(SQUARE, np.array([[0, 1, 2], [0, 1, 1], [2, 2, 2]]))
    assert read_mesh(write_mesh(tmp_path / "m.ply", mesh)).num_faces == 3
    assert "2 of 3 faces without area" in caplog.text


def test_unknown_suffix_cannot_be_written(tmp_path, seam_mesh):
    with pytest.raises(DataError, match="suffix"):
        write_mesh(tmp_path / "m.fbx", seam_mesh)


def test_failed_write_leaves_the_old_file(tmp_path, seam_mesh):
    path = write_mesh(tmp_path / "m.obj", seam_mesh)
    before = path.read_bytes()
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError):
        write_mesh(tmp_path / "file" / "m.obj", seam_mesh)
    assert path.read_bytes() == before


def test_path_with_spaces_and_letters_of_other_scripts(tmp_path, seam_mesh):
    path = tmp_path / "Küche mit Licht – 台所" / "模型 1.obj"
    assert read_mesh(write_mesh(path, seam_mesh)).num_faces == 2


def test_large_obj_is_parsed_in_bulk(tmp_path):
    count = 300
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, count)] * 2), -1).reshape(-1, 2)
    i = np.arange(count * count).reshape(count, count)
    a, b, c, d = i[:-1, :-1], i[:-1, 1:], i[1:, 1:], i[1:, :-1]
    faces = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    mesh = Mesh(np.c_[grid, grid[:, :1]], faces, grid, faces)
    path = write_mesh(tmp_path / "m.obj", mesh)
    start = time.process_time()
    assert read_mesh(path).num_faces == len(faces)
    assert time.process_time() - start < 5  # 0.3 s for 179k faces; a loop over lines takes several times that


@pytest.mark.data
def test_castle_mesh(test_data):
    start = time.process_time()
    mesh = read_mesh(test_data / "castle" / "scene_mesh_refine.ply")
    assert time.process_time() - start < 3
    assert (len(mesh.vertices), mesh.num_faces, mesh.has_uv) == (87685, 174899, False)


@pytest.mark.data
def test_real_textured_objects(test_data):
    for line in (test_data / "textured_objects" / "list.tsv").read_text().splitlines()[1:]:
        name, vertices, faces, size = line.split("\t")[:4]
        textured = read_textured_mesh(test_data / "textured_objects" / name / "mesh.obj")
        height, width = textured.textures[0].shape[:2]
        assert (len(textured.mesh.vertices), textured.mesh.num_faces) == (int(vertices), int(faces)), name
        assert f"{width}x{height}" == size, name
        assert textured.mesh.has_uv
        assert (textured.face_texture_idx == 0).all()
