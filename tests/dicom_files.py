"""DICOM files that tests write: a secondary capture of a patient with the pixels that are asked for."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom", reason='pydicom is not installed: pip install "supcam[dicom]"')

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


def dicom(samples: np.ndarray, *, syntax: str = EXPLICIT, **elements: Any) -> bytes:  # noqa: ANN401
    """A secondary capture of a patient, rows and columns the last axes of ``samples``."""
    bits = 8 * samples.dtype.itemsize
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    dataset = pydicom.Dataset()
    dataset.file_meta = meta
    plain: dict[str, Any] = {
        "PatientName": "DOE^JANE",
        "PatientID": "7654321",
        "Rows": samples.shape[-2],
        "Columns": samples.shape[-1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(samples.dtype.kind == "i"),
        "PixelData": samples.tobytes(),
    }
    if samples.ndim == 3:
        plain["NumberOfFrames"] = len(samples)
    for name, value in (plain | elements).items():
        if value is not None:
            setattr(dataset, name, value)
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()
