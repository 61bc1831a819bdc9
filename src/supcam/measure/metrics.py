"""Scores of a table of predictions: small pure functions, arrays in, numbers out.

A score that the data cannot give (a class that never occurs, no picture at all) is ``nan``, never a guess and
never a warning. Class order is ``ClusterType``: instance, touching, overlapping, touching-overlapping.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Shaped

from supcam.core.types import ClusterType, SupcamError
from supcam.measure.table import UNKNOWN, PredictionTable

N_TYPES = len(ClusterType)
N_BINS = 15

Confusion = Int[np.ndarray, "4 4"]
"""Pictures by true type (rows) and predicted type (columns)."""
PerClass = Float64[np.ndarray, "4"]
Labels = Int[np.ndarray, " batch"]
Numbers = Int[np.ndarray, "..."] | Float64[np.ndarray, "..."]
Probabilities = Float64[np.ndarray, "batch 4"]


@dataclass(frozen=True, slots=True)
class ClassScores:
    """How one type is recognised. ``support`` pictures are of this type, ``predicted`` were called so."""

    label: str
    support: int
    predicted: int
    precision: float
    recall: float
    f1: float
    specificity: float
    auroc: float


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one table; ``nan`` where the data cannot say.

    Shares are 0..1. ``clusters_accuracy`` is the type accuracy on true clusters, ``instance_vs_cluster``
    the accuracy of that one decision. Macro scores are means over the types that occur; the precision of
    one that was never called counts as 0. ``specificity_micro`` (Lin et al., 2021) is a restatement of
    accuracy: 1 - (1 - accuracy) / 3. ``count_error`` is the mean absolute error in chromosomes;
    ``count_exact_2_3`` looks at true clusters of two or three. ``calibration_error`` uses fifteen bins of
    equal mass, ``calibration_error_debiased`` is a root mean square without the sampling bias. ``brier`` is
    0..2. ``accepted_*`` describe what passed the model's threshold, ``accepted_clusters_accuracy`` those of
    them that were called a cluster.
    """

    accuracy: float
    clusters_accuracy: float
    instance_vs_cluster: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    specificity_macro: float
    specificity_micro: float
    kappa: float
    auroc_macro: float
    count_error: float
    count_exact: float
    count_exact_clusters: float
    count_exact_2_3: float
    calibration_error: float
    calibration_error_debiased: float
    brier: float
    nll: float
    accepted_share: float
    accepted_accuracy: float
    accepted_clusters_accuracy: float


def compute_figures(table: PredictionTable) -> Figures:
    """Every figure of the table.

    Type scores look at rows of known type, counts at rows of known count, and instance against cluster at
    rows where either is known. A rejected row counts as wrong in the shares of right answers; the confusion
    table and what derives from it alone hold the type that was read.
    """
    typed = table.take(table.true_types != UNKNOWN)
    table_of_types = confusion(typed.true_types, predicted=typed.predicted_types)
    return Figures(
        accuracy=mean_of(typed.correct),
        clusters_accuracy=mean_of(typed.correct[typed.true_types != ClusterType.INSTANCE]),
        instance_vs_cluster=instance_vs_cluster(table),
        macro_precision=macro(np.nan_to_num(precisions(table_of_types)), confusion=table_of_types),
        macro_recall=macro(recalls(table_of_types), confusion=table_of_types),
        macro_f1=macro(f1_scores(table_of_types), confusion=table_of_types),
        specificity_macro=macro(specificities(table_of_types), confusion=table_of_types),
        specificity_micro=specificity_micro(table_of_types),
        kappa=kappa(table_of_types),
        auroc_macro=mean_of(_defined(aurocs(typed.true_types, probabilities=typed.probabilities))),
        **_count_figures(table),
        **_doubt_figures(typed),
    )


def class_scores(table: PredictionTable) -> tuple[ClassScores, ...]:
    """The scores of each of the four types, in ``ClusterType`` order, on rows of known type."""
    typed = table.take(table.true_types != UNKNOWN)
    matrix = confusion(typed.true_types, predicted=typed.predicted_types)
    columns = (
        precisions(matrix),
        recalls(matrix),
        f1_scores(matrix),
        specificities(matrix),
        aurocs(typed.true_types, probabilities=typed.probabilities),
    )
    return tuple(
        ClassScores(
            kind.label,
            int(matrix[kind].sum()),
            int(matrix[:, kind].sum()),
            *(float(c[kind]) for c in columns),
        )
        for kind in ClusterType
    )


def confusion(true_types: Labels, *, predicted: Labels) -> Confusion:
    """Pictures by true type (rows) and predicted type (columns); ``SupcamError`` outside 0..3."""
    for name, values in (("true", true_types), ("predicted", predicted)):
        if np.any((values < 0) | (values >= N_TYPES)):
            raise SupcamError(
                f"{name} types outside 0..3",
                expected="cluster types 0..3",
                remedy="leave out rows of unknown type",
            )
    matrix: Confusion = np.bincount(true_types * N_TYPES + predicted, minlength=N_TYPES**2).reshape(
        N_TYPES, N_TYPES
    )
    return matrix


def recalls(confusion: Confusion) -> PerClass:
    """Share of each type's pictures that were called so; ``nan`` for a type that does not occur."""
    return ratio(np.diag(confusion), of=confusion.sum(axis=1))


def precisions(confusion: Confusion) -> PerClass:
    """Share of each type's calls that were right; ``nan`` for a type that was never called."""
    return ratio(np.diag(confusion), of=confusion.sum(axis=0))


def f1_scores(confusion: Confusion) -> PerClass:
    """Harmonic mean of precision and recall, 2 TP / (pictures + calls); ``nan`` without either."""
    return ratio(2 * np.diag(confusion), of=confusion.sum(axis=0) + confusion.sum(axis=1))


def specificities(confusion: Confusion) -> PerClass:
    """Share of the other types' pictures that were not called this type; ``nan`` when there are no others."""
    others = confusion.sum() - confusion.sum(axis=1)
    false_calls = confusion.sum(axis=0) - np.diag(confusion)
    return ratio(others - false_calls, of=others)


def macro(scores: PerClass, *, confusion: Confusion) -> float:
    """Mean of a per-class score over the types that occur, leaving out those for which it is ``nan``."""
    return mean_of(_defined(scores[confusion.sum(axis=1) > 0]))


def specificity_micro(confusion: Confusion) -> float:
    """True negatives of all four one-against-rest tables over all their negatives: 1 - (1 - accuracy) / 3."""
    negatives = (confusion.sum() - confusion.sum(axis=1)).sum()
    false_calls = confusion.sum() - np.trace(confusion)
    return float(ratio(np.array([negatives - false_calls]), of=np.array([negatives]))[0])


def kappa(confusion: Confusion) -> float:
    """Cohen's kappa (1960): agreement beyond what the two distributions of types give by chance, -1..1."""
    total = confusion.sum()
    if total == 0:
        return float("nan")
    observed = np.trace(confusion) / total
    by_chance = float(confusion.sum(axis=0) @ confusion.sum(axis=1)) / float(total) ** 2
    return float((observed - by_chance) / (1 - by_chance)) if by_chance < 1 else float("nan")


def auroc(scores: Float[np.ndarray, " batch"], *, positive: Bool[np.ndarray, " batch"]) -> float:
    """Area under the ROC curve: the chance that a positive scores higher than a negative, ties counting half.

    ``nan`` when there are only positives or only negatives. Computed from mid-ranks (Mann and Whitney, 1947).
    """
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if n_positive == 0 or n_negative == 0:
        return float("nan")
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def aurocs(true_types: Labels, *, probabilities: Probabilities) -> PerClass:
    """AUROC of each type against the rest, from its probability; ``nan`` for a type that does not occur."""
    return np.array([auroc(probabilities[:, kind], positive=true_types == kind) for kind in range(N_TYPES)])


def instance_vs_cluster(table: PredictionTable) -> float:
    """Share of rows where instance and cluster are told apart; the count stands in for an unknown type."""
    is_cluster = np.where(
        table.true_types == UNKNOWN, table.true_counts > 1, table.true_types != ClusterType.INSTANCE
    )
    known = (table.true_types != UNKNOWN) | (table.true_counts != UNKNOWN)
    right = (is_cluster == (table.predicted_types != ClusterType.INSTANCE)) & ~table.rejected
    return mean_of(right[known])


def calibration_error(
    confidence: Float64[np.ndarray, " batch"], *, correct: Bool[np.ndarray, " batch"], n_bins: int = N_BINS
) -> float:
    """Expected calibration error: mean distance of confidence and accuracy over bins of equal mass, 0..1."""
    bins = equal_mass_bins(confidence, n_bins=n_bins)
    gaps = [len(rows) * abs(float(np.mean(confidence[rows]) - np.mean(correct[rows]))) for rows in bins]
    return sum(gaps) / len(confidence) if gaps else float("nan")


def calibration_error_debiased(
    confidence: Float64[np.ndarray, " batch"], *, correct: Bool[np.ndarray, " batch"], n_bins: int = N_BINS
) -> float:
    """Root mean square calibration error without the share that chance in small bins adds, 0..1.

    From each bin's squared gap the variance of its accuracy, a (1 - a) / (n - 1), is taken off; a negative
    sum counts as 0 (Kumar, Liang and Ma, 2019, debiased estimator). Bins hold at least two pictures;
    ``nan`` below.
    """
    if len(confidence) < 2:
        return float("nan")
    squares = 0.0
    for rows in equal_mass_bins(confidence, n_bins=min(n_bins, len(confidence) // 2)):
        accuracy = float(np.mean(correct[rows]))
        gap = float(np.mean(confidence[rows])) - accuracy
        squares += len(rows) * (gap**2 - accuracy * (1 - accuracy) / (len(rows) - 1))
    return float(np.sqrt(max(0.0, squares / len(confidence))))


def equal_mass_bins(
    confidence: Float64[np.ndarray, " batch"], *, n_bins: int
) -> list[Int[np.ndarray, " some"]]:
    """Rows in order of confidence, cut into bins whose sizes differ by one at most; no bin is empty."""
    order = np.argsort(confidence, kind="stable")
    return [rows for rows in np.array_split(order, n_bins) if len(rows)]


def brier(true_types: Labels, *, probabilities: Probabilities) -> float:
    """Mean squared distance of the four probabilities from the truth, 0..2 (Brier, 1950)."""
    truth = np.eye(N_TYPES)[true_types]
    return mean_of(np.sum((probabilities - truth) ** 2, axis=1))


def negative_log_likelihood(true_types: Labels, *, probabilities: Probabilities) -> float:
    """Mean of -log of the true type's probability, in nats; probabilities below 1e-12 count as 1e-12."""
    chosen = probabilities[np.arange(len(true_types)), true_types]
    return mean_of(-np.log(np.maximum(chosen, 1e-12)))


def mean_of(values: Shaped[np.ndarray, " any"]) -> float:
    """The mean, or ``nan`` (without a warning) when there is nothing to average."""
    return float(np.mean(values)) if len(values) else float("nan")


def _count_figures(table: PredictionTable) -> dict[str, float]:
    known = table.true_counts != UNKNOWN
    true_counts, counts = table.true_counts[known], table.predicted_counts[known]
    exact = (counts == true_counts) & ~table.rejected[known]
    return {
        "count_error": mean_of(np.abs(counts - true_counts)),
        "count_exact": mean_of(exact),
        "count_exact_clusters": mean_of(exact[true_counts >= 2]),
        "count_exact_2_3": mean_of(exact[(true_counts == 2) | (true_counts == 3)]),
    }


def _doubt_figures(typed: PredictionTable) -> dict[str, float]:
    called_cluster = typed.predicted_types != ClusterType.INSTANCE
    return {
        "calibration_error": calibration_error(typed.confidence, correct=typed.correct),
        "calibration_error_debiased": calibration_error_debiased(typed.confidence, correct=typed.correct),
        "brier": brier(typed.true_types, probabilities=typed.probabilities),
        "nll": negative_log_likelihood(typed.true_types, probabilities=typed.probabilities),
        "accepted_share": mean_of(typed.accepted),
        "accepted_accuracy": mean_of(typed.correct[typed.accepted]),
        "accepted_clusters_accuracy": mean_of(typed.correct[typed.accepted & called_cluster]),
    }


def ratio(part: Numbers, *, of: Numbers) -> Float64[np.ndarray, ...]:
    """``part`` as shares of ``of``, number by number; ``nan`` where there is nothing to divide by."""
    quotient = np.full(np.shape(part), np.nan)
    np.divide(part, of, out=quotient, where=of > 0)
    return quotient


def _defined(scores: Float64[np.ndarray, " any"]) -> Float64[np.ndarray, " some"]:
    defined: Float64[np.ndarray, " some"] = scores[np.isfinite(scores)]
    return defined
