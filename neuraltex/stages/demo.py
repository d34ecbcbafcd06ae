"""``neuraltex demo``: write the embedded demo scene, from code alone and always the same."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from neuraltex.core.errors import UsageError
from neuraltex.stages.common import Common, Result

if TYPE_CHECKING:
    from neuraltex.demo.scene import DemoOptions

FormatFlag = Literal["nerfstudio", "neural_texgen", "colmap", "rgbd", "openmvs", "all"]


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """What the demo scene is made of."""

    output_dir: Path
    """Folder to write to."""
    format: tuple[FormatFlag, ...] = ("nerfstudio",)
    """Input formats to write, or all; one is written to the folder itself, several to subfolders."""
    num_views: int = 40
    """Number of photographs."""
    size: Annotated[str, tyro.conf.arg(metavar="WxH")] = "640x480"
    """Width and height of the photographs [px]."""
    exposure_jitter: float = 0.0
    """Vary the exposure of each photograph by up to this share, e.g. 0.25."""
    camera_noise: float = 0.0
    """Write wrong cameras, off by this much reprojection error, e.g. 2 [px rms]."""
    lens_distortion: bool = False
    """Take the photographs through a mildly distorted lens."""
    moving_distractor: bool = False
    """Put a ball that is not in the mesh elsewhere in each photograph."""
    blurred_photo: bool = False
    """Blur one photograph badly."""
    tiny: bool = False
    """Make a small, quick version: 12 views of 160x120."""
    seed: int = 0
    """Seed of everything random; the room itself does not depend on it."""


def run(config: Config) -> Result:
    """Write the demo scene; returns the folder (of the only format, else the one that holds them all)."""
    from neuraltex.core.files import claim_output_dir, translate_write_errors
    from neuraltex.demo.scene import write_demo

    options = _options(config)
    folder = claim_output_dir(config.output_dir, overwrite=config.overwrite)
    with translate_write_errors(folder):
        result = write_demo(folder, options)
    return Result(
        folder,
        {
            "scenes": {name: str(path) for name, path in result.folders.items()},
            "ground_truth": str(result.ground_truth),
            "faces": result.textured.mesh.num_faces,
            "views": len(result.cameras),
            "size": list(options.size),
            "texture_size": options.texture_size,
            "blurred": [name for name, flaws in result.flaws.items() if flaws.blur > 0],
        },
    )


def _options(config: Config) -> "DemoOptions":
    from neuraltex.demo.scene import FORMATS, DemoOptions

    chosen = (
        FORMATS if "all" in config.format else tuple(name for name in dict.fromkeys(config.format) if name != "all")
    )
    return DemoOptions(
        formats=chosen,
        num_views=config.num_views,
        size=_parse_size(config.size),
        exposure_jitter=config.exposure_jitter,
        camera_noise=config.camera_noise,
        lens_distortion=config.lens_distortion,
        moving_distractor=config.moving_distractor,
        blurred_photo=config.blurred_photo,
        tiny=config.tiny,
        seed=config.seed,
    )


def _parse_size(text: str) -> tuple[int, int]:
    """Turn ``"640x480"`` into (640, 480).

    Raises:
        UsageError: if it does not look like that.
    """
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        raise UsageError(f"{text!r} is not a size", source="--size", hint="Give it as WIDTHxHEIGHT, e.g. 640x480")
    return int(parts[0]), int(parts[1])
