"""Lens distortion in normalized image coordinates.

Models (parameters in order):
    ``pinhole``: none.
    ``brown``: k1, k2, p1, p2, k3, k4, k5, k6 (OpenCV; trailing ones may be omitted). Radial factor
        (1 + k1 r^2 + k2 r^4 + k3 r^6) / (1 + k4 r^2 + k5 r^4 + k6 r^6), tangential p1, p2.
    ``fisheye``: k1, k2, k3, k4 (Kannala and Brandt 2006, as OpenCV fisheye): theta_d = theta (1 + k1 theta^2 + ...).
    ``colmap:NAME``: any other model of COLMAP by its name, evaluated by pycolmap with unit focal length.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from neuraltex.core.errors import DataError, MissingDependency

LENSES = ("pinhole", "brown", "fisheye", "colmap:NAME")
MAX_ITERATIONS = 60
TOLERANCE = 1e-11


def distort(lens: str, params: Sequence[float], xy: Float[np.ndarray, "*B 2"]) -> Float[np.ndarray, "*B 2"]:
    """Map ideal normalized coordinates to distorted ones; NaN stays NaN.

    Raises:
        DataError: if the model is unknown.
    """
    match lens.split(":")[0]:
        case "pinhole":
            return xy
        case "brown":
            return _brown(params, xy)
        case "fisheye":
            return _fisheye(params, xy)
        case "colmap":
            return _pycolmap(lens, params, xy, inverse=False)
    raise DataError(f"lens model {lens!r} is unknown", hint=f"Use one of {', '.join(LENSES)}")


def undistort(lens: str, params: Sequence[float], xy: Float[np.ndarray, "*B 2"]) -> Float[np.ndarray, "*B 2"]:
    """Invert :func:`distort` to about 1e-10 in normalized coordinates.

    Pixels that no ray reaches (beyond the lens model's monotone range) come back as NaN.
    """
    match lens.split(":")[0]:
        case "pinhole":
            return xy
        case "brown" if not any(params):
            return xy
        case "brown":
            return _invert_brown(params, xy)
        case "fisheye":
            return _invert_fisheye(params, xy)
        case "colmap":
            return _pycolmap(lens, params, xy, inverse=True)
    raise DataError(f"lens model {lens!r} is unknown", hint=f"Use one of {', '.join(LENSES)}")


def _brown_parameters(params: Sequence[float]) -> np.ndarray:
    return np.concatenate([np.asarray(params, np.float64), np.zeros(8)])[:8]


def _brown(params: Sequence[float], xy: np.ndarray) -> np.ndarray:
    k1, k2, p1, p2, k3, k4, k5, k6 = _brown_parameters(params)
    x, y = xy[..., 0], xy[..., 1]
    r2 = x * x + y * y
    radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    dx = 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    dy = p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return np.stack([x * radial + dx, y * radial + dy], -1)


def _brown_jacobian(params: Sequence[float], xy: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the entries xx, xy, yx, yy of the derivative of :func:`_brown`."""
    k1, k2, p1, p2, k3, k4, k5, k6 = _brown_parameters(params)
    x, y = xy[..., 0], xy[..., 1]
    r2 = x * x + y * y
    top, bottom = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)), 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    radial = top / bottom
    slope = ((k1 + r2 * (2 * k2 + 3 * k3 * r2)) - radial * (k4 + r2 * (2 * k5 + 3 * k6 * r2))) / bottom
    cross = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
    return (
        radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x,
        cross,
        cross,
        radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x,
    )


def _invert_brown(params: Sequence[float], target: np.ndarray) -> np.ndarray:
    """Newton's method from the distorted point; a fold of the lens model (negative determinant) gives NaN."""
    xy = np.array(target, np.float64)
    with np.errstate(all="ignore"):
        for _ in range(MAX_ITERATIONS):
            residual = _brown(params, xy) - target
            a, b, c, d = _brown_jacobian(params, xy)
            det = a * d - b * c
            step = np.stack([d * residual[..., 0] - b * residual[..., 1], a * residual[..., 1] - c * residual[..., 0]], -1)
            step /= det[..., None]
            xy -= step
            if np.nanmax(np.abs(step), initial=0.0) < TOLERANCE:
                break
        a, b, c, d = _brown_jacobian(params, xy)
        bad = (np.abs(_brown(params, xy) - target).max(-1) > 1e-8) | (a * d - b * c <= 0)
    xy[bad | ~np.isfinite(xy).all(-1)] = np.nan
    return xy


def _fisheye_polynomial(params: Sequence[float], theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return theta_d and its derivative."""
    k1, k2, k3, k4 = np.concatenate([np.asarray(params, np.float64), np.zeros(4)])[:4]
    t2 = theta * theta
    value = theta * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))
    slope = 1 + t2 * (3 * k1 + t2 * (5 * k2 + t2 * (7 * k3 + t2 * 9 * k4)))
    return value, slope


def _fisheye(params: Sequence[float], xy: np.ndarray) -> np.ndarray:
    r = np.linalg.norm(xy, axis=-1, keepdims=True)
    value, _ = _fisheye_polynomial(params, np.arctan(r))
    return xy * np.where(r > 1e-12, value / np.maximum(r, 1e-12), 1.0)


def _invert_fisheye(params: Sequence[float], target: np.ndarray) -> np.ndarray:
    """Newton's method on the angle; angles of 90 degrees or more have no point with z = 1 and give NaN."""
    radius = np.linalg.norm(target, axis=-1, keepdims=True)
    theta = np.minimum(radius, np.pi / 2)
    with np.errstate(all="ignore"):
        for _ in range(MAX_ITERATIONS):
            value, slope = _fisheye_polynomial(params, theta)
            step = (value - radius) / slope
            theta = theta - step
            if np.nanmax(np.abs(step), initial=0.0) < TOLERANCE:
                break
        value, slope = _fisheye_polynomial(params, theta)
        good = (np.abs(value - radius) < 1e-8) & (slope > 0) & (theta >= 0) & (theta < np.pi / 2 - 1e-6)
        scale = np.where(radius > 1e-12, np.tan(theta) / np.maximum(radius, 1e-12), 1.0)
    return target * np.where(good, scale, np.nan)


def _pycolmap(lens: str, params: Sequence[float], xy: np.ndarray, *, inverse: bool) -> np.ndarray:
    try:
        import pycolmap  # noqa: PLC0415
    except ImportError as error:
        raise MissingDependency(f"lens model {lens!r} needs pycolmap", hint="Run: pip install 'neuraltex[colmap]'") from error
    model = lens.split(":", 1)[1]
    camera = pycolmap.Camera(model=model, width=1, height=1, params=list(params))
    flat = np.asarray(xy, np.float64).reshape(-1, 2)
    if inverse:
        result = np.asarray(camera.cam_from_img(flat))
    else:
        result = np.asarray(camera.img_from_cam(np.concatenate([flat, np.ones_like(flat[:, :1])], 1)))
    return result.reshape(np.shape(xy))
