"""The joint reading against an oracle in plain loops, and its promises over random logits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from supcam.core.reading import LEAST_COUNTS, read_jointly, read_numbers
from supcam.core.types import ClusterType

LOGITS = st.floats(-30, 30, width=32)


def oracle(types: list[float], counts: list[float], temperature: float, ratio: list[float]) -> list[float]:
    """Type probabilities by adding up every allowed pair (type, number)."""
    weights = [0.0] * 4
    for t, type_logit in enumerate(types):
        for k, count_logit in enumerate(counts):
            if k + 1 == 1 if t == 0 else k + 1 >= (2, 2, 3)[t - 1]:
                weights[t] += (
                    ratio[t] * math.exp(type_logit / temperature) * math.exp(count_logit / temperature)
                )
    return [weight / sum(weights) for weight in weights]


@given(
    types=hnp.arrays(np.float32, (1, 4), elements=LOGITS),
    counts=hnp.arrays(np.float32, (1, 5), elements=LOGITS),
    temperature=st.floats(0.5, 4),
    ratio=hnp.arrays(np.float64, 4, elements=st.floats(0.1, 10)),
)
def test_probabilities_are_those_of_the_plain_loops(
    types: np.ndarray, counts: np.ndarray, temperature: float, ratio: np.ndarray
) -> None:
    reading = read_jointly(types, counts, temperature=temperature, prior_ratio=ratio)
    expected = oracle(
        [float(v) for v in types[0]], [float(v) for v in counts[0]], temperature, ratio.tolist()
    )
    assert reading.type_probabilities[0] == pytest.approx(expected, abs=1e-9)


@given(
    types=hnp.arrays(np.float32, (7, 4), elements=st.floats(-1e4, 1e4, width=32)),
    counts=hnp.arrays(np.float32, (7, 12), elements=st.floats(-1e4, 1e4, width=32)),
)
def test_instance_means_one_chromosome_and_one_means_instance(types: np.ndarray, counts: np.ndarray) -> None:
    reading = read_jointly(types, counts)
    assert np.array_equal(reading.types == ClusterType.INSTANCE, reading.counts == 1)
    assert set(reading.counts.tolist()) <= set(range(1, 13))
    assert reading.type_probabilities.sum(axis=1) == pytest.approx(np.ones(7))
    assert np.isfinite(reading.type_probabilities).all()


def test_a_pair_is_never_touching_and_overlapping_at_once() -> None:
    pair = read_jointly(np.array([[0.0, 0.0, 1.0, 1.5]]), np.array([[0.0, 6.0, 0.0, 0.0]]))
    assert (pair.types[0], pair.counts[0]) == (ClusterType.OVERLAPPING, 2)
    three = read_jointly(np.array([[0.0, 0.0, 1.0, 1.5]]), np.array([[0.0, 0.0, 6.0, 0.0]]))
    assert (three.types[0], three.counts[0]) == (ClusterType.TOUCHING_OVERLAPPING, 3)


@given(
    types=hnp.arrays(np.float32, (5, 4), elements=LOGITS),
    counts=hnp.arrays(np.float32, (5, 6), elements=LOGITS),
)
def test_counts_are_never_below_the_least_of_their_type(types: np.ndarray, counts: np.ndarray) -> None:
    reading = read_jointly(types, counts)
    least = np.array([1, 2, 2, 3])[reading.types]
    assert (reading.counts >= least).all()


def test_two_count_columns_mean_one_and_more() -> None:
    reading = read_jointly(np.array([[0.0, 0.0, 0.0, 9.0]]), np.array([[0.0, 9.0]]))
    assert (reading.types[0], reading.counts[0]) == (ClusterType.TOUCHING_OVERLAPPING, 2)


def test_a_sure_count_overrules_an_unsure_type() -> None:
    reading = read_jointly(np.array([[1.0, 0.9, 0.0, 0.0]]), np.array([[0.0, 0.0, 8.0]]))
    assert reading.types[0] == ClusterType.TOUCHING
    assert reading.counts[0] == 3


def test_a_sure_type_overrules_an_unsure_count() -> None:
    reading = read_jointly(np.array([[9.0, 0.0, 0.0, 0.0]]), np.array([[0.0, 1.0, 0.5]]))
    assert reading.types[0] == ClusterType.INSTANCE
    assert reading.counts[0] == 1


def test_without_a_count_head_the_types_are_read_alone() -> None:
    logits = np.array([[0.3, -0.2, 1.1, 0.0], [2.0, 0.0, 0.0, 0.0]])
    reading = read_jointly(logits, None)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert reading.type_probabilities == pytest.approx(expected)
    assert reading.counts.tolist() == [2, 1]


def test_a_prior_ratio_can_turn_the_type() -> None:
    logits = np.array([[1.0, 0.8, 0.0, 0.0]])
    assert read_jointly(logits, None).types[0] == ClusterType.INSTANCE
    turned = read_jointly(logits, None, prior_ratio=np.array([0.5, 2.0, 1.0, 1.0]))
    assert turned.types[0] == ClusterType.TOUCHING
    assert turned.counts[0] == 2


def test_a_high_temperature_flattens() -> None:
    logits = np.array([[4.0, 0.0, 0.0, 0.0]])
    sharp, flat = (read_jointly(logits, None, temperature=t).type_probabilities.max() for t in (1.0, 5.0))
    assert sharp > flat


def test_no_rows_give_an_empty_reading() -> None:
    reading = read_jointly(np.zeros((0, 4)), np.zeros((0, 5)))
    assert reading.type_probabilities.shape == (0, 4)
    assert reading.counts.shape == (0,)


def test_arguments_are_left_as_they_were() -> None:
    types, counts = np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[1.0, 2.0]])
    read_jointly(types, counts, temperature=2.0, prior_ratio=np.full(4, 2.0))
    assert types.tolist() == [[1.0, 2.0, 3.0, 4.0]]
    assert counts.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("types", "counts", "options", "message"),
    [
        ([[np.nan, 0, 0, 0]], [[0.0, 0.0]], {}, "type_logits"),
        ([[0.0, 0, 0, 0]], [[0.0, np.inf]], {}, "count_logits"),
        ([[0.0, 0, 0, 0]], [[0.0]], {}, "two or more"),
        ([[0.0, 0, 0, 0]], [[0.0, 0.0]], {"temperature": 0.0}, "temperature"),
        ([[0.0, 0, 0, 0]], [[0.0, 0.0]], {"temperature": float("nan")}, "temperature"),
        ([[0.0, 0, 0, 0]], [[0.0, 0.0]], {"prior_ratio": np.array([1.0, 0.0, 1.0, 1.0])}, "prior_ratio"),
    ],
)
def test_impossible_arguments_are_named(
    types: object, counts: object, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_jointly(np.asarray(types, float), np.asarray(counts, float), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("prior", [None, np.array([2.0, 1.0, 0.5, 1.0])])
def test_numbers_are_the_joint_reading_with_the_type_summed_over(prior: np.ndarray | None) -> None:
    rng = np.random.default_rng(0)
    type_logits, count_logits = rng.normal(0, 2, (6, 4)), rng.normal(0, 2, (6, 7))
    found = read_numbers(type_logits, count_logits, temperature=1.3, prior_ratio=prior)
    types = np.exp(type_logits / 1.3) * (1 if prior is None else prior)
    counts = np.exp(count_logits / 1.3)
    joint = np.zeros((6, 4, 7))
    for kind in range(4):
        for n in range(1, 8):
            if (n == 1) if kind == 0 else (n >= LEAST_COUNTS[ClusterType(kind)]):
                joint[:, kind, n - 1] = types[:, kind] / types.sum(1) * counts[:, n - 1] / counts.sum(1)
    expected = joint.sum(1) / joint.sum((1, 2))[:, None]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    reading = read_jointly(type_logits, count_logits, temperature=1.3, prior_ratio=prior)
    np.testing.assert_allclose(found[:, 0], reading.type_probabilities[:, 0], rtol=1e-9)
