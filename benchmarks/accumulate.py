"""Time of adding photographs to the normal equations and of solving them, beside the floor, in this process.

Run: OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/accumulate.py --data PREPARED
With ``--only-pass`` also under torchrun: then one real pass over all photographs and the solution are timed.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from floor import Clock, measure_floor

from neuraltex.config.schema import DirectConfig, PixelConfig
from neuraltex.core.runtime import is_main, rank
from neuraltex.fit.calibrate.exposure import ColorMatch
from neuraltex.fit.data import ViewData, ViewStore
from neuraltex.fit.direct.chain import ColorChain
from neuraltex.fit.direct.equations import NormalEquations, Robust
from neuraltex.fit.direct.stream import LEVELS, DirectFit
from neuraltex.fit.direct.trust import trust_in
from neuraltex.fit.distributed import process_group, wait_for_all
from neuraltex.io.prepared import PreparedScene, read_prepared


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What to measure."""

    data: Path
    """Prepared scene."""
    limit: int = 24
    """Photographs used at most, except for the pass."""
    only_pass: bool = False
    """Time a pass over all photographs only."""
    only_cases: bool = False
    """Time adding photographs that are in memory only, on as many cores as there are threads."""
    one_core: bool = False
    """Keep each process to a core of its own: even with one thread to compute, another one reads photographs."""


def main() -> None:
    """Measure and print JSON."""
    arguments = tyro.cli(Arguments)
    if arguments.one_core:
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[rank()]})
    scene = read_prepared(arguments.data)
    found: dict[str, Any] = {"threads": torch.get_num_threads()}
    if not arguments.only_cases:
        with process_group(torch.device("cpu")):
            found["pass"] = time_pass(scene)
    if not arguments.only_pass:
        views = scene.split("train")[: arguments.limit]
        found |= {"photos": len(views), "cases": time_cases(scene, views)}
        found["floor"] = measure_floor(scene, views, scene.texture_size)
    if is_main():
        print(json.dumps(found))


def time_pass(scene: PreparedScene) -> dict[str, Any]:
    """Time a pass over all training photographs, reading included, and the exact solution.

    It is the second pass, in which pixels are weighted by how well they fit, the best of five; the first compiles.
    """
    views = scene.split("train")
    store = ViewStore(views, PixelConfig(), budget_gb=0.0)
    fit, matches = DirectFit(scene.mesh, scene.texture_size, DirectConfig()), ColorMatch.identity(len(views))
    fit.accumulate(store, matches, range(len(views)), "first pass")
    fit.compare()
    passes = []
    for _ in range(5):
        clock = Clock()
        fit.equations.clear()
        wait_for_all()
        with clock.step("accumulate"):
            fit.accumulate(store, matches, range(len(views)), "second pass")
        passes.append(clock)
    clock = min(passes, key=lambda found: found.wall["accumulate"])
    with clock.step("solve"):
        solution = fit.finish()
    seconds = {f"{name}_seconds": round(value, 3) for name, value in clock.wall.items()}
    cpu = {f"{name}_cpu_seconds": round(value, 3) for name, value in clock.cpu.items()}
    return {
        **seconds,
        **cpu,
        "photos": len(views),
        "iterations": solution.iterations,
        "residual": float(solution.residual),
    }


def time_cases(scene: PreparedScene, views: tuple) -> dict[str, dict[str, Any]]:
    """Time adding photographs that are in memory: bilinear, mip-mapped, and mip-mapped with robust weights.

    Weights are found at half the size of the photographs, halving included (what ``fast`` does), or pixel by pixel.
    """
    store = ViewStore(views, PixelConfig(), budget_gb=4.0)
    photos = [store.load(index) for index in range(len(views))]
    cases = {"bilinear": (1, ""), "mip": (LEVELS, ""), "mip_half": (LEVELS, "half"), "mip_robust": (LEVELS, "pixels")}
    return {name: time_adding(photos, scene.texture_size, *case) for name, case in cases.items()}


def time_adding(photos: list[ViewData], size: int, levels: int, robust: str) -> dict[str, Any]:
    """Return seconds per megapixel of the photographs; the best of three passes after one that does not count."""
    equations, identity = NormalEquations((size, size), levels), np.linspace(0, 1, 256, dtype=np.float32)
    colors, config = np.repeat(identity[:, None], 3, 1), DirectConfig()
    layout = NormalEquations((size // 2, size // 2), levels).layout if robust == "half" else equations.layout
    weights = Robust(ColorChain(layout), config.penalty, config.scale)
    passes = []
    for _ in range(4):
        clock = Clock()
        equations.clear()
        with clock.step("add"):
            for photo in photos:
                pixels = (photo.image, photo.uv, photo.weight, photo.footprint)
                doubt: Any = weights if robust == "pixels" else None
                if robust == "half":
                    doubt = trust_in(photo.halved(size), colors, None, weights, 1.0)
                equations.add_photo(*pixels, colors, None, doubt)
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
