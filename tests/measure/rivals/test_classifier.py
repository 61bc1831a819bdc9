"""Tests of ``supcam.measure.rivals.classifier``."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from jaxtyping import Float64, Int64

from supcam.core.types import ManifestError
from supcam.measure.rivals.classifier import ClassifierKind, ClassifierPlan, fit_classifier

Table = Float64[np.ndarray, "batch features"]
Labels = Int64[np.ndarray, " batch"]
LEARNING = [kind for kind in get_args(ClassifierKind) if kind != "majority"]


def blobs(rng: np.random.Generator, *, each: int = 25) -> tuple[Table, Labels, Labels]:
    """Four heaps of points, a type each; the number of chromosomes is a coordinate."""
    types = np.repeat(np.arange(4), each)
    counts = np.where(types == 0, 1, np.where(types == 3, 3, 2) + rng.integers(0, 2, len(types)))
    points = rng.normal(0, 0.2, (len(types), 5)) + 3 * np.eye(5)[types]
    points[:, 4] = counts + rng.normal(0, 0.05, len(types))
    return points, types.astype(np.int64), counts.astype(np.int64)


@pytest.mark.parametrize("kind", LEARNING)
def test_learns_types_and_numbers_that_features_tell(kind: ClassifierKind, rng: np.random.Generator) -> None:
    features, types, counts = blobs(rng)
    fitted = fit_classifier(features, types=types, counts=counts, plan=ClassifierPlan(kind=kind))
    reading = fitted.read(features)
    assert np.mean(reading.types == types) > 0.95
    assert np.mean(reading.counts == counts) > 0.9
    np.testing.assert_allclose(reading.type_probabilities.sum(axis=1), 1)


@pytest.mark.parametrize("kind", get_args(ClassifierKind))
def test_same_rows_and_seed_give_same_answers(kind: ClassifierKind, rng: np.random.Generator) -> None:
    features, types, counts = blobs(rng)
    plan = ClassifierPlan(kind=kind, seed=5)
    one, other = (
        fit_classifier(features, types=types, counts=counts, plan=plan).read(features) for _ in range(2)
    )
    np.testing.assert_array_equal(one.type_probabilities, other.type_probabilities)


def test_the_majority_is_named_whatever_is_shown(rng: np.random.Generator) -> None:
    features, types, counts = blobs(rng)
    types[:40], counts[:40] = 0, 1
    fitted = fit_classifier(features, types=types, counts=counts, plan=ClassifierPlan(kind="majority"))
    reading = fitted.read(features)
    assert set(reading.types.tolist()) == {0}
    assert set(reading.counts.tolist()) == {1}


def test_balance_helps_a_rare_type(rng: np.random.Generator) -> None:
    points = np.concatenate([rng.normal(0, 1, (300, 1)), rng.normal(1.5, 1, (10, 1))])
    types = np.repeat(np.array([0, 1], np.int64), [300, 10])
    found = [
        fit_classifier(
            points, types=types, counts=types + 1, plan=ClassifierPlan(kind="logistic", balanced=balanced)
        ).read(points)
        for balanced in (False, True)
    ]
    assert np.sum(found[1].types == 1) > np.sum(found[0].types == 1) + 20


def test_clusters_of_unknown_type_teach_numbers_alone(rng: np.random.Generator) -> None:
    features, types, counts = blobs(rng)
    odd = np.flatnonzero(types == 2)
    hidden = types.copy()
    hidden[odd] = -1
    reading = fit_classifier(features, types=hidden, counts=counts).read(features)
    assert not np.any(reading.types == 2)
    assert np.mean(reading.counts[odd] == counts[odd]) > 0.9


def test_clusters_of_one_size_need_no_second_classifier(rng: np.random.Generator) -> None:
    features, types, _ = blobs(rng)
    two = types < 2
    fitted = fit_classifier(features[two], types=types[two], counts=np.where(types[two] == 0, 1, 4))
    assert fitted.sizes is None
    assert set(fitted.read(features[two]).counts.tolist()) == {1, 4}


def test_one_type_alone_is_refused(rng: np.random.Generator) -> None:
    features, _, _ = blobs(rng)
    ones = np.ones(len(features), np.int64)
    with pytest.raises(ManifestError, match=r"1 type\(s\)"):
        fit_classifier(features, types=0 * ones, counts=ones)
