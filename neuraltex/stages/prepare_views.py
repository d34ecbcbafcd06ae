"""The per-view part of ``prepare``: uv map, confidence, photograph and mask of every view."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuraltex.core.runtime import progress

if TYPE_CHECKING:
    import numpy as np

    from neuraltex.geometry.camera import Camera
    from neuraltex.geometry.mesh import Mesh
    from neuraltex.geometry.scene import Split, View
    from neuraltex.io.prepared import Confidence, PreparedView, UvMap
    from neuraltex.render.fragments import Rasterizer

MAX_WAITING = 2
"""Views that may wait to be written, which bounds the memory."""


@dataclass(frozen=True)
class PreparedViews:
    """What became of the views.

    Args:
        views: Those that see the mesh.
        blind: Names of those that do not.
        visible: Number of pixels that see the mesh, by view name.
        seen_faces: Faces that at least one pixel of a training view shows; bool ``[F]``.
        megapixels: Pixels rendered in this run, in millions.
    """

    views: tuple[PreparedView, ...]
    blind: tuple[str, ...]
    visible: dict[str, int]
    seen_faces: np.ndarray
    megapixels: float

    def statistics(self) -> dict[str, Any]:
        """Return plain figures for scene.json."""
        splits = [view.split for view in self.views]
        shares = [self.visible[view.name] / (view.camera.width * view.camera.height) for view in self.views]
        return {
            "views": len(self.views),
            "train": splits.count("train"),
            "test": splits.count("test"),
            "without_overlap": list(self.blind),
            "visible_pixels": sum(self.visible.values()),
            "visible_share": round(sum(shares) / len(shares), 4) if shares else 0.0,
            "seen_face_share": round(float(self.seen_faces.mean()), 4),
        }


def prepare_views(
    folder: Path,
    views: Sequence[View],
    splits: dict[str, Split],
    mesh: Mesh,
    rasterizer: Rasterizer,
    *,
    texture_size: int,
    image_scale: float = 1.0,
    uv_suffix: str = ".npz",
) -> PreparedViews:
    """Render and write all views; a second thread writes while the next view is rendered.

    Files of an earlier, interrupted run are written again; that costs less than telling whether they still fit.
    """
    import numpy as np

    from neuraltex.io.photos import file_stems
    from neuraltex.render.uv_maps import confidence, uv_map

    stems = file_stems([view.name for view in views])
    seen = np.zeros(mesh.num_faces, bool)
    visible: dict[str, int] = {}
    prepared: list[PreparedView] = []
    pending: list[Future[None]] = []
    pixels = 0
    with ThreadPoolExecutor(1) as writer:
        for view in progress(views, label="uv maps", unit="view"):
            camera = scale_camera(view.camera, image_scale)
            fragments = rasterizer.render(camera)
            pixels += camera.width * camera.height
            visible[view.name] = int(fragments.mask.sum())
            if not visible[view.name]:
                continue
            if splits[view.name] == "train":
                seen[fragments.face_idx[fragments.mask].cpu().numpy()] = True
            target = _target(folder, view, stems[view.name], splits[view.name], camera, uv_suffix)
            maps = uv_map(fragments, mesh), confidence(fragments, mesh, camera, texture_size)
            prepared.append(target)
            pending.append(writer.submit(_write, target, view, *maps))
            if len(pending) > MAX_WAITING:
                pending.pop(0).result()
        for future in pending:
            future.result()
    blind = tuple(name for name, count in visible.items() if not count)
    return PreparedViews(tuple(prepared), blind, visible, seen, pixels / 1e6)


def scale_camera(camera: Camera, scale: float) -> Camera:
    """Return the camera of a photograph resampled by ``scale``; sizes are rounded and intrinsics follow exactly."""
    if scale == 1:
        return camera
    return camera.scaled(max(1, round(camera.width * scale)), max(1, round(camera.height * scale)))


def _target(folder: Path, view: View, stem: str, split: Split, camera: Camera, uv_suffix: str) -> PreparedView:
    from neuraltex.io.prepared import PreparedView

    unchanged = (camera.width, camera.height) == (view.camera.width, view.camera.height)
    return PreparedView(
        name=view.name,
        split=split,
        camera=camera,
        image=folder / "images" / f"{stem}{view.image.suffix.lower() if unchanged else '.png'}",
        uv=folder / "uvs" / f"{stem}{uv_suffix}",
        confidence=folder / "confidence" / f"{stem}.npz",
        mask=None if view.mask is None else folder / "masks" / f"{stem}.png",
    )


def _write(target: PreparedView, view: View, uv_map: UvMap, confidence: Confidence) -> None:
    from neuraltex.io.photos import place_mask, place_photo
    from neuraltex.io.prepared import write_confidence, write_uv_map

    write_uv_map(target.uv, uv_map)
    write_confidence(target.confidence, confidence)
    place_photo(view.image, target.image, target.camera, view.camera)
    if view.mask is not None and target.mask is not None:
        place_mask(view.mask, target.mask, target.camera, view.camera)
