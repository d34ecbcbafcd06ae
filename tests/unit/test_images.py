"""Photographs of every kind, damaged ones, and where EXIF rotation counts."""

import numpy as np
import pytest
from PIL import Image

from neuraltex.core.errors import DataError
from neuraltex.io.images import (
    check_image,
    read_exr,
    read_mask,
    read_rgb,
    read_rgb_reduced,
    read_texture,
    write_exr,
    write_rgb,
)

ORIENTATION = 0x0112


@pytest.fixture
def gradient() -> np.ndarray:
    """An image no flip or turn of which equals itself: 6 rows, 8 columns."""
    return np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)


def save_turned(path, pixels, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def test_png_reads_back_exactly(tmp_path, gradient):
    np.testing.assert_array_equal(read_rgb(write_rgb(tmp_path / "a.png", gradient)), gradient)


def test_jpeg_is_written_without_chroma_subsampling(tmp_path):
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, ::2] = (255, 0, 0)
    error = np.abs(read_rgb(write_rgb(tmp_path / "a.jpg", pixels)).astype(int) - pixels)
    assert error.max() < 30  # subsampled, neighboring columns would mix


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path, suffix):
    values = np.array([[0, 257, 32768, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(read_rgb(tmp_path / f"a{suffix}")[..., 1], [[0, 1, 128, 255]])


def test_16_bit_color_png_keeps_the_high_byte(tmp_path):
    import struct
    import zlib

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"\0" + struct.pack(">6H", 65535, 0, 32768, 257, 512, 1024)
    head = struct.pack(">2I5B", 2, 1, 16, 2, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), [[[255, 0, 128], [1, 2, 4]]])


@pytest.mark.parametrize(("scale", "expected"), [(1.0, 128), (255.0, 128)])
def test_float_tiff_in_either_range(tmp_path, scale, expected):
    values = np.array([[0, 0.5, 1]], np.float32) * scale
    Image.fromarray(values).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.tif")[..., 0], [[0, expected, 255]])


@pytest.mark.parametrize("mode", ["L", "1", "LA", "P", "RGBA", "RGB"])
def test_every_mode_becomes_three_channels(tmp_path, mode):
    Image.new("RGB", (4, 3), (255, 255, 255)).convert(mode).save(tmp_path / "a.png")
    pixels = read_rgb(tmp_path / "a.png")
    assert pixels.shape == (3, 4, 3)
    assert pixels.dtype == np.uint8
    assert (pixels == 255).all()


def test_alpha_is_dropped_not_multiplied(tmp_path):
    Image.new("RGBA", (2, 2), (200, 100, 50, 0)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png")[0, 0], [200, 100, 50])
    assert read_texture(tmp_path / "a.png").shape == (2, 2, 4)  # a texture keeps it


def test_cmyk_jpeg_is_converted(tmp_path):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    red, green, blue = read_rgb(tmp_path / "a.jpg")[8, 8]
    assert red > 240
    assert max(green, blue) < 15


def test_exif_rotation_is_applied_when_no_camera_is_named(tmp_path, gradient):
    path = save_turned(tmp_path / "a.png", gradient, 6)
    np.testing.assert_array_equal(read_rgb(path), np.rot90(gradient, -1))


def test_exif_rotation_is_ignored_when_the_camera_fits_the_stored_pixels(tmp_path, gradient):
    path = save_turned(tmp_path / "a.png", gradient, 6)
    np.testing.assert_array_equal(read_rgb(path, size=(8, 6)), gradient)


def test_exif_rotation_is_applied_when_only_the_turned_image_fits_the_camera(tmp_path, gradient):
    path = save_turned(tmp_path / "a.png", gradient, 6)
    np.testing.assert_array_equal(read_rgb(path, size=(6, 8)), np.rot90(gradient, -1))
    check_image(path, (6, 8))


def test_upside_down_image_stays_as_stored_for_a_camera(tmp_path, gradient):
    path = save_turned(tmp_path / "a.png", gradient, 3)
    np.testing.assert_array_equal(read_rgb(path, size=(8, 6)), gradient)


def test_portrait_camera_of_a_landscape_photo_without_exif_is_refused(tmp_path, gradient):
    path = write_rgb(tmp_path / "a.png", gradient)
    for read in (lambda: read_rgb(path, size=(6, 8)), lambda: check_image(path, (6, 8))):
        with pytest.raises(DataError, match="8x6 but its camera says 6x8"):
            read()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
def test_truncated_image_is_refused(tmp_path, suffix, part):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    path = write_rgb(tmp_path / f"a{suffix}", noise)
    check_image(path, (64, 64))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    for read in (lambda: read_rgb(path), lambda: check_image(path, (64, 64)), lambda: read_texture(path)):
        with pytest.raises(DataError, match="cannot be read as an image") as caught:
            read()
        assert str(path) in str(caught.value)


def test_text_named_as_an_image_and_a_missing_one(tmp_path):
    (tmp_path / "a.jpg").write_text("no image")
    with pytest.raises(DataError, match="cannot be read as an image"):
        read_rgb(tmp_path / "a.jpg")
    with pytest.raises(DataError, match="does not exist"):
        read_rgb(tmp_path / "b.jpg")


def test_paths_with_spaces_and_other_scripts(tmp_path, gradient):
    path = tmp_path / "Fotos – Küche 台所" / "Bild ä 1.png"
    np.testing.assert_array_equal(read_rgb(write_rgb(path, gradient)), gradient)
    check_image(path, (8, 6))


@pytest.mark.parametrize("high", [1, 255])
def test_mask_in_either_range(tmp_path, high):
    values = np.array([[0, high], [high, 0]], np.uint8)
    write_rgb(tmp_path / "m.png", values)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", (2, 2)), values > 0)


def test_mask_of_another_size_is_refused(tmp_path):
    write_rgb(tmp_path / "m.png", np.zeros((2, 3), np.uint8))
    with pytest.raises(DataError, match="3x2 but its photograph is 2x2"):
        read_mask(tmp_path / "m.png", (2, 2))


@pytest.mark.parametrize("channels", [3, 4])
def test_exr_keeps_every_bit(tmp_path, channels):
    pixels = np.random.default_rng(1).normal(size=(5, 7, channels)).astype(np.float32) * 1e3
    np.testing.assert_array_equal(read_exr(write_exr(tmp_path / "a.exr", pixels)), pixels)


def test_broken_exr_is_named(tmp_path):
    (tmp_path / "a.exr").write_bytes(b"v/1\x01 broken")
    with pytest.raises(DataError, match=r"a\.exr"):
        read_exr(tmp_path / "a.exr")


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_reduced_photograph_is_large_enough(tmp_path, suffix):
    smooth = np.tile(np.linspace(0, 255, 800)[None, :, None], (600, 1, 3)).astype(np.uint8)
    path = write_rgb(tmp_path / f"a{suffix}", smooth)
    small = read_rgb_reduced(path, (800, 600), 150)
    assert 150 <= small.shape[1] <= (200 if suffix == ".jpg" else 800)
    assert small.shape[0] * 4 == small.shape[1] * 3
    np.testing.assert_allclose(small[10].mean(1), np.linspace(0, 255, small.shape[1]), atol=3)
    with pytest.raises(DataError, match="800x600"):
        read_rgb_reduced(path, (600, 800), 150)
