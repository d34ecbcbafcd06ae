"""Cameras: pinhole, Brown-Conrady and fisheye, with exact rays through distorted pixels."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from neuraltex.core.conventions import pixel_centers
from neuraltex.core.errors import DataError, ShapeError
from neuraltex.geometry import lenses


@dataclass(frozen=True, eq=False)
class Camera:
    """A calibrated view.

    Convention:
        OpenCV axes, ``x_cam = cam_from_world @ x_world``; the center of the first pixel is (0.5, 0.5).

    Args:
        width: Image width [px].
        height: Image height [px].
        fx: Focal length [px]; ``fy`` likewise.
        cx: Principal point [px] in the half-pixel convention; ``cy`` likewise.
        cam_from_world: 4x4 rigid transform.
        skew: Off-diagonal of K [px].
        lens: Distortion model, one of :data:`neuraltex.geometry.lenses.LENSES`.
        distortion: Its parameters, in the order of that model.
        warp: Smooth residual displacement, given at control points spread evenly from corner to corner of the image and
            interpolated bilinearly [px]: pixel ``p`` of the photograph sees the ray of the ideal pixel ``p + warp(p)``
            (Zhou and Koltun, "Color map optimization for 3D reconstruction", 2014, section 5).
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    cam_from_world: Float[np.ndarray, "4 4"]
    skew: float = 0.0
    lens: str = "pinhole"
    distortion: tuple[float, ...] = ()
    warp: Float[np.ndarray, "h w 2"] | None = None

    def __post_init__(self) -> None:
        pose = np.array(self.cam_from_world, np.float64)
        if pose.shape != (4, 4):
            raise ShapeError(f"cam_from_world has shape {pose.shape}, expected (4, 4)")
        object.__setattr__(self, "cam_from_world", pose)
        object.__setattr__(self, "distortion", tuple(float(value) for value in self.distortion))
        if self.warp is not None:
            warp = np.array(self.warp, np.float64)
            if warp.ndim != 3 or warp.shape[2] != 2 or min(warp.shape[:2]) < 2 or not np.isfinite(warp).all():
                raise ShapeError(f"warp has shape {warp.shape}, expected [h, w, 2] with h, w >= 2, all finite")
            object.__setattr__(self, "warp", warp)
        numbers = (self.fx, self.fy, self.cx, self.cy, self.skew, *self.distortion)
        if not (np.isfinite(numbers).all() and np.isfinite(pose).all()):
            raise DataError("a camera has NaN or infinite values", hint="Remove the view or export the cameras again")
        if self.fx == 0 or self.fy == 0 or self.width <= 0 or self.height <= 0:
            raise DataError(
                f"a camera has focal length ({self.fx}, {self.fy}) and size {self.width}x{self.height}",
                hint="Focal lengths must not be 0 and sizes must be positive",
            )

    @property
    def K(self) -> Float[np.ndarray, "3 3"]:
        """Intrinsic matrix [px]."""
        return np.array([[self.fx, self.skew, self.cx], [0, self.fy, self.cy], [0, 0, 1]])

    @property
    def world_from_cam(self) -> Float[np.ndarray, "4 4"]:
        """Inverse of ``cam_from_world``."""
        return np.linalg.inv(self.cam_from_world)

    @property
    def center(self) -> Float[np.ndarray, " 3"]:
        """Camera center [world]."""
        return self.world_from_cam[:3, 3]

    def project(self, points: Float[np.ndarray, "P 3"]) -> tuple[np.ndarray, np.ndarray]:
        """Project world points; returns pixel coordinates ``[P, 2]`` and z-depth ``[P]`` [world].

        Points at or behind the camera plane get NaN coordinates.
        """
        p = points @ self.cam_from_world[:3, :3].T + self.cam_from_world[:3, 3]
        with np.errstate(divide="ignore", invalid="ignore"):
            normalized = np.where(p[:, 2:] > 0, p[:, :2] / p[:, 2:], np.nan)
        x, y = lenses.distort(self.lens, self.distortion, normalized).T
        return self._unwarp(np.stack([self.fx * x + self.skew * y + self.cx, self.fy * y + self.cy], 1)), p[:, 2]

    def displacement(self, pixels: Float[np.ndarray, "*B 2"]) -> Float[np.ndarray, "*B 2"]:
        """Return ``warp`` at pixel coordinates [px]; beyond the image it continues as at the border."""
        if self.warp is None:
            return np.zeros_like(pixels)
        rows, columns = self.warp.shape[:2]
        x = np.clip(pixels[..., 0] / self.width, 0, 1) * (columns - 1)
        y = np.clip(pixels[..., 1] / self.height, 0, 1) * (rows - 1)
        x, y = np.nan_to_num(x), np.nan_to_num(y)
        i, j = np.minimum(x.astype(int), columns - 2), np.minimum(y.astype(int), rows - 2)
        a, b = (x - i)[..., None], (y - j)[..., None]
        upper = self.warp[j, i] * (1 - a) + self.warp[j, i + 1] * a
        return upper * (1 - b) + (self.warp[j + 1, i] * (1 - a) + self.warp[j + 1, i + 1] * a) * b

    def _unwarp(self, ideal: Float[np.ndarray, "P 2"]) -> Float[np.ndarray, "P 2"]:
        """Solve ``p + warp(p) = ideal`` by fixed-point iteration; a smooth warp is a contraction."""
        pixels = ideal
        for _ in range(0 if self.warp is None else 8):
            pixels = ideal - self.displacement(pixels)
        return pixels

    def directions(self, pixels: Float[np.ndarray, "*B 2"] | None = None) -> Float[np.ndarray, "*B 3"]:
        """Ray directions in *camera* axes with z = 1, exact under lens distortion; all pixel centers by default.

        The parameter of a ray ``center + t * direction`` is therefore the z-depth.
        """
        pixels = pixel_centers(self.width, self.height) if pixels is None else np.asarray(pixels, np.float64)
        pixels = pixels if self.warp is None else pixels + self.displacement(pixels)
        y = (pixels[..., 1] - self.cy) / self.fy
        x = (pixels[..., 0] - self.cx - self.skew * y) / self.fx
        normalized = lenses.undistort(self.lens, self.distortion, np.stack([x, y], -1))
        return np.concatenate([normalized, np.ones_like(normalized[..., :1])], -1)

    def rays(self, pixels: Float[np.ndarray, "*B 2"] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the common origin ``[3]`` and the directions ``[*B, 3]`` in *world* axes; ``t`` is the z-depth."""
        return self.center, self.directions(pixels) @ self.world_from_cam[:3, :3].T

    def scaled(self, width: int, height: int) -> "Camera":
        """Return the camera of the same view resampled to another size."""
        sx, sy = width / self.width, height / self.height
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=self.cx * sx,
            cy=self.cy * sy,
            skew=self.skew * sx,
            warp=None if self.warp is None else self.warp * (sx, sy),
        )

    def with_pose(self, cam_from_world: np.ndarray) -> "Camera":
        """Return the camera at another place."""
        return replace(self, cam_from_world=cam_from_world)
