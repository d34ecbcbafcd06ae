"""Images inside a page: reduced, encoded as data URIs, kept within a byte budget."""

import base64
import io
import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Shaped, UInt8

JPEG_QUALITY = 84


def reduce_image(image: Shaped[np.ndarray, "H W C"], max_side: int) -> Shaped[np.ndarray, "h w C"]:
    """Shrink an 8 bit image (antialiased) so that its longer side is at most ``max_side`` [px]; never enlarge."""
    from PIL import Image  # noqa: PLC0415

    height, width = image.shape[:2]
    scale = min(1.0, max_side / max(height, width))
    if scale == 1.0:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(
        Image.fromarray(image).resize(size, Image.Resampling.BOX if scale < 0.5 else Image.Resampling.LANCZOS)
    )


def reduce_mask(mask: Bool[np.ndarray, "H W"], shape: tuple[int, ...]) -> Bool[np.ndarray, "h w"]:
    """Resample a mask to another (height, width): nearest pixel."""
    rows = ((np.arange(shape[0]) + 0.5) * mask.shape[0] / shape[0]).astype(int)
    columns = ((np.arange(shape[1]) + 0.5) * mask.shape[1] / shape[1]).astype(int)
    return mask[np.ix_(rows, columns)]


def jpeg_uri(image: UInt8[np.ndarray, "H W 3"], quality: int = JPEG_QUALITY) -> str:
    """Encode as a JPEG data URI."""
    return _uri(image, "jpeg", quality=quality, optimize=True)


def png_uri(image: Shaped[np.ndarray, "H W *C"]) -> str:
    """Encode losslessly as a PNG data URI."""
    return _uri(image, "png", optimize=True)


def mask_uri(mask: Bool[np.ndarray, "H W"]) -> str:
    """Encode as a one-channel veil: opaque outside the mask, transparent inside (PNG, a few kB)."""
    from PIL import Image  # noqa: PLC0415

    picture = Image.fromarray(mask.astype(np.uint8), "P")
    picture.putpalette([0, 0, 0, 0, 0, 0])
    buffer = io.BytesIO()
    picture.save(buffer, "png", transparency=bytes([255, 0]), optimize=True, bits=1)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def encode_within(images: Mapping[str, UInt8[np.ndarray, "H W 3"]], budget: int, max_side: int) -> dict[str, str]:
    """Encode all images with one common limit on the longer side, so that together they stay within ``budget`` [bytes].

    The limit shrinks until the JPEGs fit, but not below 240 px.
    """
    while True:
        encoded = {name: jpeg_uri(reduce_image(image, max_side)) for name, image in images.items()}
        total = sum(map(len, encoded.values()))
        if total <= budget or max_side <= 240:
            return encoded
        side = min(max_side, max(max(image.shape[:2]) for image in images.values()))
        max_side = max(240, int(side * min(0.9, 0.97 * math.sqrt(budget / total))))


def find_detail(
    photo: UInt8[np.ndarray, "H W 3"], mask: Bool[np.ndarray, "H W"], size: tuple[int, int]
) -> tuple[slice, slice] | None:
    """Find the window (height, width) [px] with the most structure in the photograph among those inside the mask.

    Returns:
        Row and column slices, or ``None`` if no window lies inside the mask for at least 95 %.
    """
    height, width = (min(want, have) for want, have in zip(size, mask.shape, strict=True))
    luma = photo.astype(np.float32).mean(-1)
    energy = np.zeros(mask.shape, np.float64)
    energy[:, :-1] += np.abs(np.diff(luma, axis=1))
    energy[:-1] += np.abs(np.diff(luma, axis=0))
    inside = _window_sums(mask.astype(np.float64), height, width)
    structure = np.where(
        inside >= 0.95 * height * width, _window_sums(np.minimum(energy, 40) * mask, height, width), -1
    )
    top, left = np.unravel_index(int(structure.argmax()), structure.shape)
    if structure[top, left] < 0:
        return None
    return slice(int(top), int(top) + height), slice(int(left), int(left) + width)


def _window_sums(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Sums over all windows of a size, by a summed-area table (Crow 1984)."""
    table = np.pad(values, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    return table[height:, width:] - table[:-height, width:] - table[height:, :-width] + table[:-height, :-width]


def _uri(image: np.ndarray, kind: str, **options: int) -> str:
    from PIL import Image  # noqa: PLC0415

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def evenly(items: Sequence, count: int) -> list:
    """Pick ``count`` items evenly spread, the first and last among them; all if there are fewer."""
    if len(items) <= count:
        return list(items)
    return [items[round(index * (len(items) - 1) / max(count - 1, 1))] for index in range(count)]
