"""Picture files with something wrong in them: valid ones of many kinds, changed at random, by number."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import tifffile
from PIL import Image
from tests import hostile
from tests.drawn_crops import GreyPicture, draw_crop

_ODD = (
    0,
    1,
    2,
    3,
    7,
    8,
    16,
    127,
    128,
    255,
    256,
    32_767,
    32_768,
    65_535,
    65_536,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
)
_EDGE = 400
"""Headers and directories lie in the first and the last bytes of a file."""
_LARGEST_SEED = 60_000
Change = Callable[[bytearray, np.random.Generator], None]


def _pillow(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def _tiff(array: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)  # type: ignore[arg-type]
    return file.getvalue()


@cache
def seeds() -> dict[str, bytes]:
    """Valid files by name, and the smaller ones of the hostile files."""
    grey = draw_crop(side_px=64)
    harmful = {
        name: make() for name, make in hostile.FILES.items() if "inflating" not in name and "bomb" not in name
    }
    return (
        _plain_files(grey)
        | _tiff_files(grey)
        | {name: content for name, content in harmful.items() if 8 < len(content) < _LARGEST_SEED}
    )


def _plain_files(grey: GreyPicture) -> dict[str, bytes]:
    colour, deep = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), grey.astype(np.uint16) * 257
    one = Image.fromarray(grey)
    return {
        "png-8": _pillow(one, "PNG"),
        "png-16": cv2.imencode(".png", deep)[1].tobytes(),
        "png-16-colour": cv2.imencode(".png", cv2.merge([deep] * 3))[1].tobytes(),
        "png-1": _pillow(one.convert("1"), "PNG"),
        "png-palette": _pillow(one.convert("P"), "PNG", transparency=3),
        "png-alpha": _pillow(one.convert("LA"), "PNG"),
        "png-rgba": _pillow(Image.fromarray(colour).convert("RGBA"), "PNG"),
        "jpeg-grey": _pillow(one, "JPEG"),
        "jpeg-colour": _pillow(Image.fromarray(colour), "JPEG", exif=Image.Exif().tobytes()),
        "jpeg-progressive": _pillow(Image.fromarray(colour), "JPEG", progressive=True),
        "jpeg-cmyk": _pillow(Image.fromarray(colour).convert("CMYK"), "JPEG"),
        "bmp-8": _pillow(one, "BMP"),
        "bmp-24": _pillow(Image.fromarray(colour), "BMP"),
        "bmp-1": _pillow(one.convert("1"), "BMP"),
    }


def _tiff_files(grey: GreyPicture) -> dict[str, bytes]:
    colour, deep = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), grey.astype(np.uint16) * 257
    one = Image.fromarray(grey)
    return {
        "tiff-plain": _tiff(grey),
        "tiff-16-big-endian": _tiff(deep, byteorder=">"),
        "tiff-float": _tiff(grey.astype(np.float32)),
        "tiff-big": _tiff(grey, bigtiff=True),
        "tiff-tiles": _tiff(grey, tile=(32, 32)),
        "tiff-strips": _tiff(grey, rowsperstrip=5),
        "tiff-deflate": _tiff(grey, compression="zlib", predictor=True),
        "tiff-planes": _tiff(
            np.ascontiguousarray(colour.transpose(2, 0, 1)), photometric="rgb", planarconfig="separate"
        ),
        "tiff-pages": _tiff(np.stack([grey] * 3), photometric="minisblack"),
        "tiff-imagej": _tiff(grey, imagej=True),
        "tiff-ome": _tiff(grey, ome=True),
        "tiff-lzw": _pillow(one, "TIFF", compression="tiff_lzw"),
        "tiff-jpeg": _pillow(one, "TIFF", compression="jpeg"),
        "tiff-packbits": _pillow(one, "TIFF", compression="packbits"),
        "tiff-fax": _pillow(one.convert("1"), "TIFF", compression="group4"),
        "tiff-1": _pillow(one.convert("1"), "TIFF"),
        "tiff-palette": _pillow(one.convert("P"), "TIFF"),
    }


def mutant(number: int) -> tuple[str, bytes]:
    """Mutant ``number``, always the same: the name of the file that it comes of, and its bytes."""
    rng = np.random.default_rng([number, 5])
    names = sorted(seeds())
    name = names[int(rng.integers(len(names)))]
    data = bytearray(seeds()[name])
    for _ in range(int(rng.choice([1, 1, 2, 4, 12]))):
        if len(data) > 8:
            _CHANGES[int(rng.integers(len(_CHANGES)))](data, rng)
    if data.startswith(hostile.PNG) and rng.random() < 0.7:
        data = bytearray(summed(bytes(data)))
    return name, bytes(data)


def _place(data: bytearray, rng: np.random.Generator) -> int:
    """Somewhere, more often in the first or the last bytes; the very first ones say what the file is."""
    where = rng.random()
    if where < 0.35:
        return int(rng.integers(4, max(5, min(_EDGE, len(data)))))
    if where < 0.7:
        return max(4, len(data) - 1 - int(rng.integers(_EDGE)))
    return int(rng.integers(4, len(data)))


def _flip(data: bytearray, rng: np.random.Generator) -> None:
    data[_place(data, rng) % len(data)] ^= 1 << int(rng.integers(8))


def _number(data: bytearray, rng: np.random.Generator) -> None:
    """An odd number of 1, 2, 4 or 8 bytes, in either order."""
    size, order = int(rng.choice([1, 2, 4, 8])), "<" if rng.random() < 0.5 else ">"
    value = int(rng.choice(_ODD)) % (1 << (8 * size))
    at = _place(data, rng)
    data[at : at + size] = struct.pack(order + {1: "B", 2: "H", 4: "I", 8: "Q"}[size], value)


def _noise(data: bytearray, rng: np.random.Generator) -> None:
    at, size = _place(data, rng), int(rng.integers(1, 40))
    data[at : at + size] = rng.bytes(size)


def _cut(data: bytearray, rng: np.random.Generator) -> None:
    at = _place(data, rng)
    del data[at : at + int(rng.integers(1, 60))]


def _repeat(data: bytearray, rng: np.random.Generator) -> None:
    at = _place(data, rng)
    data[at:at] = data[at : at + int(rng.integers(1, 60))] * int(rng.integers(1, 9))


def _end(data: bytearray, rng: np.random.Generator) -> None:
    if rng.random() < 0.2:
        del data[int(rng.integers(4, len(data))) :]


def _splice(data: bytearray, rng: np.random.Generator) -> None:
    """A piece of another file."""
    names = sorted(seeds())
    other = seeds()[names[int(rng.integers(len(names)))]]
    start, at = int(rng.integers(len(other))), _place(data, rng)
    piece = other[start : start + int(rng.integers(1, 200))]
    data[at : at + len(piece)] = piece


_CHANGES: tuple[Change, ...] = (_flip, _number, _number, _noise, _cut, _repeat, _end, _splice)


def summed(data: bytes) -> bytes:
    """A PNG file whose chunks have the right sums, as far as they can be followed: more is read of it."""
    out, at = bytearray(data), len(hostile.PNG)
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        end = at + 8 + length
        if end + 4 > len(data):
            break
        out[end : end + 4] = struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return bytes(out)
