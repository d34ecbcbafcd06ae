"""Choosing photographs: dropping blurred ones and ones that show nothing new."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from neuraltex.core.runtime import progress
from neuraltex.geometry.rigid import rotation_angle
from neuraltex.geometry.scene import Scene, View
from neuraltex.io.images import read_rgb

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in brightness (ITU-R BT.601)."""


@dataclass(frozen=True)
class SelectionOptions:
    """Which photographs to drop; a value of 0 switches a test off."""

    min_sharpness: float = 0.5
    """Smallest sharpness relative to the median of the neighbors in the sequence."""
    window: int = 15
    """Number of neighbors, sorted by name, that a photograph is compared with."""
    min_shift: float = 0.005
    """Camera motion since the last kept photograph, relative to the extent of all cameras."""
    min_angle: float = 1.5
    """Camera rotation since the last kept photograph [degree]; less of both means redundant."""


def select_frames(scene: Scene, options: SelectionOptions | None = None) -> Scene:
    """Return the scene without blurred and redundant photographs, saying in its notes how many went.

    Raises:
        DataError: if a photograph is unreadable.
    """
    options = options or SelectionOptions()
    scores = np.array([sharpness(read_rgb(view.image)) for view in progress(scene.views, label="measuring sharpness")])
    sharp = scores >= options.min_sharpness * _moving_median(scores, options.window)
    views = [view for view, keep in zip(scene.views, sharp, strict=True) if keep]
    fresh = drop_redundant(views, scores[sharp], options.min_shift, np.radians(options.min_angle))
    kept = tuple(view for view, keep in zip(views, fresh, strict=True) if keep)
    note = f"{(~sharp).sum()} blurred and {len(views) - len(kept)} redundant of {len(scene.views)} photographs dropped"
    return scene.with_views(kept, note)


def sharpness(pixels: UInt8[np.ndarray, "H W 3"]) -> float:
    """Standard deviation of the Laplacian over that of brightness: falls with blur, not with exposure or contrast."""
    grey = pixels @ LUMA
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    spread = float(grey.std())
    return float(laplacian.std()) / spread if spread > 0 else 0.0


def drop_redundant(
    views: list[View], scores: Float[np.ndarray, " N"], min_shift: float, min_angle: float
) -> Bool[np.ndarray, " N"]:
    """Mark one photograph, the sharpest, of every run in which the camera hardly moves.

    Args:
        views: In the order of capture.
        scores: Their sharpness.
        min_shift: Shift that makes a photograph new, relative to the extent of all camera centers.
        min_angle: Rotation that makes it new [rad].
    """
    keep = np.zeros(len(views), bool)
    if not views:
        return keep
    extent = np.linalg.norm(np.ptp([view.camera.center for view in views], axis=0))
    anchor = best = 0
    for index, view in enumerate(views):
        motion = view.camera.cam_from_world @ views[anchor].camera.world_from_cam
        shift = np.linalg.norm(view.camera.center - views[anchor].camera.center)
        if shift > min_shift * extent or rotation_angle(motion[:3, :3]) > min_angle:
            keep[best] = True
            anchor = best = index
        elif scores[index] > scores[best]:
            best = index
    keep[best] = True
    return keep


def _moving_median(values: np.ndarray, window: int) -> np.ndarray:
    half = max(window // 2, 1)
    return np.array([np.median(values[max(i - half, 0) : i + half + 1]) for i in range(len(values))])
