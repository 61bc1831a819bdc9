"""Intervals: how far a figure would move had other patients been drawn, or other pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float64, Int
from scipy import stats

from supcam.measure.metrics import class_scores, compute_figures
from supcam.measure.table import PredictionTable

N_RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A percentile interval over the ``n_resamples`` draws that define the figure; ``nan`` without any.

    An interval that was computed, not drawn, has ``n_resamples`` 0.
    """

    low: float
    high: float
    level: float
    n_resamples: int


def exact_interval(n_right: int, *, n: int, level: float = LEVEL) -> Interval:
    """The interval of a share of ``n`` independent answers (Clopper and Pearson, 1934); ``nan`` for none.

    It is exact where every picture is drawn on its own, so too narrow where several are of one case.
    """
    if n == 0:
        return Interval(np.nan, np.nan, level, 0)
    found = stats.binomtest(n_right, n).proportion_ci(confidence_level=level, method="exact")
    return Interval(float(found.low), float(found.high), level, 0)


def figures_by_name(table: PredictionTable) -> Mapping[str, float]:
    """Every figure of ``metrics.Figures`` by name, and each type's ``recall_<type>`` and ``f1_<type>``."""
    by_type = {
        f"{name}_{scores.label}": getattr(scores, name)
        for scores in class_scores(table)
        for name in ("recall", "f1")
    }
    return asdict(compute_figures(table)) | by_type


def bootstrap_by_case(
    table: PredictionTable,
    *,
    rng: np.random.Generator,
    statistic: Callable[[PredictionTable], Mapping[str, float]] = figures_by_name,
    n_resamples: int = N_RESAMPLES,
    level: float = LEVEL,
) -> dict[str, Interval]:
    """A percentile interval for each number that ``statistic`` gives.

    Whole cases are drawn with replacement, never single pictures: pictures of one case share their slide,
    stain and camera (cluster bootstrap; Davison and Hinkley, 1997). Resamples in which a number is
    undefined are left out of its interval. With fewer than two cases nothing can be said: the ends are
    ``nan``.
    """
    rows_of_cases = rows_by_case(table)
    if len(rows_of_cases) < 2:
        return {name: Interval(np.nan, np.nan, level, 0) for name in statistic(table)}
    draws: list[Mapping[str, float]] = []
    for _ in range(n_resamples):
        cases = rng.integers(0, len(rows_of_cases), len(rows_of_cases))
        draws.append(statistic(table.take(np.concatenate([rows_of_cases[case] for case in cases]))))
    return {
        name: percentiles(np.array([draw[name] for draw in draws], np.float64), level=level)
        for name in draws[0]
    }


def rows_by_case(table: PredictionTable) -> list[Int[np.ndarray, " some"]]:
    """The rows of each case of each source, in the order of their names."""
    _, case_of_row = np.unique(table.case_keys, return_inverse=True)
    order = np.argsort(case_of_row, kind="stable")
    ends = np.cumsum(np.bincount(case_of_row))[:-1]
    return np.split(order, ends) if len(table) else []


def percentiles(values: Float64[np.ndarray, " draws"], *, level: float = LEVEL) -> Interval:
    """The central interval of the draws that are defined; ``nan`` where none is."""
    defined = values[np.isfinite(values)]
    if not len(defined):
        return Interval(np.nan, np.nan, level, 0)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level, len(defined))
