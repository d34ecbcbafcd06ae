"""What training photographs show of a scene's texture, and how well textures do there and elsewhere."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from neuraltex.config.schema import FitConfig
from neuraltex.io.prepared import PreparedScene
from neuraltex.learn.fuse import fuse_scene, scene_symmetry
from neuraltex.metrics.texture import score_texture
from neuraltex.metrics.view_groups import view_sides
from neuraltex.report.pictures import reduce_mask

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
        """Return PSNR [dB] and SSIM of a texture in each region that has texels."""
        masks = {name: reduce_mask(mask, truth.shape) for name, mask in vars(self).items()}
        found = score_texture(np.clip(texture, 0, 1), truth.astype(np.float32) / 255, masks)
        return {f"{metric}_truth_{name}": row[metric] for name, row in found.items() for metric in ("psnr", "ssim")}

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
