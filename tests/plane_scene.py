"""A prepared scene that needs no renderer: views of a textured unit square, with uv maps known in closed form."""

from pathlib import Path

import numpy as np
import torch

from neuraltex.geometry.camera import Camera
from neuraltex.geometry.mesh import Mesh
from neuraltex.io import images
from neuraltex.io.prepared import (
    Confidence,
    PreparedScene,
    PreparedView,
    UvMap,
    read_prepared,
    write_confidence,
    write_prepared,
    write_uv_map,
)
from neuraltex.texture.sample import sample_bilinear

SIZE = 64  # texture [texel]
VIEW = (40, 48)  # height and width of a photograph [px]


def true_texture(size: int = SIZE) -> torch.Tensor:
    """Smooth colors with a checkerboard of 8x8 texels on top, away from 0 and 1."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    checker = ((x // 8 + y // 8) % 2).float()
    smooth = torch.stack([x / size, y / size, (x + y) / (2 * size)], -1)
    return 0.3 + 0.25 * smooth + 0.15 * checker[..., None]


def write_plane_scene(
    folder: Path, *, num_views: int = 8, gains: tuple[float, ...] = (1.0,), cover: float = 1.0
) -> PreparedScene:
    """Write a prepared folder; every fourth view is held out.

    Args:
        folder: Where to.
        num_views: Number of photographs.
        gains: Exposure of the photographs, repeated.
        cover: Part of the u axis that photographs show.
    """
    generator = np.random.default_rng(7)
    for name in ("images", "uvs", "confidence"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    texture, views = true_texture(), []
    for index in range(num_views):
        view = _view(folder, f"view-{index:02}", "test" if index % 4 == 0 else "train")
        _write_view(view, texture, generator, gains[index % len(gains)], cover)
        views.append(view)
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    mesh = Mesh(corners, faces, corners[:, :2], faces)
    write_prepared(PreparedScene(folder, mesh, SIZE, tuple(views), {"name": "plane"}))
    return read_prepared(folder)


def _view(folder: Path, name: str, split: str) -> PreparedView:
    height, width = VIEW
    camera = Camera(width, height, 50.0, 50.0, width / 2, height / 2, np.eye(4))
    files = (folder / "images" / f"{name}.png", folder / "uvs" / f"{name}.npz", folder / "confidence" / f"{name}.npz")
    return PreparedView(name, split, camera, *files)  # type: ignore[arg-type]


def _write_view(
    view: PreparedView, texture: torch.Tensor, generator: np.random.Generator, gain: float, cover: float
) -> None:
    height, width = VIEW
    low = generator.uniform(0, 0.4, 2) * (cover, 1)
    extent = generator.uniform(0.5, 0.6, 2) * (cover, 1)
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    uv = np.stack([low[0] + x * extent[0], low[1] + (1 - y) * extent[1]], -1).astype(np.float32)
    mask = np.ones(VIEW, bool)
    mask[:3] = False
    color = sample_bilinear(texture, torch.from_numpy(uv)).numpy() * gain
    color[~mask] = (1, 0, 1)  # must never reach the texture
    images.write_rgb(view.image, np.round(color.clip(0, 1) * 255).astype(np.uint8))
    write_uv_map(view.uv, UvMap(np.where(mask[..., None], uv, 0), mask))
    footprint = np.sqrt(extent[0] * extent[1] / (width * height)) * SIZE
    ones = mask.astype(np.float32)
    write_confidence(view.confidence, Confidence(ones, ones * np.float32(footprint), ones * 255))
