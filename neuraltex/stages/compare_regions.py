"""What training photographs show of a scene's texture, and how well textures do there and elsewhere."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from neuraltex.config.schema import FitConfig
from neuraltex.io.prepared import PreparedScene
from neuraltex.learn.fuse import fuse_scene, scene_symmetry
from neuraltex.metrics.image import psnr, ssim
from neuraltex.metrics.view_groups import view_sides

LIGHT, GREY, DARK, OUTSIDE = 235, 140, 50, 0
"""Values of the picture: seen, in mirror image only, unseen, no chart."""


@dataclass(frozen=True, eq=False)
class TextureRegions:
    """Which texels training photographs show.

    Args:
        seen: Shown by a photograph.
        mirrored: Shown in mirror image only.
        unseen: The others in charts.
    """

    seen: Bool[np.ndarray, "h w"]
    mirrored: Bool[np.ndarray, "h w"]
    unseen: Bool[np.ndarray, "h w"]

    @classmethod
    def of(cls, scene: PreparedScene) -> "TextureRegions":
        """Look at all training photographs."""
        config = FitConfig()
        partial = fuse_scene(scene, config, scene_symmetry(scene, config.prior))
        return cls(partial.direct, partial.mirrored, partial.unseen)

    def scores(
        self, texture: Float[np.ndarray, "Ht Wt 3"], truth: UInt8[np.ndarray, "Ht Wt 3"]
    ) -> dict[str, float | None]:
        """Return PSNR [dB] and SSIM of a texture in each region; unknown where a region is empty."""
        inside = _enlarged(self.seen | self.mirrored | self.unseen, truth.shape)[..., None]
        shown = np.where(inside, np.clip(texture, 0, 1), truth.astype(np.float32) / 255)
        masks = {name: _enlarged(mask, truth.shape) for name, mask in vars(self).items() if mask.any()}
        return {
            f"{metric.__name__}_truth_{name}": metric(shown, truth, mask)
            for name, mask in masks.items()
            for metric in (psnr, ssim)
        }

    @property
    def picture(self) -> UInt8[np.ndarray, "h w 3"]:
        """A picture of them."""
        grey = np.select([self.seen, self.mirrored, self.unseen], [LIGHT, GREY, DARK], OUTSIDE)
        return grey.astype(np.uint8)[..., None].repeat(3, 2)


def held_out_sides(scene: PreparedScene) -> dict[str, str]:
    """Return from which side each held-out view looks; empty where training views stand all around."""
    views = scene.split("test")
    training = [view.camera for view in scene.split("train")]
    sides = view_sides(scene.mesh, training, [view.camera for view in views])
    return {} if sides is None else {view.name: side for view, side in zip(views, sides, strict=True)}


def _enlarged(mask: Bool[np.ndarray, "h w"], shape: tuple[int, ...]) -> Bool[np.ndarray, "Ht Wt"]:
    from neuraltex.report.pictures import reduce_mask

    return reduce_mask(mask, shape)
