"""Tests of ``supcam.measure.rivals.shapes``."""

from __future__ import annotations

import numpy as np
import pytest

from supcam.measure.rivals.shapes import count_summits, distance_inside, object_mask, skeleton


def dumbbell(*, neck: int) -> np.ndarray:
    """Two squares of 21 pixels that a bridge ``neck`` pixels wide joins."""
    mask = np.zeros((41, 101), bool)
    mask[10:31, 10:31] = mask[10:31, 70:91] = True
    mask[20 - neck // 2 : 21 + neck // 2, 30:71] = True
    return mask


def test_the_object_is_what_is_stained() -> None:
    picture = np.array([[0.0, 0.2], [0.3, 1.0]], np.float32)
    assert object_mask(picture).tolist() == [[False, False], [True, True]]


def test_the_picture_ends_in_background() -> None:
    assert distance_inside(np.ones((5, 5), bool)).max() == 3


@pytest.mark.parametrize(("neck", "summits"), [(3, 2), (20, 1)])
def test_a_narrow_neck_parts_two_summits(neck: int, summits: int) -> None:
    assert count_summits(distance_inside(dumbbell(neck=neck)), height=2.0) == summits


def test_nothing_has_no_summit() -> None:
    assert count_summits(distance_inside(np.zeros((9, 9), bool)), height=1.0) == 0


def test_the_middle_line_is_thin_and_in_the_middle() -> None:
    mask = np.zeros((21, 61), bool)
    mask[5:16, 5:56] = True
    line = skeleton(mask)
    assert line[10, 15:46].all()
    assert line[:, 30].sum() == 1
