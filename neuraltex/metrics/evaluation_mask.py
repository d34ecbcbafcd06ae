"""Which pixels of a held-out photograph are judged: the same for every method, and only what training views could know.

A pixel counts where it shows a front face of the common mesh that at least two training views show too: inside their
image, not occluded, at a cosine above 0.2. Where predictions are judged, all front faces count, and apart from each
other those that some training view shows and those that none does.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.render.fragments import Backend, make_rasterizer

MIN_VIEWS = 2
MIN_COSINE = 0.2
DEPTH_TOLERANCE = 2e-3
"""Relative depth difference up to which a point is taken to lie on the visible surface."""
DEPTH_PIXELS = 1_500_000
"""Depth images of training views are rendered at no more than this many pixels."""
CHUNK = 1_000_000


class EvaluationMasks:
    """Finds the judged pixels of held-out views.

    Args:
        mesh: The common mesh, counter-clockwise seen from outside.
        training_cameras: Cameras of the photographs that methods may use.
        backend: Rasterizer, see :func:`neuraltex.render.fragments.make_rasterizer`.
    """

    def __init__(self, mesh: Mesh, training_cameras: list[Camera], backend: Backend = "embree") -> None:
        self._mesh = mesh
        self._rasterizer = make_rasterizer(mesh, backend)
        self._cameras = [_bounded(camera) for camera in training_cameras]
        self._depths: dict[int, np.ndarray] = {}

    def mask(self, camera: Camera) -> Bool[np.ndarray, "H W"]:
        """Return the pixels of a held-out view that are judged."""
        return self.counts(camera) >= MIN_VIEWS

    def counts(self, camera: Camera) -> Int[np.ndarray, "H W"]:
        """Return how many training views show the surface in each pixel, at most two; -1 where no front face is."""
        counts = np.full((camera.height, camera.width), -1, np.int8)
        for pixels, points, normals in self._front_points(camera):
            counts.reshape(-1)[pixels] = self._count(points, normals, camera.center)
        return counts

    def _front_points(self, camera: Camera) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield flat pixel numbers, world points and unit normals of what faces the camera, in pieces."""
        fragments = self._rasterizer.render(camera)
        face, depth = fragments.face_idx.numpy().reshape(-1), fragments.depth.numpy().reshape(-1)
        hit = np.flatnonzero(face >= 0)
        for begin in range(0, len(hit), CHUNK):
            pixels = hit[begin : begin + CHUNK]
            rows, columns = np.divmod(pixels, camera.width)
            origin, directions = camera.rays(np.stack([columns + 0.5, rows + 0.5], axis=1))
            normals = self._mesh.face_normals[face[pixels]]
            front = (normals * directions).sum(1) < 0
            points = origin + directions * depth[pixels, None]
            yield pixels[front], points[front], normals[front]

    def _count(self, points: np.ndarray, normals: np.ndarray, center: np.ndarray) -> Int[np.ndarray, " P"]:
        """Count training views, those nearest to the held-out one first, until every point has enough."""
        counts = np.zeros(len(points), np.int64)
        distances = [np.linalg.norm(camera.center - center) for camera in self._cameras]
        for index in np.argsort(distances):
            open_points = np.flatnonzero(counts < MIN_VIEWS)
            if len(open_points) == 0:
                break
            counts[open_points] += self._sees(int(index), points[open_points], normals[open_points])
        return counts

    def _sees(self, index: int, points: np.ndarray, normals: np.ndarray) -> Bool[np.ndarray, " P"]:
        camera = self._cameras[index]
        towards = camera.center - points
        cosine = (normals * towards).sum(1) / np.linalg.norm(towards, axis=1)
        xy, depth = camera.project(points)
        inside = (xy >= 0).all(1) & (xy[:, 0] < camera.width) & (xy[:, 1] < camera.height)  # NaN is never inside
        candidates = np.flatnonzero(inside & (cosine > MIN_COSINE))
        column, row = xy[candidates].astype(int).T
        visible = np.zeros(len(points), bool)
        visible[candidates] = depth[candidates] <= self._farthest(index)[row, column] * (1 + DEPTH_TOLERANCE)
        return visible

    def _farthest(self, index: int) -> Float[np.ndarray, "h w"]:
        """Depth image of a training view; the farthest of 3x3 pixels, so that slanted faces do not hide themselves."""
        if index not in self._depths:
            from scipy.ndimage import maximum_filter  # noqa: PLC0415

            self._depths[index] = maximum_filter(self._rasterizer.render(self._cameras[index]).depth.numpy(), size=3)
        return self._depths[index]


def _bounded(camera: Camera) -> Camera:
    scale = min(1.0, (DEPTH_PIXELS / (camera.width * camera.height)) ** 0.5)
    return camera.scaled(max(1, round(camera.width * scale)), max(1, round(camera.height * scale)))
