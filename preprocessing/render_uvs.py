"""Render uv maps for the original NeuralTexGen: a drop-in for its ``uv_renderer``, with the same seven arguments.

    python preprocessing/render_uvs.py MESH CAMERA_DIR OUTPUT_DIR [WIDTH HEIGHT [OUTPUT_WIDTH OUTPUT_HEIGHT]]

CAMERA_DIR holds ``N.txt`` (4x4 world_from_cam, then 4x4 intrinsics for WIDTH x HEIGHT, 320 256 by default). Every
camera leaves ``OUTPUT_DIR/N.exr`` of OUTPUT_WIDTH x OUTPUT_HEIGHT: float32, R = u, G = 1 - v (downwards, as the
original reads it), B = 1 where there is a surface. There is no anti-aliasing, and every frame has its own intrinsics.
"""

from pathlib import Path
from typing import Annotated

import tyro

from neuraltex.cli import run_script


def render_uvs(
    mesh: Annotated[Path, tyro.conf.Positional],
    camera_dir: Annotated[Path, tyro.conf.Positional],
    output_dir: Annotated[Path, tyro.conf.Positional],
    width: Annotated[int, tyro.conf.Positional] = 320,
    height: Annotated[int, tyro.conf.Positional] = 256,
    output_width: Annotated[int, tyro.conf.Positional] = 0,
    output_height: Annotated[int, tyro.conf.Positional] = 0,
) -> Path:
    """Render the uv maps of all cameras of a folder.

    Args:
        mesh: Mesh with texture coordinates (STOFF .off, or any other format).
        camera_dir: Folder of N.txt: 4x4 world_from_cam, then 4x4 intrinsics.
        output_dir: Where N.exr are written.
        width: Width of the photographs that the intrinsics are for [px].
        height: Height of the photographs that the intrinsics are for [px].
        output_width: Width of the uv maps [px]; 0 means the photographs'.
        output_height: Height of the uv maps [px]; 0 means the photographs'.
    """
    import numpy as np

    from neuraltex.core.conventions import flip_v
    from neuraltex.core.errors import DataError
    from neuraltex.core.runtime import progress
    from neuraltex.io.images import write_exr
    from neuraltex.io.meshes import read_mesh
    from neuraltex.io.neural_texgen import list_frames, read_camera
    from neuraltex.render.fragments import make_rasterizer
    from neuraltex.render.uv_maps import render_maps

    surface = read_mesh(mesh)
    frames = list_frames(camera_dir)
    if not frames:
        raise DataError(f"{camera_dir} has no cameras N.txt", hint="Pass the folder of the camera files")
    if not surface.has_uv:
        raise DataError(
            f"{mesh} has no texture coordinates", hint="Unwrap it first, for example with neuraltex prepare"
        )
    rasterizer = make_rasterizer(surface)
    for frame in progress(frames, label="uv maps", unit="view"):
        camera = read_camera(camera_dir / f"{frame}.txt", (width, height))
        camera = camera.scaled(output_width or width, output_height or height)
        found = render_maps(rasterizer, surface, camera, 1).uv_map
        down = np.where(found.mask[..., None], flip_v(found.uv), 0)
        write_exr(output_dir / f"{frame}.exr", np.dstack([down, found.mask]))
    return output_dir


if __name__ == "__main__":
    run_script(render_uvs)
