"""Scoring one held-out view after the other, so that memory does not grow with their number."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, UInt8

from neuraltex.core.errors import DataError
from neuraltex.geometry.camera import Camera
from neuraltex.io.images import read_mask, write_rgb
from neuraltex.io.prepared import PreparedScene, PreparedView
from neuraltex.losses.lpips import Lpips
from neuraltex.metrics.evaluation_mask import EvaluationMasks
from neuraltex.metrics.image import score_view
from neuraltex.render.shade import TexturedRenderer
from neuraltex.report.pictures import find_detail, reduce_image, reduce_mask
from neuraltex.report.values import Pictures
from neuraltex.stages.compare_methods import Contender

if TYPE_CHECKING:
    from neuraltex.fit.calibrate.held_out import TexturedSurface

PICTURE_SIDE = 1600
"""Longest side of the pictures kept for the page [px]."""
DETAIL_SIZE = (240, 320)
"""Height and width of the crops at full resolution [px]."""
MIN_REGION = 200
"""Regions of a photograph with fewer pixels are not scored apart."""
UNSEEN_GREY = 160
"""Value in a written mask of what is scored and no training view shows."""
REGION_SCORES = ("psnr", "ssim", "lpips")
ALIGNED = {"psnr_fit": "psnr_aligned", "ssim_fit": "ssim_aligned", "lpips_fit": "lpips_aligned"}
"""Scores that are also taken through aligned cameras, and their names then."""


class Judge:
    """Renders and scores all contenders on one view at a time.

    ``rows`` collects the scores by view and contender, ``notes`` what had to be left out.

    Args:
        scene: Prepared scene.
        contenders: Who competes.
        lpips: Perceptual distance, or ``None`` to leave it out.
        masks: Folder of given evaluation masks; ``None`` computes them.
        supersampling: Samples per pixel along each axis.
        mask_folder: Where the masks used are written.
        align: Also score with cameras aligned to each texture.
        surface: Score all of the surface, and apart what training views show and what none does.
    """

    def __init__(
        self,
        scene: PreparedScene,
        contenders: Sequence[Contender],
        lpips: Lpips | None,
        masks: Path | None,
        supersampling: int,
        mask_folder: Path,
        *,
        align: bool = False,
        surface: bool = False,
    ) -> None:
        self._contenders = tuple(contenders)
        self._renderers = {contender.name: TexturedRenderer(contender.textured) for contender in contenders}
        self._surfaces = self._make_surfaces() if align else {}
        self._finder = (
            EvaluationMasks(scene.mesh, [view.camera for view in scene.split("train")]) if masks is None else None
        )
        self._surface = surface
        self._lpips, self._masks, self._samples, self._mask_folder = lpips, masks, supersampling, mask_folder
        self.rows: dict[str, dict[str, dict[str, float | None]]] = {}
        self.notes: list[str] = []

    def score(self, view: PreparedView, *, picture: bool) -> Pictures | None:
        """Score one view; returns its pictures if wanted.

        Raises:
            DataError: if the photograph or its given mask cannot be read.
        """
        photo, (mask, regions) = view.load_image(), self._mask(view)
        grey = mask.astype(np.uint8) * 255
        grey[regions.get("unseen", ~mask) & mask] = UNSEEN_GREY
        write_rgb(self._mask_folder / f"{view.name}.png", grey)
        if not mask.any():
            self.notes.append(f"{view.name} is left out: none of its pixels is to be scored.")
            return None
        window = find_detail(photo, mask, DETAIL_SIZE) if picture else None
        renders, details = {}, {} if window is None else {"photo": photo[window]}
        self.rows[view.name] = {}
        for contender in self._contenders:
            name, camera = contender.name, contender.cameras.get(view.name, view.camera)
            image, coverage = self._renderers[name].render(camera, None if picture else mask, self._samples)
            row = score_view(image, coverage, photo, mask, self._lpips)
            apart = self._score_regions(image, coverage, photo, regions)
            self.rows[view.name][name] = {**row, **apart, **self._score_aligned(name, camera, photo, mask)}
            if picture:
                pixels = _to_pixels(image)
                renders[name] = reduce_image(pixels, PICTURE_SIDE)
                details |= {} if window is None else {name: pixels[window]}
        if not picture:
            return None
        small = reduce_image(photo, PICTURE_SIDE)
        return Pictures(view.name, small, renders, reduce_mask(mask, small.shape[:2]), details)

    def _score_regions(
        self,
        image: Float[np.ndarray, "H W 3"],
        coverage: Float[np.ndarray, "H W"],
        photo: UInt8[np.ndarray, "H W 3"],
        regions: dict[str, Bool[np.ndarray, "H W"]],
    ) -> dict[str, float | None]:
        """Score a render in each region as it is: a color fit of its own would hide what is wrong there."""
        found: dict[str, float | None] = {}
        for region, mask in regions.items():
            if mask.sum() >= MIN_REGION:
                row = score_view(image, coverage, photo, mask, self._lpips)
                found |= {f"{key}_{region}": row[key] for key in REGION_SCORES if key in row}
        return found

    def _make_surfaces(self) -> dict[str, "TexturedSurface"]:
        from neuraltex.fit.calibrate.held_out import TexturedSurface

        return {
            contender.name: TexturedSurface.of(contender.textured, self._renderers[contender.name])
            for contender in self._contenders
        }

    def _score_aligned(
        self, name: str, camera: Camera, photo: UInt8[np.ndarray, "H W 3"], mask: Bool[np.ndarray, "H W"]
    ) -> dict[str, float | None]:
        """Score a contender through the camera that fits its texture best; nothing unless that was asked for."""
        if name not in self._surfaces:
            return {}
        from neuraltex.fit.calibrate.held_out import align_to_texture

        aligned = align_to_texture(self._surfaces[name], camera, photo, mask)
        image, coverage = self._renderers[name].render(aligned.camera, mask, self._samples)
        row = score_view(image, coverage, photo, mask, self._lpips)
        return {**{column: row[key] for key, column in ALIGNED.items() if key in row}, "moved_px": aligned.shift}

    def _mask(self, view: PreparedView) -> tuple[Bool[np.ndarray, "H W"], dict[str, Bool[np.ndarray, "H W"]]]:
        """Return which pixels are scored, and parts of them that are scored apart."""
        shape = (view.camera.height, view.camera.width)
        if self._finder is None:
            path = Path(self._masks or "") / f"{view.name}.png"
            if not path.is_file():
                raise DataError(
                    f"{path} does not exist", source="--masks", hint="Give one mask NAME.png per held-out view"
                )
            return read_mask(path, shape), {}
        allowed = np.ones(shape, np.bool_) if view.mask is None else read_mask(view.mask, shape)
        if not self._surface:
            return allowed & self._finder.mask(view.camera), {}
        counts = self._finder.counts(view.camera)
        return allowed & (counts >= 0), {"seen": allowed & (counts > 0), "unseen": allowed & (counts == 0)}


def _to_pixels(image: Float[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
    return np.round(image * 255).clip(0, 255).astype(np.uint8)
