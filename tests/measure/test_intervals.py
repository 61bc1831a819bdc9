from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from supcam.measure.intervals import bootstrap_by_case, exact_interval, figures_by_name, rows_by_case
from supcam.measure.table import PredictionTable

TableMaker = Callable[..., PredictionTable]


def accuracy(table: PredictionTable) -> Mapping[str, float]:
    return {"accuracy": float(np.mean(table.correct))}


def by_cases(table: PredictionTable, *, right: np.ndarray, n_cases: int) -> PredictionTable:
    """A table whose rows are right or wrong as given, dealt evenly to cases in order."""
    n_rows = len(right)
    base = table.take(np.zeros(n_rows, np.int64))
    shares = np.where(right[:, None], [1.0, 0, 0, 0], [0, 1.0, 0, 0])
    return replace(
        base,
        probabilities=shares,
        true_types=np.zeros(n_rows, np.int64),
        cases=np.array([f"c{row * n_cases // n_rows}" for row in range(n_rows)]),
    )


def test_rows_by_case_cover_every_row_once(table: PredictionTable) -> None:
    groups = rows_by_case(table)
    assert sorted(np.concatenate(groups)) == list(range(len(table)))
    for rows in groups:
        assert len(set(table.cases[rows])) == 1
    assert len(groups) == len(set(table.cases))


def test_whole_cases_are_drawn(table: PredictionTable) -> None:
    """Every resample holds each case as often as the case was drawn, complete."""
    sizes = {str(table.cases[rows[0]]): len(rows) for rows in rows_by_case(table)}
    seen: list[bool] = []

    def look(resample: PredictionTable) -> Mapping[str, float]:
        cases, counts = np.unique(resample.cases, return_counts=True)
        seen.append(all(count % sizes[str(case)] == 0 for case, count in zip(cases, counts, strict=True)))
        return {"n": float(len(resample))}

    bootstrap_by_case(table, rng=np.random.default_rng(0), statistic=look, n_resamples=30)
    assert len(seen) == 30
    assert all(seen)


def test_the_same_generator_gives_the_same_interval(table: PredictionTable) -> None:
    first, second = (bootstrap_by_case(table, rng=np.random.default_rng(5), n_resamples=20) for _ in range(2))
    assert first == second
    assert first != bootstrap_by_case(table, rng=np.random.default_rng(6), n_resamples=20)


def test_interval_holds_the_figure_and_every_figure_has_one(table: PredictionTable) -> None:
    intervals = bootstrap_by_case(table, rng=np.random.default_rng(1), n_resamples=200)
    figures = figures_by_name(table)
    assert intervals.keys() == figures.keys()
    for name in ("accuracy", "kappa", "count_exact", "recall_instance"):
        assert intervals[name].low <= figures[name] <= intervals[name].high
        assert intervals[name].n_resamples == 200
        assert intervals[name].level == 0.95


def test_percentiles_against_the_known_distribution(table: PredictionTable) -> None:
    """20 cases, each all right or all wrong: the share right is binomial in the number of drawn cases."""
    right = np.repeat(np.arange(20) < 14, 5)
    made = by_cases(table, right=right, n_cases=20)
    interval = bootstrap_by_case(made, rng=np.random.default_rng(2), statistic=accuracy, n_resamples=4000)
    draws = np.random.default_rng(3).binomial(20, 0.7, 100_000) / 20
    low, high = np.quantile(draws, [0.025, 0.975])
    assert interval["accuracy"].low == pytest.approx(low, abs=0.051)
    assert interval["accuracy"].high == pytest.approx(high, abs=0.051)


def test_pictures_of_one_case_do_not_count_as_independent(table: PredictionTable) -> None:
    """The same rights and wrongs, clumped in cases or spread evenly: the clumped interval is wider."""
    clumped = by_cases(table, right=np.repeat(np.arange(10) < 7, 20), n_cases=10)
    spread = by_cases(table, right=np.tile(np.arange(20) < 14, 10), n_cases=10)
    wide, narrow = (
        bootstrap_by_case(made, rng=np.random.default_rng(4), statistic=accuracy, n_resamples=300)["accuracy"]
        for made in (clumped, spread)
    )
    assert narrow.high - narrow.low == pytest.approx(0)
    assert wide.high - wide.low > 0.3


def test_one_case_allows_no_interval(make_table: TableMaker) -> None:
    interval = bootstrap_by_case(make_table(n_cases=1), rng=np.random.default_rng(0))["accuracy"]
    assert np.isnan(interval.low)
    assert np.isnan(interval.high)
    assert interval.n_resamples == 0


def test_resamples_without_the_figure_are_left_out(table: PredictionTable) -> None:
    """Touching pictures lie in one case only: about a third of the draws lack it."""
    touching_once = table.take((table.true_types != 1) | (table.cases == "case0"))
    interval = bootstrap_by_case(touching_once, rng=np.random.default_rng(0), n_resamples=100)[
        "recall_touching"
    ]
    assert 30 < interval.n_resamples < 95
    assert interval.low <= interval.high


@pytest.mark.parametrize(("right", "n"), [(621, 660), (0, 5), (5, 5), (1, 3)])
def test_exact_interval_ends_where_the_tails_of_the_binomial_are_a_fortieth(right: int, n: int) -> None:
    found = exact_interval(right, n=n)
    if right:
        assert stats.binom.sf(right - 1, n, found.low) == pytest.approx(0.025)
    else:
        assert found.low == 0
    if right < n:
        assert stats.binom.cdf(right, n, found.high) == pytest.approx(0.025)
    else:
        assert found.high == 1


def test_exact_interval_of_nothing_is_not_defined() -> None:
    assert np.isnan(exact_interval(0, n=0).low)
