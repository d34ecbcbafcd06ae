"""The presets that ship."""

from dataclasses import replace
from pathlib import Path

import pytest

from neuraltex.config.load import dump_yaml, merge, preset_names, read_yaml
from neuraltex.config.schema import FitConfig
from neuraltex.core.errors import ConfigError, DataError
from neuraltex.stages.optimize import default_config


@pytest.mark.parametrize("name", ["neural_texgen", "fast", "quality", "robust", "style"])
def test_every_preset_loads(name: str) -> None:
    assert name in preset_names()
    config = default_config(name)
    assert config.preset == name


def test_neural_texgen_has_the_numbers_of_the_original() -> None:
    config = default_config("neural_texgen")
    assert (config.loss.l1, config.loss.gradient, config.loss.vgg_content, config.loss.energy) == (10, 20, 10, 0.1)
    assert (config.loop.lr, config.loop.beta1, config.loop.beta2) == (0.01, 0.5, 0.999)
    assert (config.loop.steps, config.loop.decay_steps, config.loop.decay) == (60, 40, "linear")
    assert (config.loop.batch, config.loop.crop) == (0, 0)
    assert (config.texture.kind, config.texture.size, config.texture.levels) == ("pyramid", 2048, 4)
    assert (config.loss.vgg_style, config.loss.vgg_normalize, config.loss.content_layers) == (10, False, ("relu2_2",))
    assert config.loss.tv == config.loss.lpips == 0


def test_preset_with_an_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("loss: {gradent: 3}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mine.yaml: loss: unknown key 'gradent'. Did you mean 'gradient'"):
        default_config(str(path))


def test_preset_with_a_value_of_the_wrong_type_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("loop: {steps: many}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"'many' is a str. Give a value of type int"):
        default_config(str(path))


def test_settings_survive_yaml(tmp_path: Path) -> None:
    """config.yaml of a run must be usable as a preset."""
    config = merge(
        FitConfig(), {"loss": {"style_image": "a b/ä.png", "content_layers": ["relu1_1"]}, "seed": 3}, "test"
    )
    path = tmp_path / "config.yaml"
    path.write_text(dump_yaml(config), encoding="utf-8")
    assert merge(FitConfig(), read_yaml(path), "test") == config


def test_quality_goes_on_without_lpips_unless_its_weights_were_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from neuraltex.io import weights
    from neuraltex.stages import optimize

    def offline() -> list[Path]:
        raise DataError("the vgg16 weights cannot be downloaded", hint="Run: neuraltex doctor --fetch-weights")

    monkeypatch.setattr(weights, "fetch_weights", offline)
    config = default_config("quality")
    assert config.loss.lpips > 0
    left = optimize._without_missing_lpips(config)
    assert left.loss == replace(config.loss, lpips=0.0)
    named = replace(config, lpips_weights=Path("mine.safetensors"))
    assert optimize._without_missing_lpips(named) is named
