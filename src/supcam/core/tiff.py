"""TIFF bytes -> samples of one page.

tifffile reads the tags, and the pixels of uncompressed pages of whole bytes. Compressed pages, palettes and
pages of fewer than 8 bits go to the libtiff in Pillow: LZW, Deflate, PackBits, JPEG, CCITT fax and what else
it was built with. What Pillow has no room for (16-bit colour, 64-bit and half floats) is read by tifffile,
which can undo Deflate and PackBits; other compressions of these are refused by name.
"""

from __future__ import annotations

import io
import logging
import zlib
from dataclasses import replace

import numpy as np
from tifffile import COMPRESSION, PHOTOMETRIC, TiffFile, TiffPage

from supcam.core.decoding import Decoded, Samples, check_page, check_size, damaged, decode_tiff_page
from supcam.core.microscope import page_facts
from supcam.core.types import ImageError

_DEFLATE = (COMPRESSION.ADOBE_DEFLATE, COMPRESSION.DEFLATE)
_BY_TIFFFILE = (COMPRESSION.NONE, COMPRESSION.PACKBITS, *_DEFLATE)
_PLAIN = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.RGB)
_MAX_SAMPLES = 4
_PILLOW_TYPES = ("bool", "uint8", "int16", "uint16", "float32")


def read_tiff(data: bytes, *, page: int, max_pixels: float) -> Decoded:
    """Page ``page`` (from 0) of a TIFF or BigTIFF file. Raises ``ImageError``.

    Pages are counted by following their links; no other page is looked into.
    """
    keep_remarks_off_the_terminal()
    try:
        with TiffFile(io.BytesIO(data)) as file:
            n_pages = len(file.pages)
            if not n_pages:
                raise ValueError("no page is in it")
            check_page(page, n_pages=n_pages)
            leaf = file.pages[page].aspage()
            check_size(leaf.imagewidth, leaf.imagelength, max_pixels=max_pixels)
            _check_layout(leaf, data=data, max_pixels=max_pixels)
            decoded = _decode_page(leaf, data=data, page=page)
            facts = page_facts(file, page=page)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # tifffile and libtiff raise whatever a damaged file makes them stumble over
        raise damaged("TIFF", error) from error
    return replace(decoded, n_pages=n_pages, page=page, pixel_size=facts.pixel_size, plane=facts.plane)


def keep_remarks_off_the_terminal() -> None:
    """What tifffile logs goes where the program sends it, and nowhere if it says nothing."""
    logger = logging.getLogger("tifffile")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _check_layout(leaf: TiffPage, *, data: bytes, max_pixels: float) -> None:
    """Refuses what would cost far more memory than the size says, and strips beyond the end of the file."""
    if not 1 <= leaf.samplesperpixel <= _MAX_SAMPLES or leaf.imagedepth != 1:
        raise ImageError(
            f"{leaf.samplesperpixel} samples a pixel, depth {leaf.imagedepth}",
            expected="one flat picture, grey or RGB, with or without alpha",
            remedy="export one channel and one plane",
        )
    if leaf.samplesperpixel > 1 and leaf.photometric == PHOTOMETRIC.MINISBLACK and not _has_alpha(leaf):
        raise ImageError(
            f"{leaf.samplesperpixel} grey channels",
            expected="one channel",
            remedy="export the channel that counts",
        )
    check_size(max(leaf.tilewidth, 1), max(leaf.tilelength, 1), max_pixels=4 * max_pixels)
    if not leaf.dataoffsets or not leaf.databytecounts:
        raise ValueError("no pixels are stored")
    ends = (offset + count for offset, count in zip(leaf.dataoffsets, leaf.databytecounts, strict=True))
    if max(ends) > len(data):
        raise ValueError("pixels are missing at the end")


def _decode_page(leaf: TiffPage, *, data: bytes, page: int) -> Decoded:
    whole_bytes = leaf.bitspersample % 8 == 0 and leaf.photometric in _PLAIN
    deep = leaf.bitspersample > 8 and (leaf.samplesperpixel > 1 or str(leaf.dtype) not in _PILLOW_TYPES)
    bits = int(leaf.bitspersample)
    if whole_bytes and (leaf.compression == COMPRESSION.NONE or deep):
        _check_bytes(leaf, data=data)
        return Decoded(_upright(leaf, _channels_last(leaf)), bit_depth=bits)
    samples = decode_tiff_page(data, page=page).samples
    return Decoded(samples if bits <= 8 else _upright(leaf, samples), bit_depth=bits)


def _check_bytes(leaf: TiffPage, *, data: bytes) -> None:
    """Checks what tifffile does not: it fills missing bytes with zeros and inflates without bound."""
    if leaf.compression not in _BY_TIFFFILE:
        name = getattr(leaf.compression, "name", str(leaf.compression))
        raise ImageError(
            f"{leaf.samplesperpixel} x {leaf.dtype} a pixel with {name} compression",
            expected="such pixels without compression, or with Deflate or PackBits",
            remedy="save it without compression or as PNG",
        )
    if leaf.compression == COMPRESSION.NONE and sum(leaf.databytecounts) < leaf.nbytes:
        raise ValueError(f"{sum(leaf.databytecounts)} of {leaf.nbytes} bytes of pixels are stored")
    if leaf.compression in _DEFLATE:
        most = 2 * leaf.nbytes + 65536
        for offset, count in zip(leaf.dataoffsets, leaf.databytecounts, strict=True):
            if len(zlib.decompressobj().decompress(data[offset : offset + count], most)) >= most:
                raise ValueError("it inflates to more than its size")


def _channels_last(leaf: TiffPage) -> Samples:
    """The page's samples as rows, columns and channels; extra channels that are no alpha are left out."""
    samples = np.asarray(leaf.asarray())
    if leaf.axes == "SYX":
        samples = np.moveaxis(samples, 0, -1)
    colours = 3 if leaf.photometric == PHOTOMETRIC.RGB else 1
    if samples.ndim == 3 and samples.shape[2] > colours and not _has_alpha(leaf):
        samples = samples[..., :colours]
    if samples.ndim == 3 and samples.shape[2] == 1:
        samples = samples[..., 0]
    return np.ascontiguousarray(samples)


def _has_alpha(leaf: TiffPage) -> bool:
    return bool(leaf.extrasamples) and int(leaf.extrasamples[0]) in (1, 2)


def _upright(leaf: TiffPage, samples: Samples) -> Samples:
    """``samples`` with white as the largest value, whichever way the file stores them.

    Pillow does this for 8 bits, but not for more.
    """
    if leaf.photometric != PHOTOMETRIC.MINISWHITE:
        return samples
    if samples.dtype.kind != "u":
        raise ImageError(
            f"white stored as 0 in {samples.dtype} samples",
            expected="white as the largest value",
            remedy="save the picture again",
        )
    inverted: Samples = np.invert(samples)
    return inverted
