"""Two models on the same pictures: which answers changed, and whether chance alone would change as many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from supcam.core.types import SupcamError
from supcam.measure.table import UNKNOWN, PredictionTable

_MOST_EXACT = 14
_N_DRAWS = 20_000


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Answers that became right and that became wrong, in how many cases, and the p value of the difference.

    ``p_value`` is two-sided: how often a difference as large comes about when, in each case, before and after
    are exchanged by the toss of a coin (sign-flip test by case; Fisher, 1935). All tosses are tried where
    there are at most 2^14 of them, else 20,000 are drawn. ``n_differing_cases`` are those whose sums differ;
    ``least_p`` is the smallest p value that they can give.
    """

    n_became_right: int
    n_became_wrong: int
    n_differing_cases: int
    p_value: float
    least_p: float


def paired_test(before: PredictionTable, after: PredictionTable, *, rng: np.random.Generator) -> PairedTest:
    """The test on the rows of known type. Raises ``SupcamError`` for tables of other pictures."""
    if before.paths.tolist() != after.paths.tolist() or before.cases.tolist() != after.cases.tolist():
        raise SupcamError(
            "two tables of different pictures",
            expected="the same pictures in the same order",
            remedy="score both models on the same manifest",
        )
    known = before.true_types != UNKNOWN
    change = after.correct[known].astype(np.int64) - before.correct[known].astype(np.int64)
    _, case_of_row = np.unique(before.case_keys[known], return_inverse=True)
    sums = np.bincount(case_of_row, weights=change)
    differing = sums[sums != 0]
    return PairedTest(
        n_became_right=int((change > 0).sum()),
        n_became_wrong=int((change < 0).sum()),
        n_differing_cases=len(differing),
        p_value=_p_value(differing, rng=rng),
        least_p=float(min(1.0, 2.0 ** (1 - len(differing)))),
    )


def _p_value(sums: Float64[np.ndarray, " cases"], *, rng: np.random.Generator) -> float:
    observed = abs(float(sums.sum()))
    if len(sums) <= _MOST_EXACT:
        return float(np.mean(np.abs(_all_signs(len(sums)) @ sums) >= observed - 1e-9))
    signs = 1 - 2 * rng.integers(0, 2, (_N_DRAWS, len(sums)))
    extreme: Bool[np.ndarray, " draws"] = np.abs(signs @ sums) >= observed - 1e-9
    return float((extreme.sum() + 1) / (_N_DRAWS + 1))


def _all_signs(n: int) -> Float64[np.ndarray, "tosses cases"]:
    tosses = (np.arange(2**n)[:, None] >> np.arange(n)[None]) & 1
    return (1 - 2 * tosses).astype(np.float64)
