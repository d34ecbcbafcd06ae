"""YAML presets to frozen dataclasses and back; unknown keys are errors that name the nearest key."""

import dataclasses
import difflib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

import yaml

from neuraltex.core.errors import ConfigError

T = TypeVar("T")


def preset_dir() -> Path:
    """Folder of the presets: ``options/`` of a checkout, else the copy installed as ``neuraltex.presets``."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parent / "options"
    return checkout if checkout.is_dir() else package / "presets"


def preset_names() -> list[str]:
    """Names of the presets that ship."""
    return sorted(path.stem for path in preset_dir().glob("*.yaml"))


def find_preset(name: str) -> Path:
    """Return the file of a preset given by name or path.

    Raises:
        ConfigError: if there is none; names the nearest.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return path
    path = preset_dir() / f"{name}.yaml"
    if not path.is_file():
        known = [preset.stem for preset in sorted(path.parent.glob("*.yaml"))] or preset_names()
        hint = _suggest(path.stem, known)
        raise ConfigError(f"preset {path.stem!r} does not exist", source="--preset", hint=hint)
    return path


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML mapping of plain data.

    Raises:
        ConfigError: if the file is missing, not YAML or not a mapping.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist", hint="Check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML ({error})", hint="Mend the file") from error
    if not isinstance(content or {}, dict):
        raise ConfigError(f"{path} holds a {type(content).__name__}, not a mapping", hint="Write 'key: value' lines")
    return content or {}


def merge(base: T, changes: dict[str, Any], source: str) -> T:
    """Return a copy of a dataclass with nested changes from plain data.

    Raises:
        ConfigError: on an unknown key (naming the nearest) or a value of the wrong type.
    """
    hints = typing.get_type_hints(type(base))
    known = [item.name for item in dataclasses.fields(base)]  # type: ignore[arg-type]
    updates: dict[str, Any] = {}
    for key, value in changes.items():
        if key not in known:
            raise ConfigError(f"unknown key {key!r}", source=source, hint=_suggest(str(key), known))
        current = getattr(base, key)
        if dataclasses.is_dataclass(current) and isinstance(value, dict):
            updates[key] = merge(current, value, f"{source}: {key}")
        else:
            updates[key] = _convert(hints[key], value, f"{source}: {key}")
    try:
        return dataclasses.replace(base, **updates)  # type: ignore[type-var]
    except ValueError as error:
        raise ConfigError(str(error), source=source, hint="Choose another value") from error


def to_plain(value: Any) -> Any:
    """Turn nested dataclasses into plain data that YAML and JSON can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def dump_yaml(value: Any) -> str:
    """Return a dataclass as YAML in field order."""
    return yaml.safe_dump(to_plain(value), sort_keys=False, allow_unicode=True)


def _convert(hint: Any, value: Any, source: str) -> Any:
    """Convert a YAML scalar or list to an annotated type; the types used in configurations only."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _convert(next(item for item in arguments if item is not type(None)), value, source)
    if origin is typing.Annotated:
        return _convert(arguments[0], value, source)
    if origin is typing.Literal:
        if value in arguments:
            return value
        raise ConfigError(
            f"{value!r} is not a choice", source=source, hint=_suggest(str(value), [str(a) for a in arguments])
        )
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_convert(arguments[0], item, source) for item in value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    expected = getattr(hint, "__name__", str(hint))
    raise ConfigError(f"{value!r} is a {type(value).__name__}", source=source, hint=f"Give a value of type {expected}")


def _suggest(name: str, choices: list[str]) -> str:
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    guess = f"Did you mean {near[0]!r}? " if near else ""
    return f"{guess}Choices: {', '.join(choices)}"
