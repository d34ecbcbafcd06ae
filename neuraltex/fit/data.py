"""Photographs and uv maps in memory: compact, within a byte budget, cut into windows on demand."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from neuraltex.config.schema import PixelConfig
from neuraltex.core.errors import DataError
from neuraltex.fit.sampler import Window
from neuraltex.io import images
from neuraltex.io.prepared import Confidence, PreparedView


@dataclass(frozen=True, eq=False)
class ViewData:
    """One photograph and where each of its pixels lies on the texture; 14 bytes per pixel.

    Whole frames are kept because gradient and perceptual terms compare neighborhoods.
    """

    image: UInt8[np.ndarray, "H W 3"]
    uv: Float[np.ndarray, "H W 2"]  # float32
    weight: UInt8[np.ndarray, "H W"]  # confidence in 1/255; 0 = not used
    footprint: Float[np.ndarray, "H W"]  # float16 [texel]

    @property
    def nbytes(self) -> int:
        """Memory it takes [byte]."""
        return self.image.nbytes + self.uv.nbytes + self.weight.nbytes + self.footprint.nbytes


@dataclass(frozen=True, eq=False)
class Tile:
    """A window of a photograph as tensors on the device of the fit."""

    view: int
    image: Float[Tensor, "H W 3"]
    uv: Float[Tensor, "H W 2"]
    weight: Float[Tensor, "H W"]
    footprint: Float[Tensor, "H W"]

    @property
    def mask(self) -> Bool[Tensor, "H W"]:
        """Pixels that count at all."""
        return self.weight > 0


def pixel_weights(
    confidence: Confidence, valid: Bool[np.ndarray, "H W"], config: PixelConfig
) -> Float[np.ndarray, "H W"]:
    """Turn confidence into one weight per pixel in [0, 1]; 0 where the pixel must not be used.

    The margin keeps out colors of the surface in front: a pixel at a depth discontinuity is a mixture of two surfaces,
    and an error of the camera moves it to the wrong one.
    """
    weight = np.where(valid & (confidence.cosine >= config.min_cosine), confidence.cosine, 0) ** config.cosine_power
    weight = np.where(valid & (confidence.cosine >= config.min_cosine), weight, 0)
    if config.margin > 0:
        ramp = confidence.distance / config.margin
        weight = weight * np.where(ramp < 0.5, 0, np.minimum(ramp, 1))
    if config.footprint_power > 0:
        finest = np.percentile(confidence.footprint[valid], 5) if valid.any() else 1.0
        ratio = finest / np.maximum(confidence.footprint, finest)
        weight = weight * ratio**config.footprint_power
    return weight.astype(np.float32)


def load_view(view: PreparedView, config: PixelConfig) -> ViewData:
    """Read what a fit needs of a view.

    Raises:
        DataError: if a file is unreadable or sizes differ.
    """
    uv_map, confidence = view.load_uv(), view.load_confidence()
    valid = uv_map.mask if view.mask is None else uv_map.mask & images.read_mask(view.mask, uv_map.mask.shape)
    image = view.load_image()
    if image.shape[:2] != valid.shape:
        raise DataError(
            f"{view.uv} is {valid.shape[1]}x{valid.shape[0]} but {view.image} is {image.shape[1]}x{image.shape[0]}",
            hint="Run neuraltex prepare again with --overwrite",
        )
    weight = np.ceil(pixel_weights(confidence, valid, config) * 255).clip(0, 255).astype(np.uint8)
    return ViewData(image, uv_map.uv, weight, confidence.footprint.astype(np.float16))


class ViewStore:
    """The views of a fit; the least recently used ones leave memory when the budget is exceeded.

    Args:
        views: Views in a fixed order; their index is what a :class:`~neuraltex.fit.sampler.Window` names.
        config: Pixel weights.
        budget_gb: Memory for views [GB]; at least one view is always kept.
        device: Where tiles go.
    """

    def __init__(
        self, views: Sequence[PreparedView], config: PixelConfig, budget_gb: float, device: torch.device | str = "cpu"
    ) -> None:
        self.views, self.config, self.device = tuple(views), config, torch.device(device)
        self._budget, self._used = budget_gb * 1024**3, 0
        self._cache: OrderedDict[int, ViewData] = OrderedDict()

    def __len__(self) -> int:
        return len(self.views)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of every photograph [px]."""
        return [(view.camera.height, view.camera.width) for view in self.views]

    def load(self, index: int) -> ViewData:
        """Return a view from memory or disk."""
        if index in self._cache:
            self._cache.move_to_end(index)
            return self._cache[index]
        data = load_view(self.views[index], self.config)
        self._cache[index] = data
        self._used += data.nbytes
        while self._used > self._budget and len(self._cache) > 1:
            self._used -= self._cache.popitem(last=False)[1].nbytes
        return data

    def stream(self, indices: Sequence[int] | None = None) -> Iterator[tuple[int, ViewData]]:
        """Yield views one after the other with their index; a thread reads the next one meanwhile.

        Whatever the budget, at most two views are in memory that the cache does not hold. Views enter the cache while
        there is room and none leaves it: in repeated passes the least recently used view is the one needed next, so
        evicting it would read everything again in every pass.

        Args:
            indices: Which views in which order; ``None`` takes all.
        """
        order = list(range(len(self)) if indices is None else indices)
        with ThreadPoolExecutor(1, "read-views") as reader:
            pending = reader.submit(self._peek, order[0]) if order else None
            for place, index in enumerate(order):
                assert pending is not None
                data = pending.result()
                following = order[place + 1 : place + 2]
                pending = reader.submit(self._peek, following[0]) if following else None
                self._keep_if_room(index, data)
                yield index, data
                del data  # else three would be in memory while the next one is read

    def _peek(self, index: int) -> ViewData:
        found = self._cache.get(index)
        return load_view(self.views[index], self.config) if found is None else found

    def _keep_if_room(self, index: int, data: ViewData) -> None:
        if index not in self._cache and self._used + data.nbytes <= self._budget:
            self._cache[index] = data
            self._used += data.nbytes

    def tile(self, window: Window) -> Tile:
        """Cut a window out of a photograph."""
        data = self.load(window.view)
        area = (slice(window.top, window.top + window.height), slice(window.left, window.left + window.width))

        def put(array: np.ndarray) -> Tensor:
            return torch.from_numpy(array[area].copy()).to(self.device, non_blocking=True)

        return Tile(
            view=window.view,
            image=put(data.image).float() / 255,
            uv=put(data.uv),
            weight=put(data.weight).float() / 255,
            footprint=put(data.footprint).float(),
        )

    def whole(self, index: int) -> Tile:
        """Return a photograph whole."""
        return self.tile(Window(index, 0, 0, *self.sizes[index]))
