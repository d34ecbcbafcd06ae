"""make-avatars: from textures and bodies to folders of samples, and back into arrays."""

import json

import numpy as np
import pytest

from neuraltex.cli import main
from neuraltex.io.images import write_rgb
from neuraltex.io.meshes import write_mesh
from neuraltex.learn.data.dataset import FolderSet
from neuraltex.learn.data.procedural import procedural_sample, template_mesh
from neuraltex.learn.data.read_sample import reduce_mean

SMALL = ("--size", "32", "--photo-size", "96", "--azimuths", "-40", "40", "40", "--test-share", "0.5", "--quiet")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    for seed, name in enumerate(("ann", "bob", "bob_variant")):
        truth = procedural_sample(min(seed, 1), 64).truth
        write_rgb(folder / "skins" / f"{name}.png", np.round(truth * 255).astype(np.uint8))
    write_mesh(folder / "body.obj", template_mesh("figure"))
    return folder


@pytest.fixture(scope="module")
def made(inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out") / "avatars"
    assert run(inputs, folder) == 0
    return folder


def run(inputs, folder, *more):
    arguments = ["make-avatars", "--textures", str(inputs / "skins"), "--bodies", str(inputs / "body.obj")]
    return call([*arguments, "--output-dir", str(folder), "--license", "CC0", *SMALL, *more])


def call(arguments):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return stopped.value.code


def test_the_folder_says_what_it_holds(made):
    index = json.loads((made / "avatars.json").read_text())
    assert index["license"] == "CC0"
    assert index["variants"] == [["bob", "bob_variant"]]
    assert set(index["subjects"]) == set(index["split"]) == {"ann", "bob", "bob_variant"}
    assert index["split"]["bob"] == index["split"]["bob_variant"] != index["split"]["ann"]
    assert sorted(path.name for path in (made / "symmetry").iterdir()) == ["-40", "0", "40"]


def test_no_subject_is_in_two_splits_and_none_is_lost(made):
    splits = [FolderSet(made, split) for split in ("train", "test")]
    subjects = [{split.subject(index) for index in range(len(split))} for split in splits]
    assert not subjects[0] & subjects[1]
    assert subjects[0] | subjects[1] == {"ann", "bob", "bob_variant"}
    assert sum(map(len, splits)) == 9 == len(FolderSet(made, "all"))


def test_arrays_are_what_the_photograph_shows(made):
    samples = FolderSet(made, "all", subjects="ann", angles=[0])
    assert (len(samples), samples.subject(0), samples.angle(0)) == (1, "ann", "0")
    assert samples.layout.matches(samples.layout)
    assert samples.rest_mesh.num_faces == template_mesh("figure").num_faces
    arrays = samples.arrays(0)
    truth, direct = arrays["truth"], arrays["direct"]
    np.testing.assert_allclose(
        truth, reduce_mean(procedural_sample(0, 64).truth, np.ones((64, 64), bool), 2)[0], atol=0.01
    )
    assert 0.2 < direct.mean() < 0.6
    assert np.abs(arrays["color"] - truth)[direct].mean() < 0.05
    assert not (direct & arrays["mirrored"]).any()
    assert (arrays["confidence"] > 0)[direct].all()
    lengths = np.linalg.norm(arrays["normals"], axis=-1)[arrays["inside"]]
    np.testing.assert_allclose(lengths, 1, atol=0.01)
    assert arrays["normals"][direct][:, 2].mean() > 0.6
    assert np.abs(arrays["positions"]).max() == pytest.approx(1, abs=0.02)


def test_maps_that_views_share_are_stored_once(made):
    files = [made / "normal_map" / angle / "ann_normal_map.png" for angle in ("-40", "0", "40")]
    assert len({path.stat().st_ino for path in files}) == 1
    views = FolderSet(made, "all", subjects="ann")
    assert len({id(packed["positions"]) for packed in views._packed}) == 1


def test_sizes_that_divide_are_reduced_and_others_refused(made):
    from neuraltex.core.errors import DataError

    half = FolderSet(made, "all", subjects="ann", size=16).arrays(0)
    full = FolderSet(made, "all", subjects="ann").arrays(0)
    assert half["color"].shape == (16, 16, 3)
    assert half["direct"].mean() == pytest.approx(full["direct"].mean(), abs=0.1)
    np.testing.assert_allclose(half["truth"].mean(), full["truth"].mean(), atol=0.01)
    with pytest.raises(DataError, match="not a multiple of 20"):
        FolderSet(made, "all", size=20)
    with pytest.raises(DataError, match="no such samples"):
        FolderSet(made, "all", subjects="nobody")


def test_folders_of_published_code_are_read_with_less(made, tmp_path, caplog):
    import shutil

    for name in ("symmetry", "mask_symm", "normal_map", "texture_map"):
        shutil.copytree(made / name, tmp_path / name)
    bare = FolderSet(tmp_path, "all", mesh=template_mesh("figure"))
    whole = FolderSet(made, "all")
    ours, theirs = bare.arrays(3), whole.arrays(3)
    np.testing.assert_array_equal(ours["direct"], theirs["direct"] | theirs["mirrored"])
    assert not ours["mirrored"].any()
    assert (ours["confidence"][ours["direct"]] == 1).all()
    assert (ours["positions"] == 0).all()
    np.testing.assert_array_equal(ours["normals"], theirs["normals"])
    assert bare.splits["bob"] == bare.splits["bob_variant"]  # found again without avatars.json
    assert bare.layout.topology == whole.layout.topology


def test_a_second_run_adds_what_is_missing_only(inputs, made, capsys):
    (made / "photo" / "40" / "ann.jpg").unlink()
    before = (made / "symmetry" / "0" / "ann_symmetry.png").stat().st_mtime_ns
    assert run(inputs, made, "--json") == 0
    assert json.loads(capsys.readouterr().out)["samples_written"] == 1
    assert (made / "photo" / "40" / "ann.jpg").is_file()
    assert (made / "symmetry" / "0" / "ann_symmetry.png").stat().st_mtime_ns == before
    assert run(inputs, made, "--elevation", "5") == 1
    assert "made with another elevation" in capsys.readouterr().err


def test_runs_are_deterministic(inputs, made, tmp_path):
    assert run(inputs, tmp_path / "again") == 0
    for path in (made / "symmetry").rglob("*.png"):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(made)).read_bytes()


def test_every_body(inputs, tmp_path, capsys):
    write_mesh(tmp_path / "second.obj", template_mesh("figure"))
    assert (
        run(
            inputs,
            tmp_path / "out",
            "--every-body",
            "--json",
            "--bodies",
            str(inputs / "body.obj"),
            str(tmp_path / "second.obj"),
        )
        == 0
    )
    assert json.loads(capsys.readouterr().out)["subjects"] == 6
    split = FolderSet(tmp_path / "out", "all").splits
    assert split["ann__body"] == split["ann__second"]


def test_procedural_folders(tmp_path, capsys):
    folder = tmp_path / "out"
    assert call(["make-avatars", "--procedural", "3", "--output-dir", str(folder), *SMALL, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["samples_written"] == 9
    samples = FolderSet(folder, "all", angles=[40])
    assert [samples.subject(index) for index in range(3)] == [f"figure_{index:06d}" for index in range(3)]
    expected = procedural_sample(1, 32, azimuth=40.0, photo_size=96)
    np.testing.assert_allclose(samples.arrays(1)["color"], expected.partial.color, atol=0.51 / 255)
    np.testing.assert_array_equal(samples.arrays(1)["mirrored"], expected.partial.mirrored)


def test_procedural_photographs_from_random_sides(tmp_path):
    """Every photograph has a side of its own, the same again each time."""
    for name, jitter in (("plain", "0"), ("random", "30"), ("again", "30")):
        flags = ("--procedural", "3", "--azimuth-jitter", jitter, "--output-dir", str(tmp_path / name), *SMALL)
        assert call(["make-avatars", *flags]) == 0
    plain, random, again = (FolderSet(tmp_path / name, "all") for name in ("plain", "random", "again"))
    changed = 0
    for index in range(len(plain)):
        seen = [samples.arrays(index)["direct"] for samples in (plain, random, again)]
        np.testing.assert_array_equal(seen[1], seen[2])
        changed += not np.array_equal(seen[0], seen[1])
    assert changed >= len(plain) - 1


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        ([], 2, "a number of procedural subjects"),
        (["--textures", "{skins}"], 2, "--bodies is missing"),
        (["--textures", "{skins}", "--procedural", "2"], 2, "a number of procedural subjects"),
        (["--textures", "{skins}/*.gif", "--bodies", "{body}"], 1, "holds no images"),
        (["--textures", "{skins}", "--bodies", "{body}", "{head}"], 1, "the uv layout is head"),
        (["--textures", "{skins}", "{skins}/../copy/ann.png", "--bodies", "{body}"], 1, "both called ann"),
        (["--procedural", "2", "--azimuths", "10", "0", "5"], 2, "is no range"),
    ],
)
def test_bad_input(inputs, tmp_path, capsys, flags, code, message):
    write_mesh(inputs / "head.obj", template_mesh("head"))
    write_rgb(inputs / "copy" / "ann.png", np.zeros((8, 8, 3), np.uint8))
    names = {"skins": inputs / "skins", "body": inputs / "body.obj", "head": inputs / "head.obj"}
    given = [flag.format(**names) for flag in flags]
    found = call(["make-avatars", "--output-dir", str(tmp_path / "out"), *given])
    assert (found, message in capsys.readouterr().err) == (code, True)


@pytest.mark.data
def test_a_real_skin(test_data, tmp_path):
    source = test_data / "skins_makehuman"
    arguments = [
        "make-avatars",
        "--output-dir",
        str(tmp_path / "out"),
        "--size",
        "128",
        "--photo-size",
        "256",
        "--quiet",
    ]
    arguments += ["--textures", str(source / "core_young_caucasian_female_special_suit.jpg")]
    arguments += [str(source / "core_young_lightskinned_male_diffuse.jpg"), "--azimuths", "0", "180", "180"]
    assert call([*arguments, "--bodies", str(source / "mesh" / "body_base.obj")]) == 0
    for angle in ("0", "180"):
        arrays = FolderSet(tmp_path / "out", "all", angles=[angle], subjects="*suit").arrays(0)
        direct, inside = arrays["direct"], arrays["inside"]
        assert 0.15 < (direct & inside).sum() / inside.sum() < 0.6
        assert np.abs(arrays["color"] - arrays["truth"])[direct].mean() < 0.03
        assert np.sign(arrays["normals"][direct][:, 2].mean()) == (1 if angle == "0" else -1)
