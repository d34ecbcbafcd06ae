"""Drop blurred and redundant photographs of a capture; the rest becomes a new scene with the images linked."""

from pathlib import Path
from typing import Literal

from neuraltex.cli import run_script
from neuraltex.core.files import claim_output_dir


def select_frames(
    input: Path,
    output: Path,
    min_sharpness: float = 0.5,
    min_shift: float = 0.005,
    min_angle: float = 1.5,
    format: Literal["nerfstudio", "colmap"] = "nerfstudio",
    color_camera: Path | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a scene with the photographs that are sharp and show something new.

    Args:
        input: Scene of any supported format.
        output: Folder for the new scene.
        min_sharpness: Smallest sharpness relative to the neighbors' median; 0 keeps blurred ones.
        min_shift: Camera motion, relative to the extent of all cameras, that makes a photograph new.
        min_angle: Camera rotation that makes it new [degree]; with shift and angle 0 nothing is redundant.
        format: Form of the new scene.
        color_camera: Calibration of the color camera of an RGB-D scene.
        overwrite: Replace what is in the output folder.
    """
    from neuraltex.core.runtime import logger
    from neuraltex.io import colmap, nerfstudio, select
    from neuraltex.io.discover import refuse_overlap
    from neuraltex.io.load import load_scene

    refuse_overlap(input, output)
    options = select.SelectionOptions(min_sharpness=min_sharpness, min_shift=min_shift, min_angle=min_angle)
    scene = select.select_frames(load_scene(input, color_camera=color_camera), options)
    logger.info("%s", scene.notes[-1])
    claim_output_dir(output, overwrite=overwrite)
    return (colmap if format == "colmap" else nerfstudio).write(scene, output)


if __name__ == "__main__":
    run_script(select_frames)
