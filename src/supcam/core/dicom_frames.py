"""Compressed frames of DICOM files -> samples: checked first, decoded by what pydicom finds installed.

RLE, JPEG Baseline and JPEG 2000 need no other package; lossless JPEG and JPEG-LS need python-gdcm, which
comes with the extra ``dicom``. What a frame says of its own size must be what the file says of it, before a
decoder sees it: a decoder makes room for what the frame says. Tables of extended offsets are not followed.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from supcam.core.decoding import Samples
from supcam.core.types import ImageError

if TYPE_CHECKING:
    from pydicom import Dataset

_RLE = "1.2.840.10008.1.2.5"
_EXTENDED = "1.2.840.10008.1.2.4.51"
_JPEG_FRAMES = {
    "1.2.840.10008.1.2.4.50": (0xC0,),
    _EXTENDED: (0xC0, 0xC1),
    "1.2.840.10008.1.2.4.57": (0xC3,),
    "1.2.840.10008.1.2.4.70": (0xC3,),
    "1.2.840.10008.1.2.4.80": (0xF7,),
    "1.2.840.10008.1.2.4.81": (0xF7,),
}
"""Kinds of JPEG and JPEG-LS by the markers that begin their frames: none of them is progressive."""
_JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
COMPRESSED = (_RLE, *_JPEG_FRAMES, *_JPEG_2000)
"""Transfer syntaxes that ``compressed_frame`` takes."""

_BARE_MARKERS = (0x01, *range(0xD0, 0xD9))
_RLE_HEADER = struct.Struct("<16I")
_J2K_HEADER = struct.Struct(">4sHH8IH")
_J2K_START = b"\xff\x4f\xff\x51"


def compressed_frame(dataset: Dataset, *, syntax: str, page: int) -> Samples:
    """Frame ``page`` (from 0) of a file with monochrome pixels, as unsigned values of its bits allocated.

    ``syntax`` is one of ``COMPRESSED``. Raises ``ImageError`` without a decoder for it, and whatever pydicom
    and the decoders raise for a frame that is damaged or not as large as the file says.
    """
    from pydicom.encaps import get_frame  # noqa: PLC0415  only DICOM files need it
    from pydicom.pixels.decoders.base import get_decoder  # noqa: PLC0415

    height, width = int(dataset.Rows), int(dataset.Columns)
    bits = int(dataset.BitsAllocated)
    n_frames = int(dataset.get("NumberOfFrames") or 1)
    decoder = get_decoder(syntax)
    if not decoder.is_available:
        raise _no_decoder(str(decoder.UID.name))
    if syntax == _EXTENDED and int(dataset.BitsStored) > 8:
        raise ValueError("JPEG Extended with more than 8 bits, for which there is no free decoder")
    frame = get_frame(dataset.PixelData, page, number_of_frames=n_frames)
    if syntax == _RLE:
        _check_rle(frame, n_pixels=height * width, n_segments=bits // 8)
    else:
        declared = _j2k_size(frame) if syntax in _JPEG_2000 else _jpeg_size(frame, kinds=_JPEG_FRAMES[syntax])
        if declared != (width, height, 1):
            raise ValueError(f"a frame of {declared} in a file of {(width, height, 1)}")
    values, _ = decoder.as_array(dataset, index=page, raw=True)
    if values.shape != (height, width):
        raise ValueError(f"a frame of {values.shape} in a file of {(height, width)}")
    signed = int(dataset.PixelRepresentation) == 1
    stored: Samples = values.astype(np.dtype(f"{'i' if signed else 'u'}{bits // 8}"))
    return stored.view(np.dtype(f"u{bits // 8}"))


def _jpeg_size(frame: bytes, *, kinds: tuple[int, ...]) -> tuple[int, int, int]:
    """Width, height and components of a JPEG or JPEG-LS stream. Raises ``ValueError`` for other kinds."""
    if frame[:2] != b"\xff\xd8":
        raise ValueError("no JPEG stream")
    at = 2
    while at + 4 <= len(frame):
        sign, marker, length = struct.unpack_from(">BBH", frame, at)
        if sign != 0xFF or marker in _BARE_MARKERS:
            break
        if marker == 0xFF:  # filled up in front of a marker
            at += 1
            continue
        if marker in kinds and at + 10 <= len(frame):
            _, height, width, components = struct.unpack_from(">BHHB", frame, at + 4)
            return width, height, components
        if marker == 0xDA or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            break
        at += 2 + max(length, 2)
    raise ValueError("no frame of the kind that the file says")


def _j2k_size(frame: bytes) -> tuple[int, int, int]:
    """Width, height and components of a JPEG 2000 stream. Raises ``ValueError`` when it is none."""
    if not frame.startswith(_J2K_START) or len(frame) < _J2K_HEADER.size:
        raise ValueError("no JPEG 2000 stream")
    _, _, _, right, bottom, left, top, *_, components = _J2K_HEADER.unpack_from(frame)
    return right - left, bottom - top, components


def _check_rle(frame: bytes, *, n_pixels: int, n_segments: int) -> None:
    """Nothing when each byte of a pixel has one segment that unpacks to no more than a padded frame."""
    n, *starts = _RLE_HEADER.unpack_from(frame)
    if n != n_segments:
        raise ValueError(f"{n} segments for {n_segments} bytes a pixel")
    ends = [*starts[1:n], len(frame)]
    for start, end in zip(starts[:n], ends, strict=True):
        if not _RLE_HEADER.size <= start <= end <= len(frame):
            raise ValueError("segments out of order")
        _check_unpacked(frame[start:end], most=n_pixels + 2)


def _check_unpacked(segment: bytes, *, most: int) -> None:
    """Raises ``ValueError`` when PackBits unpack to more than ``most`` bytes."""
    at = unpacked = 0
    while at < len(segment):
        code = segment[at]
        at += 2 if code > 128 else 1 if code == 128 else code + 2
        unpacked += 257 - code if code > 128 else 0 if code == 128 else code + 1
        if unpacked > most:
            raise ValueError("it unpacks to more than its size")


def _no_decoder(how: str) -> ImageError:
    return ImageError(
        f"a compressed DICOM file ({how}), and no decoder for it",
        expected="python-gdcm, or any other that pydicom takes",
        remedy='pip install "supcam[dicom]", or export it without compression',
    )
