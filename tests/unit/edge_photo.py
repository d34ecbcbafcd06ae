"""A photograph in which half a pixel is visible: one quadrant of a plane is white, and its corner is known in 3D.

The photograph is rendered from a format's *own* definition of a pixel, not with this package's cameras.
"""

import numpy as np

SAMPLES = 16
CORNER = np.array([0.137, -0.083, 0.0])
"""Where the quadrant begins [world], on the plane z = 0."""


def render_quadrant(width, height, K, cam_from_world, first_center):
    """Photograph the quadrant x > CORNER x, y > CORNER y, averaging SAMPLES^2 rays per pixel.

    Args:
        width: Image width [px]; ``height`` likewise.
        K: Intrinsics as the format writes them.
        cam_from_world: Pose whose image axes are parallel to the plane's.
        first_center: Coordinates that the format gives to the center of the first pixel: 0 or 0.5.
    """
    offsets = (np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5
    x = (np.arange(width)[:, None] + first_center + offsets).ravel()
    y = (np.arange(height)[:, None] + first_center + offsets).ravel()
    pixels = np.stack([*np.meshgrid(x, y), np.ones((len(y), len(x)))], -1)
    rays = pixels @ np.linalg.inv(K).T @ cam_from_world[:3, :3]
    center = -cam_from_world[:3, :3].T @ cam_from_world[:3, 3]
    points = center + rays * (-center[2] / rays[..., 2:])
    white = (points[..., 0] > CORNER[0]) & (points[..., 1] > CORNER[1])
    averaged = white.reshape(height, SAMPLES, width, SAMPLES).mean((1, 3))
    return np.repeat(np.round(averaged * 255).astype(np.uint8)[..., None], 3, 2)


def measure_corner(pixels):
    """Where the white quadrant begins, from the share of white [px]; (0, 0) is the corner of the image."""
    white = pixels[..., 0] / 255
    height, width = white.shape
    return np.array([width - white[-1].sum(), height - white[:, -1].sum()])
