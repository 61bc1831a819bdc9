from __future__ import annotations

import cv2
import numpy as np
import pytest

from supcam.core.marks import is_mark
from supcam.core.types import Stain
from supcam.data.synthesis import draw_chromosome


def letters(text: str, *, level: float, thickness: int) -> Stain:
    picture = np.zeros((60, 160), np.uint8)
    cv2.putText(picture, text, (8, 45), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 255, thickness, cv2.LINE_AA)
    return (picture * (level / 255)).astype(np.float32)


@pytest.mark.parametrize("level", [0.2, 1.0, 2.4])
@pytest.mark.parametrize("thickness", [3, 5, 9])
def test_letters_of_any_strength_are_marks(level: float, thickness: int) -> None:
    stain = letters("M", level=level, thickness=thickness)
    assert is_mark(stain, mask=stain > 0.3 * level)


def test_bars_and_solid_squares_are_marks() -> None:
    stain = np.zeros((60, 160), np.float32)
    stain[40:46, 20:140] = 1
    assert is_mark(stain, mask=stain > 0)
    stain[5:55, 5:155] = 1
    assert is_mark(stain, mask=stain > 0)


def test_what_a_lens_has_blurred_is_no_mark() -> None:
    stain = cv2.GaussianBlur(letters("M", level=1.0, thickness=9), (0, 0), 1.2)
    assert not is_mark(stain, mask=stain > 0.3)


def test_chromosomes_are_no_marks(rng: np.random.Generator) -> None:
    for _ in range(20):
        stain = np.pad(draw_chromosome(rng).stain, 3)
        assert not is_mark(stain, mask=stain > 0.22 * float(np.median(stain[stain > 0])))


def test_specks_say_nothing() -> None:
    stain = np.zeros((9, 9), np.float32)
    stain[4, 4] = 1
    assert not is_mark(stain, mask=stain > 0)
