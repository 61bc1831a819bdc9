from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from supcam.core.types import SupcamError
from supcam.measure.intervals import bootstrap_by_case
from supcam.measure.metrics import compute_figures
from supcam.measure.repeats import over_runs, type_figures
from supcam.measure.table import PredictionTable


def table(rng: np.random.Generator, *, n: int = 60, right: float = 0.7) -> PredictionTable:
    """Random types in cases of three pictures, a share of them read rightly."""
    true = np.minimum(np.arange(n, dtype=np.int64) % 7, 3)
    said = np.where(rng.random(n) < right, true, rng.integers(0, 4, n))
    return PredictionTable(
        paths=np.array([f"{row}.png" for row in range(n)]),
        cases=np.array([str(row // 3) for row in range(n)]),
        sources=np.array(["chr"] * n),
        folds=np.array(["report"] * n),
        true_types=true,
        true_counts=np.where(true == 0, 1, -1),
        probabilities=np.eye(4)[said],
        predicted_counts=np.where(said == 0, 1, 2).astype(np.int64),
        accepted=np.ones(n, bool),
        rejected=np.zeros(n, bool),
    )


def test_figures_are_those_of_a_report(rng: np.random.Generator) -> None:
    one = table(rng)
    whole = compute_figures(one)
    for name, value in type_figures(one).items():
        assert value == pytest.approx(getattr(whole, name))
    found = type_figures(one)
    assert found["specificity_micro"] == pytest.approx(1 - (1 - found["accuracy"]) / 3)
    assert found["specificity_micro"] != pytest.approx(found["specificity_macro"], abs=1e-4)


def test_mean_and_deviation_are_over_runs(rng: np.random.Generator) -> None:
    tables = [table(rng, right=right) for right in (0.5, 0.7, 0.9)]
    found = over_runs(tables, rng=np.random.default_rng(1), n_resamples=50)
    each = [type_figures(one) for one in tables]
    for name in each[0]:
        values = [one[name] for one in each]
        assert found.means[name] == pytest.approx(np.mean(values))
        assert found.deviations[name] == pytest.approx(np.std(values, ddof=1))
        interval = found.intervals[name]
        assert interval.low < found.means[name] < interval.high
        assert interval.n_resamples == 50


def test_one_run_has_the_intervals_by_case_and_no_deviation(rng: np.random.Generator) -> None:
    one = table(rng)
    found = over_runs([one], rng=np.random.default_rng(1), n_resamples=50)
    alone = bootstrap_by_case(one, rng=np.random.default_rng(1), statistic=type_figures, n_resamples=50)
    assert found.intervals == alone
    assert all(np.isnan(value) for value in found.deviations.values())


def test_the_same_run_twice_has_the_interval_of_one(rng: np.random.Generator) -> None:
    one = table(rng)
    twice = over_runs([one, one], rng=np.random.default_rng(1), n_resamples=50)
    assert twice.intervals == over_runs([one], rng=np.random.default_rng(1), n_resamples=50).intervals


def test_runs_on_other_pictures_are_refused(rng: np.random.Generator) -> None:
    one = table(rng)
    other = replace(one, paths=np.array([f"other{row}.png" for row in range(len(one))]))
    with pytest.raises(SupcamError, match="2 different lists of pictures"):
        over_runs([one, other], rng=rng)
