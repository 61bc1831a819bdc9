from __future__ import annotations

import numpy as np
import pytest

from supcam.measure.conformal import LEAST_OF_A_TYPE, LEVELS, fit_sets, fit_thresholds, sets_of

MIX = (0.5, 0.3, 0.17, 0.03)


def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    types = rng.choice(4, n, p=MIX)
    logits = 2.0 * np.eye(4)[types] + rng.normal(0, 1, (n, 4))
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), types


def quantile(strangeness: np.ndarray, level: float) -> float:
    """The largest of n whose p-value, (those as large + 1) / (n + 1), is at least 1 - level; or anything."""
    place = int(np.floor((len(strangeness) + 1) * level + 1e-9)) + 1
    return float(np.sort(strangeness)[place - 1]) if place <= len(strangeness) else 1.0


def test_thresholds_are_quantiles_by_type_and_pooled_where_a_type_is_rare(rng: np.random.Generator) -> None:
    probabilities, types = draw(rng, 400)
    strangeness = 1 - probabilities[np.arange(400), types]
    assert np.sum(types == 3) < LEAST_OF_A_TYPE <= np.sum(types == 2)
    found = fit_thresholds(probabilities, true_types=types)
    for row, level in zip(found, LEVELS, strict=True):
        for kind in range(3):
            assert row[kind] == pytest.approx(quantile(strangeness[types == kind], level))
        assert row[3] == pytest.approx(quantile(strangeness, level))


def test_sets_cover_other_cases_as_they_say(rng: np.random.Generator) -> None:
    probabilities, types = draw(rng, 1500)
    found = fit_sets(probabilities, true_types=types, groups=np.arange(1500) % 5)
    assert np.all(np.array(found.covered) >= np.array(LEVELS) - 0.03)
    assert np.all(np.diff(found.mean_size) > 0)
    assert np.all(found.covered_by_type[1, :3] > 0.85)
    assert found.pooled == tuple(n < LEAST_OF_A_TYPE for n in found.n_samples)


def test_no_set_is_empty() -> None:
    sets = sets_of(np.array([[0.4, 0.3, 0.2, 0.1]]), thresholds=np.zeros(4))
    assert sets.tolist() == [[True, False, False, False]]
