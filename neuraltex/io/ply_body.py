"""The data section of a PLY file: tables of scalars and lists, in text or binary."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from neuraltex.core.errors import DataError
from neuraltex.io.polygons import HINT, parse_numbers

Property = tuple[str, str, str | None]  # name, item type, count type of a list


@dataclass
class Element:
    """One element of the header with its properties, in order."""

    name: str
    count: int
    properties: list[Property] = field(default_factory=list)


@dataclass
class Columns:
    """Content of one element; a list property is (all items one after the other, length of each list)."""

    scalars: dict[str, np.ndarray] = field(default_factory=dict)
    lists: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)


def read_elements(path: Path, data: bytes, start: int, encoding: str, elements: list[Element]) -> dict[str, Columns]:
    """Read all elements in turn.

    A text file becomes one array of numbers, which is then walked like binary data whose every property is float64.

    Raises:
        DataError: if the encoding is unknown or the data ends early.
    """
    order = {"ascii": "=", "binary_little_endian": "<", "binary_big_endian": ">"}.get(encoding)
    if order is None:
        raise DataError(f"{path} has the unknown PLY format {encoding!r}", hint=HINT)
    if encoding == "ascii":
        data, start = parse_numbers(data[start:], path, "the data section").tobytes(), 0
    columns = {}
    for element in elements:
        layout = [
            (name, "=f8", count and "=f8") if encoding == "ascii" else (name, order + kind, count and order + count)
            for name, kind, count in element.properties
        ]
        content, start = _read_uniform(data, start, element.count, layout) or _read_ragged(
            path, data, start, Element(element.name, element.count, layout)
        )
        content.kinds = {name: kind for name, kind, _ in element.properties}
        columns[element.name] = content
    return columns


def _read_uniform(data: bytes, start: int, count: int, layout: list[Property]) -> tuple[Columns, int] | None:
    """Read all rows at once if all lists are as long as in the first; ``None`` if not, or if the data ends early."""
    if count == 0:
        return Columns({name: np.empty(0) for name, _, length in layout if length is None}), start
    fields: list[tuple] = []
    position = start
    for index, (_, kind, length) in enumerate(layout):
        size = 1
        if length is not None:
            head = np.dtype(length).itemsize
            if position + head > len(data):
                return None
            size = int(np.frombuffer(data, length, 1, position)[0])
            fields.append((f"n{index}", length))
            position += head
        fields.append((f"v{index}", kind, (size,)))
        position += size * np.dtype(kind).itemsize
    row = np.dtype(fields)
    if start + count * row.itemsize > len(data):
        return None
    rows = np.frombuffer(data, row, count, start)
    content = Columns()
    for index, (name, _, length) in enumerate(layout):
        values = rows[f"v{index}"]
        if length is None:
            content.scalars[name] = values[:, 0]
        elif (rows[f"n{index}"] == values.shape[1]).all():
            content.lists[name] = values.reshape(-1), np.full(count, values.shape[1], np.int64)
        else:
            return None
    return content, start + count * row.itemsize


def _read_ragged(path: Path, data: bytes, start: int, element: Element) -> tuple[Columns, int]:
    """Walk the rows once for the places of all properties, then gather each property in one go."""
    steps = [(np.dtype(kind), np.dtype(length) if length else None) for _, kind, length in element.properties]
    least = sum((length or kind).itemsize for kind, length in steps)
    if element.count * least > len(data) - start:
        raise _early_end(path, element, (len(data) - start) // least)
    places = np.empty((element.count, len(steps)), np.int64)
    lengths = np.ones((element.count, len(steps)), np.int64)
    position = start
    for row in range(element.count):
        for column, (kind, length) in enumerate(steps):
            if length is not None:
                if position + length.itemsize > len(data):
                    raise _early_end(path, element, row)
                lengths[row, column] = size = int(np.frombuffer(data, length, 1, position)[0])
                position += length.itemsize
            else:
                size = 1
            places[row, column] = position
            position += size * kind.itemsize
        if position > len(data) or (lengths[row] < 0).any():
            raise _early_end(path, element, row)
    content = Columns()
    for column, (name, item, count) in enumerate(element.properties):
        values = _gather(data, places[:, column], lengths[:, column], np.dtype(item))
        if count is None:
            content.scalars[name] = values
        else:
            content.lists[name] = values, lengths[:, column]
    return content, position


def _gather(data: bytes, places: np.ndarray, lengths: np.ndarray, kind: np.dtype) -> np.ndarray:
    first = np.cumsum(lengths) - lengths
    item = np.repeat(places, lengths) + (np.arange(lengths.sum()) - np.repeat(first, lengths)) * kind.itemsize
    content = np.frombuffer(data, np.uint8)
    return content[item[:, None] + np.arange(kind.itemsize)].reshape(-1).view(kind)


def _early_end(path: Path, element: Element, row: int) -> DataError:
    return DataError(f"{path} ends within {element.name} {row} of {element.count}", hint=HINT)
