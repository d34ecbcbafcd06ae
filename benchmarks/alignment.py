"""Held-out cameras aligned to a finished textured mesh, for every method alike."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from neuraltex.fit.calibrate.held_out import TexturedSurface, align_to_texture
from neuraltex.geometry.camera import Camera
from neuraltex.io.images import read_mask, read_rgb
from neuraltex.io.meshes import read_textured_mesh


def align_held_out(
    mesh: Path, cameras: Mapping[str, Camera], photographs: Mapping[str, Path], masks: Path
) -> tuple[dict[str, Camera], float]:
    """Align the camera of every held-out photograph to a textured mesh.

    Args:
        mesh: Textured mesh of any origin.
        cameras: Where to start, by view.
        photographs: Files by view.
        masks: Folder of the evaluation masks; no other pixel is used.

    Returns:
        The aligned cameras, and the median over the views of how far the surface moved in the image [px].
    """
    surface = TexturedSurface.of(read_textured_mesh(mesh))
    found = {
        name: align_to_texture(
            surface,
            camera,
            read_rgb(photographs[name]),
            read_mask(masks / f"{name}.png", (camera.height, camera.width)),
        )
        for name, camera in cameras.items()
    }
    moved = float(np.median([aligned.shift for aligned in found.values()]))
    return {name: aligned.camera for name, aligned in found.items()}, round(moved, 2)
