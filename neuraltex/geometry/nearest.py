"""Points spread over a surface, and the points of triangles nearest to others."""

import numpy as np
from jaxtyping import Float

from neuraltex.geometry.mesh import Mesh


def sample_surface(mesh: Mesh, count: int, seed: int = 0) -> tuple[Float[np.ndarray, "P 3"], Float[np.ndarray, "P 3"]]:
    """Spread points over a mesh, evenly by area; returns them and the unit normals of their faces."""
    generator = np.random.default_rng(seed)
    cumulative = np.cumsum(mesh.face_areas)
    targets = (np.arange(count) + generator.random(count)) * (cumulative[-1] / count)  # stratified: no clusters
    face = np.minimum(np.searchsorted(cumulative, targets), mesh.num_faces - 1)
    root, along = np.sqrt(generator.random(count))[:, None], generator.random(count)[:, None]
    a, b, c = np.moveaxis(mesh.corners[face], 1, 0)
    return a * (1 - root) + b * (root * (1 - along)) + c * (root * along), mesh.face_normals[face]


def closest_bary(points: Float[np.ndarray, "P 3"], corners: Float[np.ndarray, "P 3 3"]) -> Float[np.ndarray, "P 3"]:
    """Return the barycentric coordinates of the point of each triangle that is closest to the point paired with it.

    The foot of the perpendicular where it falls into the triangle, else the closest point of the three sides. Triangles
    without area work as the segments or points they are.
    """
    a, b, c = np.moveaxis(corners, 1, 0)
    best, best_distance = _foot(points, a, b, c)
    for start, end, columns in ((a, b, (0, 1)), (b, c, (1, 2)), (c, a, (2, 0))):
        share = _along(points, start, end)
        gap = np.linalg.norm(start + share[:, None] * (end - start) - points, axis=1)
        closer = gap < best_distance
        best_distance = np.where(closer, gap, best_distance)
        bary = np.zeros_like(best)
        bary[:, columns[0]], bary[:, columns[1]] = 1 - share, share
        best = np.where(closer[:, None], bary, best)
    return best


def _foot(points: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Barycentric coordinates of the feet of the perpendiculars, and their lengths, infinite outside the triangle."""
    u, v, w = b - a, c - a, points - a
    uu, uv, vv, uw, vw = (np.einsum("pk,pk->p", p, q) for p, q in ((u, u), (u, v), (v, v), (u, w), (v, w)))
    determinant = uu * vv - uv * uv
    flat = determinant <= 1e-12 * uu * vv
    safe = np.where(flat, 1, determinant)
    beta, gamma = (vv * uw - uv * vw) / safe, (uu * vw - uv * uw) / safe
    bary = np.stack([1 - beta - gamma, beta, gamma], -1)
    gap = np.linalg.norm(w - beta[:, None] * u - gamma[:, None] * v, axis=1)
    return bary, np.where(flat | (bary < 0).any(1), np.inf, gap)


def _along(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> Float[np.ndarray, " P"]:
    """Share of the way from start to end of the point of a segment closest to each point."""
    way = end - start
    length = np.einsum("pk,pk->p", way, way)
    return (np.einsum("pk,pk->p", points - start, way) / np.where(length > 0, length, 1)).clip(0, 1)
