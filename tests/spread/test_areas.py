from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supcam.core.types import Box, ClusterType, Decision, Prediction
from supcam.spread import areas as module
from supcam.spread.areas import MOST, cluster_chances, single_area, with_area
from supcam.spread.objects import Reason, SpreadObject


def item(*, kind: ClusterType, area_px: int, chances: list[float], single: float = 0.1) -> SpreadObject:
    rest = (1 - single) / 3
    prediction = Prediction(
        label=kind,
        probabilities=(single, rest, rest, rest),
        confidence=0.7,
        n_chromosomes=2,
        decision=Decision.ACCEPT,
    )
    return SpreadObject(
        object_id=1,
        box=Box(0, 0, 1, 1),
        mask=np.ones((1, 1), np.bool_),
        area_px=area_px,
        prediction=prediction,
        rejection=None,
        doubts=(),
        number_chances=np.array([0.0, *chances]),
    )


FLAT = [0.0, 0.25, 0.25, 0.25, 0.25]


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.floats(0.2, 40))
def test_chances_are_bayes_with_loops(seed: int, area: float) -> None:
    chances = np.random.default_rng(seed).dirichlet(np.ones(6))
    found = cluster_chances(chances, area=area)
    expected = [0.0]
    tail = sum(0.8**k for k in range(MOST - 5))
    for n in range(2, MOST + 1):
        prior = chances[n - 1] if n < 6 else chances[5] * 0.8 ** (n - 6) / tail
        spread = 0.75 * np.sqrt(n)
        expected.append((prior + 1e-4) * np.exp(-0.5 * ((area - 1.15 * n - 0.1) / spread) ** 2) / spread)
    np.testing.assert_allclose(found, np.array(expected) / sum(expected), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(("area_px", "number"), [(260, 2), (390, 3), (510, 4), (900, 7), (2000, 15)])
def test_a_larger_cluster_has_more_chromosomes(area_px: int, number: int) -> None:
    counted = with_area(
        item(kind=ClusterType.TOUCHING, area_px=area_px, chances=FLAT), single_px=100, most_chromosomes=5
    )
    assert counted.n_chromosomes == pytest.approx(number, abs=1)
    assert counted.number_chances.sum() == pytest.approx(1)
    assert counted.number_chances[0] == 0
    assert counted.number_chances[1] == pytest.approx(0.1)
    assert (Reason.MOST in counted.doubts) == (counted.n_chromosomes >= 5)


def test_an_instance_is_one_chromosome_however_large() -> None:
    chances = [0.9, 0.05, 0.05]
    single = item(kind=ClusterType.INSTANCE, area_px=900, chances=chances, single=0.9)
    counted = with_area(single, single_px=100, most_chromosomes=3)
    assert (counted.n_chromosomes, counted.doubts) == (1, ())


def test_a_type_asks_for_its_least_number() -> None:
    small = item(kind=ClusterType.TOUCHING_OVERLAPPING, area_px=100, chances=FLAT)
    assert with_area(small, single_px=100, most_chromosomes=5).n_chromosomes == 3


def test_a_number_that_is_not_sure_is_told() -> None:
    sure = item(kind=ClusterType.TOUCHING, area_px=260, chances=[0.0, 0.97, 0.03, 0.0, 0.0])
    assert with_area(sure, single_px=100, most_chromosomes=5).doubts == ()
    unsure = item(kind=ClusterType.TOUCHING, area_px=440, chances=FLAT)
    assert with_area(unsure, single_px=100, most_chromosomes=5).doubts == (Reason.UNSURE_NUMBER,)


def test_what_is_rejected_stays_as_it_is() -> None:
    gone = replace(item(kind=ClusterType.TOUCHING, area_px=1, chances=FLAT), rejection=Reason.SPECK)
    assert with_area(gone, single_px=100, most_chromosomes=5) is gone


def test_the_usual_area_stands_in_for_missing_singles() -> None:
    singles = [
        item(kind=ClusterType.INSTANCE, area_px=100 + n, chances=[1.0, 0.0], single=0.9) for n in range(7)
    ]
    assert single_area(singles, width_px=10) == 103
    assert single_area(singles[:2], width_px=10) == pytest.approx(module.USUAL_AREA * 100)
