"""Where photographs show the silhouettes of the mesh, to a fraction of a pixel: finds half-pixel mistakes."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float

from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.render.discontinuity import find_discontinuities
from neuraltex.render.fragments import Rasterizer, render_depth
from neuraltex.render.parallel import map_threads

REACH = 3
"""Offsets up to this many pixels are looked at."""
MIN_PAIRS = 400
MIN_CONTRAST = 2.0
"""Silhouettes must change the photograph this much more than places 3 pixels beside them."""


def silhouette_offset(
    mesh: Mesh, rasterizer: Rasterizer, cameras: Sequence[Camera], photos: Iterable[Float[np.ndarray, "H W 3"]]
) -> tuple[float, float]:
    """Return how far right and down of the mesh's silhouettes the photographs show them [px].

    Between two neighboring pixels on different sides of a silhouette, the true edge lies on average in the middle; mean
    contrast of the photographs there, as a function of an offset, peaks at the misplacement. NaN where there are
    too few silhouettes or they do not show (a rough mesh, a distractor in front).
    """

    def measure(pair: tuple[Camera, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        camera, grey = pair[0], pair[1].mean(-1, dtype=np.float32)
        face_idx = rasterizer.visible_faces(camera)
        depth = render_depth(face_idx, mesh, camera)
        edges = find_discontinuities(face_idx, depth, mesh, camera)
        found = [_profile(*(array.T if swap else array for array in (edges, depth, grey))) for swap in (False, True)]
        return np.stack([profile for profile, _ in found]), np.array([count for _, count in found])

    profiles, counts = np.zeros((2, 2 * REACH + 1)), np.zeros(2)
    for profile, count in map_threads(measure, zip(cameras, photos, strict=True)):
        profiles += profile
        counts += count
    x, y = (_peak(profile, count) for profile, count in zip(profiles, counts, strict=True))
    return x, y


def _profile(edges: np.ndarray, depth: np.ndarray, grey: np.ndarray) -> tuple[np.ndarray, int]:
    """Sum the contrast across all silhouettes between horizontal neighbors, at offsets from -REACH to REACH."""
    near, far = np.minimum(depth[:, :-1], depth[:, 1:]), np.maximum(depth[:, :-1], depth[:, 1:])
    pairs = edges[:, :-1] | edges[:, 1:]
    pairs &= (near < 0.97 * far) & (far > 0)
    margin = REACH + 2
    pairs[:, :margin] = pairs[:, -margin:] = False
    rows, columns = np.nonzero(pairs)
    offsets = np.arange(-REACH, REACH + 1)
    at = columns[:, None] + offsets
    row = rows[:, None]
    after, before = grey[row, at + 1] + grey[row, at + 2], grey[row, at] + grey[row, at - 1]
    return np.abs(after - before).sum(0), len(rows)


def _peak(profile: np.ndarray, count: float) -> float:
    """Center of mass of the peak above the floor; NaN if there is no clear one."""
    floor = max(float(profile.min()), 1e-9)
    if count < MIN_PAIRS or profile.max() < MIN_CONTRAST * floor:
        return float("nan")
    center = int(profile.argmax())
    low, high = max(center - 2, 0), min(center + 3, len(profile))
    mass = profile[low:high] - floor
    return float((mass * np.arange(low - REACH, high - REACH)).sum() / mass.sum())
