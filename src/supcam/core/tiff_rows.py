"""A large TIFF page, read a few rows at a time: only the strips or tiles that are asked for are decoded.

Uncompressed strips and tiles are taken from the file as they are. Every other one is given to the libtiff in
Pillow as a small file of its own, so that LZW, Deflate, PackBits, JPEG and predictors are read as everywhere.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import cv2
import numpy as np
from PIL.TiffImagePlugin import TiffImageFile
from tifffile import COMPRESSION, PHOTOMETRIC, TiffFile, TiffPage

from supcam.core.decoding import Samples, check_page, check_size, damaged, page_remark
from supcam.core.microscope import page_facts
from supcam.core.tiff import keep_remarks_off_the_terminal
from supcam.core.types import ImageError

_SHORT, _LONG, _UNDEFINED = 3, 4, 7
_COPIED = (258, 259, 262, 266, 277, 317, 338, 339, 347, 530, 532)
"""Tags that say how the bytes of a strip or tile are to be read."""
_MOST_SEGMENT_BYTES = 512_000_000


@dataclass(frozen=True, slots=True)
class _Grid:
    """Strips or tiles of one size that cover the page, row by row."""

    height: int
    width: int
    n_across: int


class TiffRows:
    """The rows of one page as grey integers, 8 or 16 bits; ``shape`` is (height, width).

    ``pixel_size`` and ``remark`` are those of ``core.decoding.Decoded``.
    Use in a ``with`` block. Raises ``ImageError`` for a file that is no such page, or is damaged.
    """

    def __init__(self, path: Path, *, page: int, max_pixels: float) -> None:
        self._stream: BinaryIO = path.open("rb")
        try:
            file = _open_file(self._stream, page=page)
            self._leaf = _find_page(file, page=page, max_pixels=max_pixels)
        except ImageError:
            self._stream.close()
            raise
        except Exception as error:  # tifffile raises whatever a damaged file makes it stumble over
            self._stream.close()
            raise damaged("TIFF", error) from error
        leaf = self._leaf
        self.shape = (int(leaf.imagelength), int(leaf.imagewidth))
        self.dtype = np.dtype(np.uint8 if leaf.bitspersample == 8 else np.uint16)
        self._grid = _grid(leaf)
        facts = page_facts(file, page=page)
        self.pixel_size = facts.pixel_size
        self.remark = page_remark(page=page, n_pages=len(file.pages), plane=facts.plane)

    def __enter__(self) -> TiffRows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def rows(self, top: int, bottom: int) -> Samples:
        """Rows ``top`` to ``bottom`` (half-open), white as the largest value."""
        grid = self._grid
        out = np.zeros((bottom - top, self.shape[1]), self.dtype)
        for band in range(top // grid.height, -(-bottom // grid.height)):
            for column in range(grid.n_across):
                self._put(out, band=band, column=column, top=top)
        return np.invert(out) if self._leaf.photometric == PHOTOMETRIC.MINISWHITE else out

    def _put(self, out: Samples, *, band: int, column: int, top: int) -> None:
        grid = self._grid
        grey = self._segment(band * grid.n_across + column, rows=self._height_of(band))
        first = band * grid.height - top
        here = slice(max(0, -first), min(len(grey), len(out) - first))
        left = column * grid.width
        width = min(grid.width, self.shape[1] - left)
        out[here.start + first : here.stop + first, left : left + width] = grey[here, :width]

    def _height_of(self, band: int) -> int:
        """Rows of a strip or tile: only the last strip is shorter than the others."""
        if self._leaf.is_tiled:
            return self._grid.height
        return min(self._grid.height, self.shape[0] - band * self._grid.height)

    def _segment(self, index: int, *, rows: int) -> Samples:
        leaf = self._leaf
        size = leaf.databytecounts[index]
        self._stream.seek(leaf.dataoffsets[index])
        content = self._stream.read(size)
        try:
            if len(content) < size:
                raise ValueError("pixels are missing at the end")
            if leaf.compression == COMPRESSION.NONE:
                samples = _plain(content, leaf=leaf, size=(rows, self._grid.width))
            else:
                samples = _decoded(content, leaf=leaf, size=(rows, self._grid.width))
        except MemoryError:
            raise
        except Exception as error:  # libtiff and Pillow raise many kinds for damaged bytes
            raise damaged("TIFF", error) from error
        return cv2.cvtColor(samples, cv2.COLOR_RGB2GRAY) if samples.ndim == 3 else samples


def tiff_size(path: Path, *, page: int) -> tuple[int, int]:
    """Declared height and width of a page of the TIFF at ``path``. Raises ``ImageError``."""
    keep_remarks_off_the_terminal()
    try:
        with TiffFile(path) as file:
            if not file.pages:
                raise ValueError("no page is in it")
            check_page(page, n_pages=len(file.pages))
            leaf = file.pages[page].aspage()
            return int(leaf.imagelength), int(leaf.imagewidth)
    except ImageError:
        raise
    except Exception as error:
        raise damaged("TIFF", error) from error


def _open_file(stream: BinaryIO, *, page: int) -> TiffFile:
    keep_remarks_off_the_terminal()
    file = TiffFile(stream)
    if not file.pages:
        raise ValueError("no page is in it")
    check_page(page, n_pages=len(file.pages))
    return file


def _find_page(file: TiffFile, *, page: int, max_pixels: float) -> TiffPage:
    leaf = file.pages[page].aspage()
    check_size(leaf.imagewidth, leaf.imagelength, max_pixels=max_pixels)
    grey = leaf.samplesperpixel == 1 and leaf.photometric in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE)
    colour = leaf.samplesperpixel == 3 and leaf.photometric in (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR)
    depth_fits = leaf.bitspersample == 8 or (leaf.bitspersample == 16 and grey)
    if not (grey or colour) or not depth_fits or leaf.planarconfig != 1 or str(leaf.dtype)[0] != "u":
        kind = PHOTOMETRIC(leaf.photometric).name
        raise ImageError(
            f"a large page of {leaf.samplesperpixel} x {leaf.dtype} a pixel ({kind})",
            expected="8- or 16-bit grey, or 8-bit RGB with the colours of a pixel together",
            remedy="save it as grey, or cut it into smaller pictures",
        )
    grid = _grid(leaf)
    if grid.height * grid.width * leaf.samplesperpixel * leaf.bitspersample / 8 > _MOST_SEGMENT_BYTES:
        raise ImageError(
            f"strips or tiles of {grid.width} x {grid.height} pixels",
            expected="smaller strips or tiles",
            remedy="save it again with strips of a few hundred rows, or tiles",
        )
    n_needed = -(-int(leaf.imagelength) // grid.height) * grid.n_across
    if len(leaf.dataoffsets) < n_needed or len(leaf.databytecounts) < n_needed:
        raise ValueError(f"{len(leaf.dataoffsets)} of {n_needed} strips or tiles are stored")
    return leaf


def _grid(leaf: TiffPage) -> _Grid:
    if leaf.is_tiled:
        across = -(-int(leaf.imagewidth) // int(leaf.tilewidth))
        return _Grid(height=int(leaf.tilelength), width=int(leaf.tilewidth), n_across=across)
    rows = min(int(leaf.rowsperstrip), int(leaf.imagelength))
    return _Grid(height=rows, width=int(leaf.imagewidth), n_across=1)


def _plain(content: bytes, *, leaf: TiffPage, size: tuple[int, int]) -> Samples:
    kind = np.dtype(np.uint8 if leaf.bitspersample == 8 else f"{leaf.parent.byteorder}u2")
    shape = size if leaf.samplesperpixel == 1 else (*size, int(leaf.samplesperpixel))
    values = np.frombuffer(content, kind, count=int(np.prod(shape)))
    return values.astype(kind.newbyteorder("="), copy=False).reshape(shape)


def _decoded(content: bytes, *, leaf: TiffPage, size: tuple[int, int]) -> Samples:
    picture = TiffImageFile(io.BytesIO(_small_file(content, leaf=leaf, size=size)))
    if picture.mode not in ("L", "RGB") and not picture.mode.startswith("I"):
        picture_grey = picture.convert("RGB")
        return np.array(picture_grey)
    samples = np.array(picture)
    return samples if samples.dtype == np.uint8 else samples.astype(np.uint16)


def _small_file(content: bytes, *, leaf: TiffPage, size: tuple[int, int]) -> bytes:
    """One strip or tile as a TIFF file of its own: header, pixels, then the tags."""
    order = leaf.parent.byteorder
    fields = {256: (_LONG, [size[1]]), 257: (_LONG, [size[0]]), 278: (_LONG, [size[0]])}
    fields |= {273: (_LONG, [8]), 279: (_LONG, [len(content)]), 284: (_SHORT, [1])}
    for code in _COPIED:
        tag = leaf.tags.get(code)
        if tag is not None and code == 347:
            fields[code] = (_UNDEFINED, list(tag.value))
        elif tag is not None and isinstance(tag.value, int | tuple):
            values = [tag.value] if isinstance(tag.value, int) else list(tag.value)
            if all(isinstance(value, int) for value in values):
                fields[code] = (_SHORT, [int(value) for value in values])
    padded = content + b"\0" * (len(content) % 2)
    head = struct.pack(f"{order}2sHL", b"II" if order == "<" else b"MM", 42, 8 + len(padded))
    return head + padded + _directory(fields, order=order, at=8 + len(padded))


def _directory(fields: dict[int, tuple[int, list[int]]], *, order: str, at: int) -> bytes:
    signs = {_SHORT: "H", _LONG: "L", _UNDEFINED: "B"}
    entries, after = b"", b""
    end = at + 2 + 12 * len(fields) + 4
    for code, (kind, values) in sorted(fields.items()):
        packed = struct.pack(f"{order}{len(values)}{signs[kind]}", *values)
        if len(packed) > 4:
            place = struct.pack(f"{order}L", end + len(after))
            after += packed + b"\0" * (len(packed) % 2)
        else:
            place = packed.ljust(4, b"\0")
        entries += struct.pack(f"{order}HHL", code, kind, len(values)) + place
    return struct.pack(f"{order}H", len(fields)) + entries + struct.pack(f"{order}L", 0) + after
