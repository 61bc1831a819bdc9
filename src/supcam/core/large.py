"""Pictures too large to be held as floats: grey integers, whose stain is made where it is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from jaxtyping import Float32, Int64

from supcam.core.config import ImageConfig
from supcam.core.decoding import TIFF_STARTS, Samples
from supcam.core.image import Stored
from supcam.core.polarity import EXTREME_SHARE, Histogram, histogram_of, polarity_of
from supcam.core.types import ImageError, PixelSize, Polarity, Stain

Tally = Int64[np.ndarray, " levels"]
Table = Float32[np.ndarray, " levels"]

LARGE_PIXELS = 24_000_000
"""Files of more pixels are read area by area, where their format allows it."""
INTEGER_PIXELS = 7_000_000
"""Decoded pictures of more pixels are held as the integers they are, and made stain of area by area."""
_ROWS = 512
_DEPTHS = (8, 10, 12, 14, 16)


class GreyRows(Protocol):
    """Rows of a grey picture of 8 or 16 bits, on demand."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        ...

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """``uint8`` or ``uint16``."""
        ...

    @property
    def pixel_size(self) -> PixelSize | None:
        """The size of a pixel; ``None`` where the file does not say it."""
        ...

    @property
    def remark(self) -> str:
        """Which of several pages they are; blank for the only one."""
        ...

    def rows(self, top: int, bottom: int) -> Samples:
        """Rows ``top`` to ``bottom``, half-open."""
        ...


def is_plain(samples: Samples) -> bool:
    """Whether ``samples`` are of 8 or 16 bits, grey or RGB: only such are held as integers."""
    return samples.dtype in (np.uint8, np.uint16) and samples.shape[2:] in ((), (1,), (3,))


class StoredRows:
    """The rows of a decoded picture. Raises ``ImageError`` unless it is of 8 or 16 bits, grey or RGB."""

    def __init__(self, stored: Stored) -> None:
        samples = stored.decoded.samples
        if not is_plain(samples):
            raise ImageError(
                f"a large picture of {samples.dtype} in {samples.shape[2:] or (1,)} channels",
                expected="8- or 16-bit grey or RGB without transparency",
                remedy="save it so, or cut it into smaller pictures",
                where=stored.where,
            )
        self._samples = samples[..., 0] if samples.shape[2:] == (1,) else samples
        self.shape = (int(samples.shape[0]), int(samples.shape[1]))
        self.dtype: np.dtype[np.generic] = samples.dtype
        self.pixel_size = stored.decoded.pixel_size
        self.remark = stored.decoded.remark

    def rows(self, top: int, bottom: int) -> Samples:
        """Rows ``top`` to ``bottom``, half-open; colour as luminance."""
        part = self._samples[top:bottom]
        return cv2.cvtColor(part, cv2.COLOR_RGB2GRAY) if part.ndim == 3 else part


@contextmanager
def tiff_rows(path: Path, *, config: ImageConfig) -> Iterator[GreyRows | None]:
    """The rows of the page of a TIFF with more than ``LARGE_PIXELS``; ``None`` for any other file.

    Raises ``ImageError`` when such a page cannot be read.
    """
    if not _is_tiff(path):
        yield None
        return
    from supcam.core.tiff_rows import TiffRows, tiff_size  # noqa: PLC0415  tifffile takes long to load

    height, width = tiff_size(path, page=config.page)
    if height * width <= LARGE_PIXELS:
        yield None
        return
    if path.stat().st_size > config.max_bytes:
        raise ImageError(
            f"a file of {path.stat().st_size} bytes",
            expected=f"at most {config.max_bytes} bytes",
            remedy="cut the picture, or raise max_bytes",
        )
    with TiffRows(path, page=config.page, max_pixels=config.max_megapixels * 1e6) as rows:
        yield rows


def _is_tiff(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(4) in TIFF_STARTS
    except OSError:
        return False  # the ordinary reader says what is wrong


@dataclass(frozen=True, slots=True, eq=False)
class StainScale:
    """How grey integers become stain: the stain of every grey value, and whether stain is bright.

    Shifted right by ``shift`` bits, grey values fill 8 bits.
    """

    table: Table
    polarity: Polarity
    shift: int

    def stain(self, grey: Samples) -> Stain:
        """The stain of grey integers."""
        return np.asarray(self.table[grey])


def find_scale(rows: GreyRows, *, config: ImageConfig) -> StainScale:
    """The stain of every grey value, found from all pixels, by the rules of ``core.image.to_stain``.

    Only two of its rules for small pictures are left out: whitened surroundings, and the fluorescence of
    objects smaller than the share of glints. Raises ``ImageError``.
    """
    tally = _tally(rows)
    present = np.flatnonzero(tally)
    if present.size < 2:
        raise ImageError("a blank picture", expected="at least one stained object", remedy="leave it out")
    white = next(float(2**bits - 1) for bits in _DEPTHS if present[-1] < 2**bits)
    histogram = _histogram(tally, white=white)
    polarity = polarity_of(histogram) if config.polarity == "auto" else config.polarity
    grey = np.arange(tally.size, dtype=np.float64)
    if polarity == Polarity.FLUORESCENCE:
        above = np.cumsum(tally) > (1 - EXTREME_SHARE) * tally.sum()
        top = float(np.argmax(above))
        top = top if top > histogram.background else float(present[-1])
        stain = (grey - histogram.background) / max(top - histogram.background, 1e-6)
    else:
        level = white / 255
        if histogram.background <= level:
            raise ImageError("a black background", expected="a bright one", remedy="set the polarity")
        stain = math.log10(histogram.background) - np.log10(np.maximum(grey, level))
    shift = max(0, int(white).bit_length() - 8)
    return StainScale(table=np.maximum(stain, 0).astype(np.float32), polarity=Polarity(polarity), shift=shift)


def _tally(rows: GreyRows) -> Tally:
    """How many pixels have each grey value."""
    n_levels = 256 if rows.dtype == np.uint8 else 65536
    tally = np.zeros(n_levels, np.int64)
    for top in range(0, rows.shape[0], _ROWS):
        part = rows.rows(top, min(rows.shape[0], top + _ROWS))
        tally += np.bincount(part.ravel(), minlength=n_levels)
    return tally


def _histogram(tally: Tally, *, white: float) -> Histogram:
    step = white / 255
    levels = np.minimum(np.rint(np.arange(tally.size) / step), 255).astype(np.int64)
    counts = np.bincount(levels, weights=tally, minlength=256).astype(np.float32)
    return histogram_of(counts, low=0.0, step=step)
