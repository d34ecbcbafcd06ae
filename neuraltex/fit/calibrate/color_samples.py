"""The sample of unsaturated pixels that colors are calibrated on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from neuraltex.core.runtime import progress
from neuraltex.fit.calibrate import color_kernels as kernels
from neuraltex.fit.data import ViewData, ViewStore, squared_radius
from neuraltex.fit.sampler import Window

if TYPE_CHECKING:
    from torch import Tensor

    from neuraltex.fit.tiles import Tile

SIDE = 256
"""Cells along a side of the coarse texture."""
PIXELS, ALL_PIXELS = 10_000, 2_000_000
"""Pixels of a photograph, and of all photographs, that are looked at, about."""
BRIGHT, DARK = 250 / 255, 4 / 255
"""A pixel counts only if all of its channels lie between these [color in 0 to 1]."""

Slices = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class Samples:
    """Parts of photographs, in the order of the photographs.

    Args:
        view: Photograph.
        cell: Cell of the coarse texture, from 0 to ``num_cells`` - 1.
        color: Mean color.
        weight: Sum of pixel weights.
        radius2: Mean squared radius (as ``Tile.radius2``).
        num_cells: Cells of the coarse texture.
    """

    view: Int[np.ndarray, " S"]
    cell: Int[np.ndarray, " S"]
    color: Float[np.ndarray, "S 3"]
    weight: Float[np.ndarray, " S"]
    radius2: Float[np.ndarray, " S"]
    num_cells: int


def sample_overlaps(store: ViewStore) -> Samples:
    """Take one sample per photograph and cell of a coarse texture; photographs are streamed."""
    parts = []
    for index, data in progress(store.stream(readers=2), label="colors", unit="photo", total=len(store)):
        cell, sums = _cell_sums(data, _thin(data.weight.shape, len(store)), store, index)
        mean = sums / sums[:, 3:4]
        parts.append((np.full(len(cell), index, np.int32), cell, mean[:, :3], sums[:, 3], mean[:, 4]))
    view, cell, color, weight, radius2 = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Samples(view, cell, color, weight, radius2, SIDE * SIDE)


def sample_rendered(
    store: ViewStore, render: "Callable[[Tile], Float[Tensor, 'H W 3']]"
) -> tuple[Samples, Float[np.ndarray, "S 3"]]:
    """Take one sample per pixel, and what a rendering shows of each; all in the same cell."""
    import torch  # noqa: PLC0415

    from neuraltex.fit.tiles import Tile  # noqa: PLC0415

    parts = []
    for index, data in store.stream():
        tile = store.cut(data, Window(index, 0, 0, *store.sizes[index]))
        step = _thin(data.weight.shape, len(store))
        assert tile.radius2 is not None
        thin = Tile(index, tile.image[step], tile.uv[step], tile.weight[step], tile.footprint[step], tile.radius2[step])
        with torch.no_grad():
            shown = render(thin).cpu().numpy()
        color, weight, radius2 = (x.cpu().numpy() for x in (thin.image, thin.weight, tile.radius2[step]))
        used = (weight > 0) & is_exposed(color)
        view = np.full(int(used.sum()), index, np.int32)
        parts.append((view, color[used], weight[used], radius2[used], shown[used]))
    view, color, weight, radius2, shown = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Samples(view, np.zeros_like(view), color, weight, radius2, 1), shown


def is_exposed(color: Float[np.ndarray, "*B 3"]) -> Bool[np.ndarray, "*B"]:
    """Mark colors that are neither over-exposed nor nearly black in any channel."""
    return np.asarray(((color < BRIGHT) & (color >= DARK)).all(-1))


def _cell_sums(
    data: ViewData, step: Slices, store: ViewStore, index: int
) -> tuple[Int[np.ndarray, " S"], Float[np.ndarray, "S 5"]]:
    """Return the cells that a photograph shows and its weighted color, weight and weighted squared radius in each."""
    color, weight = data.image[step].reshape(-1, 3) / np.float32(255), data.weight[step].reshape(-1)
    used = (weight > 0) & is_exposed(color)
    rows, columns = (np.arange(size)[part] for size, part in zip(data.weight.shape, step, strict=True))
    radius2 = squared_radius(store.views[index].camera, rows, columns).reshape(-1)[used]
    place = (data.uv[step].reshape(-1, 2)[used] * SIDE).astype(np.int32).clip(0, SIDE - 1)
    sums = np.zeros((SIDE * SIDE, 5), np.float32)
    kernels.mean_cells(color[used], weight[used] / np.float32(255), place[:, 1] * SIDE + place[:, 0], radius2, sums)
    cell = np.flatnonzero(sums[:, 3]).astype(np.int32)
    return cell, sums[cell]


def _thin(shape: tuple[int, ...], num_views: int) -> Slices:
    """Take a regular grid of about :data:`PIXELS` pixels, or fewer if there are many photographs."""
    pixels = min(PIXELS, ALL_PIXELS / num_views)
    stride = max(1, int((shape[0] * shape[1] / pixels) ** 0.5))
    return slice(None, None, stride), slice(None, None, stride)
