"""YAML to dataclasses: unknown keys and wrong types are errors that help."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from neuraltex.config.load import dump_yaml, find_preset, merge, preset_names, read_yaml
from neuraltex.core.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    kind: Literal["plain", "pyramid"] = "plain"
    layers: tuple[str, ...] = ("a",)


@dataclass(frozen=True)
class Outer:
    steps: int = 3
    inner: Inner = field(default_factory=Inner)
    file: Path | None = None


def test_merge_nested():
    merged = merge(Outer(), {"inner": {"rate": 2, "layers": ["x", "y"]}, "file": "a.png"}, "p.yaml")
    assert merged == Outer(3, Inner(2.0, "plain", ("x", "y")), Path("a.png"))


def test_unknown_key_names_the_nearest_and_the_file():
    with pytest.raises(ConfigError, match=r"p.yaml: inner: unknown key 'rat'. Did you mean 'rate'"):
        merge(Outer(), {"inner": {"rat": 1}}, "p.yaml")


@pytest.mark.parametrize(
    "changes", [{"steps": 1.5}, {"steps": True}, {"steps": "3"}, {"inner": {"kind": "plan"}}, {"inner": 3}, {"file": 3}]
)
def test_wrong_types_are_refused(changes):
    with pytest.raises(ConfigError, match=r"p\.yaml"):
        merge(Outer(), changes, "p.yaml")


def test_yaml_round_trip(tmp_path):
    value = Outer(5, Inner(0.5, "pyramid", ("q",)), Path("ä b.png"))
    path = tmp_path / "c.yaml"
    path.write_text(dump_yaml(value), encoding="utf-8")
    assert merge(Outer(), read_yaml(path), "c.yaml") == value


def test_yaml_tags_are_never_executed(tmp_path):
    path = tmp_path / "evil.yaml"
    path.write_text("steps: !!python/object/apply:os.system ['true']")
    with pytest.raises(ConfigError, match="not valid YAML"):
        read_yaml(path)


def test_presets_are_found_by_name_and_missing_ones_explained():
    assert "neural_texgen" in preset_names()
    assert find_preset("neural_texgen").is_file()
    with pytest.raises(ConfigError, match="Did you mean 'quality'"):
        find_preset("qualty")


def test_a_preset_like_no_other_is_an_error_and_not_a_crash() -> None:
    """There was no nearest name to suggest, and looking for it failed."""
    with pytest.raises(ConfigError, match="zzzzzz"):
        find_preset("zzzzzz")
