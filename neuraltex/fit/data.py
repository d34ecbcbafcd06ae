"""Photographs and uv maps in memory: compact, within a byte budget, cut into windows on demand."""

import contextlib
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Num, UInt8

from neuraltex.config.schema import FitConfig, PixelConfig
from neuraltex.core.errors import DataError
from neuraltex.core.runtime import logger, progress
from neuraltex.fit import sharpness
from neuraltex.fit.halve import halve
from neuraltex.fit.outliers import enlarge, outlier_regions, thumbnail
from neuraltex.fit.pixels import erode, weigh
from neuraltex.fit.sampler import Window
from neuraltex.geometry.camera import Camera
from neuraltex.io import images
from neuraltex.io.packed import read_packed
from neuraltex.io.prepared import PreparedScene, PreparedView

if TYPE_CHECKING:
    import torch

    from neuraltex.fit.tiles import Tile

PIXEL_BYTES = 14
"""Memory of a pixel of :class:`ViewData` [byte]."""
FOOTPRINT_STRIDE = 97
"""Every so many-th pixel tells the median footprint well enough."""


@dataclass(frozen=True, eq=False)
class ViewData:
    """One photograph and where each of its pixels lies on the texture.

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

    def halved(self, texture_size: int) -> "ViewData":
        """Return it at half its size, for a texture of half the size; see :func:`~neuraltex.fit.halve.halve`."""
        return ViewData(*halve(self.image, self.uv, self.weight, self.footprint, texture_size))


def load_view(view: PreparedView, config: PixelConfig, reference: float = 1.0) -> ViewData:
    """Read what a fit needs of a view.

    Args:
        view: View of a prepared scene.
        config: Pixel weights.
        reference: Median footprint of all photographs [texel].

    Raises:
        DataError: if a file is unreadable or sizes differ.
    """
    packed, image = read_packed(view), view.load_image()
    if image.shape[:2] != packed.shape:
        raise DataError(
            f"{view.uv} is {packed.shape[1]}x{packed.shape[0]} but {view.image} is {image.shape[1]}x{image.shape[0]}",
            hint="Run neuraltex prepare again with --overwrite",
        )
    allowed = None if view.mask is None else erode(images.read_mask(view.mask, packed.shape), config.mask_erosion)
    return ViewData(image, *weigh(packed, image, allowed, config, reference))


class ViewStore:
    """The views of a fit; the least recently used ones leave memory when the budget is exceeded.

    Args:
        views: Views in a fixed order; their index is what a :class:`~neuraltex.fit.sampler.Window` names.
        config: Pixel weights.
        budget_gb: Memory for views [GB]; at least one view is always kept.
        device: Where tiles go.
        use: Says which pixels [H, W] of a view have any weight; ``None`` leaves all as they are.
        texture_size: Side of the texture that footprints refer to [texel]. If given, views can be had at half size and
            are kept so in memory where not all have room whole.
    """

    def __init__(
        self,
        views: Sequence[PreparedView],
        config: PixelConfig,
        budget_gb: float,
        device: "torch.device | str" = "cpu",
        use: Callable[[PreparedView], Bool[np.ndarray, "H W"]] | None = None,
        texture_size: int = 0,
    ) -> None:
        self.views, self.config, self.device, self._use = tuple(views), config, str(device), use
        self._texture_size = texture_size
        self._budget, self._used = budget_gb * 1024**3, 0
        self._cache: OrderedDict[int, ViewData] = OrderedDict()
        self._halves: OrderedDict[int, ViewData] = OrderedDict()
        self._factors: Float[np.ndarray, " N"] | None = None
        self._outliers: list[Bool[np.ndarray, "h w"]] | None = None
        self._reference, self._is_measured = 1.0, False

    def __len__(self) -> int:
        return len(self.views)

    @property
    def is_on_cpu(self) -> bool:
        """Whether tiles stay where photographs are read."""
        return self.device == "cpu"

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of every photograph [px]."""
        return [(view.camera.height, view.camera.width) for view in self.views]

    @contextlib.contextmanager
    def lend(self, memory_gb: float) -> Iterator[None]:
        """Give up memory of the budget [GB] for a while; views leave that have no room any more."""
        budget = self._budget
        self._budget -= memory_gb * 1024**3
        self._shrink(0)
        try:
            yield
        finally:
            self._budget = budget

    def load(self, index: int) -> ViewData:
        """Return a view from memory or disk."""
        if index in self._cache:
            self._cache.move_to_end(index)
            return self._cache[index]
        self._measure()
        data = self._read(index)
        self._cache[index] = data
        self._used += data.nbytes
        self._shrink(1)
        return data

    def _shrink(self, least: int) -> None:
        """Forget views until the budget is kept, or only so many are left."""
        for cache, least_here in ((self._halves, 0), (self._cache, least)):
            while self._used > self._budget and len(cache) > least_here:
                self._used -= cache.popitem(last=False)[1].nbytes

    def stream(
        self, indices: Sequence[int] | None = None, readers: int = 1, *, halved: bool = False
    ) -> Iterator[tuple[int, ViewData]]:
        """Yield views one after the other with their index; threads read the next ones meanwhile.

        Whatever the budget, at most ``readers + 1`` views are in memory that the cache does not hold. Views enter the
        cache while there is room and none leaves it: in repeated passes the least recently used view is the one needed
        next, so evicting it would read everything again in every pass.

        Args:
            indices: Which views in which order; ``None`` takes all.
            readers: Threads that read; more than one where looking at a view is quicker than reading it.
            halved: Yield them at half their size.
        """
        order = list(range(len(self)) if indices is None else indices)
        self._measure()
        with ThreadPoolExecutor(readers, "read-views") as reader:
            pending = deque(reader.submit(self._peek, index, halved) for index in order[:readers])
            for place, index in enumerate(order):
                data = pending.popleft().result()
                pending.extend(reader.submit(self._peek, later, halved) for later in order[place + readers :][:1])
                self._keep_if_room(index, data)
                yield index, self.halved(index, data) if halved else data
                del data  # else one more would be in memory while the next ones are read

    def halved(self, index: int, data: ViewData) -> ViewData:
        """Return a view that is at hand, e.g. from :meth:`stream`, at half its size."""
        assert self._texture_size, "made without texture_size"
        found = self._halves.get(index)
        return data.halved(self._texture_size) if found is None else found

    def _peek(self, index: int, halved: bool) -> ViewData:
        found = self._halves.get(index) if halved else None
        found = self._cache.get(index) if found is None else found
        return self._read(index) if found is None else found

    def _read(self, index: int) -> ViewData:
        data = load_view(self.views[index], self.config, self._reference)
        if self._use is not None:
            data.weight[~self._use(self.views[index])] = 0
        if self._factors is not None:
            np.ceil(data.weight * self._factors[index], out=data.weight, casting="unsafe")
        if self._outliers is not None:
            data.weight[enlarge(self._outliers[index], data.weight.shape)] = 0
        return data

    def _measure(self) -> None:
        """Measure, once, what weights need to know of all photographs: resolution, sharpness, what does not belong."""
        if self._is_measured:
            return
        self._is_measured, config = True, self.config
        if config.footprint_power:
            self._reference = _median_footprint(self.views)
        if not (config.sharpness_power or config.outlier_regions):
            return
        details, thumbnails = [], []
        for index in progress(range(len(self)), label="comparing", unit="photo"):
            data = self._read(index)
            if config.sharpness_power:
                details.append(sharpness.detail(data.image, data.uv, data.weight))
            if config.outlier_regions:
                thumbnails.append(thumbnail(data.image, data.uv, data.weight))
        if details:
            factors = np.minimum(sharpness.relative_sharpness(details), 1).astype(np.float32)
            self._factors = factors**config.sharpness_power
        if thumbnails:
            self._outliers = outlier_regions(thumbnails, config.outlier_regions)
            share = np.mean([region.mean() for region in self._outliers])
            logger.info("%.2g %% of the photographs do not agree with the others and are ignored", 100 * share)

    def _keep_if_room(self, index: int, data: ViewData) -> None:
        if index in self._cache or index in self._halves:
            return
        halved = self._texture_size > 0 and PIXEL_BYTES * sum(h * w for h, w in self.sizes) > self._budget
        kept, cache = (self.halved(index, data), self._halves) if halved else (data, self._cache)
        if self._used + kept.nbytes <= self._budget:
            cache[index] = kept
            self._used += kept.nbytes

    def tile(self, window: Window) -> "Tile":
        """Cut a window out of a photograph."""
        return self.cut(self.load(window.view), window)

    def cut(self, data: ViewData, window: Window) -> "Tile":
        """Cut a window out of a photograph that is at hand, e.g. from :meth:`stream`."""
        from neuraltex.fit.tiles import cut_tile  # noqa: PLC0415  # needs torch, whose loading costs a second

        return cut_tile(data, window, self.views[window.view].camera, self.device)

    def whole(self, index: int) -> "Tile":
        """Return a photograph whole."""
        return self.tile(Window(index, 0, 0, *self.sizes[index]))


def training_store(
    scene: PreparedScene,
    config: FitConfig,
    device: "torch.device | str",
    use: Callable[[PreparedView], Bool[np.ndarray, "H W"]] | None = None,
) -> ViewStore:
    """Return the photographs of a fit; see :class:`ViewStore`."""
    size = scene.texture_size if config.direct.half_first else 0
    return ViewStore(scene.split("train"), config.pixels, config.loop.cache_gb, device, use, texture_size=size)


def squared_radius(
    camera: Camera, rows: Num[np.ndarray, " H"], columns: Num[np.ndarray, " W"]
) -> Float[np.ndarray, "H W"]:
    """Return the squared distance of pixels from the principal point, 1 half a diagonal of the photograph away."""
    half2 = (camera.width**2 + camera.height**2) / 4
    return ((rows[:, None] + 0.5 - camera.cy) ** 2 / half2 + (columns + 0.5 - camera.cx) ** 2 / half2).astype(
        np.float32
    )


def _median_footprint(views: Sequence[PreparedView]) -> float:
    """Return the median footprint of all photographs, from a sample of their pixels [texel]."""
    samples = [read_packed(view).footprint[::FOOTPRINT_STRIDE] for view in views]
    joined = np.concatenate(samples) if samples else np.ones(1)
    return float(np.median(joined.astype(np.float32))) if len(joined) else 1.0
