"""A few numbers to watch a training by; the scores that are published come from ``measure``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64

from supcam.core.reading import read_jointly
from supcam.core.types import ClusterType

Labels = Int64[np.ndarray, " pictures"]


@dataclass(frozen=True, slots=True)
class Scores:
    """Shares between 0 and 1 over the pictures whose label is known; NaN where there are none.

    Type and count are read jointly, as in use. ``clusters_accuracy`` is the type's accuracy on clusters
    alone, ``cluster_found`` that of instance against cluster, ``macro_recall`` the mean recall of the types
    present, ``count_2_or_3`` the share of right counts among clusters of two or three chromosomes,
    ``type_loss`` the mean -log of the true type's probability.
    """

    n: int
    accuracy: float
    clusters_accuracy: float
    cluster_found: float
    macro_recall: float
    count_accuracy: float
    count_2_or_3: float
    chromosome_accuracy: float
    type_loss: float


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The network's logits for a set of pictures, and what is known about them (-1 = unknown).

    ``count_logits`` and ``chromosome_logit`` are ``None`` when no such head is trained: their scores are NaN.
    """

    type_logits: Float32[np.ndarray, "pictures 4"]
    count_logits: Float32[np.ndarray, "pictures classes"] | None
    chromosome_logit: Float32[np.ndarray, "pictures 1"] | None
    types: Labels
    counts: Labels
    chromosomes: Labels


def score(answers: Answers) -> Scores:
    """How well the answers fit what is known."""
    reading = read_jointly(answers.type_logits, answers.count_logits)
    typed = answers.types >= 0
    true, read = answers.types[typed], reading.types[typed]
    right, cluster = read == true, true != ClusterType.INSTANCE
    counted_right, counts = _counts_right(reading.counts, answers=answers), _known_counts(answers)
    likelihood = reading.type_probabilities[typed, true]
    return Scores(
        n=len(answers.types),
        accuracy=_mean(right),
        clusters_accuracy=_mean(right[cluster]),
        cluster_found=_mean((read != ClusterType.INSTANCE) == cluster),
        macro_recall=_mean(np.array([right[true == kind].mean() for kind in np.unique(true)])),
        count_accuracy=_mean(counted_right[counts > 0]),
        count_2_or_3=_mean(counted_right[np.isin(counts, (2, 3))]),
        chromosome_accuracy=_mean(_chromosomes_right(answers)),
        type_loss=_mean(-np.log(np.maximum(likelihood, np.finfo(np.float64).tiny))),
    )


def _known_counts(answers: Answers) -> Labels:
    """The true counts; all unknown where no head reads them."""
    return answers.counts if answers.count_logits is not None else np.full_like(answers.counts, -1)


def _counts_right(counts: Labels, *, answers: Answers) -> Bool[np.ndarray, " pictures"]:
    """Whether the read count is the true one; from the last class on all counts are one."""
    last = 0 if answers.count_logits is None else answers.count_logits.shape[1]
    return np.asarray(counts == np.minimum(answers.counts, last))


def _chromosomes_right(answers: Answers) -> Bool[np.ndarray, " pictures"]:
    """Whether chromosomes were told from debris; nothing where no head does."""
    if answers.chromosome_logit is None:
        return np.zeros(0, bool)
    return np.asarray((answers.chromosome_logit[:, 0] > 0) == (answers.chromosomes == 1))


def joined(parts: Sequence[Answers]) -> Answers:
    """All parts in one; they agree on which heads are trained."""
    columns = {name: [getattr(part, name) for part in parts] for name in Answers.__slots__}
    return Answers(**{name: _concatenated(values) for name, values in columns.items()})


def _concatenated(values: list[Any]) -> Any:  # noqa: ANN401 (one of several array types, or none)
    return None if values[0] is None else np.concatenate(values)


def _mean(values: Bool[np.ndarray, " n"] | Float[np.ndarray, " n"]) -> float:
    return float(values.mean()) if values.size else float("nan")
