"""The least that making a texture from photographs can cost, for speed to be measured against.

Decode each photograph, cast one ray per pixel, read each pixel once, and read, change and write the record of each of
the four texels it touches: 8 numbers per texel, as many as the normal equations keep. No arithmetic beyond that.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from numba import njit

from neuraltex.io.prepared import PreparedScene, PreparedView
from neuraltex.render.fragments import make_rasterizer

RECORD = 8
"""Numbers per texel: five of the stencil, three colors."""


def measure_floor(scene: PreparedScene, views: Sequence[PreparedView], size: int) -> dict[str, Any]:
    """Measure the floor on some views of a scene.

    Args:
        scene: Prepared scene.
        views: Photographs that count.
        size: Side of the texture [texel].

    Returns:
        ``wall`` and ``cpu`` seconds, each by step (``decode``, ``cast``, ``touch``) and in ``total``, and the number of
        ``megapixels``. Building the ray caster and reading the stored uv maps are not part of the floor.
    """
    clock, pixels = Clock(), 0
    rasterizer, records = make_rasterizer(scene.mesh, "embree"), np.zeros((size, size, RECORD), np.float32)
    _touch(np.zeros((1, 2), np.float32), np.zeros((1, 3), np.uint8), records)  # compiles
    for view in views:
        with clock.step("decode"):
            photo = view.load_image()
        with clock.step("cast"):
            rasterizer.render(view.camera)
        uv_map = view.load_uv()
        uv, color = uv_map.uv[uv_map.mask], photo[uv_map.mask]
        with clock.step("touch"):
            _touch(uv, color, records)
        pixels += photo.shape[0] * photo.shape[1]
    return {"wall": clock.summary(clock.wall), "cpu": clock.summary(clock.cpu), "megapixels": round(pixels / 1e6, 2)}


class Clock:
    """Sums wall time and CPU time of all threads, step by step [s]."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = {}
        self.cpu: dict[str, float] = {}

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a block."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall[name] = self.wall.get(name, 0.0) + time.perf_counter() - wall
        self.cpu[name] = self.cpu.get(name, 0.0) + time.process_time() - cpu

    @staticmethod
    def summary(seconds: dict[str, float]) -> dict[str, float]:
        """Return the rounded seconds and their total."""
        return {name: round(value, 4) for name, value in {**seconds, "total": sum(seconds.values())}.items()}


def touch(uv: Float[np.ndarray, "P 2"], color: UInt8[np.ndarray, "P 3"], size: int) -> Float[np.ndarray, "Ht Wt 8"]:
    """Return what the floor's kernel leaves: every number of a texel sums red, green and blue of the pixels there."""
    records = np.zeros((size, size, RECORD), np.float32)
    _touch(uv, color, records)
    return records


@njit(cache=True)
def _touch(uv, color, records):  # type: ignore[no-untyped-def]
    height, width, count = records.shape
    flat, line = records.reshape(-1), np.uint64(width * count)
    wide, high, half, one = np.float32(width), np.float32(height), np.float32(0.5), np.float32(1)
    for p in range(len(uv)):
        x = min(max(int(uv[p, 0] * wide - half), 0), width - 2)
        y = min(max(int((one - uv[p, 1]) * high - half), 0), height - 2)
        value = np.float32(color[p, 0]) + np.float32(color[p, 1]) + np.float32(color[p, 2])
        upper = np.uint64((y * width + x) * count)  # unsigned: no check for negative indices, so the loop is vectorized
        for number in range(np.uint64(2 * RECORD)):
            flat[upper + number] += value
        for number in range(np.uint64(2 * RECORD)):
            flat[upper + line + number] += value
