from __future__ import annotations

import numpy as np
import pytest
from tests.drawn_pieces import bar

from supcam.core.nuclei import is_heap, nucleus_in
from supcam.core.types import Mask

WIDTH_PX, WIDTHS = 14.0, 2.7


def disc(*, radius: float, middle: tuple[int, int], size: tuple[int, int] = (220, 220)) -> Mask:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.asarray((rows - middle[0]) ** 2 + (columns - middle[1]) ** 2 <= radius**2)


def body(*, top: int, left: int, length: float = 70, angle_deg: float = 0) -> Mask:
    mask = bar(length=length, width=WIDTH_PX, angle_deg=angle_deg) > 0.5
    canvas = np.zeros((220, 220), np.bool_)
    canvas[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    return canvas


def find(mask: Mask) -> Mask | None:
    return nucleus_in(mask, width_px=WIDTH_PX, widths=WIDTHS)


def test_chromosomes_and_their_crossings_are_no_nuclei() -> None:
    cross = body(top=40, left=40) | body(top=40, left=40, angle_deg=90) | body(top=44, left=44, angle_deg=45)
    assert find(cross) is None
    assert find(body(top=10, left=10)) is None


@pytest.mark.parametrize("radius", [25, 40, 80])
def test_a_round_body_is_a_nucleus_with_its_whole_rim(radius: int) -> None:
    mask = disc(radius=radius, middle=(110, 110))
    found = find(mask)
    assert found is not None
    np.testing.assert_array_equal(found, mask)


def test_a_chromosome_at_a_nucleus_stays() -> None:
    nucleus, chromosome = disc(radius=40, middle=(70, 70)), body(top=60, left=100, length=90)
    found = find(nucleus | chromosome)
    assert found is not None
    assert (found & nucleus).sum() == nucleus.sum()
    rest = (nucleus | chromosome) & ~found
    assert rest.sum() > 0.6 * (chromosome & ~nucleus).sum()
    assert not (rest & ~chromosome).any()


def test_a_short_stub_goes_with_its_nucleus() -> None:
    nucleus = disc(radius=40, middle=(70, 70))
    stub = nucleus | disc(radius=7, middle=(70, 114))
    found = find(stub)
    assert found is not None
    np.testing.assert_array_equal(found, stub)


def test_a_nucleus_cut_by_the_border_goes_on_beyond_it() -> None:
    """A third of its radius less shows than a whole one would have to, and it is still found."""
    mask = disc(radius=40, middle=(-10, 60), size=(60, 120))[:31]
    assert find(mask) is not None
    inland = np.pad(mask, ((3, 3), (3, 3)))
    assert find(inland) is None


def heap(*, gap_stain: float, radius: float = 26) -> tuple[Mask, np.ndarray]:
    """A thick body of stain 1 with stripes of ``gap_stain``."""
    mask = disc(radius=radius, middle=(110, 110))
    stain = np.where(np.arange(220) % 14 < 5, gap_stain, 1.0).astype(np.float32)
    return mask, np.broadcast_to(stain, mask.shape) * mask


def test_a_thick_body_with_gaps_is_a_heap_and_an_even_one_is_a_nucleus() -> None:
    for gap_stain, expected in ((0.1, True), (0.8, False)):
        mask, stain = heap(gap_stain=gap_stain)
        assert is_heap(stain, body=mask, width_px=WIDTH_PX) is expected


def test_what_is_thicker_than_any_heap_or_cut_by_the_border_is_a_nucleus() -> None:
    mask, stain = heap(gap_stain=0.1, radius=32)
    assert not is_heap(stain, body=mask, width_px=WIDTH_PX)
    mask, stain = heap(gap_stain=0.1)
    assert is_heap(stain[84:], body=mask[84:], width_px=WIDTH_PX) is False
