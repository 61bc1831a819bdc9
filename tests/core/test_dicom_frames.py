"""Compressed DICOM: what every kind gives back, and frames that say another size than their file."""

from __future__ import annotations

import importlib
import io
import struct
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from tests.dicom_files import EXPLICIT, dicom, pydicom

from supcam.core.decoding import Decoded
from supcam.core.dicom import read_dicom
from supcam.core.dicom_frames import COMPRESSED
from supcam.core.types import ImageError, PixelSize

GREY = cv2.GaussianBlur(np.random.default_rng(3).integers(0, 256, (24, 30), np.uint8), (0, 0), 1.5)
DEEP = GREY.astype(np.uint16) * 16 + 3
TWELVE: dict[str, Any] = {"BitsStored": 12, "HighBit": 11}
JPEG, JPEG_12 = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
LOSSLESS, LOSSLESS_FIRST = "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"
JPEG_LS, NEAR = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"
J2K_LOSSLESS, J2K = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"
RLE = "1.2.840.10008.1.2.5"


def gdcm() -> ModuleType:
    """GDCM, which warns of how it was made when it is loaded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: ModuleType = pytest.importorskip(
            "gdcm", reason='python-gdcm is not installed: pip install "supcam[dicom]"'
        )
    return found


def read(data: bytes, *, page: int = 0, max_pixels: float = 1e6) -> Decoded:
    return read_dicom(data, page=page, max_pixels=max_pixels)


def holding(*frames: bytes, like: np.ndarray = GREY, syntax: str, **elements: object) -> bytes:
    """A file with these compressed frames, whose elements are those of ``like``."""
    several = {"NumberOfFrames": len(frames)} if len(frames) > 1 else {}
    content = pydicom.encaps.encapsulate(list(frames))
    return dicom(like, syntax=syntax, **several, **elements, PixelData=content)


def by_pillow(samples: np.ndarray, *, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(samples).save(file, kind, **options)
    return file.getvalue()


def by_gdcm(data: bytes, *, syntax: str, folder: Path) -> bytes:
    """The file ``data`` with its pixels compressed."""
    module = gdcm()
    (folder / "plain.dcm").write_bytes(data)
    reader = module.ImageReader()
    reader.SetFileName(str(folder / "plain.dcm"))
    assert reader.Read()
    change = module.ImageChangeTransferSyntax()
    change.SetTransferSyntax(module.TransferSyntax(module.TransferSyntax.GetTSType(syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = module.ImageWriter()
    writer.SetFileName(str(folder / "packed.dcm"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    packed = (folder / "packed.dcm").read_bytes()
    assert syntax.encode() in packed
    return packed


def by_pydicom(data: bytes) -> bytes:
    """The file ``data`` with its pixels in RLE."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    dataset.compress(RLE)
    file = io.BytesIO()
    dataset.save_as(file)
    return file.getvalue()


@pytest.mark.parametrize("syntax", [LOSSLESS, LOSSLESS_FIRST, JPEG_LS, J2K_LOSSLESS, RLE])
@pytest.mark.parametrize("samples", [GREY, DEEP])
def test_what_loses_nothing_gives_grey_values_back(samples: np.ndarray, syntax: str, tmp_path: Path) -> None:
    stored: dict[str, Any] = {} if samples is GREY else TWELVE
    plain = dicom(samples, PixelSpacing=["0.0002", "0.0001"], **stored)
    packed = by_pydicom(plain) if syntax == RLE else by_gdcm(plain, syntax=syntax, folder=tmp_path)
    decoded = read(packed)
    np.testing.assert_array_equal(decoded.samples, samples)
    assert decoded.samples.dtype == samples.dtype
    assert (decoded.bit_depth, decoded.n_pages) == (8 if samples is GREY else 12, 1)
    assert decoded.pixel_size == PixelSize(0.1, height_um=0.2, said_by="DICOM")


@pytest.mark.parametrize("syntax", [LOSSLESS_FIRST, JPEG_LS, J2K_LOSSLESS, RLE])
def test_signed_and_inverted_values_are_those_of_plain_pixels(syntax: str, tmp_path: Path) -> None:
    signed = DEEP.astype(np.int16) - np.int16(2048)
    for plain in (
        dicom(signed, PhotometricInterpretation="MONOCHROME1"),
        dicom(DEEP, PhotometricInterpretation="MONOCHROME1", **TWELVE),
    ):
        packed = by_pydicom(plain) if syntax == RLE else by_gdcm(plain, syntax=syntax, folder=tmp_path)
        np.testing.assert_array_equal(read(packed).samples, read(plain).samples)


def test_what_loses_a_little_gives_what_another_decoder_gives() -> None:
    stream = by_pillow(GREY, kind="JPEG", quality=90)
    expected = np.array(Image.open(io.BytesIO(stream)))
    for syntax in (JPEG, JPEG_12):
        decoded = read(holding(stream, syntax=syntax)).samples.astype(int)
        assert np.abs(decoded - expected).max() <= 1  # of two ways to round
    assert np.abs(expected - GREY.astype(int)).max() < 20


def test_jpeg_2000_of_another_writer() -> None:
    stream = by_pillow(GREY, kind="JPEG2000", no_jp2=True)
    np.testing.assert_array_equal(read(holding(stream, syntax=J2K)).samples, GREY)


def test_each_frame_is_a_page() -> None:
    streams = [by_pillow(each, kind="JPEG2000", no_jp2=True) for each in (GREY, GREY[::-1], GREY[:, ::-1])]
    data = holding(*streams, syntax=J2K_LOSSLESS)
    decoded = read(data, page=2)
    np.testing.assert_array_equal(decoded.samples, GREY[:, ::-1])
    assert decoded.remark == "page 3 of 3 was read"
    with pytest.raises(ImageError, match="3 pages"):
        read(data, page=3)


def test_the_declared_size_is_checked_before_a_frame_is_looked_at() -> None:
    data = holding(b"no stream at all", syntax=JPEG, Rows=60_000, Columns=60_000)
    with pytest.raises(ImageError, match="megapixels"):
        read(data)


def huge_jpeg(stream: bytes) -> bytes:
    at = stream.index(b"\xff\xc0")
    return stream[: at + 5] + struct.pack(">HH", 65_000, 65_000) + stream[at + 9 :]


def huge_j2k(stream: bytes) -> bytes:
    return stream[:8] + struct.pack(">II", 2**31 - 1, 2**31 - 1) + stream[16:]


def lying_streams() -> dict[str, tuple[str, bytes]]:
    """By what is wrong with them: syntax and frame."""
    jpeg = by_pillow(GREY, kind="JPEG", quality=90)
    progressive = by_pillow(GREY, kind="JPEG", progressive=True)
    colour = by_pillow(np.dstack([GREY] * 3), kind="JPEG")
    j2k = by_pillow(GREY, kind="JPEG2000", no_jp2=True)
    zeros = struct.pack("<16I", 1, 64, *[0] * 14)
    return {
        "a larger JPEG": (JPEG, huge_jpeg(jpeg)),
        "a progressive JPEG": (JPEG, progressive),
        "a coloured JPEG": (JPEG, colour),
        "a JPEG cut off": (JPEG, jpeg[:40]),
        "another kind of JPEG": (LOSSLESS, jpeg),
        "no JPEG": (JPEG, b"\xff\xd8" + bytes(100)),
        "a JPEG 2000 for a JPEG": (JPEG, j2k),
        "a larger JPEG 2000": (J2K, huge_j2k(j2k)),
        "a JPEG 2000 cut off": (J2K, j2k[:30]),
        "a JPEG for a JPEG 2000": (J2K, jpeg),
        "RLE that grows": (RLE, zeros + b"\x81\0" * 1000),
        "RLE that is too short": (RLE, zeros + b"\x81\0"),
        "RLE of two segments": (RLE, struct.pack("<16I", 2, 64, 66, *[0] * 13) + b"\x81\0" * 9),
        "RLE that begins in its head": (RLE, struct.pack("<16I", 1, 4, *[0] * 14) + b"\x81\0" * 6),
        "RLE cut off": (RLE, zeros[:30]),
    }


@pytest.mark.parametrize("wrong", lying_streams())
def test_frames_that_lie_are_refused(wrong: str) -> None:
    syntax, stream = lying_streams()[wrong]
    with pytest.raises(ImageError, match="DICOM"):
        read(holding(stream, syntax=syntax))


@pytest.mark.parametrize("wrong", ["a larger JPEG", "a larger JPEG 2000", "RLE that grows"])
def test_frames_that_would_take_more_memory_never_reach_a_decoder(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    syntax, stream = lying_streams()[wrong]
    decoder = pydicom.pixels.get_decoder(syntax)

    def decode(*_: object, **__: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(type(decoder), "as_array", decode)
    with pytest.raises(ImageError, match="DICOM"):
        read(holding(stream, syntax=syntax))
    with pytest.raises(AssertionError, match="decoded"):
        read_unguarded(holding(by_pillow(GREY, kind="JPEG"), syntax=JPEG))


def read_unguarded(data: bytes) -> object:
    """What the decoder is asked for, its errors as they are."""
    module = importlib.import_module("supcam.core.dicom_frames")
    return module.compressed_frame(pydicom.dcmread(io.BytesIO(data)), syntax=JPEG, page=0)


def test_without_a_decoder_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = pydicom.pixels.get_decoder(LOSSLESS)
    monkeypatch.setattr(decoder, "_available", {})
    with pytest.raises(ImageError, match=r"supcam\[dicom\]"):
        read(holding(b"\xff\xd8", syntax=LOSSLESS))
    with pytest.raises(ImageError, match="more than 8 bits"):
        read(holding(b"\xff\xd8", like=DEEP, syntax=JPEG_12, **TWELVE))


def test_every_kind_that_is_taken_is_one_that_pydicom_knows() -> None:
    assert all(pydicom.uid.UID(syntax).is_encapsulated for syntax in COMPRESSED)
    assert EXPLICIT not in COMPRESSED
