"""DICOM: every kind of monochrome pixel, frames, spacing; patients' data stays out; files that lie."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tests.dicom_files import EXPLICIT, IMPLICIT, dicom, pydicom

from supcam.core.config import ImageConfig
from supcam.core.decoding import Decoded
from supcam.core.dicom import is_dicom, read_dicom
from supcam.core.image import read_grey
from supcam.core.types import ImageError, PixelSize

GREY = cv2.GaussianBlur(np.random.default_rng(3).integers(0, 256, (24, 30), np.uint8), (0, 0), 1.5)
DEEP = GREY.astype(np.uint16) * 16 + 3


def read(data: bytes, *, page: int = 0, max_pixels: float = 1e6) -> Decoded:
    return read_dicom(data, page=page, max_pixels=max_pixels)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("samples", [GREY, DEEP])
def test_grey_values_come_back(samples: np.ndarray, syntax: str) -> None:
    decoded = read(dicom(samples, syntax=syntax))
    np.testing.assert_array_equal(decoded.samples, samples)
    assert (decoded.bit_depth, decoded.n_pages, decoded.pixel_size) == (8 * samples.itemsize, 1, None)


def test_bits_above_the_stored_ones_are_left_out() -> None:
    decoded = read(dicom(DEEP | np.uint16(0xF000), BitsStored=12, HighBit=11))
    np.testing.assert_array_equal(decoded.samples, DEEP)
    assert decoded.bit_depth == 12


def test_white_is_the_largest_value_of_either_kind() -> None:
    turned = read(
        dicom(np.uint16(4095) - DEEP, BitsStored=12, HighBit=11, PhotometricInterpretation="MONOCHROME1")
    )
    np.testing.assert_array_equal(turned.samples, DEEP)


@pytest.mark.parametrize("stored", [12, 16])
def test_signed_values_keep_their_order(stored: int) -> None:
    signed = DEEP.astype(np.int16) - np.int16(2048)
    decoded = read(dicom(signed, BitsStored=stored, HighBit=stored - 1))
    np.testing.assert_array_equal(decoded.samples, DEEP + (2 ** (stored - 1) - 2048))
    turned = read(
        dicom(
            np.invert(signed), BitsStored=stored, HighBit=stored - 1, PhotometricInterpretation="MONOCHROME1"
        )
    )
    np.testing.assert_array_equal(turned.samples, decoded.samples)


def test_each_frame_is_a_page() -> None:
    data = dicom(np.stack([DEEP, DEEP[::-1], DEEP[:, ::-1]]))
    decoded = read(data, page=2)
    np.testing.assert_array_equal(decoded.samples, DEEP[:, ::-1])
    assert decoded.remark == "page 3 of 3 was read"
    with pytest.raises(ImageError, match="3 pages"):
        read(data, page=3)


def test_spacing_of_pixels_is_rows_first_and_in_millimetres() -> None:
    expected = PixelSize(0.1, height_um=0.2, said_by="DICOM")
    assert read(dicom(GREY, PixelSpacing=["0.0002", "0.0001"])).pixel_size == expected
    measures, group = pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing = ["0.0002", "0.0001"]
    group.PixelMeasuresSequence = [measures]
    assert read(dicom(GREY, SharedFunctionalGroupsSequence=[group])).pixel_size == expected
    assert read(dicom(GREY, PixelSpacing=["0", "0"])).pixel_size is None


def test_the_reader_of_pictures_reads_it_and_nothing_of_the_patient(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(dicom(DEEP, BitsStored=12, HighBit=11, PixelSpacing=["0.0001", "0.0001"]))
    grey = read_grey(path, config=ImageConfig())
    np.testing.assert_array_equal(grey.pixels, DEEP)
    assert grey.white == 4095
    assert grey.pixel_size is not None
    assert "DOE" not in repr(grey)
    assert "7654321" not in repr(grey)


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "RGB"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "PALETTE"),
        ({"BitsStored": 4, "HighBit": 3}, "4 of 8 bits"),
        ({"HighBit": 5}, "of 8 bits"),
        ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, "32 bits"),
        ({"Rows": 60_000, "Columns": 60_000}, "megapixels"),
        ({"Rows": 0}, "size of"),
        ({"Rows": None}, "damaged"),
        ({"NumberOfFrames": 2**31 - 1}, "damaged"),
        ({"PixelData": b"12"}, "2 of 720 bytes"),
        ({"PixelData": None}, "damaged"),
    ],
)
def test_what_is_no_whole_monochrome_picture(elements: dict[str, Any], reason: str) -> None:
    with pytest.raises(ImageError, match=reason) as told:
        read(dicom(GREY, **elements))
    assert "DOE" not in str(told.value)


def test_compressed_files_are_refused_before_anything_is_inflated() -> None:
    data = dicom(GREY)
    assert data.count(EXPLICIT.encode() + b"\0") == 1
    with pytest.raises(ImageError, match="deflated"):
        read(data + b"1.2.840.10008.1.2.1.99")
    video = data.replace(EXPLICIT.encode() + b"\0", b"1.2.840.10008.1.2.4\0", 1)
    with pytest.raises(ImageError, match="compressed"):
        read(video)


@pytest.mark.parametrize("kept", [131, 140, 300, -5])
def test_files_that_end_early(kept: int) -> None:
    data = dicom(GREY)[:kept]
    if not is_dicom(data):
        return
    with pytest.raises(ImageError):
        read(data)


def test_without_pydicom_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    data = dicom(GREY)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(ImageError, match=r"supcam\[dicom\]"):
        read(data)
