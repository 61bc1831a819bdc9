from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supcam.spread.counting import _SLIP, INTERVAL_SHARE, Count, sum_distribution, total_count


def brute_force(chances: list[np.ndarray], *, first: int = 0) -> dict[int, float]:
    """The probability of each sum, by going through every combination; chances are those of ``first`` on."""
    sums: dict[int, float] = {}
    for places in product(*(range(len(each)) for each in chances)):
        share = float(np.prod([each[n] for each, n in zip(chances, places, strict=True)]))
        total = sum(places) + first * len(chances)
        sums[total] = sums.get(total, 0.0) + share
    return sums


def slipped(chances: np.ndarray) -> np.ndarray:
    """The chances of -1, 0, 1 ... of an object that slips by one or not."""
    found = np.zeros(len(chances) + 2)
    for n, chance in enumerate(chances):
        found[n] += chance * _SLIP / 2
        found[n + 1] += chance * (1 - _SLIP)
        found[n + 2] += chance * _SLIP / 2
    return found


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 4), st.floats(0.2, 5), st.booleans())
def test_sum_and_interval_are_those_of_brute_force(
    seed: int, n_objects: int, sharpness: float, in_context: bool
) -> None:
    rng = np.random.default_rng(seed)
    chances = [rng.random(int(rng.integers(2, 6))) ** sharpness + 1e-3 for _ in range(n_objects)]
    chances = [each / each.sum() for each in chances]
    expected = brute_force(chances)
    found = sum_distribution(chances)
    assert found == pytest.approx([expected.get(n, 0.0) for n in range(len(found))], abs=1e-12)

    if not in_context:
        expected = brute_force([slipped(each) for each in chances], first=-1)
    numbers = [int(np.argmax(each)) for each in chances]
    count = total_count(numbers, chances=chances, in_context=in_context)
    assert count.n == sum(numbers)
    assert count.low <= count.n <= count.high
    tail = (1 - INTERVAL_SHARE) / 2
    if 0 < count.low < count.n:
        assert sum(share for n, share in expected.items() if n < count.low) <= tail + 1e-9
        assert sum(share for n, share in expected.items() if n <= count.low) > tail - 1e-9
    if count.high > count.n:
        assert sum(share for n, share in expected.items() if n > count.high) <= tail + 1e-9
        assert sum(share for n, share in expected.items() if n >= count.high) > tail - 1e-9
    least = count.low if count.low else -n_objects  # below 0 there is no number of chromosomes
    held = sum(share for n, share in expected.items() if least <= n <= count.high)
    assert held >= INTERVAL_SHARE - 1e-9


def test_even_sure_objects_may_slip() -> None:
    one, two = np.array([0.0, 1.0]), np.array([0.0, 0.0, 1.0])
    assert total_count([1, 2, 1], chances=[one, two, one]) == Count(n=4, low=3, high=5)


def test_no_objects_are_no_chromosomes() -> None:
    assert total_count([], chances=[]) == Count(n=0, low=0, high=0)


def test_many_unsure_objects_have_a_narrow_interval_around_their_sum() -> None:
    half = np.array([0.0, 0.5, 0.5])
    count = total_count([1] * 20 + [2] * 20, chances=[half] * 40)
    assert count == Count(n=60, low=54, high=66)
