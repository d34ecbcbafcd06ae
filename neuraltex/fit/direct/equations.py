"""Normal equations of bilinear, mip-mapped sampling: everything photographs say about a texture, summed.

A pixel of weight w and color c that reads texels with bilinear weights a adds ``w a a'`` to the matrix and ``w a c``
to the right-hand side of the level(s) of the mip chain that its footprint covers. Since a lookup reads a cell of 2x2
texels, a texel is coupled with its 8 neighbors only, and by symmetry five numbers per texel hold the matrix: the texel
itself, its right, lower, lower right and lower left neighbor. Three more hold the colors. Memory does not depend on the
number of photographs; sums over processes and over time are exact.
"""

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from jaxtyping import Float, UInt8

from neuraltex.core.conventions import texel_from_uv
from neuraltex.core.runtime import cpu_threads
from neuraltex.core.threads import run_threads
from neuraltex.fit.direct import kernels
from neuraltex.fit.direct.chain import ColorChain
from neuraltex.fit.direct.layout import MipLayout
from neuraltex.fit.direct.penalty import Penalty, code
from neuraltex.fit.direct.vectors import aligned_zeros
from neuraltex.fit.distributed import sum_arrays_over_processes
from neuraltex.fit.footprints import footprint_of_bits

PIECE = 16
"""Squares of a photograph that are prepared at a time; their pixels stay in cache until they are scattered."""
ALL_REDUCE_ROWS = 1 << 22
"""Texels that are summed over processes at a time."""


@dataclass(frozen=True, eq=False)
class Robust:
    """How pixels that differ from the texture so far lose weight.

    Args:
        chain: That texture, in the layout of the equations.
        penalty: Penalty of the difference.
        scale: Its scale [color in 0 to 1].
    """

    chain: ColorChain
    penalty: Penalty
    scale: float


@dataclass(eq=False)
class NormalEquations:
    """Sums over pixels.

    Args:
        size: (Ht, Wt) of the texture.
        levels: Levels of the mip chain, at most 4; 1 lets every pixel constrain the finest texels.

    Attributes:
        rows: Of each texel: center, right, down, down-right, down-left, red, green, blue.
    """

    size: tuple[int, int]
    levels: int = 1
    layout: MipLayout = field(init=False)
    rows: Float[np.ndarray, "R 8"] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.levels > kernels.MOST_LEVELS:
            raise ValueError(f"{self.levels} levels are more than {kernels.MOST_LEVELS}")
        self.layout = MipLayout.of(self.size, max(self.levels, 1))
        self.clear()

    def clear(self) -> None:
        """Forget all pixels and give the memory back."""
        self.rows = np.zeros((0, 8), np.float32)  # not two of them at a time
        self.rows = aligned_zeros(int(self.layout.offsets[-1]))

    @property
    def images(self) -> list[Float[np.ndarray, "Ht Wt 8"]]:
        """The levels as images, finest first; they share the memory of :attr:`rows`."""
        return self.layout.views(self.rows)

    def add(
        self,
        uv: Float[np.ndarray, "P 2"],
        color: Float[np.ndarray, "P 3"],
        weight: Float[np.ndarray, " P"],
        footprint: Float[np.ndarray, " P"] | None = None,
    ) -> None:
        """Add pixels given as floats.

        Args:
            uv: Where they lie on the texture.
            color: Their color [0 to 1].
            weight: Their weight.
            footprint: Square root of their area on the texture [texel]; ``None`` is at most 1.
        """
        height, width = self.size
        pixels = np.empty((len(uv), 7), np.float32)
        pixels[:, 0], pixels[:, 1] = texel_from_uv(uv.astype(np.float32), width, height)
        pixels[:, 2] = 0 if footprint is None else mip_level(footprint, len(self.layout.sizes))
        pixels[:, 3], pixels[:, 4:] = weight, color
        pixels = pixels[pixels[:, 3] > 0]
        threads, table = _num_threads(len(pixels)), self.layout.table
        owners = kernels.owners_of(height, threads)
        run_threads(lambda thread: kernels.scatter(pixels, self.rows, table, owners, thread), threads)

    def add_photo(
        self,
        image: UInt8[np.ndarray, "H W 3"],
        uv: Float[np.ndarray, "H W 2"],
        weight: UInt8[np.ndarray, "H W"],
        footprint: Float[np.ndarray, "H W"],
        colors: Float[np.ndarray, "K 3"],
        falloff: Float[np.ndarray, "H W"] | None = None,
        robust: Robust | Float[np.ndarray, "h w"] | None = None,
        *,
        scale: float = 1.0,
        alike: bool = False,
    ) -> None:
        """Add a photograph as it lies in memory, without float copies of it.

        Args:
            image: 8 bit values.
            uv: float32.
            weight: Weight in 1/255.
            footprint: float16 [texel of a texture ``1 / scale`` times as large].
            colors: Color of the texture that each value of each channel stands for; more than 256 rows where dividing
                by ``falloff`` makes larger values.
            falloff: What a vignette leaves of the light; ``None`` is everything.
            robust: Takes weight from pixels that differ from a texture. Or factors of their weight, one for 2x2 pixels;
                a last odd row or column has that beside it.
            scale: Factor of the footprints.
            alike: Weigh pixels by their area on the texture, so that a photograph does not count more for being near.
        """
        nothing = np.zeros((0, 0), np.float32)
        shade, trust = nothing if falloff is None else falloff, robust if isinstance(robust, np.ndarray) else nothing
        photo = (image, uv, weight, footprint.view(np.uint16), shade, trust)
        tables = tables_of_bits(len(self.layout.sizes), float(scale), alike)
        lookup = (np.ascontiguousarray(colors, np.float32), *tables)
        outlier = self._outlier(robust if isinstance(robust, Robust) else None)
        threads, table = _num_threads(weight.size), self.layout.table
        memory = np.empty((threads, PIECE * kernels.SQUARE**2, 7), np.float32)
        owners = kernels.owners_of(self.size[0], threads)

        def work(thread: int) -> None:
            kernels.add_photo(photo, lookup, outlier, self.rows, table, memory[thread], owners, thread)

        run_threads(work, threads)

    def coverage(self) -> Float[np.ndarray, "Ht Wt"]:
        """Return the sum of the weights of the pixels that read each texel, shared with what coarser levels say."""
        total: np.ndarray = np.zeros((0, 0), np.float32)
        for image in reversed(self.images):
            total = kernels.row_sums(image, total)
        return total

    def sum_over_processes(self) -> None:
        """Add the equations of all processes, in place."""
        for start in range(0, len(self.rows), ALL_REDUCE_ROWS):
            sum_arrays_over_processes([self.rows[start : start + ALL_REDUCE_ROWS]])

    def _outlier(self, robust: Robust | None) -> tuple[np.ndarray, np.ndarray, int, float]:
        table = self.layout.table
        if robust is None:
            return np.zeros(0, np.int64), table, 0, 1.0
        return robust.chain.rows, table, code(robust.penalty), float(robust.scale)


def mip_level(footprint: np.ndarray, num_levels: int) -> Float[np.ndarray, "*B"]:
    """Return the level of the mip chain of a footprint [texel], as :func:`neuraltex.texture.sample.sample_mip` does."""
    level = np.log2(np.maximum(footprint.astype(np.float32), 1))
    return np.minimum(level, np.float32(num_levels - 1))


@cache
def tables_of_bits(
    num_levels: int, scale: float, alike: bool
) -> tuple[Float[np.ndarray, " 65536"], Float[np.ndarray, " 65536"]]:
    """Return the level, and the factor of a weight in 1/255, for the bits of a float16 footprint."""
    footprint = footprint_of_bits() * np.float32(scale)
    factor = footprint**2 if alike else np.ones_like(footprint)
    return mip_level(footprint, num_levels), factor / np.float32(255)


def _num_threads(num_pixels: int) -> int:
    return max(1, min(cpu_threads(), num_pixels // 20_000, 8))
