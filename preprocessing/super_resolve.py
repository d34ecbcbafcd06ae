"""Enhance or super-resolve photographs before `neuraltex prepare`; cameras and masks follow the new size.

Without weights: Lanczos and an unsharp mask. With weights (.pth or .safetensors): any network that spandrel knows.
"""

from functools import partial
from pathlib import Path
from typing import Literal

from neuraltex.cli import run_script
from neuraltex.core.files import claim_output_dir


def super_resolve(
    input: Path,
    output: Path,
    scale: float = 2.0,
    weights: Path | None = None,
    sharpen: float = 0.6,
    format: Literal["nerfstudio", "colmap"] = "nerfstudio",
    color_camera: Path | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    overwrite: bool = False,
) -> Path:
    """Enhance the photographs of a scene, or of a plain folder of images.

    Args:
        input: Scene of any supported format, or a folder of images.
        output: Folder for the new scene or images.
        scale: New size over old size; 1 only enhances.
        weights: Network for spandrel; without it, Lanczos and an unsharp mask.
        sharpen: Strength of the unsharp mask.
        format: Form of the new scene.
        color_camera: Calibration of the color camera of an RGB-D scene.
        device: Where the network runs.
        overwrite: Replace what is in the output folder.
    """
    from neuraltex.core.errors import FormatError
    from neuraltex.core.runtime import resolve_device
    from neuraltex.io.discover import refuse_overlap
    from neuraltex.io.enhance import enhance_folder, enhance_scene, lanczos_sharpen, load_network
    from neuraltex.io.load import detect_format, load_scene

    refuse_overlap(input, output)
    enhancer = (
        load_network(weights, str(resolve_device(device))) if weights else partial(lanczos_sharpen, amount=sharpen)
    )
    try:
        scene_format = detect_format(input)
    except FormatError:
        enhance_folder(input, claim_output_dir(output, overwrite=overwrite), scale=scale, enhancer=enhancer)
        return output
    scene = load_scene(input, scene_format, color_camera=color_camera)
    enhance_scene(
        scene, claim_output_dir(output, overwrite=overwrite), scale=scale, enhancer=enhancer, file_format=format
    )
    return output


if __name__ == "__main__":
    run_script(super_resolve)
