"""DICOM bytes -> samples of one frame: monochrome, 8 to 16 bits. Needs pydicom.

Only the elements that describe pixels are kept while reading: what the file says of a patient never becomes a
value here, and so no output can hold it.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import numpy as np

from supcam.core.decoding import Decoded, Samples, check_page, check_size, damaged
from supcam.core.dicom_frames import COMPRESSED, compressed_frame
from supcam.core.microscope import believable
from supcam.core.types import ImageError, PixelSize

if TYPE_CHECKING:
    from pydicom import Dataset

_ELEMENTS = (
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "NumberOfFrames", "PixelSpacing", "SharedFunctionalGroupsSequence",
    "PixelData",
)  # fmt: skip
_PLAIN = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
"""Little endian, with implicit or explicit types, pixels as they are."""
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_UM_IN_MM = 1000.0


def is_dicom(data: bytes) -> bool:
    """Whether a file begins as DICOM files do."""
    return data[128:132] == b"DICM"


def read_dicom(data: bytes, *, page: int, max_pixels: float) -> Decoded:
    """Frame ``page`` (from 0) of a DICOM file; MONOCHROME1 is turned over, so that white is large.

    Raises ``ImageError`` for all that is no whole monochrome picture within the limits, and without pydicom.
    """
    try:
        from pydicom import dcmread  # noqa: PLC0415  only DICOM files need it
    except ModuleNotFoundError as error:
        raise ImageError(
            "a DICOM file, and no pydicom to read it",
            expected="pydicom",
            remedy='pip install "supcam[dicom]", or export the picture as TIFF',
        ) from error
    if _DEFLATED in data:  # it would be inflated without bound
        raise _unknown_compression("deflated")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd elements concern no pixel
            dataset = dcmread(io.BytesIO(data), specific_tags=[*_ELEMENTS])
            return _decode(dataset, page=page, max_pixels=max_pixels)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # pydicom raises whatever a damaged file makes it stumble over
        raise damaged("DICOM", error) from error


def _decode(dataset: Dataset, *, page: int, max_pixels: float) -> Decoded:
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    if syntax not in (*_PLAIN, *COMPRESSED):
        raise _unknown_compression(syntax[:64])
    height, width = int(dataset.Rows), int(dataset.Columns)
    check_size(width, height, max_pixels=max_pixels)
    n_frames = int(dataset.get("NumberOfFrames") or 1)
    check_page(page, n_pages=n_frames)
    bits, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    _check_kind(dataset, bits=bits, stored=stored)
    if syntax in _PLAIN:
        raw = _plain_frame(dataset.PixelData, size=(height, width), bits=bits, page=page, n_frames=n_frames)
    else:
        raw = compressed_frame(dataset, syntax=syntax, page=page)
    return Decoded(
        _values(raw, dataset=dataset, stored=stored),
        bit_depth=stored,
        n_pages=n_frames,
        page=page,
        pixel_size=_pixel_size(dataset),
    )


def _plain_frame(content: bytes, *, size: tuple[int, int], bits: int, page: int, n_frames: int) -> Samples:
    """Frame ``page`` of pixels stored as they are. Raises ``ValueError`` when bytes are missing."""
    n_pixels = size[0] * size[1]
    n_bytes = n_pixels * bits // 8
    if len(content) < n_frames * n_bytes:
        raise ValueError(f"{len(content)} of {n_frames * n_bytes} bytes of pixels are stored")
    kind = np.dtype("u1" if bits == 8 else "<u2")
    raw = np.frombuffer(content, kind, count=n_pixels, offset=page * n_bytes).reshape(size)
    return raw.astype(kind.newbyteorder("="))


def _check_kind(dataset: Dataset, *, bits: int, stored: int) -> None:
    """Raises ``ImageError`` unless the pixels are monochrome, of 8 to 16 bits in the lowest places."""
    kind, channels = str(dataset.PhotometricInterpretation), int(dataset.SamplesPerPixel)
    fits = bits in (8, 16) and 8 <= stored <= bits and int(dataset.HighBit) == stored - 1
    if kind not in ("MONOCHROME1", "MONOCHROME2") or channels != 1 or not fits:
        raise ImageError(
            f"{channels} x {stored} of {bits} bits a pixel ({kind[:32]})",
            expected="MONOCHROME1 or MONOCHROME2 of 8 to 16 bits",
            remedy="export it in grey, or as TIFF",
        )


def _values(raw: Samples, *, dataset: Dataset, stored: int) -> Samples:
    """Grey values, white as the largest; bits above the stored ones are an overlay's and are left out."""
    values: Samples = raw & np.array((1 << stored) - 1, raw.dtype)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        values = values ^ np.array((1 << stored) - 1, raw.dtype)
    if int(dataset.PixelRepresentation) == 0:
        return values
    sign = 1 << (stored - 1)  # two's complement, moved up so that the order of greys stays
    turned: Samples = values ^ np.array(sign, raw.dtype)
    return turned


def _pixel_size(dataset: Dataset) -> PixelSize | None:
    """From the distance of pixel centres, rows first, in millimetres; unknown where it is not said."""
    spacing = dataset.get("PixelSpacing")
    if spacing is None:
        groups = dataset.get("SharedFunctionalGroupsSequence")
        measures = groups[0].get("PixelMeasuresSequence") if groups else None
        spacing = measures[0].get("PixelSpacing") if measures else None
    if spacing is None or len(spacing) != 2:
        return None
    down, across = (float(side) * _UM_IN_MM for side in spacing)
    return believable(across, down, said_by="DICOM")


def _unknown_compression(how: str) -> ImageError:
    return ImageError(
        f"a compressed DICOM file ({how})",
        expected="pixels as they are, little endian, or in RLE, JPEG, JPEG-LS or JPEG 2000",
        remedy="export it without compression, or as TIFF",
    )
