from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supcam.core.reading import read_jointly
from supcam.core.risk import ACCEPT_NOTHING
from supcam.core.types import SupcamError
from supcam.measure import calibration as calibrating
from supcam.measure.calibration import CalibrationPlan, accept_threshold, calibrate
from supcam.measure.metrics import compute_figures, negative_log_likelihood
from supcam.measure.table import PredictionTable

TableMaker = Callable[..., PredictionTable]
ANSWERS = st.lists(st.tuples(st.integers(25, 100), st.booleans(), st.booleans()), max_size=60)


def smallest_threshold(
    answers: list[tuple[float, bool, bool]], *, max_error: float, min_accepted: int, strictly: bool
) -> float:
    """The definition, tried at every confidence that occurs."""
    possible = [ACCEPT_NOTHING]
    for threshold in {confidence for confidence, _, _ in answers}:
        accepted = [answer for answer in answers if answer[0] >= threshold]
        groups = [accepted, [answer for answer in accepted if answer[2]] if strictly else []]
        errors = [sum(not right for _, right, _ in group) / max(1, len(group)) for group in groups]
        if len(accepted) >= min_accepted and max(errors) <= max_error + 1e-12:
            possible.append(threshold)
    return min(possible)


@given(ANSWERS, st.sampled_from([0.0, 0.02, 0.1, 0.3]), st.integers(1, 8), st.booleans())
def test_threshold_is_the_smallest_that_keeps_the_promise(
    drawn: list[tuple[int, bool, bool]], max_error: float, min_accepted: int, strictly: bool
) -> None:
    answers = [(percent / 100, right, cluster) for percent, right, cluster in drawn]
    threshold = accept_threshold(
        np.array([confidence for confidence, _, _ in answers], np.float64),
        correct=np.array([right for _, right, _ in answers], bool),
        max_error=max_error,
        min_accepted=min_accepted,
        strict=np.array([cluster for _, _, cluster in answers], bool) if strictly else None,
    )
    assert threshold == smallest_threshold(
        answers, max_error=max_error, min_accepted=min_accepted, strictly=strictly
    )


def test_threshold_accepts_everything_when_everything_is_right() -> None:
    confidence = np.linspace(0.3, 1, 50)
    assert accept_threshold(confidence, correct=np.ones(50, bool)) == pytest.approx(0.3)


def test_threshold_accepts_nothing_when_nothing_is_good_enough() -> None:
    confidence = np.linspace(0.3, 1, 50)
    assert accept_threshold(confidence, correct=np.zeros(50, bool)) == ACCEPT_NOTHING > 1
    assert accept_threshold(confidence[:10], correct=np.ones(10, bool)) == ACCEPT_NOTHING
    assert accept_threshold(np.zeros(0), correct=np.zeros(0, bool)) == ACCEPT_NOTHING


def test_strictness_protects_the_clusters() -> None:
    """98 sure instances would carry two wrong clusters over the line."""
    confidence = np.r_[np.linspace(0.9, 1, 98), 0.8, 0.81]
    correct = np.r_[np.ones(98, bool), False, False]
    clusters = ~correct
    assert accept_threshold(confidence, correct=correct) == pytest.approx(0.8)
    assert accept_threshold(confidence, correct=correct, strict=clusters) == pytest.approx(0.9)


def test_temperature_undoes_overconfidence(rng: np.random.Generator) -> None:
    """Truth drawn from the joint reading itself; logits three times too large are brought back by 3."""
    type_logits, count_logits = rng.normal(0, 1.5, (4000, 4)), rng.normal(0, 1.5, (4000, 5))
    reading = read_jointly(type_logits, count_logits)
    steps = np.cumsum(reading.type_probabilities, axis=1)
    true_types = np.minimum((rng.uniform(size=(4000, 1)) > steps).sum(axis=1), 3)
    table = PredictionTable(
        paths=np.array([str(row) for row in range(4000)]),
        cases=np.full(4000, "a"), sources=np.full(4000, "s"), folds=np.full(4000, "f"),
        true_types=true_types, true_counts=np.full(4000, -1),
        probabilities=reading.type_probabilities, predicted_counts=reading.counts,
        accepted=np.zeros(4000, bool), rejected=np.zeros(4000, bool),
        type_logits=3 * type_logits, count_logits=3 * count_logits,
    )  # fmt: skip
    assert calibrating.fit_temperature(table) == pytest.approx(3, rel=0.08)


def test_temperature_is_the_best_of_a_fine_scan(table: PredictionTable) -> None:
    def loss(temperature: float) -> float:
        reading = calibrating.reread(table, temperature=temperature)
        return negative_log_likelihood(table.true_types, probabilities=reading.type_probabilities)

    scan = np.exp(np.linspace(np.log(0.1), np.log(10), 400))
    assert loss(calibrating.fit_temperature(table)) <= min(loss(float(point)) for point in scan) + 1e-6


def test_temperature_ignores_unknown_types(table: PredictionTable) -> None:
    half = np.arange(len(table)) < 60
    unknown = replace(table, true_types=np.where(half, table.true_types, -1))
    assert calibrating.fit_temperature(unknown) == calibrating.fit_temperature(table.take(half))


def test_temperature_of_nothing_is_refused(table: PredictionTable) -> None:
    with pytest.raises(SupcamError, match="known type"):
        calibrating.fit_temperature(replace(table, true_types=np.full(len(table), -1)))
    with pytest.raises(SupcamError, match="logits"):
        calibrating.fit_temperature(replace(table, type_logits=None))


def test_groups_hold_whole_cases_and_are_even(make_table: TableMaker, rng: np.random.Generator) -> None:
    table = make_table(n_pictures=400, n_cases=20)
    groups = calibrating.deal_cases(table, n_groups=5, rng=rng)
    for case in set(table.cases):
        assert len(set(groups[table.cases == case])) == 1
    sizes = np.bincount(groups)
    assert len(sizes) == 5
    assert sizes.max() - sizes.min() < 40


def test_fewer_cases_than_groups(make_table: TableMaker, rng: np.random.Generator) -> None:
    assert set(calibrating.deal_cases(make_table(n_cases=3), n_groups=5, rng=rng)) == {0, 1, 2}
    with pytest.raises(SupcamError, match="two cases"):
        calibrating.deal_cases(make_table(n_cases=1), n_groups=5, rng=rng)


def test_no_case_is_read_with_its_own_temperature(table: PredictionTable, rng: np.random.Generator) -> None:
    """Changing the truth of one group leaves that group's own probabilities as they were."""
    groups = calibrating.deal_cases(table, n_groups=3, rng=rng)
    changed = replace(table, true_types=np.where(groups == 1, (table.true_types + 1) % 4, table.true_types))
    before = calibrating.cross_fit(table, groups=groups).probabilities
    after = calibrating.cross_fit(changed, groups=groups).probabilities
    np.testing.assert_array_equal(before[groups == 1], after[groups == 1])
    assert np.all(np.any(before[groups != 1] != after[groups != 1], axis=1))


def test_groups_are_even_in_typed_rows_and_rows_of_unknown_type_fit_nothing(
    make_table: TableMaker, rng: np.random.Generator
) -> None:
    """Two typed cases among many untyped ones never share a group, so every group can be fitted without."""
    table = make_table(n_cases=12)
    typed = np.isin(table.cases, ["case3", "case8"])
    mixed = replace(table, true_types=np.where(typed, table.true_types, -1))
    groups = calibrating.deal_cases(mixed, n_groups=5, rng=rng)
    assert set(groups[typed]) == set(groups) == {0, 1}
    crossed = calibrating.cross_fit(mixed, groups=groups)
    alone = calibrating.cross_fit(mixed.take(typed), groups=groups[typed])
    np.testing.assert_array_equal(crossed.probabilities[typed], alone.probabilities)


def test_no_case_is_accepted_by_its_own_threshold(make_table: TableMaker) -> None:
    """Calling one case's answers wrong, or right, changes what is accepted of the others only."""
    table = make_table(n_pictures=600, n_cases=10, sharpness=3.0)
    own = table.cases == "case4"
    worse = replace(table, true_types=np.where(own, (table.predicted_types + 1) % 4, table.true_types))
    plan = CalibrationPlan(max_error=0.1, n_groups=10)
    first, second = (
        calibrating.cross_calibrate(each, rng=np.random.default_rng(1), plan=plan) for each in (table, worse)
    )
    np.testing.assert_array_equal(first.accepted[own], second.accepted[own])
    assert np.any(first.accepted[~own] != second.accepted[~own])


def test_promise_of_a_calibration_is_the_figure_of_its_crossed_table(table: PredictionTable) -> None:
    plan = CalibrationPlan(max_error=0.2)
    rejected = replace(table, rejected=np.arange(len(table)) % 10 == 0)
    fitted = calibrate(rejected, fitted_on=("select",), rng=np.random.default_rng(5), plan=plan)
    crossed = calibrating.cross_calibrate(rejected, rng=np.random.default_rng(5), plan=plan)
    figures = compute_figures(crossed)
    assert figures.accepted_share == pytest.approx(fitted.accepted_share)
    assert fitted.accepted_error is not None
    assert figures.accepted_accuracy == pytest.approx(1 - fitted.accepted_error)
    assert 0 < fitted.accepted_share < 0.9
    assert not np.any(crossed.accepted & rejected.rejected)


def test_calibration_keeps_its_promise_on_new_cases(make_table: TableMaker) -> None:
    fitted = calibrate(
        make_table(n_pictures=3000, n_cases=60, sharpness=2.0),
        fitted_on=("fold1", "fold2"),
        rng=np.random.default_rng(0),
    )
    new = calibrating.recalibrate(make_table(n_pictures=3000, n_cases=60, sharpness=2.0), calibration=fitted)
    assert 1 - np.mean(new.correct[new.accepted]) < 0.03
    assert np.mean(new.accepted) == pytest.approx(fitted.accepted_share, abs=0.08)
    assert fitted.accepted_error == pytest.approx(0.02, abs=0.01)
    assert fitted.n_samples == 3000
    assert fitted.n_cases == 60


def test_calibration_depends_on_its_generator_alone(table: PredictionTable) -> None:
    plan = CalibrationPlan(max_error=0.2, clusters_too=True)
    first, second = (
        calibrate(table, fitted_on=("select",), rng=np.random.default_rng(3), plan=plan) for _ in range(2)
    )
    assert asdict(first) == asdict(second)
    assert first.max_error == 0.2


def test_hopeless_model_accepts_nothing(make_table: TableMaker) -> None:
    hopeless = make_table(sharpness=0.0)
    fitted = calibrate(hopeless, fitted_on=("select",), rng=np.random.default_rng(0))
    assert fitted.accept_threshold == ACCEPT_NOTHING
    assert fitted.accepted_share == 0
    assert fitted.accepted_error is None
    assert not calibrating.recalibrate(hopeless, calibration=fitted).accepted.any()


@pytest.mark.parametrize("roles", [("report",), ("select", "report"), ()])
def test_roles_kept_back_are_not_fitted_on(table: PredictionTable, roles: tuple[str, ...]) -> None:
    with pytest.raises(SupcamError, match="report"):
        calibrate(table, fitted_on=roles, rng=np.random.default_rng(0))


def test_prior_goes_into_the_reading(table: PredictionTable) -> None:
    plan = CalibrationPlan(prior_ratio=(5.0, 1.0, 1.0, 0.2))
    fitted = calibrate(table, fitted_on=("select",), rng=np.random.default_rng(0), plan=plan)
    plain = calibrating.recalibrate(table, calibration=replace(fitted, prior=None))
    shifted = calibrating.recalibrate(table, calibration=fitted)
    assert np.all(shifted.probabilities[:, 0] > plain.probabilities[:, 0])
    assert fitted.prior == plan.prior_ratio


def test_recalibration_never_accepts_what_was_rejected(table: PredictionTable) -> None:
    fitted = calibrate(table, fitted_on=("select",), rng=np.random.default_rng(0))
    rejected = replace(table, rejected=np.ones(len(table), bool))
    everything = replace(fitted, accept_threshold=0.0)
    assert calibrating.recalibrate(table, calibration=everything).accepted.all()
    assert not calibrating.recalibrate(rejected, calibration=everything).accepted.any()


def test_calibration_survives_json(table: PredictionTable) -> None:
    plan = CalibrationPlan(prior_ratio=(1.0, 2.0, 3.0, 4.0), max_error=0.3)
    fitted = calibrate(table, fitted_on=("fold1", "select"), rng=np.random.default_rng(0), plan=plan)
    assert calibrating.calibration_from_json(json.loads(json.dumps(fitted.to_json()))) == fitted


def test_calibration_with_other_keys_is_refused(table: PredictionTable) -> None:
    values = calibrate(table, fitted_on=("select",), rng=np.random.default_rng(0)).to_json()
    with pytest.raises(SupcamError):
        calibrating.calibration_from_json(values | {"surprise": 1})


def test_the_evidence_is_what_the_promise_rests_on(table: PredictionTable) -> None:
    fitted = calibrate(table, fitted_on=("select",), rng=np.random.default_rng(4))
    evidence = np.array(fitted.evidence)
    assert len(evidence) == fitted.n_samples
    counts = np.bincount(evidence[:, 0].astype(int), minlength=4)
    assert fitted.calibration_prior == pytest.approx(tuple(counts / counts.sum()))
    assert np.all(np.diff(evidence[:, 1:].max(axis=1)) <= 0)
    np.testing.assert_allclose(evidence[:, 1:].sum(axis=1), 1, atol=3e-6)
