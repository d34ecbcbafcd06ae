"""Folders of training samples."""

import json

import numpy as np
import pytest
from PIL import Image
from test_atlas import square

from neuraltex.core.errors import DataError
from neuraltex.io.npz import read_npz
from neuraltex.learn.batches import Batches
from neuraltex.learn.data import files
from neuraltex.learn.data.dataset import FolderSet
from neuraltex.learn.partial import Partial
from neuraltex.texture.atlas import canonical_positions, make_atlas
from neuraltex.texture.layout import layout_of


def partial() -> Partial:
    mesh = square()
    atlas, generator = make_atlas(mesh, 16), np.random.default_rng(0)
    direct = atlas.inside & (generator.random((16, 16)) < 0.5)
    mirrored = atlas.inside & ~direct & (generator.random((16, 16)) < 0.5)
    known = direct | mirrored
    color = np.where(known[..., None], generator.random((16, 16, 3)), 0).astype(np.float32)
    source = np.where(known[..., None], generator.random((16, 16, 2)), np.nan).astype(np.float32)
    positions = canonical_positions(atlas.positions(mesh), atlas.inside)
    confidence = (known * 0.5).astype(np.float32)
    maps = (atlas.inside, atlas.normals(mesh), positions, layout_of(mesh))
    return Partial(color, direct, mirrored, confidence, source, *maps)


def picture(folder, kind):
    return np.asarray(Image.open(files.sample_file(folder, kind, "-10", "anna")))


def test_samples_lie_where_the_published_training_code_looks(tmp_path):
    given, photo = partial(), np.full((6, 4, 3), 0.5)
    files.write_sample(tmp_path, "anna", -10, given, photo)
    assert np.abs(picture(tmp_path, "symmetry") / 255 - given.color).max() < 0.5 / 255 + 1e-6
    assert np.array_equal(picture(tmp_path, "mask_symm") == 255, given.known)
    assert np.array_equal(picture(tmp_path, "direct") == 255, given.direct)
    assert (tmp_path / "normal_map" / "-10" / "anna_normal_map.png").is_file()
    assert (picture(tmp_path, "normal_map") == (128, 128, 255)).all()  # outside the charts too
    positions = read_npz(files.sample_file(tmp_path, "position_map", "-10", "anna"))["position_map"]
    assert np.abs(files.decode_unit(positions) * 2 - 1 - given.positions).max() < 2e-5
    source = files.decode_unit(read_npz(files.sample_file(tmp_path, "source", "-10", "anna"))["source"])
    assert np.nanmax(np.abs(source - given.source)) < 1e-5
    assert picture(tmp_path, "photo").shape == (6, 4, 3)
    assert files.write_subject(tmp_path, "anna", given.color) == tmp_path / "texture_map" / "anna_texture_map.png"


def test_a_folder_holds_one_layout(tmp_path):
    files.write_sample(tmp_path, "anna", "front", partial())
    mesh = square()
    other = layout_of(mesh.with_uv(mesh.uvs * (2, 0.5), mesh.uv_faces[:, ::-1]))
    with pytest.raises(DataError, match="expected"):
        files.write_layout(tmp_path, other, partial().inside)
    content = json.loads((tmp_path / "layout.json").read_text())
    (tmp_path / "layout.json").write_text(json.dumps({**content, "size": 3}))
    with pytest.raises(DataError, match="is no uv layout"):
        files.read_layout(tmp_path)


def test_the_shift_of_a_sample_is_kept(tmp_path):
    shift = np.random.default_rng(1).uniform(-0.2, 0.2, (16, 16, 2)).astype(np.float32)
    files.write_sample(tmp_path, "anna", 0, partial(), shift=shift)
    files.write_sample(tmp_path, "anna", 10, partial())
    files.write_subject(tmp_path, "anna", partial().color)
    files.write_sample(tmp_path, "bert", 10, partial())
    files.write_subject(tmp_path, "bert", 1 - partial().color)
    inside = partial().inside[..., None]
    with_shift, without = FolderSet(tmp_path, "all", angles=[0]), FolderSet(tmp_path, "all", angles=[10])
    np.testing.assert_allclose(with_shift.arrays(0)["shift"], shift * inside, atol=2e-4)
    assert "shift" not in without.arrays(0)
    assert "shift" in Batches(with_shift).take([0])[0]
    assert "shift" not in Batches(FolderSet(tmp_path, "all")).take([0])[0]  # known of one of two
