"""Time of adding photographs to the normal equations, beside the floor, in this process.

Run: OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/accumulate.py --data PREPARED
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from floor import Clock, measure_floor

from neuraltex.config.schema import DirectConfig, PixelConfig, TextureConfig
from neuraltex.fit.data import ViewData, ViewStore
from neuraltex.fit.direct.equations import NormalEquations, Robust
from neuraltex.io.prepared import read_prepared


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What to measure."""

    data: Path
    """Prepared scene."""
    limit: int = 24
    """Photographs used at most."""


def main() -> None:
    """Measure and print JSON."""
    arguments = tyro.cli(Arguments)
    scene = read_prepared(arguments.data)
    views = scene.split("train")[: arguments.limit]
    store = ViewStore(views, PixelConfig(), budget_gb=4.0)
    photos = [store.load(index) for index in range(len(views))]
    cases = {
        "bilinear": time_adding(photos, scene.texture_size, 1, robust=False),
        "mip": time_adding(photos, scene.texture_size, TextureConfig().levels, robust=False),
        "mip_robust": time_adding(photos, scene.texture_size, TextureConfig().levels, robust=True),
    }
    floor = measure_floor(scene, views, scene.texture_size)
    print(json.dumps({"threads": torch.get_num_threads(), "photos": len(views), "cases": cases, "floor": floor}))


def time_adding(photos: list[ViewData], size: int, levels: int, *, robust: bool) -> dict[str, Any]:
    """Return seconds per megapixel of the photographs; the best of three passes after one that does not count."""
    equations, identity = NormalEquations((size, size), levels), np.linspace(0, 1, 256, dtype=np.float32)
    colors, config = np.repeat(identity[:, None], 3, 1), DirectConfig()
    weights = Robust(equations.layout.zeros(3), config.penalty, config.scale) if robust else None
    passes = []
    for _ in range(4):
        clock = Clock()
        equations.clear()
        with clock.step("add"):
            for photo in photos:
                equations.add_photo(photo.image, photo.uv, photo.weight, photo.footprint, colors, weights)
        passes.append((clock.wall["add"], clock.cpu["add"]))
    megapixels = sum(photo.weight.size for photo in photos) / 1e6
    wall, cpu = np.min(passes[1:], axis=0)
    return {
        "seconds_per_mpx": round(float(wall / megapixels), 4),
        "cpu_seconds_per_mpx": round(float(cpu / megapixels), 4),
        "megapixels": round(megapixels, 2),
    }


if __name__ == "__main__":
    main()
