"""Which subjects are trained on, and which are never."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from neuraltex.core.errors import DataError

SPLITS = ("train", "val", "test")


def group_variants(thumbnails: Mapping[str, Float[np.ndarray, "P 3"]], rms: float) -> list[tuple[str, ...]]:
    """Return the subjects in groups that are linked by textures which hardly differ.

    Collections hold the same skin twice under two names, or with other eyebrows: one of them must not be trained on if
    the other is to be scored.

    Args:
        thumbnails: Colors of the same few texels of every subject, in [0, 1].
        rms: Root of the mean squared difference below which two textures are variants of each other.
    """
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415  loads slowly and few need it

    names = sorted(thumbnails)
    colors = np.stack([np.asarray(thumbnails[name], np.float64).reshape(-1) for name in names])
    squares = np.square(colors).sum(1)
    distance = (squares[:, None] + squares - 2 * colors @ colors.T) / colors.shape[1]
    count, label = connected_components(distance < rms**2)
    return [tuple(name for name, own in zip(names, label, strict=True) if own == group) for group in range(count)]


def split_groups(
    groups: Iterable[Sequence[str]], test_share: float, val_share: float = 0.0, test: Iterable[str] = ()
) -> dict[str, str]:
    """Return the split of every subject: whole groups, in the order of the hash of their first name.

    Groups that would make a split larger than its share are passed over, unless it would stay empty.

    Args:
        groups: From :func:`group_variants`.
        test_share: Share of the subjects to score on.
        val_share: Share of the subjects to choose by.
        test: Subjects to score on instead of a share; their whole groups are.

    Raises:
        DataError: if there are fewer groups than splits, or a subject of ``test`` does not exist.
    """
    every, listed = [tuple(group) for group in groups], set(test)
    unknown = listed - {name for group in every for name in group}
    if unknown:
        raise DataError(f"there is no subject {min(unknown)!r}", source="test subjects", hint="Correct the list")
    total = sum(map(len, every))
    rest = sorted(every, key=lambda group: hashlib.sha256(min(group).encode()).digest())
    split: dict[str, str] = {}
    if listed:
        _assign(split, [group for group in rest if listed & set(group)], "test")
    else:
        _assign(split, _share(rest, round(test_share * total), wanted=test_share > 0), "test")
    rest = [group for group in rest if group[0] not in split]
    _assign(split, _share(rest, round(val_share * total), wanted=val_share > 0), "val")
    rest = [group for group in rest if group[0] not in split]
    if not rest:
        raise DataError(
            f"{total} subjects in {len(every)} groups of variants are too few to split",
            hint="Add textures, or lower --test-share, --val-share or --duplicate-rms",
        )
    _assign(split, rest, "train")
    return dict(sorted(split.items()))


def _share(groups: list[tuple[str, ...]], count: int, *, wanted: bool) -> list[tuple[str, ...]]:
    chosen: list[tuple[str, ...]] = []
    for group in groups:
        if sum(map(len, chosen)) + len(group) <= count:
            chosen.append(group)
    return chosen or sorted(groups, key=len)[: int(wanted)]


def _assign(split: dict[str, str], groups: list[tuple[str, ...]], name: str) -> None:
    split.update((subject, name) for group in groups for subject in group)


def read_names(path: Path) -> tuple[str, ...]:
    """Read names of subjects, one a line; empty lines and what follows ``#`` do not count.

    Raises:
        DataError: if the file is missing, not text, or holds none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error})", hint="Give a text file with one name a line") from error
    names = tuple(name for line in lines if (name := line.split("#")[0].strip()))
    if not names:
        raise DataError(f"{path} holds no names", hint="Write one name of a texture a line")
    return names
