"""Do photographs, cameras and mesh belong together? A score, and a name for the mistake when they do not.

The score is photo-consistency: points of the surface are looked up in every view that sees them, colors are
normalized per view, and ``score = 1 - variance within a point / variance over all`` (an intraclass correlation): 1 if
all views agree on every point, 0 if they might as well show different scenes. Cameras altered by the usual mistakes
are scored in the same way.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from neuraltex.core.conventions import OPENCV_FROM_OPENGL
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.render.fragments import Rasterizer, render_depth
from neuraltex.render.parallel import map_threads

NUM_POINTS = 8000
MIN_POINTS = 100
ENOUGH_POINTS = 600
"""With fewer points seen twice, the score is lowered in proportion: what is hardly seen cannot be confirmed."""
SUSPICIOUS = 0.45
"""Scores below this are warned about; real scenes with exposure changes and motion blur reach 0.75."""
DOUBTFUL = 0.65
"""Scores below this make it worth the time to try the usual mistakes."""
MARGIN = 0.1
"""By how much another convention must score better to be named."""
DEPTH_TOLERANCE = 0.02
"""Relative difference between the depth of a point and the depth map up to which it counts as visible."""

Fix = Callable[[Camera], Camera]


@dataclass(frozen=True)
class Alignment:
    """What was found.

    Args:
        score: Photo-consistency as given, at most 1.
        likely_mistake: Name of the mistake whose correction scores clearly better; empty if none does.
        corrected_score: Score after that correction.
        candidates: Score of every correction tried; empty if the score left no doubt.
    """

    score: float
    likely_mistake: str = ""
    corrected_score: float = float("nan")
    candidates: dict[str, float] = field(default_factory=dict)

    @property
    def suspicious(self) -> bool:
        """Whether a user should look at the proof sheet before going on."""
        return bool(self.likely_mistake) or self.score < SUSPICIOUS


def check_alignment(
    mesh: Mesh,
    rasterizer: Rasterizer,
    cameras: Sequence[Camera],
    names: Sequence[str],
    photos: dict[int, Float[np.ndarray, "h w 3"]],
) -> Alignment:
    """Score the scene and, if that leaves doubts, the scene without each of the usual mistakes.

    Args:
        mesh: The surface.
        rasterizer: Made for ``mesh``.
        cameras: All cameras, in the order of ``names``.
        names: Names of all views.
        photos: Some photographs by the index of their view, in [0, 1], reduced to a few hundred pixels.
    """
    points = sample_surface(mesh, NUM_POINTS)

    def score(assigned: dict[int, Camera]) -> float:
        return photo_consistency(points, mesh, rasterizer, [assigned[i] for i in photos], list(photos.values()))

    given = score(dict(enumerate(cameras)))
    if given >= DOUBTFUL:
        return Alignment(given)
    tried = {name: score(assigned) for name, assigned in _alternatives(cameras, names)}
    best = max(tried, key=tried.__getitem__)
    if tried[best] > max(given, 0) + MARGIN and tried[best] > 1.2 * given:
        return Alignment(given, best, tried[best], tried)
    return Alignment(given, candidates=tried)


def sample_surface(mesh: Mesh, count: int, seed: int = 0) -> Float[np.ndarray, "P 3"]:
    """Draw points uniformly by area; the same ones every time."""
    rng = np.random.default_rng(seed)
    total = np.cumsum(mesh.face_areas)
    face = np.searchsorted(total, rng.random(count) * total[-1]).clip(0, mesh.num_faces - 1)
    r, s = np.sqrt(rng.random((count, 1))), rng.random((count, 1))
    a, b, c = np.moveaxis(mesh.corners[face], 1, 0)
    return (1 - r) * a + r * (1 - s) * b + r * s * c


def photo_consistency(
    points: Float[np.ndarray, "P 3"],
    mesh: Mesh,
    rasterizer: Rasterizer,
    cameras: Sequence[Camera],
    photos: Sequence[Float[np.ndarray, "h w 3"]],
) -> float:
    """Return ``1 - variance within a point / variance over all``; 0 if hardly any point is seen twice."""

    def look_up(pair: tuple[Camera, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        camera, photo = pair
        return _look_up(points, mesh, rasterizer, camera.scaled(photo.shape[1], photo.shape[0]), photo)

    colors = np.full((len(photos), len(points), 3), np.nan)
    for view, (seen, color) in enumerate(map_threads(look_up, zip(cameras, photos, strict=True))):
        if len(seen) >= MIN_POINTS:
            colors[view, seen] = (color - color.mean(0)) / np.maximum(color.std(0), 0.02)
    count = np.isfinite(colors[..., 0]).sum(0)
    shared = colors[:, count >= 2]
    if shared.shape[1] < MIN_POINTS:
        return 0.0
    mean = np.nanmean(shared, 0)
    freedom = count[count >= 2].sum() - shared.shape[1]
    within = np.nansum((shared - mean) ** 2) / (3 * freedom)
    share = min(1.0, shared.shape[1] / ENOUGH_POINTS)
    return share * float(1 - within / max(np.nanvar(shared), 1e-9))


def _look_up(
    points: np.ndarray, mesh: Mesh, rasterizer: Rasterizer, camera: Camera, photo: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the points that the camera sees and the colors of the pixels they fall on."""
    pixels, depth = camera.project(points)
    with np.errstate(invalid="ignore"):
        inside = (pixels >= 0).all(1) & (pixels[:, 0] < camera.width) & (pixels[:, 1] < camera.height)
    candidate = np.flatnonzero(inside)
    column, row = np.floor(pixels[candidate]).astype(int).T
    surface = render_depth(rasterizer.visible_faces(camera), mesh, camera)[row, column]
    visible = np.abs(surface - depth[candidate]) < DEPTH_TOLERANCE * depth[candidate]
    return candidate[visible], photo[row[visible], column[visible]].astype(np.float64)


def _alternatives(cameras: Sequence[Camera], names: Sequence[str]) -> Iterator[tuple[str, dict[int, Camera]]]:
    """Yield the name of every mistake with the cameras as they would be without it."""
    for name, fix in FIXES.items():
        yield name, {index: fix(camera) for index, camera in enumerate(cameras)}
    for name, order in _frame_orders(names):
        yield name, {index: _at(cameras[index], cameras[other]) for index, other in enumerate(order)}


def _frame_orders(names: Sequence[str]) -> Iterator[tuple[str, list[int]]]:
    """Yield which camera each photograph would get if frames had been counted or sorted differently."""
    count = len(names)
    for step, word in ((1, "next"), (-1, "previous")):
        yield (
            f"wrong frame order: every photograph has the pose of the {word} one",
            [(index - step) % count for index in range(count)],
        )
    yield "wrong frame order: the sequence is reversed", list(range(count))[::-1]
    by_number = sorted(range(count), key=lambda index: _natural(names[index]))
    if by_number != list(range(count)):
        inverse = [0] * count
        for position, index in enumerate(by_number):
            inverse[index] = position
        yield "wrong frame order: photographs sorted by number, poses by name", by_number
        yield "wrong frame order: photographs sorted by name, poses by number", inverse


def _natural(name: str) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def _at(camera: Camera, other: Camera) -> Camera:
    return camera.with_pose(other.cam_from_world)


def _posed(change: Callable[[np.ndarray], np.ndarray]) -> Fix:
    return lambda camera: camera.with_pose(change(camera.cam_from_world))


def _focal(factor: float) -> Fix:
    return lambda camera: replace(camera, fx=camera.fx * factor, fy=camera.fy * factor)


def _zoomed(factor: float) -> Fix:
    return lambda camera: replace(
        camera, fx=camera.fx * factor, fy=camera.fy * factor, cx=camera.cx * factor, cy=camera.cy * factor
    )


def _transposed(camera: Camera) -> Camera:
    return replace(camera, fx=camera.fy, fy=camera.fx, cx=camera.cy, cy=camera.cx)


TURN_X = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
"""Quarter turn of the world about x: from y up to z up."""

FIXES: dict[str, Fix] = {
    "camera and world swapped: the poses are inverse": _posed(np.linalg.inv),
    "axes flipped: the camera axes are OpenGL's, not OpenCV's": _posed(lambda pose: OPENCV_FROM_OPENGL @ pose),
    "camera and world swapped, and camera axes of OpenGL": _posed(
        lambda pose: np.linalg.inv(pose @ OPENCV_FROM_OPENGL)
    ),
    "axes flipped: y and z of the world are negated": _posed(lambda pose: pose @ OPENCV_FROM_OPENGL),
    "axes flipped: the world of the cameras has z up, that of the mesh y up": _posed(lambda pose: pose @ TURN_X),
    "axes flipped: the world of the cameras has y up, that of the mesh z up": _posed(lambda pose: pose @ TURN_X.T),
    "axes flipped: x of the camera points left": _posed(lambda pose: np.diag([-1.0, 1, 1, 1]) @ pose),
    "axes flipped: y of the camera points up": _posed(lambda pose: np.diag([1.0, -1, 1, 1]) @ pose),
    "intrinsics scaled: they are for photographs of twice the size": _zoomed(0.5),
    "intrinsics scaled: they are for photographs of half the size": _zoomed(2.0),
    "intrinsics scaled: the focal length is twice too long": _focal(0.5),
    "intrinsics scaled: the focal length is half of what it should be": _focal(2.0),
    "intrinsics transposed: x and y are swapped": _transposed,
}
