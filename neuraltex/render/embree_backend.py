"""Ray casting on the CPU with Embree (through embreex): exact under lens distortion."""

import numpy as np
from jaxtyping import Bool, Float, Int

from neuraltex.core.errors import DataError, MissingDependency
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.render import kernels
from neuraltex.render.fragments import Fragments, fragments_of
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

    Raises:
        MissingDependency: if embreex is not installed.
        DataError: if the mesh has no faces or a vertex that is not finite.
    """

    def __init__(self, mesh: Mesh) -> None:
        if mesh.num_faces == 0 or not np.isfinite(mesh.vertices).all():
            raise DataError("the mesh has no faces or NaN vertices", hint="Repair or export the mesh again")
        self.mesh = mesh
        corners = mesh.corners
        self._center = (corners.min((0, 1)) + corners.max((0, 1))) / 2
        self._scene = _build_scene((corners - self._center).astype(np.float32))

    def visible_faces(self, camera: Camera) -> Int[np.ndarray, "H W"]:
        """Return the face behind every pixel center, -1 for none."""
        grid = normalized_grid(camera)
        face_idx = np.empty(grid.shape[:2], np.int32)
        origin = (camera.center - self._center).astype(np.float32)
        rotation = camera.cam_from_world[:3, :3].T.copy()

        def cast_rows(begin: int, end: int) -> None:
            face_idx[begin:end] = self._cast(origin, rotation, grid[begin:end]).reshape(end - begin, -1)

        for_row_blocks(cast_rows, len(face_idx))
        return face_idx

    def render(self, camera: Camera) -> Fragments:
        """Return the fragments of a view."""
        return fragments_of(self.visible_faces(camera), self.mesh, camera)

    def reaches(
        self, eye: Float[np.ndarray, " 3"], points: Float[np.ndarray, "P 3"], tolerance: float
    ) -> Bool[np.ndarray, " P"]:
        """Return which points are seen from the eye: nothing lies on the straight line to them.

        Args:
            eye: Where the lines start [world].
            points: Where they end [world].
            tolerance: How far in front of a point something may lie without hiding it [world].
        """
        start = (eye - self._center).astype(np.float32)
        ways = (points - self._center).astype(np.float32) - start
        length = np.linalg.norm(ways, axis=1)
        stop = 1 - tolerance / np.maximum(length, np.float32(1e-30))
        origins = np.empty_like(ways)
        origins[:] = start
        hits = self._scene.run(origins, ways, dists=stop.clip(0).astype(np.float32), output=True)["primID"]
        return (hits < 0) | (hits >= self.mesh.num_faces)

    def _cast(self, origin: np.ndarray, rotation: np.ndarray, grid: np.ndarray) -> np.ndarray:
        """Return the face number hit by every ray, negative for none."""
        directions = np.empty((grid.shape[0] * grid.shape[1], 3), np.float32)
        kernels.ray_directions(grid, rotation, directions)
        origins = np.empty_like(directions)
        origins[:] = origin
        hits = self._scene.run(origins, directions, dists=NOTHING_FURTHER, output=True)["primID"]
        return np.where((hits < 0) | (hits >= self.mesh.num_faces), -1, hits)


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
