"""Placed bodies as one picture: what adds, what is banded, what hangs together."""

from __future__ import annotations

import numpy as np
import pytest
from tests.drawn_pieces import bar_piece

from supcam.data.banding import Bands
from supcam.data.piece import Pose, cast
from supcam.data.placement import Placed
from supcam.data.superposition import banded, is_one_piece, on_square, superposed

LIGHT, DARK = Bands(np.full(320, 0.5, np.float32)), Bands(np.ones(320, np.float32))


def put(*, row: int, column: int) -> Placed:
    return Placed(cast(bar_piece(length=40, width=12), pose=Pose(1.0, 0.0)), row, column)


def test_stains_add_by_their_share() -> None:
    both = [put(row=20, column=10), put(row=20, column=10)]
    stains = [one.cast.stain for one in both]
    one = superposed(both[:1], stains=stains[:1], share=0.5, size=96)
    assert one.max() == pytest.approx(1, abs=0.05)
    for share in (0.0, 0.5, 1.0):
        made = superposed(both, stains=stains, share=share, size=96)
        assert made.max() == pytest.approx(1 + share, abs=0.08)


def test_each_body_gets_its_own_bands() -> None:
    apart = [put(row=5, column=10), put(row=55, column=10)]
    stains = [one.cast.stain for one in apart]
    plain = superposed(apart, stains=stains, share=1.0, size=96)
    painted = banded(apart, stains=stains, bands=[LIGHT, DARK])
    made = superposed(apart, stains=painted, share=1.0, size=96)
    assert np.allclose(made[:50], 0.5 * plain[:50], atol=1e-6)
    assert np.allclose(made[50:], plain[50:], atol=1e-6)


def test_what_lies_off_the_square_is_cut() -> None:
    array = np.arange(12.0).reshape(3, 4)
    square = on_square(put(row=-1, column=4), array, size=6)
    assert square[:2, 4:].tolist() == [[4, 5], [8, 9]]
    assert square[2:].sum() == 0


def test_one_piece_forgives_specks_and_nothing_else() -> None:
    stain = np.zeros((40, 40), np.float32)
    assert not is_one_piece(stain, threshold=0.2)
    stain[5:15, 5:15] = 1
    stain[30, 30:35] = 1
    assert is_one_piece(stain, threshold=0.2)
    stain[30:33, 30:35] = 1
    assert not is_one_piece(stain, threshold=0.2)
    stain[15:31, 14] = 0.25
    stain[30, 14:31] = 0.25
    assert is_one_piece(stain, threshold=0.2)
    assert not is_one_piece(stain, threshold=0.3)
