"""Soft daylight baked into the texture: a window, the sky and their shadows, by rendering depth from every light."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from neuraltex.geometry.camera import Camera
from neuraltex.render.fragments import Rasterizer

DISTANCE = 60.0
"""Lights stand this far away [world], so that their rays are nearly parallel."""
BIAS = 0.008
"""A point counts as lit up to this far behind the surface that the light sees [world]."""


@dataclass(frozen=True, eq=False)
class Light:
    """One distant light: the direction *towards* it and its linear color."""

    direction: Float[np.ndarray, "3"]
    color: Float[np.ndarray, "3"]


def daylight(num_window: int, num_sky: int) -> tuple[Light, ...]:
    """A warm cluster of lights as a window and a cool hemisphere of sky, both placed by the golden angle."""
    golden = np.pi * (3 - np.sqrt(5))
    index = np.arange(num_window) + 0.5
    radius, angle = 0.20 * np.sqrt(index / num_window), golden * index
    axis = np.array([0.42, 0.62, 0.72])
    axis /= np.linalg.norm(axis)
    side = np.cross(axis, [0, 0, 1])
    side /= np.linalg.norm(side)
    up = np.cross(side, axis)
    offsets = radius[:, None] * (np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * up)
    window = [Light(_unit(axis + offset), np.array([0.80, 0.71, 0.58]) / num_window) for offset in offsets]
    index = np.arange(num_sky) + 0.5
    z, angle = 1 - 0.95 * index / num_sky, golden * index
    ring = np.sqrt(1 - z * z)
    sky = np.stack([ring * np.cos(angle), ring * np.sin(angle), z], -1)
    return (*window, *(Light(direction, np.array([1.10, 1.18, 1.28]) / num_sky) for direction in sky))


AMBIENT = np.array([0.150, 0.145, 0.140])
"""Light from everywhere, standing in for what the walls reflect."""


def irradiance(
    rasterizer: Rasterizer,
    lights: tuple[Light, ...],
    bounds: Float[np.ndarray, "2 3"],
    points: Float[np.ndarray, "P 3"],
    normals: Float[np.ndarray, "P 3"],
    resolution: int,
) -> Float[np.ndarray, "P 3"]:
    """Linear light arriving at surface points, shadows included.

    Args:
        rasterizer: Of the mesh that casts the shadows.
        lights: All lights.
        bounds: Lower and upper corner of what the depth images must hold [world].
        points: Where to measure.
        normals: Unit normals there.
        resolution: Side of the depth images [px].
    """

    def contribution(light: Light) -> tuple[np.ndarray, np.ndarray]:
        cosine = normals @ light.direction
        facing = np.nonzero(cosine > 0)[0]
        lit = _visible(rasterizer, _camera_of(light, bounds, resolution), points[facing] + 0.004 * normals[facing])
        return facing, (cosine[facing] * lit)[:, None] * light.color

    total = np.tile(AMBIENT, (len(points), 1))
    with ThreadPoolExecutor(2) as pool:  # results come in the order of the lights, so that sums are the same every time
        for facing, received in pool.map(contribution, lights):
            total[facing] += received
    return total


def _visible(rasterizer: Rasterizer, camera: Camera, points: np.ndarray) -> np.ndarray:
    """Share of the four nearest depth samples that do not lie in front of each point."""
    depth = rasterizer.render(camera).depth.numpy()
    depth = np.where(depth > 0, depth, np.inf)
    pixels, z = camera.project(points)
    at = np.clip(pixels - 0.5, 0, np.array([camera.width, camera.height]) - 1.001)
    base = at.astype(np.int64)
    fx, fy = (at - base).T
    x, y = base.T
    corners = ((0, 0, (1 - fx) * (1 - fy)), (1, 0, fx * (1 - fy)), (0, 1, (1 - fx) * fy), (1, 1, fx * fy))
    return sum(weight * (z <= depth[y + dy, x + dx] + BIAS) for dx, dy, weight in corners)


def _camera_of(light: Light, bounds: np.ndarray, resolution: int) -> Camera:
    """A far camera at the light whose image just holds the bounds."""
    middle, radius = bounds.mean(0), np.linalg.norm(bounds[1] - bounds[0]) / 2
    pose = look_at(middle + DISTANCE * light.direction, middle)
    focal = resolution / 2 * np.sqrt(DISTANCE**2 - radius**2) / radius
    return Camera(resolution, resolution, focal, focal, resolution / 2, resolution / 2, pose)


def look_at(eye: np.ndarray, target: np.ndarray) -> Float[np.ndarray, "4 4"]:
    """Return ``cam_from_world`` of a camera at ``eye`` that looks at ``target`` with z up in the image."""
    forward = _unit(np.asarray(target, np.float64) - eye)
    hint = np.array([0.0, 0.0, 1.0]) if abs(forward[2]) < 0.999 else np.array([0.0, 1.0, 0.0])
    right = _unit(np.cross(forward, hint))
    rotation = np.stack([right, np.cross(forward, right), forward])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ eye
    return pose


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
