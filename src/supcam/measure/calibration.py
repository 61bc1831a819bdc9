"""Doubt that can be relied on: a temperature, and the confidence from which an answer needs no second look.

Both are fitted on named roles only, never on the role that a result is reported for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from supcam.core.reading import JointReading, read_jointly
from supcam.core.risk import ACCEPT_NOTHING
from supcam.core.types import ClusterType, SupcamError
from supcam.measure.intervals import rows_by_case
from supcam.measure.metrics import mean_of, negative_log_likelihood
from supcam.measure.table import UNKNOWN, PredictionTable

Confidence = Float[np.ndarray, " batch"]
Flags = Bool[np.ndarray, " batch"]


@dataclass(frozen=True, slots=True)
class CalibrationPlan:
    """How to calibrate.

    ``max_error`` is the share of wrong answers allowed among the accepted, 0..1. Fewer than
    ``min_accepted`` accepted pictures prove nothing. Temperatures are fitted on the other ``n_groups - 1``
    groups of cases. ``clusters_too`` asks the same error of the accepted answers that name a cluster.
    ``prior_ratio`` (frequency in use over frequency in training, by type) goes into every reading.
    ``roles_kept_back`` may not be fitted on.
    """

    max_error: float = 0.02
    min_accepted: int = 20
    n_groups: int = 5
    clusters_too: bool = False
    prior_ratio: tuple[float, float, float, float] | None = None
    roles_kept_back: tuple[str, ...] = ("report",)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a bundle needs to state its doubt, and how it was found.

    ``accepted_share``, ``accepted_error`` and ``accepted_clusters_error`` are honest estimates: every case
    was judged with a temperature and a threshold fitted without it. They are ``None`` where nothing was
    accepted. ``calibration_prior`` is the share of each type among the pictures, ``evidence`` the answers
    themselves: true type and four probabilities a picture, read with temperatures found on other cases.
    """

    temperature: float
    accept_threshold: float
    max_error: float
    prior: tuple[float, float, float, float] | None
    fitted_on: tuple[str, ...]
    n_samples: int
    n_cases: int
    accepted_share: float
    accepted_error: float | None
    accepted_clusters_error: float | None
    calibration_prior: tuple[float, ...] = ()
    evidence: tuple[tuple[float, ...], ...] = ()

    def to_json(self) -> dict[str, object]:
        """The calibration as JSON-able values, ``prior`` and ``fitted_on`` as lists."""
        return {name: _as_lists(value) for name, value in asdict(self).items()}


def calibrate(
    table: PredictionTable,
    *,
    fitted_on: tuple[str, ...],
    rng: np.random.Generator,
    plan: CalibrationPlan | None = None,
) -> Calibration:
    """Temperature, threshold, and what they promise, from out-of-fold predictions with logits.

    ``table`` holds predictions for cases that the network was not trained on; ``fitted_on`` names their
    roles. The shipped temperature uses all rows. The threshold is chosen on confidences whose temperature
    came from other cases, so that it is not fitted on itself. ``rng`` deals the cases into groups. Rows of
    unknown type are left out. Raises ``SupcamError`` for a role kept back for reporting, a table without
    logits, or fewer than two cases.
    """
    plan = CalibrationPlan() if plan is None else plan
    _check_roles(fitted_on, kept_back=plan.roles_kept_back)
    known = table.true_types != UNKNOWN
    crossed = cross_calibrate(table, rng=rng, plan=plan).take(known)
    return _honest(
        Calibration(
            temperature=fit_temperature(table, prior_ratio=plan.prior_ratio),
            accept_threshold=_threshold(crossed, plan=plan),
            max_error=plan.max_error,
            prior=plan.prior_ratio,
            fitted_on=fitted_on,
            n_samples=len(crossed),
            n_cases=len(rows_by_case(crossed)),
            accepted_share=0.0,
            accepted_error=None,
            accepted_clusters_error=None,
            calibration_prior=_type_shares(crossed),
            evidence=_evidence(crossed),
        ),
        crossed=crossed,
    )


def cross_calibrate(
    table: PredictionTable, *, rng: np.random.Generator, plan: CalibrationPlan | None = None
) -> PredictionTable:
    """The table as calibrated models read it, each case by a temperature and a threshold found without it.

    Its figures judge a calibration on cases that it has not seen; ``calibrate`` with the same ``rng`` rests
    on the same reading. Rows of unknown type are read as well and fit nothing. Raises as ``calibrate`` does.
    """
    plan = CalibrationPlan() if plan is None else plan
    groups = deal_cases(table, n_groups=plan.n_groups, rng=rng)
    crossed = cross_fit(table, groups=groups, prior_ratio=plan.prior_ratio)
    return replace(crossed, accepted=_cross_accept(crossed, groups=groups, plan=plan))


def accept_threshold(
    confidence: Confidence,
    *,
    correct: Flags,
    max_error: float = 0.02,
    min_accepted: int = 20,
    strict: Flags | None = None,
) -> float:
    """The smallest confidence from which on at most ``max_error`` of all accepted answers are wrong.

    Accepted are rows with ``confidence >= threshold``; equal confidences pass together. ``strict`` marks rows
    (such as predicted clusters) among which the accepted must keep the same error as well. When no threshold
    with at least ``min_accepted`` accepted rows will do, the answer is ``ACCEPT_NOTHING`` (1.01).
    """
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence = confidence[order]
    ends_a_tie = np.append(sorted_confidence[:-1] != sorted_confidence[1:], np.ones(min(1, len(order)), bool))
    admissible = ends_a_tie & (np.arange(1, len(order) + 1) >= min_accepted)
    for rows in (np.ones(len(order), bool), strict):
        if rows is not None:
            wrong = np.cumsum((~correct & rows)[order])
            admissible &= wrong <= max_error * np.cumsum(rows[order]) + 1e-9
    return float(sorted_confidence[admissible][-1]) if admissible.any() else ACCEPT_NOTHING


def fit_temperature(
    table: PredictionTable, *, prior_ratio: tuple[float, float, float, float] | None = None
) -> float:
    """The temperature, 0.05..20, under which the joint reading gives the true types the highest likelihood.

    A scan over log-temperature, narrowed three times (Guo et al., 2017, applied to the joint reading of both
    heads). Rows of unknown type are left out. Raises ``SupcamError`` without logits or without any row.
    """
    typed = table.take(table.true_types != UNKNOWN)
    if not len(typed):
        raise SupcamError(
            "no picture of known type", expected="typed pictures to calibrate on", remedy="add some"
        )
    low, high = np.log(0.05), np.log(20.0)
    for _ in range(4):
        grid = np.linspace(low, high, 25)
        losses = [_nll(typed, temperature=float(np.exp(point)), prior_ratio=prior_ratio) for point in grid]
        best = int(np.argmin(losses))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    return float(np.exp(grid[best]))


def recalibrate(table: PredictionTable, *, calibration: Calibration) -> PredictionTable:
    """The table read again from its logits with another temperature, prior and threshold."""
    reading = reread(table, temperature=calibration.temperature, prior_ratio=calibration.prior)
    highest = reading.type_probabilities.max(axis=1, initial=0.0)
    return replace(
        table,
        probabilities=reading.type_probabilities,
        predicted_counts=reading.counts,
        accepted=(highest >= calibration.accept_threshold) & ~table.rejected,
    )


def reread(
    table: PredictionTable,
    *,
    temperature: float,
    prior_ratio: tuple[float, float, float, float] | None = None,
) -> JointReading:
    """The joint reading of the table's logits. Raises ``SupcamError`` when the table keeps none."""
    if table.type_logits is None:
        raise SupcamError(
            "a table without logits", expected="type logits of every row", remedy="evaluate the bundle again"
        )
    ratio = None if prior_ratio is None else np.array(prior_ratio, np.float64)
    return read_jointly(table.type_logits, table.count_logits, temperature=temperature, prior_ratio=ratio)


def deal_cases(
    table: PredictionTable, *, n_groups: int, rng: np.random.Generator
) -> Int[np.ndarray, " batch"]:
    """The group 0, 1, ... of each row; a case lies in one group, and groups get about equally many rows.

    Rows of known type count. Cases are shuffled, then dealt from the largest to the smallest into the group
    that is emptiest. Raises ``SupcamError`` with fewer than two cases that have such rows.
    """
    cases = rows_by_case(table)
    sizes = [int(np.sum(table.true_types[rows] != UNKNOWN)) for rows in cases]
    n_typed = sum(size > 0 for size in sizes)
    if n_typed < 2:
        raise SupcamError(
            f"typed pictures of {n_typed} case(s)",
            expected="two cases or more",
            remedy="calibrate on more cases",
        )
    filled = np.zeros(min(n_groups, n_typed), np.int64)
    groups = np.zeros(len(table), np.int64)
    for case in sorted(rng.permutation(len(cases)), key=lambda index: -sizes[index]):
        emptiest = int(np.argmin(filled))
        groups[cases[case]] = emptiest
        filled[emptiest] += sizes[case]
    return groups


def cross_fit(
    table: PredictionTable,
    *,
    groups: Int[np.ndarray, " batch"],
    prior_ratio: tuple[float, float, float, float] | None = None,
) -> PredictionTable:
    """The table read again, each group with the temperature that was fitted on all other groups."""
    probabilities, counts = np.zeros((len(table), 4)), np.ones(len(table), np.int64)
    for group in np.unique(groups):
        held_out = groups == group
        temperature = fit_temperature(table.take(~held_out), prior_ratio=prior_ratio)
        reading = reread(table.take(held_out), temperature=temperature, prior_ratio=prior_ratio)
        probabilities[held_out], counts[held_out] = reading.type_probabilities, reading.counts
    return replace(table, probabilities=probabilities, predicted_counts=counts)


def calibration_from_json(values: Mapping[str, object]) -> Calibration:
    """The calibration that ``Calibration.to_json`` described. Raises ``SupcamError`` for other keys."""
    try:
        return Calibration(**{name: _as_tuples(value) for name, value in values.items()})  # type: ignore[arg-type]
    except TypeError as error:
        raise SupcamError(
            str(error),
            expected="the keys of a calibration",
            remedy="give a calibration written by this version",
        ) from error


def _threshold(table: PredictionTable, *, plan: CalibrationPlan) -> float:
    table = table.take((table.true_types != UNKNOWN) & ~table.rejected)
    called_cluster = table.predicted_types != ClusterType.INSTANCE
    return accept_threshold(
        table.confidence,
        correct=table.correct,
        max_error=plan.max_error,
        min_accepted=plan.min_accepted,
        strict=called_cluster if plan.clusters_too else None,
    )


def _cross_accept(
    table: PredictionTable, *, groups: Int[np.ndarray, " batch"], plan: CalibrationPlan
) -> Flags:
    accepted = np.zeros(len(table), bool)
    for group in np.unique(groups):
        held_out = groups == group
        accepted[held_out] = table.confidence[held_out] >= _threshold(table.take(~held_out), plan=plan)
    accepted[table.rejected] = False
    return accepted


def _honest(calibration: Calibration, *, crossed: PredictionTable) -> Calibration:
    accepted = crossed.accepted
    clusters = accepted & (crossed.predicted_types != ClusterType.INSTANCE)
    return replace(
        calibration,
        accepted_share=mean_of(accepted),
        accepted_error=_error(crossed, rows=accepted),
        accepted_clusters_error=_error(crossed, rows=clusters),
    )


def _error(table: PredictionTable, *, rows: Flags) -> float | None:
    return 1.0 - mean_of(table.correct[rows]) if rows.any() else None


def _nll(
    table: PredictionTable, *, temperature: float, prior_ratio: tuple[float, float, float, float] | None
) -> float:
    reading = reread(table, temperature=temperature, prior_ratio=prior_ratio)
    return negative_log_likelihood(table.true_types, probabilities=reading.type_probabilities)


def _type_shares(table: PredictionTable) -> tuple[float, ...]:
    """The share of each type; none where one of them does not occur, and nothing can be said of it."""
    counts = np.bincount(table.true_types, minlength=len(ClusterType))
    return tuple((counts / counts.sum()).tolist()) if counts.all() else ()


def _evidence(table: PredictionTable) -> tuple[tuple[float, ...], ...]:
    """One row a picture, the surest first: true type, and the four probabilities with six decimals."""
    order = np.argsort(-table.confidence, kind="stable")
    rows = np.column_stack([table.true_types, np.round(table.probabilities, 6)])[order]
    return tuple((int(row[0]), *(float(share) for share in row[1:])) for row in rows)


def _as_lists(value: object) -> object:
    return [_as_lists(item) for item in value] if isinstance(value, tuple) else value


def _as_tuples(value: object) -> object:
    return tuple(_as_tuples(item) for item in value) if isinstance(value, list) else value


def _check_roles(fitted_on: tuple[str, ...], *, kept_back: tuple[str, ...]) -> None:
    forbidden = [role for role in fitted_on if role in kept_back]
    if forbidden or not fitted_on:
        raise SupcamError(
            f"calibration on {', '.join(forbidden) or 'no named role'}",
            expected=f"roles other than {', '.join(kept_back)}",
            remedy="fit on folds or on the selection role, and report on another",
        )
