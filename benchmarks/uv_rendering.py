"""How fast uv maps are rendered, in megapixels per second, by z-buffer and by embree: the castle cut to 300k faces.

Without the real scenes a bumpy sphere of the same size stands in. Writes ``results/uv_rendering.json``.
"""

import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from machine import RESULTS, data_dir, describe_machine, measure

from neuraltex.core.files import write_json
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.render.fragments import make_rasterizer
from neuraltex.render.uv_maps import render_maps

TARGET_MEGAPIXELS_PER_SECOND = 6.0
NUM_FACES = 300_000


def castle() -> tuple[Mesh, Camera, str]:
    """The castle with its largest faces split at their longest edge until there are about 300k."""
    from neuraltex.io.load import load_scene
    from neuraltex.io.meshes import read_mesh

    scene = load_scene(data_dir() / "castle")
    mesh = read_mesh(data_dir() / "castle" / "scene_mesh_refine.ply")
    split = np.argsort(-mesh.face_areas)[: (NUM_FACES - mesh.num_faces) // 2]
    keep = np.setdiff1d(np.arange(mesh.num_faces), split)
    middle = len(mesh.vertices) + np.arange(len(split))
    a, b, c = mesh.faces[split].T
    parts = [np.stack(part, 1) for part in ((a, b, middle), (b, c, middle), (c, a, middle))]
    vertices = np.concatenate([mesh.vertices, mesh.corners[split].mean(1)])
    return Mesh(vertices, np.concatenate([mesh.faces[keep], *parts])), scene.views[1].camera, "castle, subdivided"


def sphere() -> tuple[Mesh, Camera, str]:
    """A bumpy sphere that fills the view."""
    rings = int(np.sqrt(NUM_FACES / 4))
    theta, phi = np.meshgrid(np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, 2 * rings + 1), indexing="ij")
    radius = 1 + 0.05 * np.sin(9 * theta) * np.cos(8 * phi)
    points = radius[..., None] * np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    corner = np.arange(theta.size).reshape(theta.shape)
    a, b, c, d = (grid.ravel() for grid in (corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]))
    pose = np.eye(4)
    pose[2, 3] = 2.5
    mesh = Mesh(points.reshape(-1, 3), np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]))
    return mesh, Camera(2832, 2128, 2400, 2400, 1416, 1064, pose), "bumpy sphere"


def bent(camera: Camera) -> Camera:
    """The camera with a lens of slight distortion."""
    return replace(camera, lens="brown", distortion=(-0.04, -0.008))


def main() -> None:
    mesh, camera, name = castle() if (data_dir() / "castle").is_dir() else sphere()
    uvs = np.random.default_rng(0).random((3 * mesh.num_faces, 2))
    mesh = mesh.with_uv(uvs, np.arange(3 * mesh.num_faces).reshape(-1, 3))
    caster, rasterizer = make_rasterizer(mesh, "embree"), make_rasterizer(mesh)
    visible = rasterizer.visible_faces(camera) >= 0
    megapixels = camera.width * camera.height / 1e6
    cases: dict[str, dict[str, Any]] = {
        "build": measure(lambda: make_rasterizer(mesh, "embree"), repeats=3),
        "embree": measure(lambda: caster.visible_faces(camera), repeats=7),
        "zbuffer": measure(lambda: rasterizer.visible_faces(camera), repeats=7),
        "zbuffer_bent": measure(lambda: rasterizer.visible_faces(bent(camera)), repeats=7),
        "uv_map_and_confidence": measure(lambda: render_maps(rasterizer, mesh, camera, 4096), repeats=7),
    }
    before = time.process_time()
    render_maps(rasterizer, mesh, camera, 4096)
    cases["uv_map_and_confidence"]["cpu_seconds"] = round(
        time.process_time() - before, 4
    )  # steadier than time on a busy machine
    for case, timing in cases.items():
        if case != "build":
            timing["megapixels_per_second"] = round(megapixels / timing["seconds"], 2)
            timing["best_megapixels_per_second"] = round(megapixels / timing["best"], 2)
    result = {
        "machine": describe_machine(),
        "threads": torch.get_num_threads(),
        "scene": name,
        "faces": mesh.num_faces,
        "megapixels": round(megapixels, 3),
        "visible_share": round(float(visible.mean()), 3),
        "target_megapixels_per_second": TARGET_MEGAPIXELS_PER_SECOND,
        "cases": cases,
    }
    print(json.dumps(result, indent=1))
    write_json(RESULTS / "uv_rendering.json", result)


if __name__ == "__main__":
    main()
