"""PNG, JPEG and BMP from memory: every kind of pixel, and no half picture from a damaged file."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.hostile import many_scans
from tests.soak.fuzz import fuzz

from supcam.core.decoding import Decoded, decode
from supcam.core.types import ImageError

GREY = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (24, 31), np.uint8), (0, 0), 1.5)
COLOUR = np.dstack([GREY, GREY[::-1], GREY[:, ::-1]])


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def png16(samples: np.ndarray) -> bytes:
    return cv2.imencode(".png", samples)[1].tobytes()


def read(data: bytes, *, page: int = 0, max_pixels: float = 1e6) -> Decoded:
    return decode(data, page=page, max_pixels=max_pixels)


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
@pytest.mark.parametrize("samples", [GREY, COLOUR], ids=["grey", "colour"])
def test_lossless_kinds_give_back_every_sample(kind: str, samples: np.ndarray) -> None:
    decoded = read(saved(Image.fromarray(samples), kind))
    np.testing.assert_array_equal(decoded.samples, samples)
    assert (decoded.bit_depth, decoded.n_pages, decoded.page) == (8, 1, 0)


def test_one_bit_becomes_black_and_white() -> None:
    for kind in ("PNG", "BMP"):
        decoded = read(saved(Image.fromarray(GREY > 128), kind))
        np.testing.assert_array_equal(decoded.samples, np.where(GREY > 128, 255, 0))
        assert decoded.bit_depth == 1


def test_palette_becomes_its_colours() -> None:
    picture = Image.fromarray(GREY // 64).convert("P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 7, 8, 9])
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [7, 8, 9]])
    for kind in ("PNG", "BMP"):
        np.testing.assert_array_equal(read(saved(picture, kind)).samples, colours[GREY // 64])


def test_palette_with_a_transparent_entry_has_alpha() -> None:
    picture = Image.fromarray(GREY // 64).convert("P")
    picture.putpalette([10, 10, 10, 20, 20, 20, 30, 30, 30, 40, 40, 40])
    alpha = read(saved(picture, "PNG", transparency=2)).samples[..., 3]
    np.testing.assert_array_equal(alpha, np.where(GREY // 64 == 2, 0, 255))


def test_alpha_is_kept() -> None:
    with_alpha = np.dstack([COLOUR, GREY])
    np.testing.assert_array_equal(read(saved(Image.fromarray(with_alpha), "PNG")).samples, with_alpha)
    grey_alpha = np.dstack([GREY, GREY[::-1]])
    np.testing.assert_array_equal(read(saved(Image.fromarray(grey_alpha), "PNG")).samples, grey_alpha)


def test_sixteen_bit_grey_keeps_its_range() -> None:
    deep = GREY.astype(np.uint16) * 251 + 3
    decoded = read(saved(Image.fromarray(deep), "PNG"))
    np.testing.assert_array_equal(decoded.samples, deep)
    assert decoded.samples.dtype == np.uint16
    assert decoded.bit_depth == 16


@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bit_colour_keeps_its_range_and_the_order_of_its_channels(channels: int) -> None:
    deep = np.dstack([COLOUR, GREY])[..., :channels].astype(np.uint16) * 251 + 3
    order = [2, 1, 0, 3][:channels]
    np.testing.assert_array_equal(read(png16(deep[..., order])).samples, deep)


def test_colour_jpeg_gives_its_luminance() -> None:
    """Pillow's own way over RGB, with the weights of BT.601, differs by rounding alone."""
    data = saved(Image.fromarray(COLOUR), "JPEG", quality=95, subsampling=0)
    with Image.open(io.BytesIO(data)) as picture:
        luminance = np.asarray(picture.convert("RGB"), np.float64) @ [0.299, 0.587, 0.114]
    samples = read(data).samples
    assert samples.shape == GREY.shape
    assert np.abs(samples - luminance).max() <= 2
    assert np.abs(samples - luminance).mean() < 0.5


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_other_jpegs_are_read(mode: str) -> None:
    picture = Image.fromarray(COLOUR).convert(mode)
    samples = read(saved(picture, "JPEG", quality=95)).samples
    assert samples.shape[:2] == GREY.shape


def test_orientation_tag_does_not_turn_the_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read(saved(Image.fromarray(GREY), "JPEG", exif=exif)).samples.shape == GREY.shape


def test_bytes_after_the_end_of_a_picture_do_no_harm() -> None:
    for kind in ("PNG", "JPEG"):
        data = saved(Image.fromarray(GREY), kind)
        np.testing.assert_array_equal(read(data + bytes(100_000)).samples, read(data).samples)


WHOLE = {
    "png": saved(Image.fromarray(GREY), "PNG"),
    "png palette": saved(Image.fromarray(COLOUR).quantize(9), "PNG"),
    "png 1 bit": saved(Image.fromarray(GREY > 128), "PNG"),
    "png 16 bit": png16(GREY.astype(np.uint16) * 257),
    "png 16 bit colour": png16(COLOUR.astype(np.uint16) * 257),
    "jpeg": saved(Image.fromarray(GREY), "JPEG"),
    "jpeg colour": saved(Image.fromarray(COLOUR), "JPEG"),
    "jpeg progressive": saved(Image.fromarray(COLOUR), "JPEG", progressive=True),
    "bmp": saved(Image.fromarray(COLOUR[:, :28].copy()), "BMP"),  # rows of 84 bytes need no padding
}


@pytest.mark.parametrize("kind", WHOLE)
@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_cut_file_is_an_error_and_never_half_a_picture(kind: str, share: float) -> None:
    data = WHOLE[kind]
    with pytest.raises(ImageError):
        read(data[: min(int(share * len(data)), len(data) - 1)])


@pytest.mark.parametrize("kind", WHOLE)
@settings(max_examples=30, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_damaged_byte_is_an_image_error_or_harmless(kind: str, place: float, value: int) -> None:
    data = bytearray(WHOLE[kind])
    data[int(place * len(data))] = value
    try:
        decoded = read(bytes(data))
    except ImageError:
        return
    assert decoded.samples.size > 0


def huge_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        sum_ = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + sum_

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def huge_bmp(width: int, height: int) -> bytes:
    data = bytearray(saved(Image.fromarray(GREY), "BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def huge_jpeg(width: int, height: int) -> bytes:
    data = bytearray(WHOLE["jpeg"])
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize("make", [huge_png, huge_bmp, huge_jpeg])
def test_declared_size_is_refused_before_anything_is_decoded(make: Callable[[int, int], bytes]) -> None:
    data = make(30_000, 30_000)
    tracemalloc.start()
    start = time.process_time()
    with pytest.raises(ImageError, match=r"30000 x 30000 = 900.0 megapixels; expected at most 200 "):
        read(data, max_pixels=200e6)
    assert time.process_time() - start < 0.5
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_limit_is_the_largest_accepted_size() -> None:
    assert read(WHOLE["png"], max_pixels=GREY.size).samples.shape == GREY.shape
    with pytest.raises(ImageError, match="megapixels"):
        read(WHOLE["png"], max_pixels=GREY.size - 1)


def test_limits_of_pillow_neither_change_nor_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(WHOLE["png"]).samples.shape == GREY.shape
        assert read(WHOLE["jpeg"]).samples.shape == GREY.shape
    assert Image.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "an empty file"),
        (b"path,case,type\n1.png,3,touching\n", "text"),
        ("Хромосома, 染色体\n".encode() * 60, "text"),
        (b"GIF89a" + bytes(30), "a GIF picture"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "perhaps a WebP picture"),
        (b"\x00\x01\x02\x03\xfe", "unknown kind that starts with 00 01 02 03 fe"),
        (b"\x89PNG\r\n\x1a\n", "a damaged or truncated PNG file"),
        (b"\xff\xd8\xff", "a damaged or truncated JPEG file"),
        (b"BM", "a damaged or truncated BMP file"),
    ],
)
def test_what_is_no_picture_is_called_what_it_is(data: bytes, found: str) -> None:
    with pytest.raises(ImageError, match=found):
        read(data)


def test_only_the_first_page_exists() -> None:
    with pytest.raises(ImageError, match="found 1 page; expected at least 3"):
        read(WHOLE["png"], page=2)


def test_many_scans_are_refused_before_any_is_decoded() -> None:
    """Ten scans are usual; each costs the whole picture again, however few bytes it has."""
    assert read(WHOLE["jpeg progressive"]).samples.size
    with pytest.raises(ImageError, match="scans"):
        read(many_scans(600))


def test_broken_files_are_refused_by_one_of_our_errors(tmp_path: Path) -> None:
    """Valid files of all kinds, changed at random, read in a process that may die (scripts/soak: more)."""
    done = fuzz(tmp_path, first=0, n=600)
    assert done.is_clean, done
    assert done.n_pictures > 50
    assert done.n_refused > 200
    assert done.slowest_s < 5
    assert done.peak_mb < 1000
