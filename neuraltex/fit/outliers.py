"""Regions of a photograph that show what no other photograph does: a passer-by, a car, a thumb before the lens.

A robust penalty judges pixels one by one, after the fact: where few photographs see the surface, the texture is drawn
towards what does not belong there, and everything differs from it. Here the photographs are compared before any fit,
reduced, against the median of all that see the same square of the texture; and what does not belong is a region: it
takes most of its surroundings, and reaches on where too few photographs could tell.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

PIXELS = 20_000
"""Pixels of a reduced photograph, about."""
ROUNDS = 3
"""Medians that are taken; each leaves out the regions found with the one before."""
OTHERS = 2
"""Photographs beside its own, and not outliers themselves, that a square needs to tell which one is wrong."""
RATIO = 1.5
"""A photograph is suspect where it differs from the median so many times more than the others do."""
REACH = 2
"""Half the side of the window in which suspects are counted [px of the reduced photograph]."""
MAJORITY = 0.5
"""Share of suspects among the pixels of a window that could be judged, at which its middle is an outlier."""
JUDGED = 0.15
"""Share of a window that must have been judged."""
GROWTH = 2
"""How far regions are extended in the end: their borders are mixtures [px of the reduced photograph]."""
DARKEST = 0.02
"""Colors below it say nothing about exposure [color in 0 to 1]."""


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """A photograph reduced by an integer factor.

    Args:
        used: Its pixels that lie on the texture and count.
        color: Their colors.
        uv: Where they lie.
    """

    used: Bool[np.ndarray, "h w"]
    color: Float[np.ndarray, "P 3"]  # float32
    uv: Float[np.ndarray, "P 2"]  # float32

    def spacings(self) -> Float[np.ndarray, " S"]:
        """Return the distances in uv of horizontal neighbors."""
        uv = np.full((*self.used.shape, 2), np.nan, np.float32)
        uv[self.used] = self.uv
        distance = np.linalg.norm(np.diff(uv, axis=1), axis=-1)
        return distance[np.isfinite(distance)]


@dataclass(frozen=True, eq=False)
class Observations:
    """One color per photograph and square of the texture that it sees, sorted by photograph.

    Args:
        cell: Number of the square.
        color: Mean color of the photograph in it.
        view: Number of the photograph.
        places: Per photograph the observation that each of its pixels belongs to.
    """

    cell: Int[np.ndarray, " O"]
    color: Float[np.ndarray, "O 3"]
    view: Int[np.ndarray, " O"]
    places: list[Int[np.ndarray, " P"]]

    @property
    def num_cells(self) -> int:
        """Number of squares."""
        return int(self.cell.max(initial=-1)) + 1


def thumbnail(
    image: UInt8[np.ndarray, "H W 3"], uv: Float[np.ndarray, "H W 2"], weight: UInt8[np.ndarray, "H W"]
) -> Thumbnail:
    """Reduce a photograph: mean color of the pixels that count, uv of the one in the middle."""
    step = max(1, round((weight.size / PIXELS) ** 0.5))
    height, width = weight.shape[0] // step, weight.shape[1] // step
    area = (slice(height * step), slice(width * step))
    counts = (weight[area] > 0).astype(np.float32)
    blocks = (height, step, width, step)
    total = (image[area] * counts[..., None]).reshape(*blocks, 3).sum((1, 3))
    middle = (slice(step // 2, height * step, step), slice(step // 2, width * step, step))
    used = weight[middle] > 0
    color = total[used] / (255 * counts.reshape(blocks).sum((1, 3))[used, None])
    return Thumbnail(used, color.astype(np.float32), uv[middle][used])


def outlier_regions(thumbnails: Iterable[Thumbnail], threshold: float) -> list[Bool[np.ndarray, "h w"]]:
    """Find the regions of every photograph that differ from what most of the others show.

    Args:
        thumbnails: All photographs.
        threshold: Difference that makes a pixel suspect, after exposures are matched [color in 0 to 1].

    Returns:
        Masks of the reduced photographs; :func:`enlarge` them.
    """
    photos = list(thumbnails)
    seen = _observe(photos)
    alive, gain = np.ones(len(seen.cell)), np.ones((len(photos), 3))
    regions = [np.zeros_like(photo.used) for photo in photos]
    for _ in range(ROUNDS if len(seen.cell) else 0):
        gain = _match_exposures(seen, alive, gain)
        difference, suspect, judged = _judge(seen, alive, gain, threshold)
        differs = difference > threshold
        inside = []
        for index, (photo, place) in enumerate(zip(photos, seen.places, strict=True)):
            pictures = (_picture(photo, values[place]) for values in (suspect, judged, differs))
            regions[index] = _region(*pictures)
            inside.append(place[regions[index][photo.used]])
        alive = np.ones(len(seen.cell))
        alive[np.concatenate(inside)] = 0
    return regions


def enlarge(region: Bool[np.ndarray, "h w"], shape: tuple[int, int]) -> Bool[np.ndarray, "H W"]:
    """Bring a mask to the size of its photograph; rows and columns that filled no block repeat the last one."""
    step = shape[0] // region.shape[0]
    rows, columns = (np.minimum(np.arange(n) // step, small - 1) for n, small in zip(shape, region.shape, strict=True))
    return region[rows[:, None], columns]


def _observe(photos: Sequence[Thumbnail]) -> Observations:
    """Sort pixels into squares about as large as they are."""
    spacings = np.concatenate([photo.spacings() for photo in photos] or [np.ones(1)])
    side = 1 / max(float(np.median(spacings)) if len(spacings) else 1.0, 1e-4)
    cells, colors, views, places, start = [], [], [], [], 0
    for index, photo in enumerate(photos):
        key = (photo.uv * side).astype(np.int64) @ np.array([1, int(side) + 2])
        own, place = np.unique(key, return_inverse=True)
        count = np.bincount(place, minlength=len(own))
        sums = np.stack([np.bincount(place, channel, len(own)) for channel in photo.color.T], 1)
        cells.append(own)
        colors.append(sums / count[:, None])
        views.append(np.full(len(own), index))
        places.append(start + place)
        start += len(own)
    cell = np.unique(np.concatenate(cells), return_inverse=True)[1] if cells else np.zeros(0, np.int64)
    return Observations(cell, np.concatenate(colors or [np.zeros((0, 3))]), np.concatenate(views or [cell]), places)


def _match_exposures(
    seen: Observations, alive: Float[np.ndarray, " O"], gain: Float[np.ndarray, "N 3"]
) -> Float[np.ndarray, "N 3"]:
    """Return gains to the median of all; the average photograph keeps its colors."""
    middle = medians(seen.cell, seen.color * gain[seen.view], alive)
    ratio = np.log(np.maximum(middle[seen.cell], DARKEST) / np.maximum(seen.color, DARKEST))
    used = (alive > 0) & (np.bincount(seen.cell, alive, seen.num_cells)[seen.cell] > OTHERS)
    logs = medians(seen.view[used], ratio[used], np.ones(used.sum()), len(gain))
    return np.exp(logs - logs.mean(0))


def _judge(
    seen: Observations, alive: Float[np.ndarray, " O"], gain: Float[np.ndarray, "N 3"], threshold: float
) -> tuple[Float[np.ndarray, " O"], Bool[np.ndarray, " O"], Bool[np.ndarray, " O"]]:
    """Return the difference of every observation from the median, whether it is suspect, and could be judged."""
    color = seen.color * gain[seen.view]
    difference = np.sqrt(np.square(color - medians(seen.cell, color, alive)[seen.cell]).mean(1))
    own = np.stack([alive, alive * difference**2])
    count, square = np.stack([np.bincount(seen.cell, row, seen.num_cells) for row in own])[:, seen.cell] - own
    others = np.sqrt(np.maximum(square, 0) / np.maximum(count, 1e-6))
    judged = count >= OTHERS
    return difference, judged & (difference > threshold) & (difference > RATIO * others), judged


def medians(
    group: Int[np.ndarray, " O"],
    value: Float[np.ndarray, "O C"],
    alive: Float[np.ndarray, " O"],
    num_groups: int | None = None,
) -> Float[np.ndarray, "G C"]:
    """Return the median of each group and channel over what is alive, or over all where nothing is; 0 if empty."""
    count = np.bincount(group, alive, num_groups or 0)
    weight = np.where(count[group] > 0, alive, 1)
    total = np.bincount(group, weight, num_groups or 0)
    half = np.cumsum(total) - total / 2
    result = np.zeros((len(total), value.shape[1]))
    filled = total > 0
    for channel in range(value.shape[1] if len(group) else 0):
        order = np.lexsort((value[:, channel], group))
        ends = np.cumsum(weight[order])
        lower, upper = (np.searchsorted(ends, half[filled] + shift) for shift in (-1e-6, 1e-6))
        ranked = value[order, channel]
        result[filled, channel] = (ranked[lower] + ranked[np.minimum(upper, len(ranked) - 1)]) / 2
    return result


def _picture(photo: Thumbnail, values: Bool[np.ndarray, " P"]) -> Bool[np.ndarray, "h w"]:
    picture = np.zeros(photo.used.shape, bool)
    picture[photo.used] = values
    return picture


def _region(
    suspect: Bool[np.ndarray, "h w"], judged: Bool[np.ndarray, "h w"], differs: Bool[np.ndarray, "h w"]
) -> Bool[np.ndarray, "h w"]:
    """Take windows full of suspects, and all that differs and touches them: there, too few could tell who is wrong."""
    from scipy.ndimage import binary_dilation, binary_propagation, uniform_filter  # noqa: PLC0415  seldom needed

    side = 2 * REACH + 1
    wrong, known = (uniform_filter(part.astype(np.float32), side, mode="constant") for part in (suspect, judged))
    core = (wrong > MAJORITY * known) & (known > JUDGED)
    return np.asarray(binary_dilation(binary_propagation(core, mask=core | differs), iterations=GROWTH))
