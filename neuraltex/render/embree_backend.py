"""Ray casting on the CPU with Embree (through embreex): the default rasterizer."""

import numpy as np
import torch

from neuraltex.core.errors import DataError, MissingDependency
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.render import kernels
from neuraltex.render.fragments import Fragments
from neuraltex.render.parallel import for_row_blocks
from neuraltex.render.rays import normalized_grid

NOTHING_FURTHER = np.float32(1e37)


class EmbreeRasterizer:
    """Casts one ray per pixel center, exact under lens distortion.

    Embree works in single precision and only decides *which* face is hit. The mesh is moved to its own center for that,
    so that scenes far from the origin (georeferenced ones) lose nothing; barycentric coordinates and depth are then
    computed from the face in double precision.

    Args:
        mesh: The surface.
        device: Where the fragments are put.

    Raises:
        MissingDependency: if embreex is not installed.
        DataError: if the mesh has no faces or a vertex that is not finite.
    """

    def __init__(self, mesh: Mesh, device: str | torch.device = "cpu") -> None:
        if mesh.num_faces == 0 or not np.isfinite(mesh.vertices).all():
            raise DataError("the mesh has no faces or NaN vertices", hint="Repair or export the mesh again")
        self.mesh, self.device = mesh, torch.device(device)
        corners = mesh.corners
        self._center = (corners.min((0, 1)) + corners.max((0, 1))) / 2
        self._scene = _build_scene((corners - self._center).astype(np.float32))

    def render(self, camera: Camera) -> Fragments:
        """Return the fragments of a view."""
        grid = normalized_grid(camera)
        height, width = grid.shape[:2]
        vertices = vertices_in_camera(self.mesh, camera)
        face_idx = np.empty((height, width), np.int64)
        bary = np.empty((height, width, 3), np.float32)
        depth = np.empty((height, width), np.float32)
        mask = np.empty((height, width), np.bool_)
        origin = (camera.center - self._center).astype(np.float32)
        rotation = camera.cam_from_world[:3, :3].T.copy()

        def render_rows(begin: int, end: int) -> None:
            rows = slice(begin, end)
            hits = self._cast(origin, rotation, grid[rows])
            kernels.refine_hits(
                grid[rows], hits, vertices, self.mesh.faces, face_idx[rows], bary[rows], depth[rows], mask[rows]
            )

        for_row_blocks(render_rows, height)
        return Fragments(*(torch.from_numpy(array).to(self.device) for array in (face_idx, bary, depth, mask)))

    def _cast(self, origin: np.ndarray, rotation: np.ndarray, grid: np.ndarray) -> np.ndarray:
        """Return the face number hit by every ray, negative for none."""
        directions = np.empty((grid.shape[0] * grid.shape[1], 3), np.float32)
        kernels.ray_directions(grid, rotation, directions)
        origins = np.empty_like(directions)
        origins[:] = origin
        return self._scene.run(origins, directions, dists=NOTHING_FURTHER, output=True)["primID"]


def vertices_in_camera(mesh: Mesh, camera: Camera) -> np.ndarray:
    """Return all vertices ``[V, 3]`` in camera axes; subtracts the center first, which keeps far scenes exact."""
    return (mesh.vertices - camera.center) @ camera.cam_from_world[:3, :3].T


def _build_scene(corners: np.ndarray) -> "EmbreeScene":  # type: ignore[name-defined]
    try:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene
    except ImportError as error:
        raise MissingDependency("the embree rasterizer needs embreex", hint="Run: pip install embreex") from error
    scene = EmbreeScene(robust=True)  # watertight: no ray slips through between two faces
    TriangleMesh(scene, corners)
    ray = np.zeros((1, 3), np.float32)
    scene.run(ray, ray + np.float32(1))  # builds the tree here rather than in the first of several threads
    return scene
