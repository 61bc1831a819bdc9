from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from supcam.core.reading import read_jointly
from supcam.learn.scores import Answers, joined, score

SURE = 20.0


def answers(
    rows: list[tuple[int, int, int, int]], *, debris: tuple[int, ...] = (), classes: int = 5
) -> Answers:
    """Rows of (true type, true count, read type, read count), every reading nearly sure."""
    true_types, true_counts, types, counts = (
        np.array(column, np.int64) for column in zip(*rows, strict=True)
    )
    return Answers(
        type_logits=(SURE * np.eye(4)[types]).astype(np.float32),
        count_logits=(SURE * np.eye(classes)[counts - 1]).astype(np.float32),
        chromosome_logit=np.full((len(rows), 1), 3.0, np.float32),
        types=true_types,
        counts=true_counts,
        chromosomes=np.array([row not in debris for row in range(len(rows))], np.int64),
    )


def test_scores_of_a_table_worked_out_by_hand() -> None:
    found = score(
        answers(
            [
                (0, 1, 0, 1),  # right
                (0, 1, 1, 2),  # an instance taken for a cluster
                (1, 2, 1, 2),  # right
                (1, 3, 2, 3),  # found as a cluster of another type, count right
                (1, 2, 0, 1),  # missed
                (3, 5, 3, 5),  # right
                (-1, -1, 0, 1),  # debris
            ],
            debris=(6,),
        )
    )
    assert found.n == 7
    assert found.accuracy == pytest.approx(3 / 6)
    assert found.clusters_accuracy == pytest.approx(2 / 4)
    assert found.cluster_found == pytest.approx(4 / 6)
    assert found.macro_recall == pytest.approx((1 / 2 + 1 / 3 + 1) / 3)
    assert found.count_accuracy == pytest.approx(4 / 6)
    assert found.count_2_or_3 == pytest.approx(2 / 3)
    assert found.chromosome_accuracy == pytest.approx(6 / 7)


def test_counts_from_the_last_class_on_are_one() -> None:
    found = score(answers([(1, 9, 1, 3), (1, 3, 1, 3), (1, 2, 1, 3)], classes=3))
    assert found.count_accuracy == pytest.approx(2 / 3)


def test_type_is_read_together_with_the_count() -> None:
    """The type head leans to instance, the count head is sure of two: in use that is a cluster."""
    unsure = Answers(
        type_logits=np.array([[1.0, 0.9, -9.0, -9.0]], np.float32),
        count_logits=np.array([[-SURE, SURE, -SURE]], np.float32),
        chromosome_logit=np.zeros((1, 1), np.float32),
        types=np.array([1]),
        counts=np.array([2]),
        chromosomes=np.array([1]),
    )
    assert score(unsure).accuracy == 1.0


def test_type_loss_is_that_of_the_joint_reading(rng: np.random.Generator) -> None:
    logits = rng.normal(size=(6, 4)).astype(np.float32)
    counts = rng.normal(size=(6, 5)).astype(np.float32)
    types = np.array([0, 1, 2, 3, -1, 1])
    given = Answers(
        type_logits=logits,
        count_logits=counts,
        chromosome_logit=np.zeros((6, 1), np.float32),
        types=types,
        counts=np.full(6, -1),
        chromosomes=np.ones(6, np.int64),
    )
    probabilities = read_jointly(logits, counts).type_probabilities
    losses = [-math.log(probabilities[row, kind]) for row, kind in enumerate(types) if kind >= 0]
    assert score(given).type_loss == pytest.approx(sum(losses) / 5)


def test_score_of_what_nobody_knows_is_not_a_number() -> None:
    found = score(answers([(-1, -1, 0, 1), (-1, -1, 1, 2)]))
    assert all(math.isnan(value) for value in (found.accuracy, found.macro_recall, found.count_accuracy))
    assert math.isnan(found.type_loss)
    assert found.chromosome_accuracy == 1.0


def test_untrained_count_head_is_not_scored() -> None:
    found = score(
        Answers(
            type_logits=(SURE * np.eye(4)).astype(np.float32),
            count_logits=None,
            chromosome_logit=np.ones((4, 1), np.float32),
            types=np.arange(4),
            counts=np.array([1, 2, 2, 5]),
            chromosomes=np.ones(4, np.int64),
        )
    )
    assert found.accuracy == 1.0
    assert math.isnan(found.count_accuracy)
    assert math.isnan(found.count_2_or_3)


def test_untrained_chromosome_head_is_not_scored() -> None:
    given = answers([(0, 1, 0, 1), (1, 2, 0, 1)])
    found = score(replace(given, chromosome_logit=None))
    assert math.isnan(found.chromosome_accuracy)
    assert found.accuracy == score(given).accuracy


@pytest.mark.parametrize("untrained", [None, "count_logits", "chromosome_logit"])
def test_answers_in_parts_are_scored_like_answers_in_one(untrained: str | None) -> None:
    rows = [(0, 1, 0, 1), (1, 2, 0, 1), (3, 4, 3, 3), (2, 2, 2, 2)]
    without: dict[str, Any] = {} if untrained is None else {untrained: None}
    whole = replace(answers(rows), **without)
    parts = [replace(answers(rows[:1]), **without), replace(answers(rows[1:]), **without)]
    expected, found = asdict(score(whole)), asdict(score(joined(parts)))
    assert found == pytest.approx(expected, nan_ok=True)
