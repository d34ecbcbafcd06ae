"""One optimization step against the bare minimum: grid_sample forward and backward on the same tensors.

A step samples the texture at every pixel, compares with the photograph (L1), brings the gradient back to the texels,
checks it and updates every texel with Adam. The contract is a ratio of at most 2 for a plain texture.
"""

import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from machine import measure, write_result

from neuraltex.config.schema import FitConfig, LoopConfig, LossConfig, PixelConfig, TextureConfig
from neuraltex.core.conventions import grid_from_uv
from neuraltex.fit.loop import GradientFit
from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.io import images
from neuraltex.io.prepared import Confidence, PreparedScene, PreparedView, UvMap, write_confidence, write_uv_map

CASES = {"1 view of 640x480, 1024^2": (1, 480, 640, 1024), "4 views of 1280x960, 2048^2": (4, 960, 1280, 2048)}
LIMIT = 2.0


def make_scene(folder: Path, num_views: int, height: int, width: int, size: int) -> PreparedScene:
    """Views of a unit square, each of half of it, rotated a little so that rows of pixels cross rows of texels."""
    generator, views = np.random.default_rng(0), []
    y, x = np.meshgrid(np.linspace(-0.25, 0.25, height), np.linspace(-0.25, 0.25, width), indexing="ij")
    for index in range(num_views):
        angle = generator.uniform(-0.3, 0.3)
        u, v = x * np.cos(angle) - y * np.sin(angle) + 0.5, x * np.sin(angle) + y * np.cos(angle) + 0.5
        camera = Camera(width, height, 100.0, 100.0, width / 2, height / 2, np.eye(4))
        files = (folder / f"{index}.png", folder / f"uv{index}.npz", folder / f"confidence{index}.npz")
        view = PreparedView(str(index), "train", camera, *files)
        ones = np.ones((height, width), np.float32)
        images.write_rgb(view.image, generator.integers(0, 255, (height, width, 3), np.uint8))
        write_uv_map(view.uv, UvMap(np.stack([u, v], -1).astype(np.float32), ones > 0))
        write_confidence(view.confidence, Confidence(ones, ones, ones * 255))
        views.append(view)
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    mesh = Mesh(corners, np.array([[0, 1, 2]]), corners[:, :2], np.array([[0, 1, 2]]))
    return PreparedScene(folder, mesh, size, tuple(views), {})


def run_case(num_views: int, height: int, width: int, size: int) -> dict[str, object]:
    """Time both on the same tensors."""
    config = FitConfig(
        texture=TextureConfig(init="grey"),
        pixels=PixelConfig(margin=0),
        loss=LossConfig(l1=1.0),
        loop=LoopConfig(steps=1, batch=0, crop=0, checkpoint_every=0),
    )
    with tempfile.TemporaryDirectory() as folder:
        fit = GradientFit(config)
        fit(make_scene(Path(folder), num_views, height, width, size))
    tiles = [fit.store.whole(index) for index in range(num_views)]
    grid = grid_from_uv(torch.cat([tile.uv for tile in tiles]))[None]
    texture = torch.rand(1, 3, size, size, requires_grad=True)
    upstream = torch.rand(1, 3, num_views * height, width)

    def bare() -> None:
        texture.grad = None
        torch.nn.functional.grid_sample(texture, grid, align_corners=False).backward(upstream)

    stop = SimpleNamespace(requested=False)
    reference, step = measure(bare, repeats=15), measure(lambda: fit._advance(0, stop), repeats=15)
    return {"bare": reference, "step": step, "ratio": round(step["best"] / reference["best"], 2)}


def main() -> None:
    results = {name: run_case(*case) for name, case in CASES.items()}
    for name, result in results.items():
        print(f"{name}: {result['ratio']} x bare grid_sample forward and backward (limit {LIMIT})")
    write_result("step", {"limit_ratio": LIMIT, "threads": torch.get_num_threads(), "cases": results})


if __name__ == "__main__":
    main()
