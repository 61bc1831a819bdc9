from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from supcam.core.risk import (
    ACCEPT_NOTHING,
    Answers,
    keep_bound,
    keep_error,
    risk_of,
    upper_bound,
    weigh_answers,
)


def answers_of(wrong_places: list[int], *, n: int, weights: np.ndarray | None = None) -> Answers:
    """``n`` answers from the surest to the least sure, wrong at those places."""
    correct = np.ones(n, bool)
    correct[wrong_places] = False
    return Answers(
        confidence=np.linspace(1, 0.3, n),
        predicted=np.arange(n) % 4,
        correct=correct,
        weights=np.ones(n) if weights is None else weights,
    )


@pytest.mark.parametrize(("n_wrong", "n"), [(0, 1), (0, 292), (1, 367), (4, 398), (17, 433), (399, 400)])
def test_bound_is_that_of_the_beta_quantile(n_wrong: int, n: int) -> None:
    exact = stats.beta.ppf(0.9, n_wrong + 1, n - n_wrong)
    assert upper_bound(n_wrong, n=n) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize(("n_wrong", "n"), [(0, 0), (3, 3)])
def test_nothing_is_known_of_no_answer_and_nothing_is_good_of_wrong_ones(n_wrong: int, n: int) -> None:
    assert upper_bound(n_wrong, n=n) == 1


def test_equal_weights_change_nothing() -> None:
    plain, heavy = answers_of([3, 90], n=100), answers_of([3, 90], n=100, weights=np.full(100, 7.0))
    everything = np.ones(100, bool)
    assert risk_of(plain, rows=everything) == risk_of(heavy, rows=everything)
    assert risk_of(plain, rows=everything).error == pytest.approx(0.02)


def test_uneven_weights_widen_the_bound() -> None:
    weights = np.where(np.arange(100) < 10, 10.0, 1.0)
    found = risk_of(answers_of([], n=100, weights=weights), rows=np.ones(100, bool))
    assert found.error == 0
    assert found.bound == pytest.approx(upper_bound(0, n=int(190**2 / 1090)))


def test_the_largest_set_whose_bound_is_low_enough_is_accepted() -> None:
    answers = answers_of([200, 380, 385, 390, 395], n=400)
    choice = keep_bound(answers, max_error=0.02)
    assert choice.is_shown
    accepted = answers.confidence >= choice.threshold
    assert risk_of(answers, rows=accepted).bound < 0.02
    larger = answers.confidence >= answers.confidence[accepted.sum()]
    assert risk_of(answers, rows=larger).bound >= 0.02


def test_what_cannot_be_shown_is_said_with_the_tightest_that_can() -> None:
    answers = answers_of([50], n=100)
    choice = keep_bound(answers, max_error=0.01)
    assert not choice.is_shown
    assert np.sum(answers.confidence >= choice.threshold) in (50, 100)
    best = min(risk_of(answers, rows=answers.confidence >= at).bound for at in answers.confidence)
    assert risk_of(answers, rows=answers.confidence >= choice.threshold).bound == best


def test_error_itself_may_be_kept() -> None:
    answers = answers_of([60, 80], n=100)
    assert np.sum(answers.confidence >= keep_error(answers, max_error=0.02).threshold) == 100
    assert np.sum(answers.confidence >= keep_error(answers, max_error=0.0).threshold) == 60
    assert keep_error(answers_of([0], n=30), max_error=0.0).threshold == ACCEPT_NOTHING


def test_no_answer_is_accepted_from_nowhere() -> None:
    nothing = answers_of([], n=0)
    assert keep_bound(nothing, max_error=0.1).threshold == ACCEPT_NOTHING
    assert np.isnan(risk_of(nothing, rows=np.zeros(0, bool)).error)


def test_a_shift_is_bayes_rule_and_weighs_the_truth() -> None:
    probabilities = np.array([[0.6, 0.4, 0.0, 0.0], [0.1, 0.2, 0.3, 0.4]])
    shift = np.array([0.5, 2.0, 1.0, 1.0])
    answers = weigh_answers(probabilities, true_types=np.array([0, 3]), shift=shift)
    np.testing.assert_allclose(answers.confidence, [0.8 / 1.1, 0.4 / 1.15])
    assert answers.predicted.tolist() == [1, 1]
    assert answers.correct.tolist() == [False, False]
    assert answers.weights.tolist() == [0.5, 1.0]
