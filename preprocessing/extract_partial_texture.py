"""Partial textures of a folder of photographs, in the layout that the published training code reads."""

from pathlib import Path
from typing import Annotated

import tyro

from neuraltex.cli import run_script
from neuraltex.config.partial import PartialConfig, PartialSources

FLAT = tyro.conf.arg(name="")


def extract_partial_texture(
    sources: Annotated[PartialSources, FLAT],
    output: Path,
    config: Annotated[PartialConfig, FLAT],
    angle: str = "photo",
    overwrite: bool = False,
) -> Path:
    """Write symmetry/, mask_symm/, normal_map/, texture_map/, direct/, confidence/ and more for every photograph.

    Args:
        sources: Inputs.
        output: Folder to write.
        config: Settings of the extraction.
        angle: Name of the view or set under which the samples are filed, e.g. -30.
        overwrite: Replace what is in the output folder.
    """
    from neuraltex.core.files import claim_output_dir
    from neuraltex.core.runtime import logger
    from neuraltex.io.discover import refuse_overlap
    from neuraltex.learn.data.photographs import extract_folder

    refuse_overlap(sources.images, output)
    count = extract_folder(sources, claim_output_dir(output, overwrite=overwrite), config, angle)
    logger.info("wrote %d samples", count)
    return output


if __name__ == "__main__":
    run_script(extract_partial_texture)
