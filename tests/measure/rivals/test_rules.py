"""Tests of ``supcam.measure.rivals.rules``."""

from __future__ import annotations

import numpy as np
import pytest
from tests.drawn_clusters import draw_square, drawn_set

from supcam.core.types import ClusterType
from supcam.data.crop_set import CropSet
from supcam.measure.rivals.rules import RulesRival, Thresholds, fit_rules

RULES = RulesRival(Thresholds())
NUMBERS = {
    ClusterType.INSTANCE: 1,
    ClusterType.TOUCHING: 2,
    ClusterType.OVERLAPPING: 2,
    ClusterType.TOUCHING_OVERLAPPING: 3,
}


@pytest.mark.parametrize("kind", list(ClusterType))
@pytest.mark.parametrize("turn_deg", [0.0, 30.0, 75.0])
def test_reads_drawn_types_and_numbers(kind: ClusterType, turn_deg: float) -> None:
    reading = RULES.read(draw_square(kind, turn_deg=turn_deg)[None])
    assert ClusterType(int(reading.types[0])) is kind
    assert reading.counts[0] == NUMBERS[kind]
    assert reading.type_probabilities[0].max() == 1


def test_pieces_with_a_gap_between_them_touch() -> None:
    picture = np.zeros((112, 112), np.float32)
    picture[30:40, 20:80] = picture[50:60, 20:80] = picture[70:80, 20:80] = 1
    reading = RULES.read(picture[None])
    assert reading.types[0] == ClusterType.TOUCHING
    assert reading.counts[0] == 3


def test_flecks_are_no_chromosomes() -> None:
    picture = draw_square(ClusterType.INSTANCE)
    picture[5:8, 5:8] = 1
    assert RULES.read(picture[None]).types[0] == ClusterType.INSTANCE


def test_an_empty_crop_counts_one() -> None:
    assert RULES.read(np.zeros((1, 112, 112), np.float32)).counts[0] == 1


def test_the_best_thresholds_are_chosen() -> None:
    train = drawn_set(each=6)
    blind = Thresholds(arm=9.0, dent=9.0, neck=9.0)
    assert fit_rules(train, grid=[blind, Thresholds()]).thresholds == Thresholds()
    right = np.mean(fit_rules(train).read(train.pictures).types == train.types)
    assert right >= np.mean(RULES.read(train.pictures).types == train.types)


def test_the_first_thresholds_win_a_tie_and_unknown_types_say_nothing() -> None:
    train = drawn_set(each=3)
    unknown = CropSet(train.pictures, np.where(train.types == 1, -1, train.types), train.counts)
    alike = [Thresholds(), Thresholds(least_dents=0)]
    assert fit_rules(unknown, grid=alike).thresholds == alike[0]
