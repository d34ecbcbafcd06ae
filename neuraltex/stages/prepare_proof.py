"""The last part of ``prepare``: the proof sheet and the alignment score, which warn of wrong conventions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuraltex.core.runtime import logger

if TYPE_CHECKING:
    import numpy as np

    from neuraltex.geometry.mesh import Mesh
    from neuraltex.io.prepared import PreparedView
    from neuraltex.render.alignment import Alignment
    from neuraltex.render.fragments import Rasterizer

NUM_SCORED, NUM_TILES = 12, 9
SCORED_SIZE, TILE_SIZE = 320, 640
"""Longer side of the photographs that are scored and drawn on [px]."""
OFFSET_MEGAPIXELS = 8.0
"""Silhouettes are measured at full resolution, in about this many megapixels of photographs."""
HALF_PIXEL_RANGE = (0.3, 0.75)


def prove(folder: Path, mesh: Mesh, rasterizer: Rasterizer, views: Sequence[PreparedView]) -> dict[str, Any]:
    """Write ``proof.jpg``, score the alignment and warn loudly when it is suspicious; returns what scene.json keeps."""
    from neuraltex.io.images import write_rgb
    from neuraltex.io.photos import resample
    from neuraltex.render.alignment import check_alignment
    from neuraltex.render.proof import compose_sheet, draw_edges
    from neuraltex.render.silhouettes import silhouette_offset

    usable = [index for index, view in enumerate(views) if view.split == "train"]  # held-out ones only ever score
    photos = {usable[i]: views[usable[i]].load_image() for i in _spread(len(usable), NUM_SCORED)}
    small = {index: resample(photo, *_fit(photo, SCORED_SIZE)) / 255 for index, photo in photos.items()}
    cameras, names = [view.camera for view in views], [view.name for view in views]
    alignment = check_alignment(mesh, rasterizer, cameras, names, small)
    exact = _within_budget(photos)
    offset = silhouette_offset(mesh, rasterizer, [cameras[index] for index in exact], [photos[i] / 255 for i in exact])
    report = _report(alignment, offset)
    tiles, shown = [], [list(photos)[i] for i in _spread(len(photos), NUM_TILES)]
    for index in shown:
        size = _fit(photos[index], TILE_SIZE)
        tiles.append(draw_edges(resample(photos[index], *size), mesh, rasterizer, cameras[index].scaled(*size)))
    title = f"alignment score {alignment.score:.2f} (1 is perfect)   {report['likely_mistake'] or ''}"
    write_rgb(folder / "proof.jpg", compose_sheet(tiles, [names[index] for index in shown], title), quality=88)
    _speak(folder, report)
    return report


def _report(alignment: Alignment, offset: tuple[float, float]) -> dict[str, Any]:
    known = all(math.isfinite(value) for value in offset)
    mistake = alignment.likely_mistake
    low, high = HALF_PIXEL_RANGE
    if not mistake and known and all(low < abs(value) < high for value in offset):
        mistake = f"half pixel: photographs lie {offset[0]:+.2f}, {offset[1]:+.2f} px from the mesh"
    return {
        "score": round(alignment.score, 4),
        "suspicious": alignment.suspicious or bool(mistake),
        "likely_mistake": mistake,
        "corrected_score": round(alignment.corrected_score, 4) if alignment.likely_mistake else None,
        "silhouette_offset_px": [round(value, 3) for value in offset] if known else None,
    }


def _speak(folder: Path, report: dict[str, Any]) -> None:
    if not report["suspicious"]:
        logger.info("alignment score %.2f", report["score"])
        return
    corrected = f" (score {report['corrected_score']:.2f} without it)" if report["corrected_score"] else ""
    reason = f"likely mistake: {report['likely_mistake']}{corrected}" if report["likely_mistake"] else "cause unknown"
    logger.warning(
        "ALIGNMENT IS SUSPICIOUS: photographs, cameras and mesh do not agree (score %.2f of 1); %s. Look at %s",
        report["score"],
        reason,
        folder / "proof.jpg",
    )


def _spread(count: int, wanted: int) -> list[int]:
    """Return up to ``wanted`` indices spread evenly over ``count``."""
    if count <= wanted:
        return list(range(count))
    return sorted({round(index * (count - 1) / (wanted - 1)) for index in range(wanted)})


def _fit(photo: np.ndarray, longer: int) -> tuple[int, int]:
    """Width and height with the longer side reduced to ``longer``."""
    scale = min(1.0, longer / max(photo.shape[:2]))
    return max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale))


def _within_budget(photos: dict[int, np.ndarray]) -> list[int]:
    """Return the first views, at least one, that stay within the budget of pixels."""
    chosen: list[int] = []
    pixels = 0
    for index, photo in photos.items():
        pixels += photo.shape[0] * photo.shape[1]
        if chosen and pixels > OFFSET_MEGAPIXELS * 1e6:
            break
        chosen.append(index)
    return chosen
