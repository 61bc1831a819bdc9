from __future__ import annotations

import numpy as np
import pytest

from supcam.core.types import SupcamError
from supcam.measure.paired import paired_test
from supcam.measure.table import PredictionTable


def table(right: list[int], cases: list[str]) -> PredictionTable:
    n = len(right)
    probabilities = np.zeros((n, 4))
    probabilities[np.arange(n), 1 - np.array(right)] = 1.0
    return PredictionTable(
        paths=np.array([f"{i}" for i in range(n)]),
        cases=np.array(cases),
        sources=np.array(["s"] * n),
        folds=np.array(["f"] * n),
        true_types=np.zeros(n, np.int64),
        true_counts=np.ones(n, np.int64),
        probabilities=probabilities,
        predicted_counts=np.ones(n, np.int64),
        accepted=np.ones(n, bool),
        rejected=np.zeros(n, bool),
    )


def test_six_cases_that_all_gain_are_more_than_chance_by_hand() -> None:
    cases = list("abcdef")
    found = paired_test(table([0] * 6, cases), table([1] * 6, cases), rng=np.random.default_rng(0))
    assert (found.n_became_right, found.n_became_wrong) == (6, 0)
    assert found.p_value == found.least_p == 2 / 64


def test_many_pictures_of_one_case_are_one_toss() -> None:
    found = paired_test(table([0] * 9, ["a"] * 9), table([1] * 9, ["a"] * 9), rng=np.random.default_rng(0))
    assert (found.n_differing_cases, found.p_value) == (1, 1.0)


def test_more_cases_than_can_be_tried_are_drawn() -> None:
    cases = [f"{n}" for n in range(30)]
    before, after = table([0] * 30, cases), table([1] * 30, cases)
    assert paired_test(before, after, rng=np.random.default_rng(0)).p_value < 1e-3
    assert paired_test(before, before, rng=np.random.default_rng(0)).p_value == 1.0


def test_other_pictures_are_refused() -> None:
    with pytest.raises(SupcamError, match="different pictures"):
        paired_test(table([0, 1], ["a", "b"]), table([1], ["a"]), rng=np.random.default_rng(0))
