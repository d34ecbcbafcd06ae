"""Planes of mirror symmetry of a mesh: found, and what it means to reflect in them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from neuraltex.core.errors import DataError
from neuraltex.geometry.mesh import Mesh
from neuraltex.geometry.nearest import sample_surface

Axis = Literal["search", "x", "y", "z"]

NEAR = 0.01
"""Distance up to which a reflected point counts as lying on the surface, as a share of the box's diagonal."""
FACING = 0.7
"""Cosine between a reflected normal and the surface's own from which on they count as equal."""
SYMMETRIC = 0.75
"""Share of the surface that must lie on its own mirror image for a mesh to be called symmetric."""
PREFERENCE = 0.02
"""A plane across a coordinate axis is taken if it is worse than the best by no more than this share."""

_POINTS, _CLOUD, _STEPS, _TRIM = 2000, 20000, 20, 0.8


@dataclass(frozen=True, eq=False)
class Plane:
    """The plane ``normal . x = offset``.

    Args:
        normal: Unit normal.
        offset: Distance from the origin along the normal [world].
        score: Share of the surface that lies on its own mirror image, in [0, 1].
    """

    normal: Float[np.ndarray, " 3"]
    offset: float
    score: float = 1.0

    def distances(self, points: Float[np.ndarray, "*B 3"]) -> Float[np.ndarray, "*B"]:
        """Return how far points lie on the side the normal points to [world], negative on the other."""
        return points @ self.normal - self.offset

    def reflect(self, points: Float[np.ndarray, "*B 3"]) -> Float[np.ndarray, "*B 3"]:
        """Return the mirror images of points."""
        return points - 2 * self.distances(points)[..., None] * self.normal

    def reflect_directions(self, directions: Float[np.ndarray, "*B 3"]) -> Float[np.ndarray, "*B 3"]:
        """Return the mirror images of directions, such as normals."""
        return directions - 2 * (directions @ self.normal)[..., None] * self.normal


def box_diagonal(mesh: Mesh) -> float:
    """Return the diagonal of the box around all faces [world]."""
    corners = mesh.corners
    return float(np.linalg.norm(corners.max((0, 1)) - corners.min((0, 1))))


def find_plane(mesh: Mesh, axis: Axis = "search") -> Plane | None:
    """Find the plane in which a mesh is its own mirror image.

    Candidates are the planes through the middle of the box across the coordinate axes and those through the center of
    mass across the principal axes of the surface; each is moved to where points and their mirror images meet, in the
    manner of ICP (P. Besl and N. McKay, "A Method for Registration of 3-D Shapes", PAMI 1992): pairs of points and what
    is closest to their mirror images, then the plane that reflects the pairs into each other best, worst pairs left
    out. The plane with most of the surface on its own mirror image wins.

    Args:
        mesh: In a symmetric pose (the rest pose of a body).
        axis: ``search``, or an axis to whose direction the normal is known to be parallel.

    Returns:
        The plane; ``None`` if the search finds none in which the mesh is symmetric (:data:`SYMMETRIC`).

    Raises:
        DataError: if the surface has no area.
    """
    if not mesh.face_areas.sum() > 0:
        raise DataError("the mesh has no area", hint="Export the mesh again")
    cloud = _Cloud(mesh)
    if axis != "search":
        return cloud.scored(cloud.across("xyz".index(axis)))
    coordinate = [cloud.refined(cloud.across(index)) for index in range(3)]
    principal = [cloud.refined(plane) for plane in cloud.principal_planes()]
    best = max(coordinate + principal, key=lambda plane: plane.score)
    best = next((plane for plane in coordinate if plane.score >= best.score - PREFERENCE), best)
    return best if best.score >= SYMMETRIC else None


class _Cloud:
    """Points of a surface, and the search tree among them."""

    def __init__(self, mesh: Mesh) -> None:
        from scipy.spatial import KDTree  # noqa: PLC0415  loads slowly and few need it

        self.points, self.normals = sample_surface(mesh, _CLOUD)
        self._tree, self._diagonal = KDTree(self.points), box_diagonal(mesh)
        self._few = np.random.default_rng(0).permutation(_CLOUD)[:_POINTS]

    def across(self, axis: int) -> Plane:
        """Return the plane across a coordinate axis through the middle of the box."""
        middle = (self.points[:, axis].min() + self.points[:, axis].max()) / 2
        return Plane(np.eye(3)[axis], float(middle))

    def principal_planes(self) -> list[Plane]:
        """Return the planes through the center of mass across the principal axes."""
        center = self.points.mean(0)
        _, axes = np.linalg.eigh(np.cov((self.points - center).T))
        return [Plane(axis, float(axis @ center)) for axis in axes.T]

    def refined(self, plane: Plane) -> Plane:
        """Move a plane until points and what is closest to their mirror images are each other's mirror images."""
        points = self.points[self._few]
        for _ in range(_STEPS):
            partners, distance = self._closest(plane.reflect(points))
            kept = distance <= np.quantile(distance, _TRIM)
            plane = _fit(points[kept], partners[kept])
        return self.scored(plane)

    def _closest(self, points: Float[np.ndarray, "P 3"]) -> tuple[Float[np.ndarray, "P 3"], Float[np.ndarray, " P"]]:
        """Return what on the surface is about closest (the foot on the nearest tangent plane), and the distance."""
        distance, index = self._tree.query(points)
        normals = self.normals[index]
        height = np.einsum("pc,pc->p", points - self.points[index], normals)
        return points - height[:, None] * normals, distance

    def scored(self, plane: Plane) -> Plane:
        """Measure how much of the surface lies on its own mirror image."""
        reflected, turned = plane.reflect(self.points[self._few]), plane.reflect_directions(self.normals[self._few])
        _, near = self._tree.query(reflected, k=8)
        gap = np.abs(np.einsum("pkc,pkc->pk", reflected[:, None] - self.points[near], self.normals[near]))
        agree = np.einsum("pc,pkc->pk", turned, self.normals[near]) > FACING
        aside = np.linalg.norm(reflected[:, None] - self.points[near], axis=-1) < 3 * NEAR * self._diagonal
        score = ((gap < NEAR * self._diagonal) & agree & aside).any(1).mean()
        return Plane(plane.normal, plane.offset, float(score))


def _fit(points: Float[np.ndarray, "P 3"], partners: Float[np.ndarray, "P 3"]) -> Plane:
    """Return the plane whose reflection takes points to their partners with the least squared error.

    About the common center that error is ``const + 4 n' S n`` with ``S`` the symmetric part of the covariance of points
    and partners, so the normal is the eigenvector of its smallest eigenvalue.
    """
    first, second = points.mean(0), partners.mean(0)
    covariance = (points - first).T @ (partners - second)
    _, axes = np.linalg.eigh(covariance + covariance.T)
    normal = axes[:, 0] * (1 if axes[np.abs(axes[:, 0]).argmax(), 0] > 0 else -1)
    return Plane(normal, float(normal @ (first + second) / 2))
