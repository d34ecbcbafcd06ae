"""Nothing is half written, and the reason for a failed write is told."""

import errno
import json
import os

import pytest

from neuraltex.core.errors import DataError, OutputError
from neuraltex.core.files import atomic_path, claim_output_dir, read_json, write_json


def test_failure_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="boom"), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("boom")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not (tmp_path / "a.json").exists()


def test_broken_json_names_file_and_line(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1,\n oops')
    with pytest.raises(DataError, match=r"a\.json is not valid JSON .*line 2"):
        read_json(tmp_path / "a.json")


def test_output_is_not_mixed_with_old_results(tmp_path):
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "x").write_text("precious")
    with pytest.raises(OutputError, match="--overwrite"):
        claim_output_dir(tmp_path / "o", overwrite=False)
    assert (tmp_path / "o" / "x").read_text() == "precious"
    claim_output_dir(tmp_path / "o", overwrite=False, keep=True)
    assert (tmp_path / "o" / "x").exists()
    claim_output_dir(tmp_path / "o", overwrite=True)
    assert list((tmp_path / "o").iterdir()) == []


def test_file_in_the_way_of_a_folder(tmp_path):
    (tmp_path / "f").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        claim_output_dir(tmp_path / "f", overwrite=True)
    with pytest.raises(OutputError, match="part of the path is a file"):
        claim_output_dir(tmp_path / "f" / "g", overwrite=False)


def test_full_disk_is_named(tmp_path):
    full = "/dev/full"
    if not os.path.exists(full):
        pytest.skip("no /dev/full on this system")
    from neuraltex.core.files import translate_write_errors

    with pytest.raises(OutputError, match="disk is full"), translate_write_errors(tmp_path / "x"):  # noqa: SIM117
        with open(full, "w") as file:
            file.write("x" * 10)
            file.flush()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.EROFS, "read-only"),
        (errno.EACCES, "not writable"),
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "quota"),
    ],
)
def test_what_the_system_refuses_is_said_and_the_old_file_kept(tmp_path, code, reason):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OutputError, match=f"a.txt: .*{reason}.*--output-dir"), atomic_path(path):
        raise OSError(code, os.strerror(code))
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_read_only_folder_is_refused_before_any_work():
    if not os.path.isdir("/sys/kernel"):
        pytest.skip("this system has no /sys, where nobody may make a folder")
    with pytest.raises(OutputError, match="cannot write /sys/kernel/neuraltex"):
        claim_output_dir("/sys/kernel/neuraltex", overwrite=False)


def test_unicode_json_round_trip(tmp_path):
    path = write_json(tmp_path / "ü ö.json", {"name": "Käse 日本"})
    assert "Käse 日本" in path.read_text(encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "Käse 日本"}
