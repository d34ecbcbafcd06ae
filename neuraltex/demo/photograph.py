"""Taking the demo's photographs: supersampled renders and what a real camera does to them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8, UInt16

from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh, TexturedMesh
from neuraltex.render.fragments import Rasterizer
from neuraltex.render.shade import TexturedRenderer

SUPERSAMPLING = 3
"""Samples per pixel along each axis."""
MILLIMETERS = 1000.0


@dataclass(frozen=True)
class Flaws:
    """What is wrong with one photograph.

    Args:
        gain: Factor on the display-referred color.
        blur: Standard deviation of a Gaussian blur [px]; 0 for none.
    """

    gain: float = 1.0
    blur: float = 0.0


def develop(image: Float[np.ndarray, "H W 3"], flaws: Flaws) -> UInt8[np.ndarray, "H W 3"]:
    """Apply the flaws to a render in [0, 1] and round to 8 bit."""
    from scipy.ndimage import gaussian_filter  # noqa: PLC0415

    if flaws.blur > 0:
        image = gaussian_filter(image, (flaws.blur, flaws.blur, 0))
    return np.rint((image * flaws.gain).clip(0, 1) * 255).astype(np.uint8)


def photograph(renderer: TexturedRenderer, camera: Camera, flaws: Flaws) -> UInt8[np.ndarray, "H W 3"]:
    """Take a picture with ``SUPERSAMPLING`` squared rays per pixel, exact under lens distortion."""
    return develop(renderer.render(camera, supersampling=SUPERSAMPLING)[0], flaws)


def depth_image(rasterizer: Rasterizer, camera: Camera) -> UInt16[np.ndarray, "H W"]:
    """Return z-depth in millimeters as a sensor would; 0 where there is none."""
    depth = rasterizer.render(camera).depth.numpy() * MILLIMETERS
    return np.where(depth < 65535, np.rint(depth), 0).astype(np.uint16)


def join(first: TexturedMesh, second: TexturedMesh) -> TexturedMesh:
    """Put two meshes with one texture each into one scene."""
    a, b = first.mesh, second.mesh
    corners = np.concatenate([a.corners, b.corners]).reshape(-1, 3)
    uvs = np.concatenate([a.corner_uvs, b.corner_uvs]).reshape(-1, 2)
    index = np.arange(len(corners)).reshape(-1, 3)
    mesh = Mesh(corners, index, uvs, index)
    owner = np.repeat([0, 1], [a.num_faces, b.num_faces])
    return TexturedMesh(mesh, (*first.textures, *second.textures), owner)
