"""A label picture as a 16-bit PNG, written band by band: no more than a band is held."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import UInt16

Band = UInt16[np.ndarray, "rows width"]

_ROWS = 512
_UP = 2
"""The filter of PNG that stores the difference from the row above: labels change little from row to row."""


def label_png(size: tuple[int, int], *, rows: Callable[[int, int], Band]) -> Iterator[bytes]:
    """The bytes of a 16-bit grey PNG of ``size`` (height, width), whose rows ``rows(top, bottom)`` gives."""
    height, width = size
    yield b"\x89PNG\r\n\x1a\n"
    yield _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0))
    packer = zlib.compressobj(4)
    above = np.zeros((1, 2 * width), np.uint8)
    for top in range(0, height, _ROWS):
        band = rows(top, min(height, top + _ROWS)).astype(">u2").view(np.uint8)
        filtered = np.full((len(band), 2 * width + 1), _UP, np.uint8)
        np.subtract(band, np.concatenate([above, band[:-1]]), out=filtered[:, 1:])
        above = band[-1:]
        packed = packer.compress(filtered.tobytes())
        if packed:
            yield _chunk(b"IDAT", packed)
    yield _chunk(b"IDAT", packer.flush())
    yield _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
