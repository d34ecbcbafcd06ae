"""A small exact scene for tests: lumps over a floor with a color in every point of space, and its photographs."""

import numpy as np

from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.render.fragments import make_rasterizer
from neuraltex.render.interpolate import surface_points


def lumps(rings: int = 16) -> Mesh:
    """Five bumpy spheres of different size over a square floor; every face has its own uv triangle."""
    vertices, faces = [], []
    places = [
        (0, 0, 0.5, 0.5),
        (1.2, 0.4, 0.3, 0.35),
        (-0.9, 0.9, 0.4, 0.4),
        (-0.5, -1.1, 0.3, 0.3),
        (0.9, -0.8, 0.6, 0.25),
    ]
    for index, (x, y, z, size) in enumerate(places):
        theta, phi = np.meshgrid(
            np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, 2 * rings + 1), indexing="ij"
        )
        radius = size * (1 + 0.12 * np.sin((3 + index) * phi) * np.sin(theta) ** 2)
        points = radius[..., None] * np.stack(
            [np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1
        )
        corner = np.arange(theta.size).reshape(theta.shape) + sum(map(len, vertices))
        a, b, c, d = (grid.ravel() for grid in (corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]))
        vertices.append(points.reshape(-1, 3) + np.array([x, y, z]))
        faces += [np.stack([a, b, c], 1), np.stack([a, c, d], 1)]
    first = sum(map(len, vertices))
    vertices.append(np.array([[-2.5, -2.5, 0], [2.5, -2.5, 0], [2.5, 2.5, 0], [-2.5, 2.5, 0]]))
    faces.append(np.array([[0, 1, 2], [0, 2, 3]]) + first)
    return with_grid_uv(Mesh(np.concatenate(vertices), np.concatenate(faces)))


def with_grid_uv(mesh: Mesh) -> Mesh:
    """Give every face its own half of a cell of a regular grid."""
    side = int(np.ceil(np.sqrt(mesh.num_faces)))
    cell = np.stack(np.divmod(np.arange(mesh.num_faces), side)[::-1], 1)
    corners = (cell[:, None] + np.array([[0.1, 0.1], [0.9, 0.1], [0.1, 0.9]])) / side
    return mesh.with_uv(corners.reshape(-1, 2), np.arange(3 * mesh.num_faces).reshape(-1, 3))


def orbit(count: int, width: int = 160, height: int = 120, focal: float = 140.0) -> list[Camera]:
    """Cameras on a spiral around the scene, none level, all different in height and roll."""
    cameras = []
    for index in range(count):
        angle, up = 2 * np.pi * index / count * 1.3, 1.2 + 1.3 * ((index * 7) % count) / count
        eye = np.array([3.3 * np.cos(angle), 3.0 * np.sin(angle), up])
        z = np.array([0.1, -0.05, 0.3]) - eye
        z /= np.linalg.norm(z)
        x = np.cross(z, [0.1 * np.sin(3 * angle), 0.1, 1.0])
        x /= np.linalg.norm(x)
        rotation = np.stack([x, np.cross(z, x), z])
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, -rotation @ eye
        cameras.append(Camera(width, height, focal, focal * 1.03, width / 2 + 4, height / 2 - 3, pose))
    return cameras


def color(points: np.ndarray) -> np.ndarray:
    """A color in [0, 1] for every point of space, varied enough to recognize places by."""
    x, y, z = np.moveaxis(points, -1, 0)
    waves = (np.sin(2.3 * x + 1.7 * y + 1), np.sin(3.1 * y - 2.2 * z), np.sin(2.9 * x * y + 3 * z))
    return 0.5 + 0.25 * np.stack(waves, -1) + 0.15 * np.sin(7 * x + 5 * z)[..., None]


def photograph(mesh: Mesh, camera: Camera, supersampling: int = 3) -> np.ndarray:
    """Return a photograph [H, W, 3] in [0, 1] on a dark background."""
    fine = camera.scaled(camera.width * supersampling, camera.height * supersampling)
    fragments = make_rasterizer(mesh, "embree").render(fine)
    image = np.where(fragments.mask.numpy()[..., None], color(surface_points(fragments, mesh).numpy()), 0.05)
    return image.reshape(camera.height, supersampling, camera.width, supersampling, 3).mean((1, 3))
