"""A picture opened for analysis: its stain part by part, and its grey values as a person sees them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from jaxtyping import UInt8

from supcam.core.config import ImageConfig
from supcam.core.image import GreyImage, Stored, grey_from_array, grey_of, polarity_in, read_stored, to_stain
from supcam.core.large import (
    INTEGER_PIXELS,
    LARGE_PIXELS,
    GreyRows,
    StainScale,
    StoredRows,
    find_scale,
    is_plain,
    tiff_rows,
)
from supcam.core.types import Box, ImageError, PixelSize, Polarity, Stain

Grey = UInt8[np.ndarray, "rows columns"]
ImageLike = Path | str | np.ndarray

PREVIEW_PX = 4096
"""Pictures with a longer side are shown reduced; analysed they are as they are."""
_ROWS = 512


class OpenPicture(Protocol):
    """A picture whose stain and grey values can be had part by part."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        ...

    @property
    def polarity(self) -> Polarity:
        """Whether stain is dark or bright."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of it, such as which of its pages was read."""
        ...

    @property
    def pixel_size(self) -> PixelSize | None:
        """The size of a pixel; ``None`` where the file does not say it."""
        ...

    def stain(self, box: Box) -> Stain:
        """The stain within ``box``."""
        ...

    def grey(self, box: Box) -> Grey:
        """The grey values within ``box``, white as 255."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SmallPicture:
    """A picture that is held in memory."""

    pixels: Grey
    whole_stain: Stain
    polarity: Polarity
    notes: tuple[str, ...] = ()
    pixel_size: PixelSize | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def stain(self, box: Box) -> Stain:
        """The stain within ``box``."""
        return np.ascontiguousarray(self.whole_stain[box.slices])

    def grey(self, box: Box) -> Grey:
        """The grey values within ``box``."""
        return self.pixels[box.slices]


@dataclass(slots=True, eq=False)
class LargePicture:
    """A picture of which only the rows at hand are held."""

    source: GreyRows
    scale: StainScale
    _top: int = 0
    _held: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.uint8))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.source.shape

    @property
    def polarity(self) -> Polarity:
        """Whether stain is dark or bright."""
        return self.scale.polarity

    @property
    def notes(self) -> tuple[str, ...]:
        """Which of several pages was read."""
        return (self.source.remark,) if self.source.remark else ()

    @property
    def pixel_size(self) -> PixelSize | None:
        """The size of a pixel; ``None`` where the file does not say it."""
        return self.source.pixel_size

    def stain(self, box: Box) -> Stain:
        """The stain within ``box``."""
        return self.scale.stain(self._integers(box))

    def grey(self, box: Box) -> Grey:
        """The grey values within ``box``, the largest of the file's type as 255."""
        integers = self._integers(box)
        return integers if integers.dtype == np.uint8 else (integers >> self.scale.shift).astype(np.uint8)

    def _integers(self, box: Box) -> np.ndarray:
        """Rows stay until others are asked for: areas are looked at row by row."""
        if box.top < self._top or box.bottom > self._top + len(self._held):
            self._held = np.empty((0, 0), np.uint8)
            self._held, self._top = self.source.rows(box.top, box.bottom), box.top
        return self._held[box.top - self._top : box.bottom - self._top, box.left : box.right]


@contextmanager
def open_picture(image: ImageLike, *, config: ImageConfig) -> Iterator[OpenPicture]:
    """The picture in a file or array, open. Raises ``ImageError``, naming the file."""
    if isinstance(image, np.ndarray):
        yield _small(grey_from_array(image, config=config), config=config)
        return
    try:
        with tiff_rows(Path(image), config=config) as rows:
            if rows is not None:
                yield LargePicture(rows, scale=find_scale(rows, config=config))
                return
    except ImageError as error:
        raise ImageError(error.found, expected=error.expected, remedy=error.remedy, where=image) from error
    yield _opened(read_stored(Path(image), config=config), config=config)


def _opened(stored: Stored, *, config: ImageConfig) -> OpenPicture:
    """The picture in the samples of a file, which are not held beside it where it is small."""
    samples = stored.decoded.samples
    limit = INTEGER_PIXELS if is_plain(samples) else LARGE_PIXELS
    if samples.shape[0] * samples.shape[1] <= limit:
        return _small(grey_of(stored, config=config), config=config)
    rows = StoredRows(stored)
    return LargePicture(rows, scale=find_scale(rows, config=config))


def preview(picture: OpenPicture) -> tuple[Grey, float]:
    """The whole picture in grey, at most ``PREVIEW_PX`` a side, and its scale: 1 where it is as it was."""
    height, width = picture.size
    step = -(-max(height, width) // PREVIEW_PX)
    if step == 1:
        return picture.grey(Box(0, 0, height, width)), 1.0
    bands = []
    for top in range(0, height - step + 1, _ROWS * step):
        rows = min(_ROWS * step, (height - top) // step * step)
        grey = np.ascontiguousarray(picture.grey(Box(top, 0, top + rows, width // step * step)))
        bands.append(cv2.resize(grey, (width // step, rows // step), interpolation=cv2.INTER_AREA))
    return np.concatenate(bands), 1 / step


def _small(image: GreyImage, *, config: ImageConfig) -> SmallPicture:
    stain = to_stain(image, config=config)
    polarity = polarity_in(image, config=config)
    pixels = cv2.convertScaleAbs(np.maximum(image.pixels, 0), alpha=255 / image.white)
    return SmallPicture(
        pixels=pixels,
        whole_stain=stain,
        polarity=polarity,
        notes=image.notes,
        pixel_size=image.pixel_size,
    )
