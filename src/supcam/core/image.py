"""File -> grey picture -> stain (0 = background): the only reader of pictures.

Choices of ours, the same for every kind of file: colour becomes luminance (BT.601); transparent pixels are
background (white, or black when fluorescence was asked for); 16-bit and float pictures keep their range; the
orientation tag of a camera is ignored, so that boxes and masks drawn on the stored pixels stay right.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from supcam.core.config import ImageConfig
from supcam.core.decoding import TIFF_STARTS, Decoded, Samples, decode
from supcam.core.dicom import is_dicom, read_dicom
from supcam.core.disk import check_length, read_bytes
from supcam.core.polarity import (
    EXTREME_SHARE,
    Pixels,
    blank,
    find_polarity,
    polarity_of,
    ranked,
    read_histogram,
)
from supcam.core.types import ImageError, Mask, PixelSize, Polarity, Stain
from supcam.core.vendor import Vendor, read_plane, vendor_of

_BIT_DEPTHS = (8, 10, 12, 14, 16, 32)
_BORDER_SHARE = 0.7
"""A crop was whitened out when this share of its border is exact white: published crops have 0.8 and more,
saturated scans up to 0.55."""
_RIM_QUANTILE = 0.9
"""Next to the whitened part lie background and blurred edge: the brightest tenth of it is background."""
_LARGEST = 1e30


@dataclass(frozen=True, slots=True, eq=False)
class GreyImage:
    """A grey picture in the file's own units, finite throughout.

    ``white`` counts as full scale: for integers 2^k - 1 with k the smallest of 8, 10, 12, 14, 16 and 32 bits
    that holds the picture, since cameras store 12 bits in 16; the robust maximum for floats. ``page`` counts
    from 0. ``sha256`` is that of the file's bytes, empty for arrays. ``where`` names the file in errors.
    ``pixel_size`` is ``None`` where the file does not say it.
    """

    pixels: Pixels
    white: float
    n_pages: int = 1
    page: int = 0
    sha256: str = ""
    bit_depth: int = 8
    notes: tuple[str, ...] = ()
    where: str = ""
    pixel_size: PixelSize | None = None


def read_grey(path: str | Path, *, config: ImageConfig | None = None) -> GreyImage:
    """The picture at ``path``, grey. PNG, JPEG, BMP, TIFF, DICOM and the formats of ``core.vendor``.

    They are told apart by content, not by name. Raises ``ImageError`` naming the file for everything that is
    no whole, finite picture within the limits of ``config``. Sizes are checked before pixels are decoded.
    """
    config = config or ImageConfig()
    return grey_of(read_stored(path, config=config), config=config)


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """The samples of a picture file as they are stored, with the hash of the file and its name."""

    decoded: Decoded
    sha256: str
    where: str


def read_stored(path: str | Path, *, config: ImageConfig) -> Stored:
    """The samples in the file at ``path``, before anything is made of them. Raises as ``read_grey`` does."""
    try:
        vendor = vendor_of(Path(path))
        if vendor is not None:
            return _read_vendor(Path(path), vendor=vendor, config=config)
        data = read_bytes(Path(path), max_bytes=config.max_bytes)
        decoded = _decode(data, config=config)
        return Stored(decoded, sha256=hashlib.sha256(data).hexdigest(), where=str(path))
    except ImageError as error:
        raise _at(error, where=str(path)) from error
    except MemoryError as error:
        raise ImageError(
            "a picture that needs more memory than there is",
            expected="one that fits",
            remedy="lower max_megapixels or cut the picture",
            where=path,
        ) from error


def _read_vendor(path: Path, *, vendor: Vendor, config: ImageConfig) -> Stored:
    """One plane of a file that may hold many: it is not read whole."""
    check_length(path.stat().st_size, max_bytes=config.max_bytes)
    decoded = read_plane(path, vendor=vendor, page=config.page, max_pixels=config.max_megapixels * 1e6)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Stored(decoded, sha256=sha256, where=str(path))


def grey_of(stored: Stored, *, config: ImageConfig) -> GreyImage:
    """The grey picture in the samples of a file. Raises ``ImageError``."""
    try:
        return _grey(stored.decoded, config=config, sha256=stored.sha256, where=stored.where)
    except ImageError as error:
        raise _at(error, where=stored.where) from error


def grey_from_array(array: Samples, *, config: ImageConfig | None = None) -> GreyImage:
    """The picture in ``array``, grey: bool, integers or floats, ``(h, w)`` or ``(h, w, channels)``.

    One to four channels: grey, grey + alpha, RGB, RGB + alpha. True is white. Raises ``ImageError``.
    """
    config = config or ImageConfig()
    fits = array.ndim in (2, 3) and all(array.shape) and array.shape[2:] <= (4,)
    if not fits or array.dtype.kind not in "buif":
        raise ImageError(
            f"an array of shape {array.shape} and type {array.dtype}",
            expected="(height, width) or (height, width, 1 to 4) of bool, integers or floats",
            remedy="pass one grey or RGB picture",
        )
    if array.shape[0] * array.shape[1] > config.max_megapixels * 1e6:
        raise ImageError(
            f"an array of {array.shape[1]} x {array.shape[0]} pixels",
            expected=f"at most {config.max_megapixels:g} megapixels",
            remedy="cut the picture, or raise max_megapixels",
        )
    if array.dtype.kind == "b":
        return _grey(Decoded(array.astype(np.uint8) * np.uint8(255), bit_depth=1), config=config)
    return _grey(Decoded(array, bit_depth=8 * array.dtype.itemsize), config=config)


def _decode(data: bytes, *, config: ImageConfig) -> Decoded:
    max_pixels = config.max_megapixels * 1e6
    if data.startswith(TIFF_STARTS):
        from supcam.core.tiff import read_tiff  # noqa: PLC0415  tifffile takes long to load

        return read_tiff(data, page=config.page, max_pixels=max_pixels)
    if is_dicom(data):
        return read_dicom(data, page=config.page, max_pixels=max_pixels)
    return decode(data, page=config.page, max_pixels=max_pixels)


def _at(error: ImageError, *, where: str) -> ImageError:
    """``error`` with the place it happened at."""
    return ImageError(error.found, expected=error.expected, remedy=error.remedy, where=where)


def _grey(decoded: Decoded, *, config: ImageConfig, sha256: str = "", where: str = "") -> GreyImage:
    samples = decoded.samples if decoded.samples.ndim == 3 else decoded.samples[..., None]
    has_alpha = samples.shape[2] in (2, 4)
    colour = samples[..., :-1] if has_alpha else samples
    white = _full_scale(colour)
    pixels = _luminance(colour)
    if has_alpha:
        empty = 0.0 if config.polarity == Polarity.FLUORESCENCE else white
        pixels = _over(pixels, opacity=_opacity(samples[..., -1]), background=empty)
    return GreyImage(
        pixels=pixels,
        white=white,
        n_pages=decoded.n_pages,
        page=decoded.page,
        sha256=sha256,
        bit_depth=decoded.bit_depth,
        notes=_notes(decoded, has_alpha=has_alpha),
        where=where,
        pixel_size=decoded.pixel_size,
    )


def _notes(decoded: Decoded, *, has_alpha: bool) -> tuple[str, ...]:
    alpha = "transparent pixels were taken for background" if has_alpha else ""
    return tuple(note for note in (decoded.remark, alpha) if note)


def _full_scale(colour: Samples) -> float:
    """What counts as white in ``colour``, see ``GreyImage``. Raises ``ImageError`` for values not finite."""
    highest, lowest = float(colour.max()), float(colour.min())
    if not math.isfinite(highest) or not math.isfinite(lowest) or max(highest, -lowest) > _LARGEST:
        raise ImageError(
            "values that are not finite, or too large for 32 bits",
            expected="finite grey values",
            remedy="replace NaN and infinite values by the background",
        )
    if colour.dtype.kind in "ui" and lowest >= 0:
        return next(float(2**bits - 1) for bits in _BIT_DEPTHS if highest < 2**bits)
    return ranked(colour, 1 - EXTREME_SHARE)


def _luminance(colour: Samples) -> Pixels:
    """Grey as it is; red, green and blue as 0.299, 0.587 and 0.114 of the grey (ITU-R BT.601)."""
    plain = colour if colour.dtype in (np.uint8, np.uint16) else colour.astype(np.float32)
    if plain.shape[2] == 3:
        plain = cv2.cvtColor(np.ascontiguousarray(plain), cv2.COLOR_RGB2GRAY)
    return np.array(plain.reshape(plain.shape[:2]), dtype=np.float32, order="C")


def _over(pixels: Pixels, *, opacity: Pixels, background: float) -> Pixels:
    """``pixels`` as seen in front of an even ``background``."""
    seen: Pixels = opacity * pixels + (1 - opacity) * np.float32(background)
    return seen


def _opacity(alpha: Samples) -> Pixels:
    """0 = transparent, 1 = opaque. Floats mean shares, integers shares of the type's largest value."""
    full = float(np.iinfo(alpha.dtype).max) if alpha.dtype.kind in "ui" else 1.0
    share: Pixels = np.clip(alpha.astype(np.float32) / np.float32(full), 0, 1)
    return share


def outside_mask(pixels: Pixels, *, white: float) -> Mask:
    """True where a crop was whitened out: exact white that hangs together with a border that is mostly white.

    All False when less than 0.7 of the border is exact white: then the picture is an ordinary scan, saturated
    or not. A whitened gap that the object encloses is no part of it.
    """
    is_white = (pixels >= white).astype(np.uint8)
    if _border_share(is_white) < _BORDER_SHARE:
        return np.zeros(pixels.shape, np.bool_)
    framed = cv2.copyMakeBorder(is_white, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    cv2.floodFill(framed, None, (0, 0), 2)
    return np.asarray(framed[1:-1, 1:-1] == 2, dtype=np.bool_)


def _border_share(marked: np.ndarray) -> float:
    """Share of the outermost pixels that are 1; corners count once for each side."""
    sides = (marked[0], marked[-1], marked[:, 0], marked[:, -1])
    return float(sum(int(side.sum()) for side in sides)) / sum(side.size for side in sides)


def polarity_in(image: GreyImage, *, config: ImageConfig) -> Polarity:
    """That of ``config``, or what the picture tells. Raises ``ImageError`` when it is not clear."""
    if config.polarity == "auto":
        return find_polarity(image.pixels, white=image.white)
    return Polarity(config.polarity)


def to_stain(image: GreyImage, *, config: ImageConfig | None = None) -> Stain:
    """Stain of every pixel: 0 = background, larger = more stain.

    Bright field: optical density -log10(max(I, one grey level) / I0), I0 the background's mode or, in a crop
    that was whitened out, the brightest grey of the rim beside the white. Fluorescence: (I - background) /
    (robust maximum - background), the background being the mode. Clipped at 0 from below; 0 where whitened
    out. Raises ``ImageError`` for blank pictures, and when the polarity is not set and not clear.
    """
    config = config or ImageConfig()
    try:
        if float(image.pixels.min()) == float(image.pixels.max()):
            raise blank()
        histogram = read_histogram(image.pixels, white=image.white)
        auto = config.polarity == "auto"
        polarity = polarity_of(histogram, pixels=image.pixels) if auto else config.polarity
        if polarity == Polarity.FLUORESCENCE:
            return _brightness(image.pixels, background=histogram.background)
        return _optical_density(image, background=histogram.background)
    except ImageError as error:
        raise _at(error, where=image.where) from error


def _optical_density(image: GreyImage, *, background: float) -> Stain:
    outside = outside_mask(image.pixels, white=image.white)
    is_crop = bool(outside.any())
    if is_crop:
        background = _rim_level(image.pixels, outside)
    grey_level = image.white / 255
    if background <= grey_level:
        raise ImageError("a black background", expected="a bright one", remedy="set polarity to fluorescence")
    stain: Stain = np.maximum(image.pixels, np.float32(grey_level))
    np.log10(stain, out=stain)
    np.subtract(np.float32(math.log10(background)), stain, out=stain)
    np.maximum(stain, 0, out=stain)
    if is_crop:
        stain *= ~outside
    return stain


def _rim_level(pixels: Pixels, outside: Mask) -> float:
    """The 0.9 quantile of the pixels that touch ``outside``.

    On crops whose scan is known it is within 0.02 of the scan's own background, in optical density.
    """
    beside = cv2.dilate(outside.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & ~outside
    return ranked(pixels[beside], _RIM_QUANTILE)


def _brightness(pixels: Pixels, *, background: float) -> Stain:
    top, highest = ranked(pixels, 1 - EXTREME_SHARE), float(pixels.max())
    if top - background < 0.2 * (highest - background):  # the objects are smaller than the share left out
        top = float(cv2.medianBlur(pixels, 3).max())
    if top <= background:
        raise blank()
    stain: Stain = pixels - np.float32(background)
    stain *= np.float32(1 / (top - background))
    np.maximum(stain, 0, out=stain)
    return stain
