"""Made-up prediction tables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from supcam.core.reading import read_jointly
from supcam.measure.table import PredictionTable

TableMaker = Callable[..., PredictionTable]


def draw_table(
    rng: np.random.Generator,
    *,
    n_pictures: int = 120,
    n_cases: int = 6,
    sharpness: float = 2.0,
    source: str = "drawn",
    prior: tuple[float, float, float, float] = (0.55, 0.2, 0.15, 0.1),
) -> PredictionTable:
    """Predictions from noisy logits, of all four types, in cases that differ in quality."""
    true_types = rng.choice(4, size=n_pictures, p=prior)
    true_types[:4] = range(4)
    true_counts = np.where(true_types == 0, 1, 2 + rng.binomial(3, 0.3, n_pictures))
    cases = rng.integers(0, n_cases, n_pictures)
    shift = rng.normal(0, 0.5, n_cases)[cases, None]
    type_logits = rng.normal(0, 1, (n_pictures, 4)) + (sharpness + shift) * np.eye(4)[true_types]
    count_logits = rng.normal(0, 1, (n_pictures, 6)) + sharpness * np.eye(6)[true_counts - 1]
    reading = read_jointly(type_logits, count_logits)
    return PredictionTable(
        paths=np.array([f"{source}/{row}.png" for row in range(n_pictures)]),
        cases=np.array([f"case{case}" for case in cases]),
        sources=np.full(n_pictures, source),
        folds=np.full(n_pictures, "select"),
        true_types=true_types.astype(np.int64),
        true_counts=true_counts.astype(np.int64),
        probabilities=reading.type_probabilities,
        predicted_counts=reading.counts,
        accepted=reading.type_probabilities.max(axis=1) >= 0.8,
        rejected=np.zeros(n_pictures, bool),
        type_logits=type_logits,
        count_logits=count_logits,
    )


@pytest.fixture
def make_table(rng: np.random.Generator) -> TableMaker:
    """``draw_table`` with the test's generator."""
    return lambda **settings: draw_table(rng, **settings)


@pytest.fixture
def table(make_table: TableMaker) -> PredictionTable:
    """120 pictures of six cases."""
    return make_table()
