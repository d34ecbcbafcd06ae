"""PNG files written on all cores.

A texture of 4096 x 4096 takes the usual single-threaded encoder longer than fitting it. Blocks of rows are compressed
on their own and joined: a deflate stream may be flushed at any byte (RFC 1951), and its checksum covers the joined
data (RFC 1950).
"""

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from neuraltex.core.errors import ShapeError
from neuraltex.core.files import atomic_path
from neuraltex.core.runtime import cpu_threads
from neuraltex.io.images import to_uint8

BLOCK_BYTES = 1 << 20
"""Size of the blocks [byte]; what a block cannot refer back to costs far below one percent."""
LEVEL = 1
"""Compression: higher levels take many times longer for a tenth of the size."""
COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
UP = 2
"""Filter: bytes are stored as differences from the row above."""


def write_png(path: Path, pixels: Shaped[np.ndarray, "H W *C"]) -> Path:
    """Write an 8 bit grey or color image (with or without alpha) atomically; colors in [0, 1] are rounded to 8 bit.

    Raises:
        ShapeError: if it is empty or has more than four channels.
    """
    if pixels.ndim not in (2, 3) or not pixels.size or (pixels.ndim == 3 and pixels.shape[2] not in COLOR_TYPES):
        raise ShapeError(f"an image has shape {pixels.shape}, expected [H, W] or [H, W, 1 to 4]")
    height, width = pixels.shape[:2]
    channels = pixels.size // (height * width)
    header = struct.pack(">IIBBBBB", width, height, 8, COLOR_TYPES[channels], 0, 0, 0)
    step = max(1, BLOCK_BYTES // (width * channels + 1))
    begins = range(0, height, step)
    checksum = 1
    with atomic_path(path) as temporary, temporary.open("wb") as file, ThreadPoolExecutor(cpu_threads()) as pool:
        file.write(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header))
        file.write(_chunk(b"IDAT", b"\x78\x01"))
        for data, adler, size in pool.map(lambda begin: _compress(pixels, begin, step), begins):
            file.write(_chunk(b"IDAT", data))
            checksum = _join_checksums(checksum, adler, size)
        file.write(_chunk(b"IDAT", struct.pack(">I", checksum)) + _chunk(b"IEND", b""))
    return path


def _compress(pixels: np.ndarray, begin: int, step: int) -> tuple[bytes, int, int]:
    """Filter and compress a block of rows; returns it with the checksum and the size of what it holds."""
    above = min(begin, 1)
    rows = np.ascontiguousarray(to_uint8(pixels[begin - above : begin + step]))
    rows = rows.reshape(len(rows), -1)
    filtered = np.empty((len(rows) - above, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1 - above :, 1:])
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    last = begin + step >= len(pixels)
    content = memoryview(filtered)  # type: ignore[arg-type]
    data = packer.compress(content) + packer.flush(zlib.Z_FINISH if last else zlib.Z_FULL_FLUSH)
    return data, zlib.adler32(content), filtered.size


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))


def _join_checksums(first: int, second: int, size: int) -> int:
    """Return the Adler-32 of two strings joined from theirs and the second's length (zlib, ``adler32_combine``)."""
    base = 65521
    low = ((first & 0xFFFF) + (second & 0xFFFF) - 1) % base
    high = ((first >> 16) + (second >> 16) + size * ((first & 0xFFFF) - 1)) % base
    return high << 16 | low
