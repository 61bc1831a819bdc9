from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from supcam.core.types import SupcamError
from supcam.measure.table import PredictionTable, pool

TableMaker = Callable[..., PredictionTable]


def test_predicted_type_and_confidence_follow_from_the_probabilities(table: PredictionTable) -> None:
    for row in range(len(table)):
        shares = list(table.probabilities[row])
        assert table.predicted_types[row] == shares.index(max(shares))
        assert table.confidence[row] == max(shares)


def test_rejected_row_is_never_correct(table: PredictionTable) -> None:
    everything = replace(table, rejected=np.ones(len(table), bool))
    assert table.correct.any()
    assert not everything.correct.any()


def test_taking_rows_keeps_every_column_together(table: PredictionTable) -> None:
    taken = table.take(np.array([5, 5, 2]))
    assert list(taken.paths) == [table.paths[5], table.paths[5], table.paths[2]]
    assert taken.type_logits is not None
    assert table.type_logits is not None
    np.testing.assert_array_equal(taken.type_logits, table.type_logits[[5, 5, 2]])
    np.testing.assert_array_equal(taken.true_types, table.true_types[[5, 5, 2]])


def test_an_empty_table_is_a_table(table: PredictionTable) -> None:
    empty = table.take(np.zeros(len(table), bool))
    assert len(empty) == 0
    assert empty.confidence.shape == empty.predicted_types.shape == (0,)


def test_the_same_case_number_in_two_laboratories_is_two_cases(table: PredictionTable) -> None:
    sources = np.where(np.arange(len(table)) < 60, "north", "south")
    keys = set(replace(table, cases=np.full(len(table), "7"), sources=sources).case_keys)
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("true_types", 4), ("true_types", -2), ("true_counts", 0), ("predicted_counts", -1),
        ("probabilities", 0.9), ("probabilities", np.nan), ("probabilities", -0.1),
    ],
)  # fmt: skip
def test_impossible_values_are_refused(table: PredictionTable, column: str, value: float) -> None:
    values = getattr(table, column).copy()
    values[3] = value
    with pytest.raises(SupcamError):
        replace(table, **{column: values})


def test_columns_of_different_lengths_are_refused(table: PredictionTable) -> None:
    with pytest.raises((SupcamError, TypeCheckError)):
        replace(table, true_counts=table.true_counts[:-1])


def test_pool_holds_all_rows_of_all_folds(make_table: TableMaker) -> None:
    folds = [make_table(source=source, n_pictures=20 + 10 * n) for n, source in enumerate("abc")]
    pooled = pool(folds)
    assert list(pooled.paths) == [path for fold in folds for path in fold.paths]
    assert len(pooled) == 20 + 30 + 40
    assert pooled.count_logits is not None
    assert pooled.count_logits.shape == (90, 6)


def test_pool_drops_logits_that_do_not_fit_together(make_table: TableMaker) -> None:
    wide, narrow = make_table(source="a"), make_table(source="b")
    assert narrow.count_logits is not None
    pooled = pool([wide, replace(narrow, count_logits=narrow.count_logits[:, :4], type_logits=None)])
    assert pooled.count_logits is None
    assert pooled.type_logits is None


def test_pool_refuses_a_case_that_was_scored_twice(make_table: TableMaker) -> None:
    with pytest.raises(SupcamError, match="drawn/case"):
        pool([make_table(), make_table()])


def test_pool_of_nothing_is_refused() -> None:
    with pytest.raises(SupcamError):
        pool([])
