"""Where all cameras together stand relative to the mesh, from its contours in the photographs.

Photographs compared with each other fix their cameras relative to one another only: moved all alike, they still agree,
and the texture moves with them. Where a surface ends before another one, the mesh says where photographs have an edge.
Along the normal of each contour the steepest change of color is sought, and one motion of the world lays all contours
on them (C. Harris, "Tracking with rigid models", in Active Vision, 1992). Errors of single cameras average out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter, map_coordinates

from neuraltex.core.runtime import logger
from neuraltex.fit.calibrate.rounds import Surface
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.rigid import rotation_from_vector
from neuraltex.io.prepared import PreparedView
from neuraltex.render.uv_maps import render_maps

JUMP = 0.06
"""Depth behind a contour, relative to the depth before it."""
BLUR = 0.7
"""Standard deviation of the blur of photographs [px]."""
REACH = 3.0
"""How far from a contour an edge is sought [px]."""
STEP = 0.25
"""Spacing of the samples along the normal [px]."""
EDGE = 0.08
"""Smallest change of color over one pixel that is an edge, which must also be twice the median on its line."""
OUTLIER = 1.0
"""Distance of contour and edge at which they have half their weight [px]."""
MIN_EDGES = 500
"""Matched contour pixels in all photographs below which nothing is moved."""


@dataclass(frozen=True, eq=False)
class Contours:
    """Pixels on the contours of a mesh in one photograph.

    Args:
        pixels: Where they are [px].
        normals: Unit normals of the contours in the image.
        points: The surface that ends there [world].
    """

    pixels: Float[np.ndarray, "P 2"]
    normals: Float[np.ndarray, "P 2"]
    points: Float[np.ndarray, "P 3"]


def move_onto_contours(
    views: Sequence[PreparedView], cameras: Sequence[Camera], surface: Surface, passes: int
) -> list[Camera]:
    """Move all cameras together until contours of the mesh lie on edges of the photographs.

    Args:
        views: Photographs.
        cameras: Their cameras, right relative to each other.
        surface: The mesh.
        passes: Gauss-Newton steps; contours are found anew for each.

    Returns:
        The cameras; as they were if too few contours show.
    """
    current = list(cameras)
    for index in range(passes):
        matrix, gradient, edges = np.zeros((6, 6)), np.zeros(6), 0
        for view, camera in zip(views, current, strict=True):
            edges += _add_photo(view, camera, surface, matrix, gradient)
        if edges < MIN_EDGES or np.linalg.cond(matrix) > 1e12:
            logger.warning("too few contours of the mesh show in the photographs: cameras may have moved together")
            break
        twist = np.linalg.solve(matrix, gradient)
        current = [move_world(camera, twist) for camera in current]
        logger.info("contours %d/%d: %d edges, world moved by %s", index + 1, passes, edges, np.round(twist, 5))
    return current


def move_world(camera: Camera, twist: Float[np.ndarray, "6"]) -> Camera:
    """Turn and shift the world before a camera: rotation vector about the origin, then translation [world]."""
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = rotation_from_vector(twist[:3]), twist[3:]
    return camera.with_pose(camera.cam_from_world @ motion)


def find_contours(camera: Camera, surface: Surface) -> Contours:
    """Find pixels between which depth jumps, on the nearer surface; the borders of the image are left out."""
    maps = render_maps(surface.rasterizer, surface.mesh, camera, texture_size=1)
    depth = np.where(maps.uv_map.mask, maps.depth, np.nan)
    slope = np.gradient(gaussian_filter(np.nan_to_num(1 / depth), 2 * BLUR))
    found = [_jumps(depth, slope, axis) for axis in (0, 1)]
    pixels, normals, near = (np.concatenate(parts) for parts in zip(*found, strict=True))
    inner = ((pixels > 2 * REACH) & (pixels < np.array([camera.width, camera.height]) - 2 * REACH)).all(1)
    pixels, normals, near = pixels[inner], normals[inner], near[inner]
    rays = camera.directions(pixels) * near[:, None]
    return Contours(pixels, normals, rays @ camera.cam_from_world[:3, :3] + camera.center)


def _jumps(
    depth: Float[np.ndarray, "H W"], slope: Sequence[Float[np.ndarray, "H W"]], axis: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return borders between neighbors along an axis [px], normals and nearer depths; steep contours only."""
    first, second = (np.moveaxis(depth, axis, 0)[part] for part in (slice(-1), slice(1, None)))
    near = np.moveaxis(np.minimum(first, second), 0, axis)
    jump = np.moveaxis(np.abs(first - second), 0, axis) > JUMP * near
    place = np.nonzero(jump)
    normal = np.stack([slope[1][place], slope[0][place]], 1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    pixels = np.stack([place[1], place[0]], 1) + np.where([axis == 1, axis == 0], 1.0, 0.5)
    steep = np.abs(normal[:, 1 - axis]) > np.sqrt(0.5)
    return pixels[steep], normal[steep], near[place][steep]


def edge_offsets(
    image: Float[np.ndarray, "H W 3"], contours: Contours
) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"]]:
    """Return how far along its normal each contour pixel has the nearest steep change of color [px], and its weight."""
    offsets = np.arange(-REACH - 0.5, REACH + 0.5 + STEP / 2, STEP)
    x, y = (contours.pixels[:, k, None] - 0.5 + contours.normals[:, k, None] * offsets for k in (0, 1))
    colors = np.stack([map_coordinates(channel, [y, x], order=1) for channel in np.moveaxis(image, -1, 0)], -1)
    across = round(1 / STEP)
    change = np.linalg.norm(colors[:, across:] - colors[:, :-across], axis=-1)
    best = change.argmax(1)
    highest = change[np.arange(len(change)), best]
    inside = (best > 0) & (best < change.shape[1] - 1)
    offset = ((offsets[across:] + offsets[:-across]) / 2)[best]
    is_edge = inside & (highest > EDGE) & (highest > 2 * np.median(change, 1))
    return offset, is_edge / (1 + (offset / OUTLIER) ** 2)


def _add_photo(
    view: PreparedView, camera: Camera, surface: Surface, matrix: Float[np.ndarray, "6 6"], gradient: np.ndarray
) -> int:
    """Add one photograph to the equations of the motion of the world; returns how many of its edges were matched."""
    contours = find_contours(camera, surface)
    image = gaussian_filter(view.load_image().astype(np.float32) / 255, (BLUR, BLUR, 0))
    offset, weight = edge_offsets(image, contours)
    rows = _rows(camera, contours)
    matrix += (rows * weight[:, None]).T @ rows
    gradient += (rows * weight[:, None]).T @ offset
    return int((weight > 0).sum())


def _rows(camera: Camera, contours: Contours, epsilon: float = 1e-6) -> Float[np.ndarray, "P 6"]:
    """Return the derivative of the position along the normal by the motion of the world."""
    columns = []
    for unit in epsilon * np.eye(6):
        ahead, behind = (move_world(camera, twist).project(contours.points)[0] for twist in (unit, -unit))
        columns.append(((ahead - behind) * contours.normals).sum(1) / (2 * epsilon))
    return np.nan_to_num(np.stack(columns, 1))
