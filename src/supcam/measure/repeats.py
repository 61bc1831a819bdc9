"""Several runs of one recipe on the same pictures: the mean over runs, its spread, an interval by case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from supcam.core.types import SupcamError
from supcam.measure.intervals import N_RESAMPLES, Interval, bootstrap_by_case
from supcam.measure.metrics import (
    confusion,
    f1_scores,
    macro,
    mean_of,
    recalls,
    specificities,
    specificity_micro,
)
from supcam.measure.table import UNKNOWN, PredictionTable, stacked


@dataclass(frozen=True, slots=True)
class Repeats:
    """The figures of ``type_figures`` over ``n_runs`` runs: mean, standard deviation, interval of the mean.

    Deviations of a single run are ``nan``. The interval draws cases anew, with the runs as they are; the
    deviation tells how far another seed moves a figure on the same pictures.
    """

    n_runs: int
    means: Mapping[str, float]
    deviations: Mapping[str, float]
    intervals: Mapping[str, Interval]


def type_figures(table: PredictionTable) -> dict[str, float]:
    """The figures that published tables of cluster types have, both specificities among them."""
    typed = table.take(table.true_types != UNKNOWN)
    matrix = confusion(typed.true_types, predicted=typed.predicted_types)
    return {
        "accuracy": mean_of(typed.correct),
        "macro_recall": macro(recalls(matrix), confusion=matrix),
        "macro_f1": macro(f1_scores(matrix), confusion=matrix),
        "specificity_macro": macro(specificities(matrix), confusion=matrix),
        "specificity_micro": specificity_micro(matrix),
    }


def over_runs(
    tables: Sequence[PredictionTable], *, rng: np.random.Generator, n_resamples: int = N_RESAMPLES
) -> Repeats:
    """The mean of several runs on the same pictures. Raises ``SupcamError`` for tables of other pictures."""
    _require_same_pictures(tables)
    each = [type_figures(table) for table in tables]

    def mean(drawn: PredictionTable) -> dict[str, float]:
        return _means([type_figures(drawn.take(drawn.folds == str(run))) for run in range(len(tables))])

    several = len(tables) > 1
    return Repeats(
        n_runs=len(tables),
        means=_means(each),
        deviations={
            name: float(np.std([one[name] for one in each], ddof=1)) if several else np.nan
            for name in each[0]
        },
        intervals=bootstrap_by_case(_by_run(tables), rng=rng, statistic=mean, n_resamples=n_resamples),
    )


def _means(each: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([figures[name] for figures in each])) for name in each[0]}


def _require_same_pictures(tables: Sequence[PredictionTable]) -> None:
    scored = {(*zip(table.case_keys.tolist(), table.paths.tolist(), strict=True),) for table in tables}
    if len(scored) != 1:
        raise SupcamError(
            f"{len(scored)} different lists of pictures in {len(tables)} tables",
            expected="runs that were scored on the same pictures",
            remedy="score them on the same role of the same split",
        )


def _by_run(tables: Sequence[PredictionTable]) -> PredictionTable:
    """The rows of all tables, without logits; ``folds`` has the number of each row's run."""
    return stacked(
        [
            replace(table, folds=np.full(len(table), str(run)), type_logits=None, count_logits=None)
            for run, table in enumerate(tables)
        ]
    )
