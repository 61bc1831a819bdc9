"""Several methods on the same pictures: figures with intervals by case, and differences in pairs.

Each figure here is a ratio of sums over cases, or a mean of such ratios. Drawing cases anew is then a matter
of weighing the cases' sums, and a thousand draws cost no more than one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int

from supcam.core.types import ClusterType, SupcamError
from supcam.measure.intervals import N_RESAMPLES, percentiles
from supcam.measure.metrics import N_TYPES, ratio
from supcam.measure.table import UNKNOWN, PredictionTable

FIGURES = {
    "accuracy": "four types",
    "clusters_accuracy": "clusters alone",
    "macro_recall": "macro recall",
    "instance_vs_cluster": "instance or cluster",
    "count_exact_2_3": "counts of 2 or 3",
}
"""The figures compared, named as in ``metrics.Figures``, and what a table calls them."""

_NAN = float("nan")
_CELLS = 3 * N_TYPES + 4
_TOTALS = [*range(2 * N_TYPES, 3 * N_TYPES), 3 * N_TYPES + 1, 3 * N_TYPES + 3]
"""The cells that the truth alone decides."""

Sums = Float64[np.ndarray, "draws cells"]
"""Weighted sums of pictures. For each type: right, read as it, all; then right and all of instance or
cluster, and of counts of 2 or 3."""
Cells = Float64[np.ndarray, "cases cells"]
"""The same, case by case."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure, the interval of it by case, and of its difference to the reference's, ``nan`` without one."""

    value: float
    low: float
    high: float
    difference: float = _NAN
    difference_low: float = _NAN
    difference_high: float = _NAN

    @property
    def differs(self) -> bool:
        """Whether the interval of the difference leaves 0 out."""
        return bool(self.difference_low > 0 or self.difference_high < 0)


def compare(
    table: PredictionTable, *, reference: PredictionTable | None = None, rng: np.random.Generator
) -> Mapping[str, Compared]:
    """Each of ``FIGURES``; rows of several seeds stand in one table, below each other.

    Whole cases are drawn with replacement, the same ones for both tables (percentile bootstrap by case, as
    ``intervals.bootstrap_by_case``; the ends are ``nan`` with fewer than two cases). Raises ``SupcamError``
    when the two tables do not hold the same cases with the same pictures, each equally often.
    """
    ours = _by_case(table)
    weights = _weights(len(ours.keys), rng=rng)
    own, drawn = _figures(ours.total), _figures(weights @ ours.cells)
    if reference is None:
        return {name: Compared(float(own[name][0]), *_ends(drawn[name])) for name in FIGURES}
    theirs = _by_case(reference)
    _require_same(ours, theirs)
    others, others_drawn = _figures(theirs.total), _figures(weights @ theirs.cells)
    return {
        name: Compared(
            float(own[name][0]),
            *_ends(drawn[name]),
            float(own[name][0] - others[name][0]),
            *_ends(drawn[name] - others_drawn[name]),
        )
        for name in FIGURES
    }


@dataclass(frozen=True, slots=True, eq=False)
class _ByCase:
    """The cases' names and what each adds to the sums."""

    keys: tuple[str, ...]
    cells: Cells

    @property
    def total(self) -> Sums:
        """All cases once."""
        total: Sums = self.cells.sum(axis=0, keepdims=True)
        return total

    @property
    def shares(self) -> Cells:
        """What the truth alone decides, as shares of all of it."""
        known = self.cells[:, _TOTALS]
        return known / max(float(known.sum()), 1.0)


def _by_case(table: PredictionTable) -> _ByCase:
    keys, case_of_row = np.unique(table.case_keys, return_inverse=True)
    cells = np.zeros((len(keys), _CELLS))
    np.add.at(cells, case_of_row, _cells(table))
    return _ByCase(tuple(str(key) for key in keys), cells)


def _require_same(ours: _ByCase, theirs: _ByCase) -> None:
    if ours.keys == theirs.keys and np.allclose(ours.shares, theirs.shares, rtol=1e-9, atol=0):
        return
    raise SupcamError(
        f"{len(ours.keys)} cases against {len(theirs.keys)}, or other pictures in them",
        expected="two tables of the same pictures, each as often as any other",
        remedy="score both methods on the same pictures",
    )


def _cells(table: PredictionTable) -> Float64[np.ndarray, "batch cells"]:
    """What each picture adds: the rules of ``metrics`` on known types and counts, picture by picture."""
    types, counts = table.true_types, table.true_counts
    of_type = types[:, None] == np.arange(N_TYPES)
    is_cluster = np.where(types == UNKNOWN, counts > 1, types != ClusterType.INSTANCE)
    told = (is_cluster == (table.predicted_types != ClusterType.INSTANCE)) & ~table.rejected
    known = (types != UNKNOWN) | (counts != UNKNOWN)
    small = (counts == 2) | (counts == 3)
    exact = (table.predicted_counts == counts) & ~table.rejected
    read = of_type & (table.predicted_types == types)[:, None]
    right = of_type & table.correct[:, None]
    columns = [right, read, of_type, told & known, known, exact & small, small]
    return np.column_stack(columns).astype(np.float64)


def _figures(sums: Sums) -> dict[str, Float64[np.ndarray, " draws"]]:
    right, read, typed = np.split(sums[:, : 3 * N_TYPES], 3, axis=1)
    told, known, exact, small = sums[:, 3 * N_TYPES :].T
    recalls = ratio(read, of=typed)
    occurs = np.isfinite(recalls)
    return {
        "accuracy": ratio(right.sum(axis=1), of=typed.sum(axis=1)),
        "clusters_accuracy": ratio(right[:, 1:].sum(axis=1), of=typed[:, 1:].sum(axis=1)),
        "macro_recall": ratio(np.where(occurs, recalls, 0.0).sum(axis=1), of=occurs.sum(axis=1)),
        "instance_vs_cluster": ratio(told, of=known),
        "count_exact_2_3": ratio(exact, of=small),
    }


def _weights(n_cases: int, *, rng: np.random.Generator) -> Float64[np.ndarray, "draws cases"]:
    """How often each draw holds each case; no draw of fewer than two cases, of which nothing can be said."""
    if n_cases < 2:
        return np.zeros((0, n_cases))
    drawn: Int[np.ndarray, "draws cases"] = rng.multinomial(
        n_cases, np.full(n_cases, 1 / n_cases), size=N_RESAMPLES
    )
    return drawn.astype(np.float64)


def _ends(values: Float64[np.ndarray, " draws"]) -> tuple[float, float]:
    found = percentiles(values)
    return found.low, found.high
