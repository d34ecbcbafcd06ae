"""Refined cameras as a new scene: a prepared folder, and files that other programs read."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from neuraltex.config.schema import FitConfig
from neuraltex.core.files import write_json
from neuraltex.core.runtime import logger, progress
from neuraltex.fit.calibrate.refine import Problem, refine_cameras
from neuraltex.fit.calibrate.rounds import Surface
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.scene import Scene, View
from neuraltex.io import colmap, nerfstudio
from neuraltex.io.meshes import write_mesh
from neuraltex.io.photos import file_stems, place_mask, place_photo
from neuraltex.io.prepared import PreparedScene, PreparedView, write_confidence, write_prepared, write_uv_map
from neuraltex.render.fragments import make_rasterizer
from neuraltex.render.parallel import map_threads
from neuraltex.render.uv_maps import render_maps


def calibrate_scene(scene: PreparedScene, config: FitConfig, folder: Path) -> PreparedScene:
    """Refine the cameras of the training views and write the scene with them.

    Held-out photographs are not looked at: their cameras receive what all share (rig, intrinsics) and nothing else.

    Args:
        scene: A prepared scene.
        config: What to refine, pixel weights, color model.
        folder: Where the new prepared folder goes. ``folder/colmap`` (text) and ``folder/nerfstudio`` (transforms.json)
            hold the same cameras for other programs, without the local warps, which those formats cannot express.

    Raises:
        OutputError: if the folder cannot be written.
    """
    rasterizer = make_rasterizer(scene.mesh, "embree")
    train, test = scene.split("train"), scene.split("test")
    problem = Problem(
        train, Surface(scene.mesh, rasterizer), scene.texture_size, config.calibrate, config.pixels, config.color
    )
    refined = refine_cameras(problem, [view.camera for view in test])
    names = [view.name for view in (*train, *test)]
    cameras = dict(zip(names, (*refined.cameras, *refined.others), strict=True))
    stems = file_stems(names)

    def place(view: PreparedView) -> PreparedView:
        return _place_view(view, cameras[view.name], folder, stems[view.name], problem.surface, scene.texture_size)

    placed = progress(map_threads(place, scene.views), total=len(names), label="uv maps", unit="view")
    moved = {view.name: _movement(view.camera, cameras[view.name]) for view in scene.views}
    record = {"rounds": refined.history, "movement": moved}
    info = {**scene.info, "calibration": record}
    result = PreparedScene(folder, scene.mesh, scene.texture_size, tuple(placed), info)
    write_prepared(result)
    write_json(folder / "calibration.json", record)
    _export(result, folder)
    pixels = [entry["pixels"] for name, entry in moved.items() if name in {view.name for view in train}]
    logger.info("cameras refined: pixels move by %.2f px (median photograph)", float(np.median(pixels)))
    return result


def _place_view(
    view: PreparedView, camera: Camera, folder: Path, stem: str, surface: Surface, texture_size: int
) -> PreparedView:
    """Write the uv map of a refined camera; photographs are linked."""
    maps = render_maps(surface.rasterizer, surface.mesh, camera, texture_size)
    target = replace(
        view,
        camera=camera,
        image=folder / "images" / f"{stem}{view.image.suffix}",
        uv=folder / "uvs" / f"{stem}.npz",
        confidence=folder / "confidence" / f"{stem}.npz",
        mask=None if view.mask is None else folder / "masks" / f"{stem}.png",
    )
    write_uv_map(target.uv, maps.uv_map)
    write_confidence(target.confidence, maps.confidence)
    place_photo(view.image, target.image, camera, view.camera)
    if view.mask is not None and target.mask is not None:
        place_mask(view.mask, target.mask, camera, view.camera)
    return target


def _movement(before: Camera, after: Camera) -> dict[str, float]:
    """How far a camera moved [world], and where the rays of 25 pixels through it land in the camera before [px].

    Parallax is left out: it depends on the surface.
    """
    x, y = np.meshgrid(np.linspace(0.1, 0.9, 5) * after.width, np.linspace(0.1, 0.9, 5) * after.height)
    pixels = np.stack([x, y], -1).reshape(-1, 2)
    far = after.rays(pixels)[1] * 1e6 + before.center
    shift = np.linalg.norm(before.project(far)[0] - pixels, axis=1)
    distance = float(np.linalg.norm(after.center - before.center))
    return {"pixels": round(float(np.nanmedian(shift)), 3), "distance": round(distance, 6)}


def _export(scene: PreparedScene, folder: Path) -> None:
    """Write COLMAP text and transforms.json where these formats can say it."""
    views = tuple(View(v.name, replace(v.camera, warp=None), v.image, v.mask) for v in scene.views)
    mesh = folder / "mesh.obj"
    write_mesh(mesh, scene.mesh)
    plain = Scene(str(scene.info.get("name", "scene")), "prepared", views, mesh_path=mesh)
    if _expressible(views):
        colmap.write(plain, folder / "colmap", text=True)
        nerfstudio.write(plain, folder / "nerfstudio")
    else:
        logger.warning("the refined cameras have skew or a lens that COLMAP and nerfstudio lack; not exported")


def _expressible(views: Sequence[View]) -> bool:
    return all(view.camera.skew == 0 and view.camera.lens in ("pinhole", "brown", "fisheye") for view in views)
