from __future__ import annotations

import cv2
import numpy as np
import pytest

from supcam.core.types import Box
from supcam.spread.outline import read_outline

SIZE = (300, 300)


def test_a_ribbon_is_as_thick_and_as_smooth_as_a_ribbon() -> None:
    found = read_outline(np.ones((12, 84), np.bool_), box=Box(5, 5, 17, 89), size=SIZE, width_px=12.0)
    assert found.thickness == pytest.approx(1, abs=0.1)
    assert found.raggedness == pytest.approx(1, abs=0.1)
    assert found.solidity == pytest.approx(1, abs=0.15)
    assert (found.fill, found.chord) == (1, 0)


def test_bending_leaves_raggedness_and_takes_solidity() -> None:
    canvas = np.zeros((120, 120), np.uint8)
    cv2.ellipse(canvas, (60, 60), (40, 40), 0, 0, 220, 1, thickness=12)
    left, top, width, height = cv2.boundingRect(canvas)
    mask = canvas[top : top + height, left : left + width].astype(bool)
    found = read_outline(mask, box=Box(50, 50, 50 + height, 50 + width), size=SIZE, width_px=12.0)
    assert found.raggedness == pytest.approx(1, abs=0.15)
    assert found.solidity < 0.6


@pytest.mark.parametrize(
    ("box", "chord"),
    [
        (Box(0, 10, 20, 70), 6.0),
        (Box(280, 10, 300, 70), 6.0),
        (Box(10, 0, 30, 60), 2.0),
        (Box(10, 240, 30, 300), 2.0),
        (Box(0, 0, 20, 60), 6.0),
        (Box(1, 1, 21, 61), 0.0),
    ],
)
def test_the_chord_is_what_the_border_cuts(box: Box, chord: float) -> None:
    found = read_outline(np.ones((20, 60), np.bool_), box=box, size=SIZE, width_px=10.0)
    assert found.chord == pytest.approx(chord)
