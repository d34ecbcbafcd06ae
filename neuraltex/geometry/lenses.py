"""Lens distortion in normalized image coordinates.

Models (parameters in order):
    ``pinhole``: none.
    ``brown``: k1, k2, p1, p2, k3, k4, k5, k6 (OpenCV; trailing ones may be omitted). Radial factor
        (1 + k1 r^2 + k2 r^4 + k3 r^6) / (1 + k4 r^2 + k5 r^4 + k6 r^6), tangential p1, p2.
    ``fisheye``: k1, k2, k3, k4 (Kannala and Brandt 2006, as OpenCV fisheye): theta_d = theta (1 + k1 theta^2 + ...).
    ``colmap:NAME``: any other model of COLMAP by its name, evaluated by pycolmap with unit focal length and zero
        principal point; the parameters are those that remain, in COLMAP's order.

Radial polynomials fold back beyond some radius: a point far outside the picture would land inside it again. No lens
does that, so such points have no image: both directions return NaN for them.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from neuraltex.core.errors import DataError, MissingDependency

LENSES = ("pinhole", "brown", "fisheye", "colmap:NAME")
MAX_ITERATIONS = 60
TOLERANCE = 1e-11
RESIDUAL = 1e-8
"""Largest error in normalized coordinates at which an inversion counts as found (0.01 px at a focal length of 1e6)."""


def distort(lens: str, params: Sequence[float], xy: Float[np.ndarray, "*B 2"]) -> Float[np.ndarray, "*B 2"]:
    """Map ideal normalized coordinates to distorted ones; NaN stays NaN, points beyond the fold become NaN.

    Raises:
        DataError: if the model is unknown.
    """
    match lens.partition(":")[0]:
        case "pinhole":
            return xy
        case "brown":
            return np.where(_radius(xy) < _brown_fold(params), _brown(params, xy), np.nan)
        case "fisheye":
            return _fisheye(params, xy)
        case "colmap":
            return _pycolmap(lens, params, xy, inverse=False)
    raise DataError(f"lens model {lens!r} is unknown", hint=f"Use one of {', '.join(LENSES)}")


def undistort(lens: str, params: Sequence[float], xy: Float[np.ndarray, "*B 2"]) -> Float[np.ndarray, "*B 2"]:
    """Invert :func:`distort` to about 1e-10 in normalized coordinates.

    Pixels that no ray reaches (beyond the lens model's monotone range) come back as NaN.
    """
    match lens.partition(":")[0]:
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


def _radius(xy: np.ndarray) -> np.ndarray:
    return np.linalg.norm(xy, axis=-1, keepdims=True)


def _smallest_root(coefficients: Sequence[float]) -> float:
    """Return the smallest positive real root of a polynomial, lowest power first; infinity if there is none."""
    roots = np.polynomial.polynomial.polyroots(np.trim_zeros(coefficients, "b") or [1.0])
    positive = [root.real for root in roots if abs(root.imag) < 1e-9 * max(1.0, abs(root)) and root.real > 0]
    return min(positive, default=np.inf)


def _brown_fold(params: Sequence[float]) -> float:
    return _brown_fold_of(tuple(float(value) for value in params))


@lru_cache(maxsize=64)
def _brown_fold_of(params: tuple[float, ...]) -> float:
    """Radius at which the radial factor stops growing (or has a pole), the limit of the model's meaning.

    With s = r^2, top T and bottom B of the rational factor, d(r T / B)/dr = 0 where T B + 2 s (T' B - T B') = 0.
    """
    k1, k2, _, _, k3, k4, k5, k6 = _brown_parameters(params)
    top, bottom = np.polynomial.Polynomial([1, k1, k2, k3]), np.polynomial.Polynomial([1, k4, k5, k6])
    slope = top * bottom + np.polynomial.Polynomial([0, 2]) * (top.deriv() * bottom - top * bottom.deriv())
    return float(np.sqrt(min(_smallest_root(list(slope.coef)), _smallest_root(list(bottom.coef)))))


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
    """Newton's method from the distorted point; what lies beyond the fold gives NaN."""
    xy = np.array(target, np.float64)
    with np.errstate(all="ignore"):
        for _ in range(MAX_ITERATIONS):
            residual = _brown(params, xy) - target
            a, b, c, d = _brown_jacobian(params, xy)
            det = a * d - b * c
            step = np.stack(
                [d * residual[..., 0] - b * residual[..., 1], a * residual[..., 1] - c * residual[..., 0]], -1
            )
            step /= det[..., None]
            xy -= step
            if np.nanmax(np.abs(step), initial=0.0) < TOLERANCE:
                break
        a, b, c, d = _brown_jacobian(params, xy)
        found = (np.abs(_brown(params, xy) - target).max(-1) < RESIDUAL) & (a * d - b * c > 0)
        found &= _radius(xy)[..., 0] < _brown_fold(params)
    xy[~found] = np.nan
    return xy


def _fisheye_polynomial(params: Sequence[float], theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return theta_d and its derivative."""
    k1, k2, k3, k4 = np.concatenate([np.asarray(params, np.float64), np.zeros(4)])[:4]
    t2 = theta * theta
    value = theta * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))
    slope = 1 + t2 * (3 * k1 + t2 * (5 * k2 + t2 * (7 * k3 + t2 * 9 * k4)))
    return value, slope


def _fisheye_fold(params: Sequence[float]) -> float:
    """Angle at which the image radius stops growing [rad]; infinity if never."""
    k1, k2, k3, k4 = np.concatenate([np.asarray(params, np.float64), np.zeros(4)])[:4]
    return float(np.sqrt(_smallest_root([1, 3 * k1, 5 * k2, 7 * k3, 9 * k4])))


def _fisheye(params: Sequence[float], xy: np.ndarray) -> np.ndarray:
    r = _radius(xy)
    theta = np.arctan(r)
    value, _ = _fisheye_polynomial(params, theta)
    scale = np.where(r > 1e-12, value / np.maximum(r, 1e-12), 1.0)
    return xy * np.where(theta < _fisheye_fold(params), scale, np.nan)


def _invert_fisheye(params: Sequence[float], target: np.ndarray) -> np.ndarray:
    """Newton's method on the angle; angles of 90 degrees or more have no point with z = 1 and give NaN."""
    radius = _radius(target)
    theta = np.minimum(radius, np.pi / 2)
    with np.errstate(all="ignore"):
        for _ in range(MAX_ITERATIONS):
            value, slope = _fisheye_polynomial(params, theta)
            step = (value - radius) / slope
            theta = theta - step
            if np.nanmax(np.abs(step), initial=0.0) < TOLERANCE:
                break
        value, slope = _fisheye_polynomial(params, theta)
        good = (
            (np.abs(value - radius) < RESIDUAL) & (theta >= 0) & (theta < min(np.pi / 2 - 1e-6, _fisheye_fold(params)))
        )
        scale = np.where(radius > 1e-12, np.tan(theta) / np.maximum(radius, 1e-12), 1.0)
    return target * np.where(good, scale, np.nan)


def _pycolmap(lens: str, params: Sequence[float], xy: np.ndarray, *, inverse: bool) -> np.ndarray:
    """Evaluate a model of COLMAP; an inversion that does not lead back (or lies behind the camera) gives NaN."""
    camera = _pycolmap_camera(lens, params)
    flat = np.asarray(xy, np.float64).reshape(-1, 2)

    def forward(points: np.ndarray) -> np.ndarray:
        return np.asarray(camera.img_from_cam(np.concatenate([points, np.ones_like(points[:, :1])], 1)))

    if inverse:
        result = np.asarray(camera.cam_from_img(flat))
        result[~(np.abs(forward(result) - flat).max(1) < RESIDUAL)] = np.nan
    else:
        result = forward(flat)
    return result.reshape(np.shape(xy))


def _pycolmap_camera(lens: str, params: Sequence[float]) -> "pycolmap.Camera":  # type: ignore[name-defined]
    try:
        import pycolmap
    except ImportError as error:
        raise MissingDependency(f"lens model {lens!r} needs pycolmap", hint="Run: pip install pycolmap") from error
    name = lens.partition(":")[2]
    if name not in pycolmap.CameraModelId.__members__ or name in ("INVALID", "EQUIRECTANGULAR"):
        raise DataError(f"lens model {name!r} of COLMAP is not known", hint="Undistort the images with COLMAP first")
    camera = pycolmap.Camera.create_from_model_name(0, name, 1.0, 1, 1)
    values, extra = np.array(camera.params), list(camera.extra_params_idxs())
    if len(extra) != len(params):
        raise DataError(
            f"lens model {lens!r} takes {len(extra)} parameters, got {len(params)}", hint="Export the cameras again"
        )
    values[list(camera.focal_length_idxs())], values[list(camera.principal_point_idxs())] = 1, 0
    values[extra] = np.asarray(params, np.float64)
    camera.params = values.tolist()
    return camera
