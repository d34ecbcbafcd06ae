"""Scoring one held-out view after the other, so that memory does not grow with their number."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from neuraltex.core.errors import DataError
from neuraltex.io.images import read_mask, write_rgb
from neuraltex.io.prepared import PreparedScene, PreparedView
from neuraltex.losses.lpips import Lpips
from neuraltex.metrics.evaluation_mask import EvaluationMasks
from neuraltex.metrics.image import score_view
from neuraltex.render.shade import TexturedRenderer
from neuraltex.report.pictures import find_detail, reduce_image, reduce_mask
from neuraltex.report.values import Pictures
from neuraltex.stages.compare_methods import Contender

PICTURE_SIDE = 1600
"""Longest side of the pictures kept for the page [px]."""
DETAIL_SIZE = (240, 320)
"""Height and width of the crops at full resolution [px]."""


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
    """

    def __init__(
        self,
        scene: PreparedScene,
        contenders: Sequence[Contender],
        lpips: Lpips | None,
        masks: Path | None,
        supersampling: int,
        mask_folder: Path,
    ) -> None:
        self._renderers = {contender.name: TexturedRenderer(contender.textured) for contender in contenders}
        self._finder = (
            EvaluationMasks(scene.mesh, [view.camera for view in scene.split("train")]) if masks is None else None
        )
        self._lpips, self._masks, self._samples, self._mask_folder = lpips, masks, supersampling, mask_folder
        self.rows: dict[str, dict[str, dict[str, float | None]]] = {}
        self.notes: list[str] = []

    def score(self, view: PreparedView, *, picture: bool) -> Pictures | None:
        """Score one view; returns its pictures if wanted.

        Raises:
            DataError: if the photograph or its given mask cannot be read.
        """
        photo, mask = view.load_image(), self._mask(view)
        write_rgb(self._mask_folder / f"{view.name}.png", mask.astype(np.uint8) * 255)
        if not mask.any():
            self.notes.append(f"{view.name} is left out: none of its pixels is to be scored.")
            return None
        window = find_detail(photo, mask, DETAIL_SIZE) if picture else None
        renders, details = {}, {} if window is None else {"photo": photo[window]}
        self.rows[view.name] = {}
        for name, renderer in self._renderers.items():
            image, coverage = renderer.render(view.camera, None if picture else mask, self._samples)
            self.rows[view.name][name] = dict(score_view(image, coverage, photo, mask, self._lpips))
            if picture:
                pixels = _to_pixels(image)
                renders[name] = reduce_image(pixels, PICTURE_SIDE)
                details |= {} if window is None else {name: pixels[window]}
        if not picture:
            return None
        small = reduce_image(photo, PICTURE_SIDE)
        return Pictures(view.name, small, renders, reduce_mask(mask, small.shape[:2]), details)

    def _mask(self, view: PreparedView) -> Bool[np.ndarray, "H W"]:
        shape = (view.camera.height, view.camera.width)
        if self._finder is None:
            path = Path(self._masks or "") / f"{view.name}.png"
            if not path.is_file():
                raise DataError(
                    f"{path} does not exist", source="--masks", hint="Give one mask NAME.png per held-out view"
                )
            return read_mask(path, shape)
        mask = self._finder.mask(view.camera)
        return mask if view.mask is None else mask & read_mask(view.mask, shape)


def _to_pixels(image: Float[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
    return np.round(image * 255).clip(0, 255).astype(np.uint8)
