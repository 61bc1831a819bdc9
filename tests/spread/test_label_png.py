from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from supcam.spread import label_png as module
from supcam.spread.label_png import label_png


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (7, 300), (513, 40), (1024, 3)])
def test_other_readers_see_the_same_labels(size: tuple[int, int]) -> None:
    labels = np.random.default_rng(0).integers(0, 65536, size).astype(np.uint16)
    content = b"".join(label_png(size, rows=lambda top, bottom: labels[top:bottom]))
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(content))), labels)
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(decoded, labels)


def test_rows_are_asked_band_by_band(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 4)
    asked = []

    def rows(top: int, bottom: int) -> np.ndarray:
        asked.append((top, bottom))
        return np.full((bottom - top, 6), top, np.uint16)

    content = b"".join(label_png((10, 6), rows=rows))
    assert asked == [(0, 4), (4, 8), (8, 10)]
    assert np.array(Image.open(io.BytesIO(content)))[:, 0].tolist() == [0] * 4 + [4] * 4 + [8] * 2
