"""A few numbers to watch a training by; the scores that are published come from ``measure``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from supcam.core.types import ClusterType

Known = Int64[np.ndarray, " pictures"]


@dataclass(frozen=True, slots=True)
class Scores:
    """Shares between 0 and 1 over the pictures whose label is known; NaN where there are none.

    ``clusters_accuracy`` is the type's accuracy on clusters alone, ``cluster_found`` that of instance against
    cluster, ``macro_recall`` the mean recall of the types present, ``count_2_or_3`` the share of right counts
    among clusters of two or three chromosomes, ``type_loss`` the mean -log of the true type's probability.
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
    """The network's logits for a set of pictures, and what is known about them (-1 = unknown)."""

    type_logits: Float32[np.ndarray, "pictures 4"]
    count_logits: Float32[np.ndarray, "pictures classes"]
    chromosome_logit: Float32[np.ndarray, "pictures 1"]
    type: Known
    count: Known
    is_chromosome: Known


def score(answers: Answers) -> Scores:
    """How well the answers fit what is known."""
    typed = answers.type >= 0
    true = answers.type[typed]
    right = answers.type_logits[typed].argmax(axis=1) == true
    read_instance = answers.type_logits[typed].argmax(axis=1) == ClusterType.INSTANCE
    clusters = true != ClusterType.INSTANCE
    return Scores(
        n=len(answers.type),
        accuracy=_mean(right),
        clusters_accuracy=_mean(right[clusters]),
        cluster_found=_mean(read_instance != clusters),
        macro_recall=_mean(np.array([right[true == kind].mean() for kind in np.unique(true)])),
        count_accuracy=_mean(_counts_right(answers)[answers.count >= 0]),
        count_2_or_3=_mean(_counts_right(answers)[np.isin(answers.count, (2, 3))]),
        chromosome_accuracy=_mean((answers.chromosome_logit[:, 0] > 0) == (answers.is_chromosome == 1)),
        type_loss=_mean(_log_loss(answers.type_logits[typed], true=true)),
    )


def _counts_right(answers: Answers) -> np.ndarray:
    """Whether the likeliest count is the true one; all counts from the last class on are one."""
    last = answers.count_logits.shape[1]
    return np.asarray(answers.count_logits.argmax(axis=1) + 1 == np.minimum(answers.count, last))


def _log_loss(logits: np.ndarray, *, true: Known) -> np.ndarray:
    high = logits.max(axis=1, keepdims=True)
    log_sum = high[:, 0] + np.log(np.exp(logits - high).sum(axis=1))
    return np.asarray(log_sum - logits[np.arange(len(true)), true])


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")
