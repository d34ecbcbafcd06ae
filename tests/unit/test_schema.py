"""The settings of a fit."""

import dataclasses
import subprocess
import sys

import pytest
import tyro

from neuraltex.config import schema
from neuraltex.config.load import merge
from neuraltex.core.errors import ConfigError
from neuraltex.stages.optimize import Config, default_config

SECTIONS = (schema.TextureConfig, schema.PixelConfig, schema.ColorConfig, schema.LossConfig, schema.LoopConfig)


def parse(*flags: str, preset: str = "quality") -> Config:
    return tyro.cli(Config, args=["--data", "p", "--output-dir", "r", *flags], default=default_config(preset))


def test_flags_win_over_the_preset() -> None:
    config = parse("--loss.l1", "10", "--texture.kind", "pyramid", "--loop.steps", "7", preset="neural_texgen")
    assert (config.loss.l1, config.loss.gradient) == (10, 20)
    assert (config.texture.kind, config.loop.steps, config.loop.beta1) == ("pyramid", 7, 0.5)


def test_defaults_without_a_preset_value_come_from_the_schema() -> None:
    assert parse(preset="neural_texgen").loop.cache_gb == schema.LoopConfig().cache_gb


@pytest.mark.parametrize("section", SECTIONS)
def test_every_flag_has_help(section: type) -> None:
    from tyro._docstrings import get_field_docstring

    for field in dataclasses.fields(section):
        assert get_field_docstring(section, field.name, ()), f"{section.__name__}.{field.name} has no docstring"


@pytest.mark.parametrize(("key", "value"), [("steps", -1), ("batch", -2), ("lr", 0.0), ("lr", float("nan"))])
def test_nonsense_is_refused_with_its_name(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"loop.{key} is"):
        merge(schema.FitConfig(), {"loop": {key: value}}, "test")


def test_schema_and_stage_import_no_torch() -> None:
    code = "import sys, neuraltex.config.schema, neuraltex.stages.optimize; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
