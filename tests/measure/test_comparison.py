from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import pytest

from supcam.core.types import SupcamError
from supcam.measure.comparison import FIGURES, Compared, compare
from supcam.measure.intervals import bootstrap_by_case
from supcam.measure.metrics import compute_figures, instance_vs_cluster
from supcam.measure.table import UNKNOWN, PredictionTable, stacked

TableMaker = Callable[..., PredictionTable]


def compared(table: PredictionTable, *, reference: PredictionTable | None = None) -> dict[str, Compared]:
    return dict(compare(table, reference=reference, rng=np.random.default_rng(11)))


def spoilt(table: PredictionTable) -> PredictionTable:
    """The same with every sixth type unknown, every seventh count, and every ninth row rejected."""
    rows = np.arange(len(table))
    return replace(
        table,
        true_types=np.where(rows % 6 == 5, UNKNOWN, table.true_types),
        true_counts=np.where(rows % 7 == 6, UNKNOWN, table.true_counts),
        rejected=rows % 9 == 8,
    )


def cases_read(rights: dict[str, list[bool]]) -> PredictionTable:
    """Single chromosomes of each case, read as touching pairs where they are not read right."""
    right = np.array([one for case in rights.values() for one in case])
    n = len(right)
    return PredictionTable(
        paths=np.array([f"{row}.png" for row in range(n)]),
        cases=np.array([name for name, case in rights.items() for _ in case]),
        sources=np.full(n, "drawn"),
        folds=np.full(n, "select"),
        true_types=np.zeros(n, np.int64),
        true_counts=np.ones(n, np.int64),
        probabilities=np.eye(4)[np.where(right, 0, 1)],
        predicted_counts=np.where(right, 1, 2).astype(np.int64),
        accepted=np.ones(n, bool),
        rejected=np.zeros(n, bool),
    )


@pytest.mark.parametrize("change", [lambda table: table, spoilt])
def test_every_figure_is_that_of_the_report(
    table: PredictionTable, change: Callable[[PredictionTable], PredictionTable]
) -> None:
    figures = asdict(compute_figures(change(table)))
    found = compared(change(table))
    assert found.keys() == FIGURES.keys()
    for name, figure in found.items():
        assert figure.value == pytest.approx(figures[name], abs=1e-12), name


def test_figures_that_the_data_cannot_give_are_nan(table: PredictionTable) -> None:
    singles = table.take(table.true_types == 0)
    found = compared(singles, reference=singles)
    assert np.isnan(found["clusters_accuracy"].value)
    assert np.isnan(found["count_exact_2_3"].low)
    assert np.isnan(found["count_exact_2_3"].difference)
    assert not found["count_exact_2_3"].differs
    assert found["macro_recall"].value == found["accuracy"].value


def test_intervals_are_those_of_the_bootstrap_by_case(make_table: TableMaker) -> None:
    """Other draws of the same cases: the ends agree as far as so many draws can say."""
    table = spoilt(make_table(n_pictures=150, n_cases=12))

    def statistic(drawn: PredictionTable) -> dict[str, float]:
        typed = drawn.true_types != UNKNOWN
        small = (drawn.true_counts == 2) | (drawn.true_counts == 3)
        exact = (drawn.predicted_counts == drawn.true_counts) & ~drawn.rejected
        types, read = drawn.true_types[typed], drawn.predicted_types[typed]
        return {
            "accuracy": float(drawn.correct[typed].mean()),
            "clusters_accuracy": float(drawn.correct[drawn.true_types > 0].mean()),
            "macro_recall": float(np.mean([(read[types == kind] == kind).mean() for kind in set(types)])),
            "instance_vs_cluster": instance_vs_cluster(drawn),
            "count_exact_2_3": float(exact[small].mean()),
        }

    expected = bootstrap_by_case(table, rng=np.random.default_rng(5), statistic=statistic)
    assert expected.keys() == FIGURES.keys()
    found = compared(table)
    for name, interval in expected.items():
        width = interval.high - interval.low
        assert found[name].low == pytest.approx(interval.low, abs=0.15 * width), name
        assert found[name].high == pytest.approx(interval.high, abs=0.15 * width), name


def test_seeds_below_each_other_are_their_mean(make_table: TableMaker) -> None:
    first = make_table()
    second = replace(first, probabilities=np.roll(first.probabilities, 1, axis=0))
    both, *each = (compared(one) for one in (stacked([first, second]), first, second))
    for name in FIGURES:
        assert both[name].value == pytest.approx(np.mean([one[name].value for one in each])), name


def test_difference_is_taken_in_pairs() -> None:
    """Cases differ much: each method is uncertain, the difference of both is not."""
    hard, easy = [True] + [False] * 9, [True] * 9 + [False]
    rights = {f"{place}": hard if place % 2 else easy for place in range(20)}
    better = {name: [True, *case[:-1]] for name, case in rights.items()}
    found = compared(cases_read(better), reference=cases_read(rights))["accuracy"]
    assert [found.value, found.difference] == pytest.approx([0.6, 0.1])
    assert found.high - found.low > 0.2
    assert [found.difference_low, found.difference_high] == pytest.approx([0.1, 0.1])
    assert found.differs


def test_difference_on_two_cases_is_known_in_full() -> None:
    """Case a is won, case b lost by as much: the draws aa, ab, ba, bb give +1, 0, 0, -1."""
    found = compared(
        cases_read({"a": [True, True], "b": [False, False]}),
        reference=cases_read({"a": [False, False], "b": [True, True]}),
    )["accuracy"]
    assert (found.difference, found.difference_low, found.difference_high) == (0.0, -1.0, 1.0)
    assert not found.differs


def test_large_cases_weigh_more() -> None:
    found = compared(cases_read({"a": [True] * 3, "b": [False]}))["accuracy"]
    assert (found.value, found.low, found.high) == (0.75, 0.0, 1.0)


def test_method_against_itself_makes_no_difference(table: PredictionTable) -> None:
    for figure in compared(table, reference=table).values():
        assert (figure.difference, figure.difference_low, figure.difference_high) == (0, 0, 0)
        assert not figure.differs


def test_one_seed_may_be_compared_with_three(table: PredictionTable) -> None:
    found = compared(table, reference=stacked([table, table, table]))
    assert {round(figure.difference, 12) for figure in found.values()} == {0.0}


@pytest.mark.parametrize("n_cases", [0, 1])
def test_fewer_than_two_cases_allow_no_interval(n_cases: int) -> None:
    one = cases_read({f"{place}": [True, False] for place in range(n_cases)})
    found = compared(one, reference=one)["accuracy"]
    assert np.isnan([found.low, found.high, found.difference_low, found.difference_high]).all()
    assert not found.differs


def test_other_cases_or_other_pictures_are_refused(table: PredictionTable) -> None:
    for other in (
        table.take(table.cases != "case0"),
        table.take(np.arange(len(table)) != 7),
        replace(table, sources=np.full(len(table), "elsewhere")),
        replace(table, true_types=np.roll(table.true_types, 1)),
    ):
        with pytest.raises(SupcamError, match="or other pictures in them"):
            compare(table, reference=other, rng=np.random.default_rng(0))
