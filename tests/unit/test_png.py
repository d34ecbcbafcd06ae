"""The parallel PNG writer against another program's reader."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuraltex.core.errors import ShapeError
from neuraltex.io import png
from neuraltex.io.images import to_uint8


@pytest.mark.parametrize("shape", [(5, 7), (64, 33, 1), (40, 30, 3), (31, 17, 4), (9, 8, 2)])
@pytest.mark.parametrize("block", [1, 500, 1 << 20])
def test_png_reads_back_exactly(
    shape: tuple[int, ...], block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(png, "BLOCK_BYTES", block)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with Image.open(png.write_png(tmp_path / "x.png", pixels)) as image:
        image.load()  # checks every checksum
        assert np.array_equal(np.asarray(image), pixels.squeeze())


def test_colors_are_rounded_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "BLOCK_BYTES", 500)
    colors = np.random.default_rng(0).uniform(-0.1, 1.1, (40, 30, 3)).astype(np.float32)
    expected = png.write_png(tmp_path / "a.png", to_uint8(colors)).read_bytes()
    assert png.write_png(tmp_path / "b.png", colors).read_bytes() == expected


def test_large_sums_wrap_around_in_the_checksum(tmp_path: Path) -> None:
    pixels = np.full((3000, 1000, 3), 255, np.uint8)
    pixels[::2] = 0
    with Image.open(png.write_png(tmp_path / "x.png", pixels)) as image:
        assert np.array_equal(np.asarray(image), pixels)


def test_other_shapes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="expected"):
        png.write_png(tmp_path / "x.png", np.zeros((4, 4, 5), np.uint8))
