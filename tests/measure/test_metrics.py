from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from supcam.core.types import SupcamError
from supcam.measure import metrics
from supcam.measure.table import PredictionTable

sklearn_metrics = pytest.importorskip("sklearn.metrics")

TableMaker = Callable[..., PredictionTable]
CONFUSIONS = arrays(np.int64, (4, 4), elements=st.integers(0, 30))


@pytest.fixture
def matrix(table: PredictionTable) -> metrics.Confusion:
    return metrics.confusion(table.true_types, predicted=table.predicted_types)


def test_confusion_has_true_types_in_rows() -> None:
    matrix = metrics.confusion(np.array([0, 0, 3, 1]), predicted=np.array([0, 2, 3, 3]))
    expected = np.zeros((4, 4), np.int64)
    expected[0, 0] = expected[0, 2] = expected[3, 3] = expected[1, 3] = 1
    np.testing.assert_array_equal(matrix, expected)


def test_confusion_refuses_unknown_types() -> None:
    with pytest.raises(SupcamError):
        metrics.confusion(np.array([0, -1]), predicted=np.array([0, 1]))
    with pytest.raises(SupcamError):
        metrics.confusion(np.array([0, 1]), predicted=np.array([0, 4]))


def test_scores_are_those_of_scikit_learn(table: PredictionTable, matrix: metrics.Confusion) -> None:
    true, read = table.true_types, table.predicted_types
    precision, recall, f1, support = sklearn_metrics.precision_recall_fscore_support(true, read)
    np.testing.assert_array_equal(matrix, sklearn_metrics.confusion_matrix(true, read))
    np.testing.assert_allclose(metrics.precisions(matrix), precision)
    np.testing.assert_allclose(metrics.recalls(matrix), recall)
    np.testing.assert_allclose(metrics.f1_scores(matrix), f1)
    assert [scores.support for scores in metrics.class_scores(table)] == list(support)
    figures = metrics.compute_figures(table)
    assert figures.accuracy == pytest.approx(sklearn_metrics.accuracy_score(true, read))
    assert figures.kappa == pytest.approx(sklearn_metrics.cohen_kappa_score(true, read))
    assert figures.macro_f1 == pytest.approx(np.mean(f1))
    assert figures.macro_recall == pytest.approx(sklearn_metrics.balanced_accuracy_score(true, read))
    assert figures.macro_precision == pytest.approx(np.mean(precision))


def test_probability_scores_are_those_of_scikit_learn(table: PredictionTable) -> None:
    true, shares = table.true_types, table.probabilities
    figures = metrics.compute_figures(table)
    expected = sklearn_metrics.roc_auc_score(true, shares, multi_class="ovr", average="macro")
    assert figures.auroc_macro == pytest.approx(expected)
    assert figures.nll == pytest.approx(sklearn_metrics.log_loss(true, shares))
    truth = np.eye(4)[true]
    assert figures.brier == pytest.approx(
        np.mean([((p - t) ** 2).sum() for p, t in zip(shares, truth, strict=True)])
    )


def test_auroc_counts_pairs_and_half_of_the_ties() -> None:
    scores = np.array([0.1, 0.4, 0.4, 0.8, 0.4])
    positive = np.array([False, True, False, True, False])
    wins = [1.0 if p > n else 0.5 if p == n else 0.0 for p in scores[positive] for n in scores[~positive]]
    assert metrics.auroc(scores, positive=positive) == pytest.approx(np.mean(wins))


def test_specificity_of_each_type_counted_picture_by_picture(
    table: PredictionTable, matrix: metrics.Confusion
) -> None:
    for kind, specificity in enumerate(metrics.specificities(matrix)):
        others = [
            read for true, read in zip(table.true_types, table.predicted_types, strict=True) if true != kind
        ]
        assert specificity == pytest.approx(sum(read != kind for read in others) / len(others))


@given(CONFUSIONS.filter(lambda matrix: matrix.sum() > 0))
def test_micro_specificity_restates_accuracy(matrix: metrics.Confusion) -> None:
    accuracy = np.trace(matrix) / matrix.sum()
    assert metrics.specificity_micro(matrix) == pytest.approx(1 - (1 - accuracy) / 3)


def test_macro_specificity_says_what_the_micro_one_hides() -> None:
    """Everything called instance: the micro one stays high because most pictures are instances."""
    matrix = np.zeros((4, 4), np.int64)
    matrix[:, 0] = [97, 1, 1, 1]
    assert metrics.specificity_micro(matrix) == pytest.approx(0.99)
    assert metrics.macro(metrics.specificities(matrix), confusion=matrix) == pytest.approx(0.75)


@given(CONFUSIONS)
def test_no_confusion_table_raises_or_warns(matrix: metrics.Confusion) -> None:
    for scores in (metrics.precisions, metrics.recalls, metrics.f1_scores, metrics.specificities):
        values = scores(matrix)
        assert np.all(np.isnan(values) | ((values >= 0) & (values <= 1)))
    assert np.isnan(metrics.kappa(matrix)) or -1 <= metrics.kappa(matrix) <= 1


def test_a_type_that_never_occurs_is_undefined_and_left_out_of_means(table: PredictionTable) -> None:
    three = table.take(table.true_types != 2)
    by_type = metrics.class_scores(three)
    assert np.isnan(by_type[2].recall)
    assert np.isnan(by_type[2].auroc)
    figures = metrics.compute_figures(three)
    assert figures.macro_recall == pytest.approx(np.mean([by_type[kind].recall for kind in (0, 1, 3)]))
    assert figures.auroc_macro == pytest.approx(np.mean([by_type[kind].auroc for kind in (0, 1, 3)]))


def test_a_type_that_is_never_called_has_precision_0_in_the_mean() -> None:
    matrix = np.array([[5, 0, 0, 0], [0, 5, 0, 0], [5, 0, 0, 0], [0, 0, 0, 5]])
    assert np.isnan(metrics.precisions(matrix)[2])
    assert metrics.macro(np.nan_to_num(metrics.precisions(matrix)), confusion=matrix) == pytest.approx(
        2.5 / 4
    )


def test_one_type_alone_leaves_much_undefined_and_warns_of_nothing(table: PredictionTable) -> None:
    figures = metrics.compute_figures(table.take(table.true_types == 0))
    assert np.isnan(figures.clusters_accuracy)
    assert np.isnan(figures.auroc_macro)
    assert np.isnan(figures.count_exact_clusters)
    assert 0 < figures.accuracy <= 1


def test_no_picture_at_all_gives_no_figure_and_no_warning(table: PredictionTable) -> None:
    figures = metrics.compute_figures(table.take(np.zeros(len(table), bool)))
    assert all(np.isnan(value) for value in asdict(figures).values())


def test_clusters_alone_are_the_lower_right_of_the_confusion_table(
    table: PredictionTable, matrix: metrics.Confusion
) -> None:
    expected = np.trace(matrix[1:, 1:]) / matrix[1:].sum()
    assert metrics.compute_figures(table).clusters_accuracy == pytest.approx(expected)


def test_instance_against_cluster_uses_the_count_where_the_type_is_unknown(table: PredictionTable) -> None:
    known = metrics.instance_vs_cluster(table)
    expected = np.mean((table.true_types == 0) == (table.predicted_types == 0))
    assert known == pytest.approx(expected)
    untyped = replace(table, true_types=np.full(len(table), -1))
    assert metrics.instance_vs_cluster(untyped) == pytest.approx(known)
    nothing = replace(untyped, true_counts=np.full(len(table), -1))
    assert np.isnan(metrics.instance_vs_cluster(nothing))


def test_counts_against_a_plain_loop(table: PredictionTable) -> None:
    true, read = [int(n) for n in table.true_counts], [int(n) for n in table.predicted_counts]
    pairs = list(zip(true, read, strict=True))
    figures = metrics.compute_figures(table)
    assert figures.count_error == pytest.approx(sum(abs(t - r) for t, r in pairs) / len(pairs))
    assert figures.count_exact == pytest.approx(sum(t == r for t, r in pairs) / len(pairs))
    clusters = [t == r for t, r in pairs if t > 1]
    assert figures.count_exact_clusters == pytest.approx(sum(clusters) / len(clusters))
    small = [t == r for t, r in pairs if t in (2, 3)]
    assert figures.count_exact_2_3 == pytest.approx(sum(small) / len(small))


def test_rejected_pictures_count_as_wrong_everywhere_they_can(table: PredictionTable) -> None:
    figures = metrics.compute_figures(replace(table, rejected=np.ones(len(table), bool)))
    assert figures.accuracy == figures.clusters_accuracy == figures.instance_vs_cluster == 0
    assert figures.count_exact == figures.count_exact_clusters == figures.count_exact_2_3 == 0


def test_accepted_figures_against_a_plain_loop(table: PredictionTable) -> None:
    figures = metrics.compute_figures(table)
    rows = zip(table.accepted, table.correct, table.predicted_types, strict=True)
    accepted = [(bool(right), int(read)) for passed, right, read in rows if passed]
    assert figures.accepted_share == pytest.approx(len(accepted) / len(table))
    assert figures.accepted_accuracy == pytest.approx(np.mean([right for right, _ in accepted]))
    assert figures.accepted_clusters_accuracy == pytest.approx(
        np.mean([right for right, read in accepted if read])
    )


def test_calibration_error_against_a_plain_loop(rng: np.random.Generator) -> None:
    confidence = rng.uniform(0.25, 1, 100)
    correct = rng.uniform(size=100) < confidence**2
    ordered = sorted(zip(confidence, correct, strict=True))
    sizes = [7] * 10 + [6] * 5
    total, start = 0.0, 0
    for size in sizes:
        rows = ordered[start : start + size]
        total += abs(sum(c for c, _ in rows) - sum(bool(r) for _, r in rows))
        start += size
    assert start == 100
    assert metrics.calibration_error(confidence, correct=correct) == pytest.approx(total / 100)


def test_debiased_calibration_error_is_small_where_the_plain_one_is_biased(rng: np.random.Generator) -> None:
    """Perfectly calibrated by construction, 150 pictures: the plain error stays well above 0."""
    plain, debiased = [], []
    for _ in range(200):
        confidence = rng.uniform(0.3, 1, 150)
        correct = rng.uniform(size=150) < confidence
        plain.append(metrics.calibration_error(confidence, correct=correct))
        debiased.append(metrics.calibration_error_debiased(confidence, correct=correct))
    assert np.mean(plain) > 0.08
    assert np.mean(debiased) < np.mean(plain) / 2
    assert np.mean(np.array(debiased) == 0) > 0.3


def test_debiased_calibration_error_finds_a_real_gap(rng: np.random.Generator) -> None:
    correct = rng.uniform(size=20_000) < 0.7
    assert metrics.calibration_error_debiased(np.full(20_000, 0.9), correct=correct) == pytest.approx(
        0.2, abs=0.01
    )


@pytest.mark.parametrize("n_pictures", [0, 1, 2, 3, 14, 29])
def test_calibration_errors_of_few_pictures(n_pictures: int) -> None:
    confidence, correct = np.full(n_pictures, 0.75), np.ones(n_pictures, bool)
    plain = metrics.calibration_error(confidence, correct=correct)
    debiased = metrics.calibration_error_debiased(confidence, correct=correct)
    assert np.isnan(plain) if n_pictures == 0 else plain == pytest.approx(0.25)
    assert np.isnan(debiased) if n_pictures < 2 else debiased == pytest.approx(0.25)


def test_certain_and_wrong_has_a_finite_likelihood() -> None:
    shares = np.array([[1.0, 0.0, 0.0, 0.0]])
    assert metrics.negative_log_likelihood(np.array([1]), probabilities=shares) == pytest.approx(
        -np.log(1e-12)
    )


def test_nothing_is_written_into_the_table(table: PredictionTable) -> None:
    before = {name: np.copy(values) for name, values in vars(table).items()}
    metrics.compute_figures(table)
    for name, values in before.items():
        np.testing.assert_array_equal(getattr(table, name), values)
