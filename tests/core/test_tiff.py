"""TIFF from memory: number types, layouts, compressions, pages, and files that are cut or lie."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from supcam.core.decoding import Decoded
from supcam.core.tiff import read_tiff
from supcam.core.types import ImageError

RNG = np.random.default_rng(2)
GREY = cv2.GaussianBlur(RNG.integers(0, 256, (24, 31), np.uint8), (0, 0), 1.5)
COLOUR = np.dstack([GREY, GREY[::-1], GREY[:, ::-1]])
DEEP = GREY.astype(np.uint16) * 251 + 3
DEEP_COLOUR = COLOUR.astype(np.uint16) * 251 + 3
FLOATS = RNG.normal(size=(24, 31)).astype(np.float32)
TYPES = {
    "uint8": GREY,
    "uint16": DEEP,
    "uint32": DEEP.astype(np.uint32) * 40_000,
    "int16": DEEP.astype(np.int16),
    "float16": FLOATS.astype(np.float16),
    "float32": FLOATS,
    "float64": FLOATS.astype(np.float64),
    "colour": COLOUR,
    "deep colour": DEEP_COLOUR,
}
LAYOUTS: dict[str, dict[str, object]] = {
    "strips": {"rowsperstrip": 5},
    "tiles": {"tile": (16, 16)},
    "big endian": {"byteorder": ">"},
    "BigTIFF": {"bigtiff": True},
    "Deflate": {"compression": "zlib"},
}


def tiff(samples: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    kind = "rgb" if samples.ndim == 3 else "minisblack"
    chosen: dict[str, Any] = {"photometric": kind, "metadata": None, **options}
    tifffile.imwrite(file, samples, **chosen)
    return file.getvalue()


def pillow_tiff(samples: np.ndarray | Image.Image, compression: str) -> bytes:
    file = io.BytesIO()
    picture = samples if isinstance(samples, Image.Image) else Image.fromarray(samples)
    picture.save(file, "TIFF", compression=compression)
    return file.getvalue()


def read(data: bytes, *, page: int = 0, max_pixels: float = 1e6) -> Decoded:
    return read_tiff(data, page=page, max_pixels=max_pixels)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", TYPES)
def test_every_number_type_in_every_layout_comes_back_whole(kind: str, layout: str) -> None:
    decoded = read(tiff(TYPES[kind], **LAYOUTS[layout]))
    np.testing.assert_array_equal(decoded.samples, TYPES[kind])
    assert decoded.bit_depth == 8 * TYPES[kind].dtype.itemsize
    assert decoded.samples.dtype.isnative


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "raw"])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32", "colour"])
def test_lossless_compressions_of_ordinary_pixels(kind: str, compression: str) -> None:
    decoded = read(pillow_tiff(TYPES[kind], compression))
    np.testing.assert_array_equal(decoded.samples, TYPES[kind])


@pytest.mark.parametrize("predictor", [True, False])
def test_deflate_with_and_without_differences(predictor: bool) -> None:
    for samples in (GREY, DEEP, DEEP_COLOUR):
        data = tiff(samples, compression="zlib", predictor=predictor)
        np.testing.assert_array_equal(read(data).samples, samples)


def test_compression_that_deep_colour_cannot_have_is_named() -> None:
    data = cv2.imencode(".tiff", DEEP_COLOUR, [cv2.IMWRITE_TIFF_COMPRESSION, 5])[1].tobytes()
    with pytest.raises(ImageError, match=r"3 x uint16 a pixel with LZW compression; .*without compression"):
        read(data)


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt", "raw"])
def test_one_bit(compression: str) -> None:
    decoded = read(pillow_tiff(GREY > 128, compression))
    np.testing.assert_array_equal(decoded.samples, np.where(GREY > 128, 255, 0))
    assert decoded.bit_depth == 1


def test_jpeg_inside_tiff_is_close() -> None:
    samples = read(pillow_tiff(GREY, "jpeg")).samples
    assert np.abs(samples.astype(int) - GREY).mean() < 4


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_palette_becomes_its_colours(compression: str) -> None:
    picture = Image.fromarray(GREY // 64).convert("P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 7, 8, 9])
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [7, 8, 9]])
    np.testing.assert_array_equal(read(pillow_tiff(picture, compression)).samples, colours[GREY // 64])


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("samples", [GREY, DEEP], ids=["8 bit", "16 bit"])
def test_white_stored_as_zero_is_white_all_the_same(samples: np.ndarray, compression: str | None) -> None:
    data = tiff(samples, photometric="miniswhite", compression=compression)
    np.testing.assert_array_equal(read(data).samples, np.iinfo(samples.dtype).max - samples)


def test_float_with_white_stored_as_zero_is_refused() -> None:
    with pytest.raises(ImageError, match="white stored as 0 in float32"):
        read(tiff(FLOATS, photometric="miniswhite"))


def test_planes_become_channels() -> None:
    for colour in (COLOUR, DEEP_COLOUR):
        data = tiff(np.moveaxis(colour, -1, 0), planarconfig="separate")
        np.testing.assert_array_equal(read(data).samples, colour)


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
def test_alpha_is_kept(kind: str) -> None:
    for colour, alpha in ((COLOUR, GREY), (DEEP_COLOUR, DEEP)):
        with_alpha = np.dstack([colour, alpha])
        np.testing.assert_array_equal(read(tiff(with_alpha, extrasamples=[kind])).samples, with_alpha)


def test_extra_channel_that_is_no_alpha_is_left_out() -> None:
    data = tiff(np.dstack([COLOUR, GREY]), extrasamples=["unspecified"])
    np.testing.assert_array_equal(read(data).samples, COLOUR)


@pytest.mark.parametrize("channels", [2, 3, 40])
def test_several_grey_channels_are_refused(channels: int) -> None:
    stack = np.dstack([GREY] * channels)
    with pytest.raises(ImageError, match=f"{channels} "):
        read(tiff(stack, photometric="minisblack", planarconfig="contig"))


def pages(n: int) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for k in range(n):
            writer.write(np.full((3, 4), k % 251, np.uint8), contiguous=False, metadata=None)
    return file.getvalue()


def test_page_is_chosen_and_pages_are_counted() -> None:
    data = pages(12)
    for page in (0, 7, 11):
        decoded = read(data, page=page)
        assert (decoded.n_pages, decoded.page) == (12, page)
        np.testing.assert_array_equal(decoded.samples, page)
    with pytest.raises(ImageError, match="found 12 pages; expected at least 13"):
        read(data, page=12)


def test_page_of_a_compressed_file_is_chosen() -> None:
    file = io.BytesIO()
    pictures = [Image.fromarray(np.full((9, 9), k, np.uint8)) for k in range(4)]
    pictures[0].save(file, "TIFF", compression="tiff_lzw", save_all=True, append_images=pictures[1:])
    for page in range(4):
        np.testing.assert_array_equal(read(file.getvalue(), page=page).samples, page)


def with_copies_of_its_page(data: bytes, n_pages: int) -> bytes:
    """A file of one page with as many more directories that show the same pixels."""
    (start,) = struct.unpack_from("<I", data, 4)
    (n_tags,) = struct.unpack_from("<H", data, start)
    directory = data[start : start + 2 + 12 * n_tags]
    first = len(data) + len(data) % 2
    step = len(directory) + 4
    places = [first + k * step for k in range(1, n_pages)] + [0]
    links = b"".join(directory + struct.pack("<I", place) for place in places)
    return data[:4] + struct.pack("<I", first) + data[8:].ljust(first - 8, b"\0") + links


def test_ten_thousand_pages_are_quick() -> None:
    data = with_copies_of_its_page(tiff(GREY), 10_000)
    start = time.process_time()
    decoded = read(data)
    assert time.process_time() - start < 2
    assert decoded.n_pages == 10_000
    np.testing.assert_array_equal(decoded.samples, GREY)
    with pytest.raises(ImageError, match="found 10000 pages"):
        read(data, page=10_000)


def test_pages_in_a_circle_end() -> None:
    data = bytearray(tiff(GREY))
    (start,) = struct.unpack_from("<I", data, 4)
    (n_tags,) = struct.unpack_from("<H", data, start)
    struct.pack_into("<I", data, start + 2 + 12 * n_tags, start)
    assert read(bytes(data)).n_pages == 1


def with_tag(data: bytes, tag: int, value: int) -> bytes:
    """``data`` with the first value of a tag of its first page changed."""
    changed = bytearray(data)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        entry = file.pages[0].aspage().tags[tag]
    struct.pack_into({1: "<B", 3: "<H", 4: "<I"}[int(entry.dtype)], changed, entry.valueoffset, value)
    return bytes(changed)


def test_declared_size_is_refused_before_anything_is_decoded() -> None:
    data = with_tag(with_tag(tiff(GREY), 256, 30_000), 257, 30_000)
    tracemalloc.start()
    with pytest.raises(ImageError, match=r"30000 x 30000 = 900.0 megapixels; expected at most 200 "):
        read(data, max_pixels=200e6)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_tiles_larger_than_the_limit_are_refused() -> None:
    data = with_tag(with_tag(tiff(GREY, tile=(16, 16)), 322, 65_520), 323, 65_520)
    with pytest.raises(ImageError, match="65520 x 65520"):
        read(data)


def test_limits_of_pillow_do_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain pages are free of them, compressed ones say what to do; its warning is not passed on."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", GREY.size // 3)
    assert read(tiff(GREY)).samples.shape == GREY.shape
    compressed = pillow_tiff(GREY, "tiff_lzw")
    with pytest.raises(ImageError, match=r"31 x 24 pixels; .*save it without compression"):
        read(compressed)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", GREY.size - 1)
    np.testing.assert_array_equal(read(compressed).samples, GREY)
    assert GREY.size - 1 == Image.MAX_IMAGE_PIXELS


def test_deep_strip_that_inflates_without_end_is_refused() -> None:
    honest = tiff(np.zeros((400, 400, 3), np.uint16), compression="zlib", rowsperstrip=400)
    bomb = with_tag(with_tag(honest, 256, 2), 257, 2)
    with pytest.raises(ImageError, match="inflates to more than its size"):
        read(bomb)


def test_strips_beyond_the_end_of_the_file_are_missing() -> None:
    with pytest.raises(ImageError, match="pixels are missing at the end"):
        read(with_tag(tiff(GREY), 273, 10**9))


def test_strips_that_are_too_short_are_not_filled_up() -> None:
    with pytest.raises(ImageError, match="744 bytes of pixels are stored"):
        read(with_tag(tiff(GREY), 279, GREY.size // 2))


WHOLE = {
    "plain": tiff(GREY),
    "strips": tiff(GREY, rowsperstrip=4),
    "tiles": tiff(DEEP, tile=(16, 16)),
    "deflate": tiff(DEEP_COLOUR, compression="zlib"),
    "lzw": pillow_tiff(GREY, "tiff_lzw"),
    "fax": pillow_tiff(GREY > 128, "group4"),
    "float": tiff(FLOATS),
}


@pytest.mark.parametrize("kind", WHOLE)
@settings(max_examples=30, deadline=None)
@given(share=st.floats(0.01, 1, exclude_max=True))
def test_cut_file_is_an_error_or_lacks_no_pixel(kind: str, share: float) -> None:
    """TIFF has no end mark: a cut in the last bytes may hit only padding or the link to no next page."""
    data = WHOLE[kind]
    try:
        samples = read(data[: int(share * len(data))]).samples
    except ImageError:
        return
    assert share > 0.9
    np.testing.assert_array_equal(samples, read(data).samples)


@pytest.mark.parametrize("kind", [kind for kind in WHOLE if kind not in ("lzw", "fax")])
@settings(max_examples=30, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_damaged_byte_is_an_image_error_or_harmless(kind: str, place: float, value: int) -> None:
    data = bytearray(WHOLE[kind])
    data[4 + int(place * (len(data) - 4))] = value
    try:
        decoded = read(bytes(data))
    except ImageError:
        return
    assert decoded.samples.size > 0


def test_remarks_on_damaged_files_stay_off_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImageError):
        read(tiff(GREY)[:12])
    assert capfd.readouterr() == ("", "")


def test_remarks_on_damaged_files_can_be_listened_to(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ImageError):
        read(tiff(GREY)[:8])
    assert "tifffile" in {record.name for record in caplog.records}
