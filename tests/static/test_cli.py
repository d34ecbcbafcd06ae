"""The command line answers at once and its errors are worth reading."""

import subprocess
import sys
import time

import pytest

from neuraltex.cli import VERBS


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "neuraltex", *arguments], capture_output=True, text=True, check=False)


def test_help_lists_every_verb_within_half_a_second():
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        result = run("--help")
        seconds.append(time.perf_counter() - start)
    assert result.returncode == 0
    assert all(f"  {verb} " in result.stdout for verb in VERBS)
    assert min(seconds) < 0.5, seconds


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_every_verb(verb):
    result = run(verb, "--help")
    assert result.returncode == 0, result.stderr
    for flag in ("--overwrite", "--json", "--verbose", "-v", "--quiet", "-q", "--dry-run"):
        assert flag in result.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_help_imports_no_torch(verb):
    heavy = "[m for m in ('torch', 'trimesh', 'viser', 'numba') if m in sys.modules]"
    code = f"import sys, neuraltex.cli, neuraltex.stages.{verb.replace('-', '_')}; print({heavy})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_unknown_verb_names_the_nearest():
    result = run("optimise")
    assert result.returncode == 2
    assert "Did you mean 'optimize'?" in result.stderr


def test_unknown_flag_is_a_usage_error():
    assert run("demo", "--no-such-flag").returncode == 2


def test_missing_scene_is_a_run_error_without_traceback(tmp_path):
    result = run("prepare", "--data", str(tmp_path / "nowhere"), "--output-dir", str(tmp_path / "out"))
    assert result.returncode == 1
    assert "nowhere" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_dry_run_prints_yaml_and_writes_nothing(tmp_path):
    import yaml

    result = run("demo", "--output-dir", str(tmp_path / "demo"), "--dry-run")
    assert result.returncode == 0, result.stderr
    assert yaml.safe_load(result.stdout)["output_dir"] == str(tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


def test_version():
    assert run("--version").stdout.startswith("neuraltex 0.")
