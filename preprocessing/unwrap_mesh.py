"""Give a mesh texture coordinates, or say what is wrong with those it has."""

from pathlib import Path

from neuraltex.cli import run_script


def unwrap_mesh(
    input: Path,
    output: Path,
    texture_size: int = 2048,
    block_faces: int = 1500,
    time_budget: float = 600.0,
    gutter: float = 4.0,
    keep_uv: bool = False,
) -> Path:
    """Write the mesh with texture coordinates without overlaps; logs their figures and faults.

    Args:
        input: Mesh: obj, ply, off, stl or glb.
        output: File to write: obj, ply or stoff.
        texture_size: Side of the texture [texel].
        block_faces: Faces per block charted at once.
        time_budget: Time for charting [s]; what is left then gets simple planar charts.
        gutter: Free distance between charts [texel].
        keep_uv: Keep the texture coordinates the mesh has, if any, and only check them.
    """
    from neuraltex.core.runtime import logger
    from neuraltex.geometry.unwrap import unwrap
    from neuraltex.geometry.uv_check import check_uv
    from neuraltex.geometry.uv_quality import measure_uv
    from neuraltex.io.meshes import read_mesh, write_mesh

    mesh = read_mesh(input)
    if keep_uv and mesh.has_uv:
        logger.info("kept: %s", measure_uv(mesh, texture_size))
    else:
        options = {"texture_size": texture_size, "block_faces": block_faces}
        mesh, _ = unwrap(mesh, time_budget=time_budget, gutter=gutter, **options)
    logger.info("%s", check_uv(mesh))
    return write_mesh(output, mesh)


if __name__ == "__main__":
    run_script(unwrap_mesh)
