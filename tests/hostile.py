"""Files made to harm who reads them: bombs, broken headers, polyglots, endless links, names like paths.

    python -m tests.hostile FOLDER

writes them all. ``FILES`` makes them by name; those in ``HARMLESS`` are pictures in spite of their disguise.
"""

from __future__ import annotations

import io
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from tests.drawn_crops import draw_crop

Make = Callable[[], bytes]

PNG, END = b"\x89PNG\r\n\x1a\n", b"IEND"
HTML = b"<!doctype html><script>fetch('/api/v1/purge',{method:'POST'})</script>"
SVG = b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><use href='#a'/></svg>"
LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d SYSTEM "file:///etc/passwd">]><OME>&c;&d;</OME>'
)
_ZEROS = 200_000_000

NAMES = (
    "../../evil.png", "..\\..\\evil.png", "/etc/evil.png", "%2e%2e%2fevil.png", "evil\0.png", "CON.png",
    "-rf evil", ".htevil", "$(touch evil).png", "evil;id.png", "evil\r\nSet-Cookie: evil=1.png",
    "=cmd|'/c evil'!A1",
    "<img src=x onerror=evil()>.png", "\u202egnp.evil", "file:///etc/evil", "evil" * 1000, "",
)  # fmt: skip
"""What a browser may claim that a file is called."""


@cache
def picture(kind: str = ".png") -> bytes:
    """A drawn crop as a file of that kind."""
    _, content = cv2.imencode(kind, draw_crop())
    return content.tobytes()


@cache
def _zeros(n: int) -> bytes:
    """``n`` zeros, deflated."""
    packer, block = zlib.compressobj(9), bytes(1_000_000)
    return b"".join(packer.compress(block) for _ in range(n // len(block))) + packer.flush()


# PNG --------------------------------------------------------------------------------------------------------


def chunk(kind: bytes, content: bytes, *, length: int | None = None, wrong: int = 0) -> bytes:
    """A chunk of a PNG file; ``length`` and ``wrong`` make it lie about its length and its sum."""
    said = len(content) if length is None else length
    return struct.pack(">I", said) + kind + content + struct.pack(">I", zlib.crc32(kind + content) ^ wrong)


def head(width: int, height: int, *, bits: int = 8, colour: int = 0, interlaced: int = 0) -> bytes:
    """The first chunk of a PNG file."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced))


def png(*chunks: bytes, size: tuple[int, int] = (50, 50), data: bytes | None = None) -> bytes:
    """A PNG file of a declared size with chunks before its pixels."""
    pixels = zlib.compress(bytes((size[0] + 1) * min(size[1], 100))) if data is None else data
    return PNG + head(*size) + b"".join(chunks) + chunk(b"IDAT", pixels) + chunk(END, b"")


_PNGS: dict[str, Make] = {
    "png-pixel-bomb": lambda: png(size=(30_000, 30_000)),
    "png-largest": lambda: png(size=(2**31 - 1, 2**31 - 1), data=b""),
    "png-negative": lambda: png(size=(2**32 - 1, 2**32 - 5), data=b""),
    "png-of-no-size": lambda: png(size=(0, 0), data=b""),
    "png-inflating": lambda: png(data=_zeros(_ZEROS)),
    "png-blank-within-limits": lambda: png(size=(5000, 5000), data=_zeros(26_000_000)),
    "png-text-bomb": lambda: png(chunk(b"zTXt", b"Comment\0\0" + _zeros(_ZEROS))),
    "png-profile-bomb": lambda: png(chunk(b"iCCP", b"evil\0\0" + _zeros(_ZEROS))),
    "png-chunk-bomb": lambda: png(chunk(b"tEXt", b"a\0b") * 50_000),
    "png-endless-chunk": lambda: png(chunk(b"tEXt", b"a\0b", length=2**32 - 1)),
    "png-frames": lambda: png(chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))),
    "png-wrong-sum": lambda: PNG + chunk(b"IHDR", head(50, 50)[8:21], wrong=1) + chunk(END, b""),
    "png-without-head": lambda: PNG + chunk(b"IDAT", zlib.compress(bytes(2550))) + chunk(END, b""),
    "png-two-heads": lambda: png(head(60_000, 60_000)),
    "png-odd-bits": lambda: PNG + head(50, 50, bits=77, colour=99, interlaced=9) + chunk(END, b""),
    "png-palette-missing": lambda: (
        PNG + head(9, 9, colour=3) + chunk(b"IDAT", zlib.compress(bytes(90))) + chunk(END, b"")
    ),
    "png-truncated": lambda: picture()[: len(picture()) // 2],
    "png-start-alone": lambda: PNG,
}

# JPEG and BMP -----------------------------------------------------------------------------------------------


def jpeg_of(width: int, height: int) -> bytes:
    """A JPEG file that says it is so large."""
    data = bytearray(picture(".jpg"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def segment(mark: int, content: bytes) -> bytes:
    """A segment of a JPEG file."""
    return bytes((0xFF, mark)) + struct.pack(">H", len(content) + 2) + content


def with_segments(*segments: bytes) -> bytes:
    """A JPEG picture with these segments at its beginning."""
    return picture(".jpg")[:2] + b"".join(segments) + picture(".jpg")[2:]


def many_scans(n: int) -> bytes:
    """A progressive JPEG whose last scan comes ``n`` times: each costs the whole picture again."""
    _, content = cv2.imencode(".jpg", np.zeros((1000, 1000), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    data = content.tobytes()
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * n + b"\xff\xd9"


def bmp_of(width: int, height: int, *, compression: int = 0, colours: int = 0) -> bytes:
    """A BMP file whose header says this."""
    data = bytearray(picture(".bmp"))
    data[18:26] = struct.pack("<ii", width, height)
    data[30:34], data[46:50] = struct.pack("<I", compression), struct.pack("<I", colours)
    return bytes(data)


_EXIF_LOOP = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0"
_OTHERS: dict[str, Make] = {
    "jpeg-pixel-bomb": lambda: jpeg_of(65_535, 65_535),
    "jpeg-of-no-size": lambda: jpeg_of(0, 0),
    "jpeg-of-no-height": lambda: jpeg_of(90, 0),
    "jpeg-many-scans": lambda: many_scans(600),
    "jpeg-truncated": lambda: picture(".jpg")[: len(picture(".jpg")) // 2],
    "jpeg-start-alone": lambda: b"\xff\xd8\xff",
    "jpeg-endless-segment": lambda: picture(".jpg")[:2] + b"\xff\xe1\xff\xff",
    "bmp-pixel-bomb": lambda: bmp_of(30_000, 30_000),
    "bmp-negative-width": lambda: bmp_of(-90, 90),
    "bmp-largest": lambda: bmp_of(2**31 - 1, -(2**31)),
    "bmp-run-lengths": lambda: bmp_of(9000, 9000, compression=1),
    "bmp-strange-compression": lambda: bmp_of(90, 90, compression=77),
    "bmp-many-colours": lambda: bmp_of(90, 90, colours=2**32 - 1),
    "bmp-start-alone": lambda: b"BM",
    "bmp-truncated": lambda: picture(".bmp")[:60],
}

# TIFF -------------------------------------------------------------------------------------------------------

_SIZES = {1: "B", 2: "B", 3: "H", 4: "I", 9: "i", 16: "Q"}
Field = tuple[int, int, Sequence[int]]


def directory(*fields: Field, at: int, after: int = 0) -> bytes:
    """An IFD at ``at`` whose tags hold these values, followed by them; the next one is at ``after``."""
    entries, values = b"", b""
    end = at + 2 + 12 * len(fields) + 4
    for code, kind, numbers in sorted(fields, key=lambda field: field[0]):
        packed = struct.pack(f"<{len(numbers)}{_SIZES[kind]}", *numbers)
        place = packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack("<I", end + len(values))
        values += packed if len(packed) > 4 else b""
        entries += struct.pack("<HHI", code, kind, len(numbers)) + place
    return struct.pack("<H", len(fields)) + entries + struct.pack("<I", after) + values


def tiff(*changed: Field, pixels: bytes = bytes(2500), after: int = 0) -> bytes:
    """A grey TIFF of 50 x 50 zeros, with these tags instead of its own or besides."""
    plain: dict[int, Field] = {
        code: (code, kind, numbers)
        for code, kind, numbers in (
            (256, 4, [50]), (257, 4, [50]), (258, 3, [8]), (259, 3, [1]), (262, 3, [1]), (273, 4, [8]),
            (277, 3, [1]), (278, 4, [50]), (279, 4, [len(pixels)]),
        )
    }  # fmt: skip
    fields = plain | {field[0]: field for field in changed}
    at = 8 + len(pixels)
    return b"II*\0" + struct.pack("<I", at) + pixels + directory(*fields.values(), at=at, after=after)


def floats(value: float) -> bytes:
    """A TIFF of 32-bit floats, all of them ``value``."""
    return tiff((258, 3, [32]), (339, 3, [3]), pixels=struct.pack("<f", value) * 2500)


def chain(n: int) -> bytes:
    """A TIFF of ``n`` directories, one after the other, all with the same tags."""
    one = directory((256, 3, [50]), (257, 3, [50]), at=0)
    places = range(8, 8 + n * len(one), len(one))
    links = [*places[1:], 0]
    body = b"".join(one[:-4] + struct.pack("<I", link) for link in links)
    return b"II*\0" + struct.pack("<I", 8) + body


def entry_lies(*, code: int, count: int) -> bytes:
    """A TIFF whose tag ``code`` says that it holds ``count`` values."""
    data = bytearray(tiff())
    at = data.index(struct.pack("<H", code), 2508)
    data[at + 4 : at + 8] = struct.pack("<I", count)
    return bytes(data)


def text_tag(content: bytes) -> Field:
    """An ImageDescription."""
    return (270, 2, list(content))


_TIFFS: dict[str, Make] = {
    "tiff-pixel-bomb": lambda: tiff((256, 4, [30_000]), (257, 4, [30_000])),
    "tiff-largest": lambda: tiff((256, 4, [2**32 - 1]), (257, 4, [2**32 - 1])),
    "tiff-negative": lambda: tiff((256, 9, [-50]), (257, 9, [-50])),
    "tiff-of-no-size": lambda: tiff((256, 4, [0]), (257, 4, [0])),
    "tiff-loop": lambda: tiff(after=2508),
    "tiff-loop-of-two": lambda: chain(2)[:-4] + struct.pack("<I", 8),
    "tiff-chain": lambda: chain(30_000),
    "tiff-sub-loop": lambda: tiff((330, 4, [2508] * 1000)),
    "tiff-many-tags": lambda: b"II*\0\x08\0\0\0\xff\xff" + bytes(100),
    "tiff-many-values": lambda: entry_lies(code=279, count=2**32 - 1),
    "tiff-many-widths": lambda: entry_lies(code=256, count=2**28),
    "tiff-nowhere": lambda: b"II*\0\xff\xff\xff\xff",
    "tiff-strips-nowhere": lambda: tiff((273, 4, [2**31])),
    "tiff-strip-missing": lambda: tiff((279, 4, [1])),
    "tiff-many-strips": lambda: tiff((278, 4, [1])),
    "tiff-inflating": lambda: tiff((259, 3, [8]), pixels=_zeros(_ZEROS)),
    "tiff-inflating-deep": lambda: tiff((258, 3, [64]), (339, 3, [3]), (259, 3, [8]), pixels=_zeros(_ZEROS)),
    "tiff-many-samples": lambda: tiff((277, 3, [65_535])),
    "tiff-many-bits": lambda: tiff((258, 3, [65_535])),
    "tiff-strange-compression": lambda: tiff((259, 3, [65_000])),
    "tiff-strange-colours": lambda: tiff((262, 3, [65_000])),
    "tiff-broken-lzw": lambda: tiff((259, 3, [5]), pixels=b"\xff" * 2500),
    "tiff-broken-jpeg": lambda: tiff((259, 3, [7]), pixels=b"\xff\xd8" + bytes(2498)),
    "tiff-broken-fax": lambda: tiff((259, 3, [4]), (258, 3, [1])),
    "tiff-large-tiles": lambda: tiff((322, 4, [2**31]), (323, 4, [2**31]), (324, 4, [8]), (325, 4, [2500])),
    "tiff-tiny-tiles": lambda: tiff((322, 4, [1]), (323, 4, [1]), (324, 4, [8]), (325, 4, [1])),
    "tiff-nan": lambda: floats(float("nan")),
    "tiff-infinite": lambda: floats(float("inf")),
    "tiff-laughs": lambda: tiff(text_tag(LAUGHS)),
    "tiff-long-text": lambda: tiff(text_tag(b"x" * 2_000_000)),
    "tiff-big-nowhere": lambda: b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**63 - 1),
    "tiff-big-many-tags": lambda: b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**62) + bytes(100),
    "tiff-truncated": lambda: picture(".tif")[: len(picture(".tif")) // 2],
    "tiff-start-alone": lambda: b"MM\0*",
}  # fmt: skip

# No pictures ------------------------------------------------------------------------------------------------


def zip_bomb() -> bytes:
    """An archive in an archive, with names that lead out of any folder."""
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../evil.png", bytes(20_000_000))
    with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            archive.writestr(f"../{number}/evil.zip", inner.getvalue())
    return outer.getvalue()


STRANGERS: dict[str, Make] = {
    "empty": lambda: b"",
    "text": lambda: b"a,b\n1,2\n",
    "svg": lambda: SVG,
    "html": lambda: HTML,
    "xml-laughs": lambda: LAUGHS,
    "zip-bomb": zip_bomb,
    "gzip-bomb": lambda: b"\x1f\x8b\x08" + bytes(7) + _zeros(_ZEROS),
    "gif": lambda: b"GIF89a\xff\xff\xff\xff\0\0\0;",
    "gif-and-script": lambda: b"GIF89a/*" + bytes(20) + b"*/=1;alert(1)",
    "pdf": lambda: b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 1 0 R>>endobj",
    "webp": lambda: b"RIFF\xff\xff\xff\xffWEBPVP8L" + bytes(50),
    "jpeg-2000": lambda: b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100),
    "program": lambda: b"\x7fELF" + bytes(200),
    "postscript": lambda: b"%!PS-Adobe-3.0\n(/etc/passwd) run",
    "dicom": lambda: bytes(128) + b"DICM" + bytes(100),
}
HARMLESS: dict[str, Make] = {
    "png-then-page": lambda: picture() + HTML,
    "png-then-archive": lambda: picture() + zip_bomb(),
    "png-page-within": lambda: picture()[:33] + chunk(b"tEXt", b"Comment\0" + HTML) + picture()[33:],
    "jpeg-page-within": lambda: with_segments(segment(0xFE, HTML)),
    "jpeg-short-segment": lambda: picture(".jpg")[:2] + b"\xff\xe1\0\0" + picture(".jpg")[2:],
    "jpeg-exif-loop": lambda: with_segments(segment(0xE1, _EXIF_LOOP)),
    "jpeg-many-segments": lambda: with_segments(segment(0xFE, b"x" * 9) * 20_000),
    "tiff-then-page": lambda: picture(".tif") + HTML,
}
BROKEN: dict[str, Make] = _PNGS | _OTHERS | _TIFFS
"""They begin as pictures do and hold none that can be read."""
FILES: dict[str, Make] = STRANGERS | HARMLESS | BROKEN


def corpus() -> Iterator[tuple[str, bytes]]:
    """All files with their names, in a fixed order."""
    return ((name, make()) for name, make in FILES.items())


def write_all(folder: Path) -> list[Path]:
    """The files, each in ``folder`` under its name, with an ending that would have it opened."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in corpus():
        paths.append(folder / f"{name}.png")
        paths[-1].write_bytes(content)
    return paths


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
