"""The only module that flips an axis or shifts by half a pixel.

Convention:
    Camera axes are OpenCV's: +x right, +y down, +z forward. Transforms are ``a_from_b`` and act on column vectors.
    Pixel (0, 0) is the corner of the image, the first pixel center is (0.5, 0.5) [px].
    uv lies in [0, 1]^2 with the origin at the bottom left (OBJ); row 0 of a texture is v = 1;
    texel centers are at ((i + 0.5) / Wt, (j + 0.5) / Ht) (``align_corners=False``).
    Color is display-referred sRGB in [0, 1], channel-last, unless a name says ``linear``.
"""

from typing import Any

import numpy as np

OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
"""Camera axes of OpenGL, Blender and nerfstudio (+x right, +y up, -z forward) to OpenCV's; its own inverse."""

HALF_PIXEL = 0.5
"""Shift of a principal point from 'integer coordinates are pixel centers' (OpenMVS, 7-Scenes, OpenCV) to ours [px]."""

GREY = 0.5
"""Color in [0, 1] that untextured pixels count as in every comparison."""


def opencv_from_opengl_pose(world_from_cam: np.ndarray) -> np.ndarray:
    """Turn the camera axes of a 4x4 ``world_from_cam`` from OpenGL's to OpenCV's (or back)."""
    return world_from_cam @ OPENCV_FROM_OPENGL


def half_from_integer_centers(principal_point: float) -> float:
    """Move a principal point [px] from integer pixel centers to half-integer ones."""
    return principal_point + HALF_PIXEL


def integer_from_half_centers(principal_point: float) -> float:
    """Inverse of :func:`half_from_integer_centers`."""
    return principal_point - HALF_PIXEL


def flip_v(uv: Any) -> Any:
    """Swap the v axis between 'up' (ours, OBJ) and 'down' (glTF, image rows); works on arrays and tensors ``[..., 2]``.

    Its own inverse. Returns a new array.
    """
    flipped = uv.clone() if hasattr(uv, "clone") else np.array(uv, copy=True)
    flipped[..., 1] = 1 - flipped[..., 1]
    return flipped


def grid_from_uv(uv: Any) -> Any:
    """Turn uv ``[..., 2]`` (v up) into the coordinates of ``torch.nn.functional.grid_sample(align_corners=False)``."""
    return flip_v(uv) * 2 - 1


def texel_from_uv(uv: Any, width: int, height: int) -> tuple[Any, Any]:
    """Return continuous texel coordinates (x right, y down); the center of texel (row j, column i) is (i, j)."""
    return uv[..., 0] * width - HALF_PIXEL, (1 - uv[..., 1]) * height - HALF_PIXEL


def uv_from_texel(x: Any, y: Any, width: int, height: int) -> tuple[Any, Any]:
    """Inverse of :func:`texel_from_uv`."""
    return (x + HALF_PIXEL) / width, 1 - (y + HALF_PIXEL) / height


def pixel_centers(width: int, height: int) -> np.ndarray:
    """Return the centers of all pixels as ``[H, W, 2]`` float64 (x, y) [px]; the first is (0.5, 0.5)."""
    x, y = np.meshgrid(np.arange(width) + HALF_PIXEL, np.arange(height) + HALF_PIXEL)
    return np.stack([x, y], axis=-1)


def chw_from_hwc(image: Any) -> Any:
    """Move channels first: ``[..., H, W, C]`` to ``[..., C, H, W]`` (arrays and tensors)."""
    return image.movedim(-1, -3) if hasattr(image, "movedim") else np.moveaxis(image, -1, -3)


def hwc_from_chw(image: Any) -> Any:
    """Move channels last: ``[..., C, H, W]`` to ``[..., H, W, C]`` (arrays and tensors)."""
    return image.movedim(-3, -1) if hasattr(image, "movedim") else np.moveaxis(image, -3, -1)


def linear_from_srgb(color: np.ndarray) -> np.ndarray:
    """Decode sRGB in [0, 1] to linear light (IEC 61966-2-1)."""
    return np.where(color <= 0.04045, color / 12.92, ((np.maximum(color, 0) + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(linear: np.ndarray) -> np.ndarray:
    """Encode linear light in [0, 1] as sRGB (IEC 61966-2-1)."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)
