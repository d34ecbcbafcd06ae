"""The house rules that no reviewer should have to remember."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "neuraltex"
LAYERS = [
    {"core"},
    {"config"},
    {"geometry"},
    {"io"},
    {"render", "texture", "losses", "report"},
    {"metrics", "demo"},
    {"fit"},
    {"learn"},
    {"stages"},
    {"cli"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(PACKAGE.rglob("*.py"))


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    own = layer_of(path)
    if own not in LEVEL:
        assert own in ("__init__", "__main__")
        return
    for name in imports_of(ast.parse(path.read_text())):
        parts = name.split(".")
        if parts[0] != "neuraltex" or len(parts) < 2 or parts[1] not in LEVEL or parts[1] == own:
            continue
        assert LEVEL[parts[1]] < LEVEL[own], f"{path.relative_to(ROOT)} ({own}) imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_cli_exits_and_only_stages_print(path):
    if layer_of(path) in ("cli", "stages", "__main__"):
        return
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    names = {getattr(call, "id", getattr(call, "attr", "")) for call in calls if isinstance(call, ast.Name)}
    assert not names & {"print", "exit", "eval", "exec"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_stay_small(path):
    assert len(path.read_text().splitlines()) <= 320, f"{path.relative_to(ROOT)} holds more than one concept"


def test_axis_flips_live_in_conventions():
    pattern = re.compile(r"\[\.\.\., ::-1\]|1(?:\.0)? - (?:uv\[|v\b(?! ?\*\*))|diag\(\[?1(?:\.0)?, -1(?:\.0)?, -1")
    guilty = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in MODULES
        if path.name != "conventions.py"
        for line in path.read_text().splitlines()
        if pattern.search(line)
    ]
    assert not guilty, "\n".join(guilty)


def test_nothing_names_this_machine():
    pattern = re.compile(r"/work/|/root/|/tmp/|pypi\.org|pythonhosted|deb\.debian|registry\.npmjs")
    suffixes = {".py", ".sh", ".md", ".yaml", ".toml", ".json", ".txt", ".html", ".js", ".css"}
    skip = {".venv", "outputs", ".git", "build"}
    files = [p for p in ROOT.rglob("*") if p.suffix in suffixes and not skip & set(p.relative_to(ROOT).parts)]
    guilty = [
        str(p.relative_to(ROOT)) for p in files if p != Path(__file__) and pattern.search(p.read_text(errors="replace"))
    ]
    assert not guilty


def test_import_linter_agrees():
    # In a process of its own: the tool replaces the configuration of all loggers.
    code = "from importlinter import cli; cli.lint_imports_command()"
    result = subprocess.run(
        [sys.executable, "-c", code, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
