"""Sets of types that hold the true one with a chosen probability, whatever the network's errors are.

The conformal predictor is that of crepes; what is kept of it are thresholds, which need no package to apply.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from crepes import ConformalClassifier
from jaxtyping import Bool, Float64, Int

from supcam.measure.metrics import mean_of

LEVELS = (0.8, 0.9, 0.95, 0.99)
LEAST_OF_A_TYPE = 40
"""With fewer calibration pictures of a type its threshold is that of all types together."""

Probabilities = Float64[np.ndarray, "batch 4"]
Types = Int[np.ndarray, " batch"]
Thresholds = Float64[np.ndarray, "levels 4"]
Row = Float64[np.ndarray, " 4"]
Sets = Bool[np.ndarray, "batch 4"]


@dataclass(frozen=True, slots=True, eq=False)
class FittedSets:
    """Thresholds by level and type, and what they do to cases that they were not fitted on.

    A set holds a type where 1 - its probability is at most the threshold. ``covered`` is the share of sets
    that hold the true type, ``mean_size`` the mean number of types in them, ``single`` the share of sets with
    one type, each by level; ``covered_by_type`` by level and type, ``nan`` for a type that does not occur.
    """

    thresholds: Thresholds
    n_samples: tuple[int, int, int, int]
    pooled: tuple[bool, bool, bool, bool]
    covered: tuple[float, ...]
    mean_size: tuple[float, ...]
    single: tuple[float, ...]
    covered_by_type: Thresholds

    def to_json(self) -> dict[str, object]:
        """What a bundle keeps of it, as JSON-able values."""
        return {
            "levels": list(LEVELS),
            "thresholds": np.round(self.thresholds, 6).tolist(),
            "n_samples": list(self.n_samples),
            "pooled": list(self.pooled),
            "covered": [round(share, 6) for share in self.covered],
            "mean_size": [round(size, 6) for size in self.mean_size],
        }


def fit_sets(probabilities: Probabilities, *, true_types: Types, groups: Types) -> FittedSets:
    """The thresholds from all rows, judged on ``groups`` of cases, each by thresholds of the other groups."""
    counts = np.bincount(true_types, minlength=4)
    sets = np.zeros((len(LEVELS), len(true_types), 4), bool)
    for group in np.unique(groups):
        out = groups == group
        found = fit_thresholds(probabilities[~out], true_types=true_types[~out])
        for at, row in enumerate(found):
            sets[at, out] = sets_of(probabilities[out], thresholds=row)
    holds = sets[:, np.arange(len(true_types)), true_types]
    sizes = sets.sum(axis=2)
    n_instance, n_touching, n_overlapping, n_both = (int(n) for n in counts)
    few = counts < LEAST_OF_A_TYPE
    return FittedSets(
        thresholds=fit_thresholds(probabilities, true_types=true_types),
        n_samples=(n_instance, n_touching, n_overlapping, n_both),
        pooled=(bool(few[0]), bool(few[1]), bool(few[2]), bool(few[3])),
        covered=tuple(float(each.mean()) for each in holds),
        mean_size=tuple(float(each.mean()) for each in sizes),
        single=tuple(float((each == 1).mean()) for each in sizes),
        covered_by_type=np.array(
            [[mean_of(each[true_types == kind]) for kind in range(4)] for each in holds]
        ),
    )


def fit_thresholds(probabilities: Probabilities, *, true_types: Types) -> Thresholds:
    """The threshold of each level and type.

    Class-conditional (Vovk, 2012) for types with at least ``LEAST_OF_A_TYPE`` pictures, those of all types
    together for the others.
    """
    strangeness = 1 - probabilities[np.arange(len(true_types)), true_types]
    pooled = _thresholds(strangeness)
    columns = []
    for kind in range(4):
        own = strangeness[true_types == kind]
        columns.append(_thresholds(own) if len(own) >= LEAST_OF_A_TYPE else pooled)
    return np.stack(columns, axis=1)


def sets_of(probabilities: Probabilities, *, thresholds: Row) -> Sets:
    """The types that each set holds; the most probable one is always in it, so that no set is empty."""
    sets = np.asarray(1 - probabilities <= thresholds)
    sets[np.arange(len(sets)), np.argmax(probabilities, axis=1)] = True
    return sets


def _thresholds(strangeness: Float64[np.ndarray, " some"]) -> Float64[np.ndarray, " levels"]:
    """By level, the largest strangeness that the conformal predictor takes into a set; 1: any."""
    tried = np.unique(np.append(strangeness, 1.0))
    predictor = ConformalClassifier().fit(strangeness)
    p_values = predictor.predict_p(tried[:, None], smoothing=False)[:, 0]
    return np.array([tried[p_values >= 1 - level - 1e-9].max(initial=0.0) for level in LEVELS])
