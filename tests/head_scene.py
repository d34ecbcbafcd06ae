"""A head with a symmetric uv layout, a texture of its own, and its photographs: for partial textures."""

import numpy as np
from box_scene import look_at

from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh, TexturedMesh
from neuraltex.render.shade import TexturedRenderer
from neuraltex.texture.atlas import make_atlas


def head(rings: int = 24, nose: float = 0.25) -> Mesh:
    """A pear with a nose, up is +z, the face looks to +y, symmetric in x; u runs around it from the back.

    One chart that fills the texture up to a border: the mirror image of a texel is its mirror image on the texture.
    """
    theta, phi = np.meshgrid(np.linspace(0, np.pi, rings + 1), np.linspace(-np.pi, np.pi, 2 * rings + 1), indexing="ij")
    tip = nose * np.exp(-8 * ((theta - 1.6) ** 2 + phi**2))
    radius = 0.8 + 0.15 * np.cos(theta) + 0.1 * np.cos(phi) * np.sin(theta) ** 2 + tip
    sine = np.sin(theta)
    points = radius[..., None] * np.stack([sine * np.sin(phi), sine * np.cos(phi), np.cos(theta)], -1)
    uvs = np.stack([0.5 + phi / np.pi * 0.47, 0.97 - theta / np.pi * 0.94], -1)
    corner = np.arange(theta.size).reshape(theta.shape)
    a, b, c, d = (grid.ravel() for grid in (corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]))
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])[:, ::-1]
    vertices, index = np.unique(points.reshape(-1, 3).round(9), axis=0, return_inverse=True)
    return Mesh(vertices, index.reshape(-1)[faces], uvs.reshape(-1, 2), faces)


def head_texture(size: int = 256, *, symmetric: bool = False) -> np.ndarray:
    """A smooth texture, 8 bit, without a symmetry unless wanted."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    x = np.abs(x - 0.5) if symmetric else x
    waves = (np.sin(9 * x + 4 * y), np.sin(7 * y - 5 * x + 1), np.sin(8 * x * y + 2))
    return np.round((0.5 + 0.35 * np.stack(waves, -1)) * 255).astype(np.uint8)


def camera_at(azimuth: float, size: int = 200, focal: float | None = None) -> Camera:
    """A camera that looks at the head from the front turned by an azimuth [degree], the head filling most of it."""
    angle = np.radians(azimuth)
    eye = 4 * np.array([np.sin(angle), np.cos(angle), 0.15])
    return look_at(eye, np.zeros(3), (size, size), focal or 1.6 * size)


def photograph(mesh: Mesh, texture: np.ndarray, camera: Camera, background: tuple = (1, 0, 1)) -> np.ndarray:
    """Return a photograph in [0, 1] before a plain background."""
    textured = TexturedMesh(mesh, (texture,), np.zeros(mesh.num_faces, np.int64))
    image, coverage = TexturedRenderer(textured).render(camera, supersampling=4)
    outside = (1 - coverage)[..., None]
    return (image - 0.5 * outside + outside * np.array(background)).clip(0, 1).astype(np.float32)


def shrunk(texture: np.ndarray, size: int) -> np.ndarray:
    """Return a texture averaged to a smaller size, in [0, 1]."""
    step = texture.shape[0] // size
    return texture.reshape(size, step, size, step, 3).mean((1, 3)) / 255


def texels_of(mesh: Mesh, size: int) -> np.ndarray:
    """Return which texels lie in charts."""
    return make_atlas(mesh, size).inside
