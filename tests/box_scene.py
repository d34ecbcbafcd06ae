"""A textured box seen from around, prepared like a real scene, and runs fitted to it: for export, compare and view."""

from pathlib import Path

import numpy as np

from neuraltex.fit.run import write_run
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh, TexturedMesh
from neuraltex.io import images
from neuraltex.io.prepared import (
    PreparedScene,
    PreparedView,
    read_prepared,
    write_confidence,
    write_prepared,
    write_uv_map,
)
from neuraltex.render.fragments import make_rasterizer
from neuraltex.render.shade import TexturedRenderer
from neuraltex.render.uv_maps import render_maps

SIZE = 128  # texture [texel]


def box_mesh(center: tuple[float, float, float] = (0, 0, 0)) -> Mesh:
    """A cube of side 2 with one chart per side in a 3x2 layout; uvs are not shared across edges."""
    faces, vertices, uvs = [], [], []
    for side in range(6):
        axis, sign = side // 2, 1 - 2 * (side % 2)
        right, up = np.roll(np.eye(3), axis, 1)[1] * sign, np.roll(np.eye(3), axis, 1)[2]
        middle = np.roll(np.eye(3), axis, 1)[0] * sign
        vertices += [middle + a * right + b * up for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        left, bottom = (side % 3) / 3 + 0.03, (side // 3) / 2 + 0.03
        uvs += [(left, bottom), (left + 0.27, bottom), (left + 0.27, bottom + 0.44), (left, bottom + 0.44)]
        faces += [[4 * side, 4 * side + 1, 4 * side + 2], [4 * side, 4 * side + 2, 4 * side + 3]]
    corners, index = np.unique(np.array(vertices).round(6), axis=0, return_inverse=True)
    return Mesh(corners + center, index.reshape(-1)[np.array(faces)], np.array(uvs), np.array(faces))


def box_texture(size: int = SIZE) -> np.ndarray:
    """Stripes, dots and a ramp, 8 bit; no symmetry that would hide a flip."""
    y, x = np.mgrid[:size, :size] / size
    red = 0.5 + 0.4 * np.sin(40 * x + 12 * y)
    green = 0.2 + 0.6 * y
    blue = 0.5 + 0.45 * np.sign(np.sin(50 * x) * np.sin(31 * y))
    return np.round(np.stack([red, green, blue], -1) * 255).astype(np.uint8)


def look_at(eye: np.ndarray, target: np.ndarray, size: tuple[int, int] = (96, 72), focal: float = 100.0) -> Camera:
    """A camera at ``eye`` that looks at ``target``, z up."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ eye
    return Camera(*size, focal, focal * 1.02, size[0] / 2 + 1.3, size[1] / 2 - 0.7, pose)


def around(count: int = 10, center: tuple[float, float, float] = (0, 0, 0)) -> list[Camera]:
    """Cameras on a rising circle."""
    angles = np.arange(count) * 0.4
    eyes = [np.array([5 * np.cos(a), 5 * np.sin(a), 1.5 + 0.1 * k]) for k, a in enumerate(angles)]
    return [look_at(eye + center, np.array(center, float)) for eye in eyes]


def write_box_scene(folder: Path, num_views: int = 10) -> PreparedScene:
    """Write a prepared folder with its ground truth; every fourth view is held out."""
    mesh, texture = box_mesh(), box_texture()
    truth = TexturedMesh(mesh, (texture,), np.zeros(mesh.num_faces, np.int64))
    rasterizer, renderer, views = make_rasterizer(mesh, "embree"), TexturedRenderer(truth), []
    for name in ("images", "uvs", "confidence"):
        (folder / name).mkdir(parents=True)
    for index, camera in enumerate(around(num_views)):
        name = f"view {index:02}"
        files = [
            folder / "images" / f"{name}.png",
            folder / "uvs" / f"{name}.npz",
            folder / "confidence" / f"{name}.npz",
        ]
        maps = render_maps(rasterizer, mesh, camera, SIZE)
        images.write_rgb(files[0], np.round(renderer.render(camera)[0] * 255).astype(np.uint8))
        write_uv_map(files[1], maps.uv_map)
        write_confidence(files[2], maps.confidence)
        views.append(PreparedView(name, "train" if index % 4 else "test", camera, *files))
    info = {"name": "box", "format": "made", "notes": ["a box & <nothing> else"], "alignment": {"score": 0.9}}
    write_truth(folder / "ground_truth", mesh, texture)
    info["ground_truth"] = str(folder / "ground_truth" / "texture.png")
    images.write_rgb(folder / "proof.jpg", texture)
    write_prepared(PreparedScene(folder, mesh, SIZE, tuple(views), info))
    return read_prepared(folder)


def write_truth(folder: Path, mesh: Mesh, texture: np.ndarray) -> None:
    from neuraltex.io.meshes import write_mesh

    images.write_rgb(folder / "texture.png", texture)
    write_mesh(folder / "mesh.obj", mesh)


def write_box_run(folder: Path, scene: Path, texture: np.ndarray, method: str) -> Path:
    """Write a finished run with a given texture."""
    history = [
        {"step": k, "train/loss": 1 / k, "train/loss/l1": 0.1 / k, "val/psnr": 20 + 0.1 * k} for k in range(1, 6)
    ]
    manifest = {"name": "box", "method": method, "scene": str(scene), "seconds": 12.5, "peak_memory_gb": 0.75}
    manifest |= {"steps": 5, "seed": 0, "device": "cpu", "texture_size": len(texture)}
    coverage = np.full(texture.shape[:2], 255, np.uint8)
    folder.mkdir(parents=True)
    write_run(folder, manifest, texture.astype(np.float32) / 255, coverage, history, f"method: {method}\n")
    return folder
