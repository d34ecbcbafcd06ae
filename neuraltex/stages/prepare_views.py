"""The per-view part of ``prepare``: uv map, confidence, photograph and mask of every view; free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuraltex.core.runtime import logger, progress

if TYPE_CHECKING:
    import numpy as np

    from neuraltex.geometry.camera import Camera
    from neuraltex.geometry.mesh import Mesh
    from neuraltex.geometry.scene import Split, View
    from neuraltex.io.prepared import PreparedView
    from neuraltex.render.fragments import Rasterizer


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
    """Render and write all views, as many at a time as there are cores.

    Files of an earlier, interrupted run are written again; that costs less than telling whether they still fit.
    """
    import numpy as np

    from neuraltex.io.photos import file_stems
    from neuraltex.render.parallel import map_threads

    stems = file_stems([view.name for view in views])
    seen = np.zeros(mesh.num_faces, bool)
    visible: dict[str, int] = {}
    prepared: list[PreparedView] = []
    pixels = 0

    def prepare(view: View) -> tuple[PreparedView, np.ndarray]:
        camera = scale_camera(view.camera, image_scale)
        target = _target(folder, view, stems[view.name], splits[view.name], camera, uv_suffix)
        return target, _prepare_view(target, view, mesh, rasterizer, texture_size)

    for target, hits in progress(map_threads(prepare, views), total=len(views), label="uv maps", unit="view"):
        pixels += target.camera.width * target.camera.height
        visible[target.name] = int(hits.sum())
        if visible[target.name]:
            prepared.append(target)
        if target.split == "train":
            seen |= hits > 0
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


def _prepare_view(
    target: PreparedView, view: View, mesh: Mesh, rasterizer: Rasterizer, texture_size: int
) -> np.ndarray:
    """Render and write one view unless it does not see the mesh; returns the number of pixels that see each face."""
    from dataclasses import replace

    from neuraltex.io.packed import write_packed
    from neuraltex.io.photos import place_mask, place_photo
    from neuraltex.io.prepared import encode_depth_error
    from neuraltex.render.uv_maps import render_packed

    maps = render_packed(rasterizer, mesh, target.camera, texture_size)
    if not maps.hits.any():
        return maps.hits
    error = None if view.depth is None else _depth_error(maps.depth, target.camera, view)
    stored = None if error is None else encode_depth_error(error[maps.seen])
    write_packed(target, replace(maps.pixels, depth_error=stored))
    place_photo(view.image, target.image, target.camera, view.camera)
    if view.mask is not None and target.mask is not None:
        place_mask(view.mask, target.mask, target.camera, view.camera)
    return maps.hits


def _depth_error(depth: np.ndarray, camera: Camera, view: View) -> np.ndarray | None:
    """Compare the surface with the sensor's depth image; a broken one only costs this information."""
    from neuraltex.core.errors import DataError
    from neuraltex.io.fuse import read_depth
    from neuraltex.render.uv_maps import depth_error

    assert view.depth is not None
    try:
        measured = read_depth(view.depth, view.depth_scale)
    except DataError as error:
        logger.warning("%s; its pixels are not compared with a sensor", error.what)
        return None
    sensor = view.depth_camera or view.camera
    return depth_error(depth, camera, measured, sensor.scaled(measured.shape[1], measured.shape[0]))
