"""Bytes of a PNG, JPEG or BMP file -> its samples as stored; what all formats share. TIFF: ``core/tiff.py``.

The type is read from the content, never from the name, and the declared size is checked before anything is
decoded. Pillow's classes are built directly: its global table, limits and warnings stay as they are.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, replace

import cv2
import numpy as np
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from supcam.core.types import ImageError, PixelSize

Samples = np.ndarray
"""``(height, width)`` or ``(height, width, channels)``: grey, grey and alpha, RGB or RGBA, any type."""

_READERS: tuple[tuple[bytes, type[ImageFile.ImageFile]], ...] = (
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"\xff\xd8\xff", JpegImageFile),
    (b"BM", BmpImageFile),
)
_PNG_END, _JPEG_END = b"IEND\xaeB`\x82", b"\xff\xd9"
_JPEG_SCAN = b"\xff\xda"
_MOST_SCANS = 500
"""Progressive pictures have about ten. Each costs the whole picture again, however few bytes it has."""
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_KNOWN_STRANGERS = (
    (b"GIF8", "a GIF picture"),
    (b"RIFF", "a RIFF file, perhaps a WebP picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\0\0\0\x0cjP", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\xd0\xcf\x11\xe0", "an old office document or microscope container"),
)
_KINDS = "a PNG, JPEG, BMP or TIFF picture"


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """One page of a picture file: samples, bits a sample, number of pages, which one it is (from 0).

    ``pixel_size`` is ``None`` where the file does not say it; ``plane`` says in words which plane a page is.
    """

    samples: Samples
    bit_depth: int
    n_pages: int = 1
    page: int = 0
    pixel_size: PixelSize | None = None
    plane: str = ""

    @property
    def remark(self) -> str:
        """Which of several pages was read; blank for the only one."""
        return page_remark(page=self.page, n_pages=self.n_pages, plane=self.plane)


def decode(data: bytes, *, page: int, max_pixels: float) -> Decoded:
    """The PNG, JPEG or BMP picture in ``data``, which has page 0 alone (of animations the first picture).

    Raises ``ImageError`` for all that is not a whole picture of these kinds.
    """
    if not data:
        raise ImageError("an empty file", expected=_KINDS, remedy="save or copy the picture again")
    for start, reader in _READERS:
        if data.startswith(start):
            check_page(page, n_pages=1)
            return _decode_single(data, reader, max_pixels=max_pixels)
    raise ImageError(_describe(data), expected=_KINDS, remedy="convert it, or leave it out")


def check_page(page: int, *, n_pages: int) -> None:
    """Raises ``ImageError`` when there is no page ``page`` (from 0) among ``n_pages``."""
    if page >= n_pages:
        raise ImageError(
            f"{n_pages} page{'s' if n_pages != 1 else ''}",
            expected=f"at least {page + 1}, since page {page} (counted from 0) was asked for",
            remedy="choose a smaller page",
        )


def page_remark(*, page: int, n_pages: int, plane: str) -> str:
    """What to tell of the page that was read, counted from 0; blank where there is no other."""
    which = f" ({plane})" if plane else ""
    return f"page {page + 1} of {n_pages} was read{which}" if n_pages > 1 else ""


def check_size(width: int, height: int, *, max_pixels: float) -> None:
    """Raises ``ImageError`` when the declared size is nothing, or more than ``max_pixels``."""
    if width < 1 or height < 1:
        raise ImageError(
            f"a size of {width} x {height} pixels",
            expected="at least one pixel",
            remedy="save the picture again",
        )
    if width * height > max_pixels:
        raise ImageError(
            f"a declared size of {width} x {height} = {width * height / 1e6:.1f} megapixels",
            expected=f"at most {max_pixels / 1e6:g} megapixels",
            remedy="cut the picture, or raise max_megapixels",
        )


def damaged(kind: str, error: Exception) -> ImageError:
    """The error for a file of ``kind`` that ends early or contradicts itself."""
    return ImageError(
        f"a damaged or truncated {kind} file ({str(error) or type(error).__name__})",
        expected=f"a whole {kind} file",
        remedy="copy or export it again",
    )


def _decode_single(data: bytes, reader: type[ImageFile.ImageFile], *, max_pixels: float) -> Decoded:
    kind = str(reader.format)
    try:
        picture = reader(io.BytesIO(data))
    except Exception as error:  # the readers raise whatever a damaged header makes them stumble over
        raise damaged(kind, error) from error
    check_size(picture.width, picture.height, max_pixels=max_pixels)
    try:
        if isinstance(picture, PngImageFile):
            return _decode_png(data, picture)
        if isinstance(picture, JpegImageFile):
            _check_end(data, mark=_JPEG_END)
            _check_scans(data)
            _ask_for_luminance(picture)
        return samples_of(picture)
    except MemoryError:
        raise
    except Exception as error:
        raise damaged(kind, error) from error


def _decode_png(data: bytes, picture: PngImageFile) -> Decoded:
    """PNG by Pillow, but 16-bit colour by OpenCV: Pillow would cut it to 8 bits."""
    _check_end(data, mark=_PNG_END)
    bits, colour = data[24], data[25]
    if bits < 16:
        return samples_of(picture)
    if colour == 0:
        return Decoded(np.array(picture, dtype=np.uint16), bit_depth=16)
    picture.load()  # strict about missing and damaged parts, which OpenCV forgives
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        raise ValueError("16-bit colour could not be decoded")
    order = cv2.COLOR_BGRA2RGBA if decoded.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return Decoded(cv2.cvtColor(decoded, order), bit_depth=16)


def _check_end(data: bytes, *, mark: bytes) -> None:
    """A file without its end mark was cut off, even where its decoder does not mind."""
    if data.rfind(mark) < 0:
        raise ValueError("the end mark is missing")


def _check_scans(data: bytes) -> None:
    """A small JPEG file of very many scans would keep its decoder busy for hours."""
    n_scans = data.count(_JPEG_SCAN)
    if n_scans > _MOST_SCANS:
        raise ValueError(f"{n_scans} scans, where ten are usual")


def _ask_for_luminance(picture: JpegImageFile) -> None:
    """JPEG stores the luminance of BT.601 as it is: with no way over RGB it is exact and much faster."""
    if picture.mode == "RGB":
        picture.draft("L", picture.size)


def samples_of(picture: Image.Image) -> Decoded:
    """The samples of a Pillow picture: palettes and other colours become RGB, 1 bit becomes 0 and 255."""
    if picture.mode == "1" and "transparency" not in picture.info:
        return Decoded(np.array(picture.convert("L")), bit_depth=1)
    if picture.mode == "F" or picture.mode.startswith("I"):
        samples = np.array(picture)
        native = samples.astype(samples.dtype.newbyteorder("="), copy=False)
        return Decoded(native, bit_depth=8 * samples.dtype.itemsize)
    return Decoded(np.array(_plain_mode(picture)), bit_depth=8)


def _plain_mode(picture: Image.Image) -> Image.Image:
    if "transparency" in picture.info or picture.mode in ("PA", "La", "RGBa"):
        return picture.convert("RGBA")
    return picture if picture.mode in ("L", "LA", "RGB", "RGBA") else picture.convert("RGB")


def decode_tiff_page(data: bytes, *, page: int) -> Decoded:
    """Page ``page`` of a TIFF as Pillow and libtiff read it. Raises whatever they raise.

    ``ImageError`` where Pillow's own limit forbids it, which is left as it is: twice ``MAX_IMAGE_PIXELS``,
    179 megapixels unless the program sets another one.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the size was checked; remarks on odd tags concern no pixel
        picture = TiffImageFile(io.BytesIO(data))
        picture.seek(page)
        try:
            return replace(samples_of(picture), page=page)
        except Image.DecompressionBombError as error:
            raise ImageError(
                f"a compressed TIFF of {picture.width} x {picture.height} pixels",
                expected="one within Pillow's limit",
                remedy="cut the picture, or save it without compression",
            ) from error


def _describe(data: bytes) -> str:
    for start, name in _KNOWN_STRANGERS:
        if data.startswith(start):
            return name
    head = data[:512]
    try:
        text = head.decode("utf-8", errors="ignore" if len(data) > 512 else "strict")
    except UnicodeDecodeError:
        text = "\0"
    if all(sign.isprintable() or sign.isspace() for sign in text):
        return "text"
    return f"a file of unknown kind that starts with {head[:8].hex(' ')}"
