"""Fuse the depth images of an RGB-D scene into a mesh that `neuraltex prepare --mesh` takes."""

from pathlib import Path

from neuraltex.cli import run_script


def fuse_rgbd(
    data: Path,
    output: Path,
    voxel_size: float = 0.01,
    max_depth: float = 4.0,
    min_observations: float = 1.0,
    target_faces: int = 300_000,
    min_component: float = 0.01,
) -> Path:
    """Fuse depth images to a mesh without texture coordinates.

    Args:
        data: Scene with depth images: an RGB-D folder or a nerfstudio scene.
        output: Mesh to write: .ply, .obj, .off, .stl or .glb.
        voxel_size: Edge of a voxel [world]; details smaller than two voxels are lost.
        max_depth: Measurements farther away are ignored [world].
        min_observations: Number of frames that must have seen a piece of surface.
        target_faces: Number of faces after decimation; 0 keeps all.
        min_component: Pieces with fewer faces than this share of the largest one are dropped.
    """
    from neuraltex.io.fuse import FusionOptions, fuse_scene
    from neuraltex.io.load import load_scene
    from neuraltex.io.meshes import write_mesh

    options = FusionOptions(
        voxel_size=voxel_size,
        max_depth=max_depth,
        min_observations=min_observations,
        target_faces=target_faces,
        min_component=min_component,
    )
    write_mesh(output, fuse_scene(load_scene(data), options))
    return output


if __name__ == "__main__":
    run_script(fuse_rgbd)
