"""The last part of ``prepare``: the proof sheet and the alignment score, which warn of wrong conventions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuraltex.core.runtime import logger

if TYPE_CHECKING:
    from neuraltex.geometry.camera import Camera
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
    from neuraltex.io.photos import resample
    from neuraltex.render.alignment import check_alignment
    from neuraltex.render.silhouettes import silhouette_offset

    usable = [index for index, view in enumerate(views) if view.split == "train"]  # held-out ones only ever score
    photos = _read_reduced(views, [usable[i] for i in _spread(len(usable), NUM_SCORED)])
    small = {index: resample(photo, *_fit(photo, SCORED_SIZE)) / 255 for index, photo in photos.items()}
    cameras, names = [view.camera for view in views], [view.name for view in views]
    alignment = check_alignment(mesh, rasterizer, cameras, names, small)
    exact = _within_budget([views[index] for index in photos])
    offset = silhouette_offset(
        mesh, rasterizer, [view.camera for view in exact], (view.load_image() / np.float32(255) for view in exact)
    )
    report = _report(alignment, offset)
    shown = [list(photos)[i] for i in _spread(len(photos), NUM_TILES)]
    _draw_sheet(folder, mesh, rasterizer, [(names[i], cameras[i], photos[i]) for i in shown], report)
    _speak(folder, report)
    return report


def _read_reduced(views: Sequence[PreparedView], chosen: Sequence[int]) -> dict[int, np.ndarray]:
    """Read photographs at little more than the size of a tile, by the index of their view."""
    from neuraltex.io.images import read_rgb_reduced
    from neuraltex.render.parallel import map_threads

    def read(index: int) -> np.ndarray:
        view = views[index]
        return read_rgb_reduced(view.image, (view.camera.width, view.camera.height), TILE_SIZE)

    return dict(zip(chosen, map_threads(read, chosen), strict=True))


def _draw_sheet(
    folder: Path,
    mesh: Mesh,
    rasterizer: Rasterizer,
    shown: Sequence[tuple[str, Camera, np.ndarray]],
    report: dict[str, Any],
) -> None:
    """Write the proof sheet: photographs by name with the edges that their cameras see."""
    from neuraltex.io.images import write_rgb
    from neuraltex.io.photos import resample
    from neuraltex.render.parallel import map_threads
    from neuraltex.render.proof import compose_sheet, draw_edges

    def draw(item: tuple[str, Camera, np.ndarray]) -> np.ndarray:
        _, camera, photo = item
        size = _fit(photo, TILE_SIZE)
        return draw_edges(resample(photo, *size), mesh, rasterizer, camera.scaled(*size))

    title = f"alignment score {report['score']:.2f} (1 is perfect)   {report['likely_mistake'] or ''}"
    sheet = compose_sheet(list(map_threads(draw, shown)), [name for name, _, _ in shown], title)
    write_rgb(folder / "proof.jpg", sheet, quality=88)


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


def _within_budget(views: Sequence[PreparedView]) -> list[PreparedView]:
    """Return the first views, at least one, that stay within the budget of pixels."""
    sizes = [view.camera.width * view.camera.height for view in views]
    within = sum(sum(sizes[: count + 1]) <= OFFSET_MEGAPIXELS * 1e6 for count in range(len(sizes)))
    return list(views[: max(1, within)])
