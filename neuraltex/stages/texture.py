"""``neuraltex texture``: a scene in, a textured mesh out; prepare, optimize and export in one process."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from neuraltex.core.errors import OutputError
from neuraltex.stages import export, optimize, prepare
from neuraltex.stages.common import Common, OptionalPath, Result


@dataclass(frozen=True, kw_only=True)
class Config(prepare.Config):
    """From a scene to a textured mesh; the flags of prepare, and a preset of optimize.

    The output folder keeps every step: ``prepared``, ``run`` and the textured mesh.
    """

    to: OptionalPath = None
    """Textured mesh to write (.glb, .obj, .ply); textured.glb in the output folder by default."""
    preset: str = "fast"
    """Preset by name or YAML file."""


def run(config: Config) -> Result:
    """Prepare, fit and export.

    Raises:
        NeuralTexError: if the scene, the preset or the output folder cannot be used.
    """
    from neuraltex.io.export import check_suffix

    folder, target = config.output_dir, config.to or config.output_dir / "textured.glb"
    check_suffix(target)
    if target.exists() and not config.overwrite:
        raise OutputError(f"{target} exists already", hint="Pass --overwrite or choose another name with --to")
    fit = optimize.default_config(config.preset)
    common = {item.name: getattr(config, item.name) for item in fields(Common)}
    given = {item.name: getattr(config, item.name) for item in fields(prepare.Config)}
    prepared = prepare.run(prepare.Config(**{**given, "output_dir": folder / "prepared"}))
    fitted = optimize.run(replace(fit, **common, data=folder / "prepared", output_dir=folder / "run"))
    export.run(export.Config(**common, run=folder / "run", to=target))
    return Result(target, {"prepared": prepared.data, "run": fitted.data})
