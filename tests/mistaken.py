"""A table of predictions with every kind of mistake."""

from __future__ import annotations

import numpy as np

from supcam.measure.table import PredictionTable

N_ROWS = 6


def mistaken_table() -> PredictionTable:
    """Rows: right, wrong type, wrong number, rejected, unknown type with a wrong number, both wrong."""
    confidence = np.array([0.9, 0.8, 0.95, 0.99, 0.7, 0.85])
    shares = np.full((N_ROWS, 4), 0.0)
    shares[:, 1] = confidence
    shares[:, 0] = 1 - confidence
    return PredictionTable(
        paths=np.array([f"folder/{row}.png" for row in range(N_ROWS)]),
        cases=np.full(N_ROWS, "c"), sources=np.full(N_ROWS, "s"), folds=np.full(N_ROWS, "select"),
        true_types=np.array([1, 2, 1, 1, -1, 3]),
        true_counts=np.array([2, 2, 3, 2, 4, 5]),
        probabilities=shares,
        predicted_counts=np.array([2, 2, 2, 0, 2, 2]),
        accepted=np.zeros(N_ROWS, bool),
        rejected=np.arange(N_ROWS) == 3,
    )  # fmt: skip
