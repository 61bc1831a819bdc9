"""``supcam pool``: evaluations of several folds -> one report, and the calibration that a model ships."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ValidationError

import supcam
from supcam.core.types import ClusterType, ManifestError, SupcamError
from supcam.measure.calibration import CalibrationPlan, calibrate, cross_calibrate, deal_cases
from supcam.measure.conformal import fit_sets
from supcam.measure.intervals import N_RESAMPLES
from supcam.measure.report import Provenance, Report, Unread, make_report
from supcam.measure.report_folder import REPORT, TABLE, check_report_folder, write_report
from supcam.measure.table import UNKNOWN, PredictionTable, pool
from supcam.measure.table_csv import read_table
from supcam.pack.card import Calibration, to_json
from supcam.workflows.whole_file import WholeFile


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """What is pooled, and where it goes.

    ``evaluations`` are folders that ``supcam evaluate`` wrote. ``calibration`` is the file for a calibration
    with at most ``max_error`` wrong answers (a share) among the accepted; ``None`` fits none. ``prior`` is
    the frequency of each type in use over that in training, and goes into the calibration. ``seed`` deals
    cases into groups and draws the intervals. ``command`` and ``commit`` go into the report as they are.
    """

    evaluations: tuple[Path, ...]
    output: Path
    calibration: Path | None = None
    max_error: float = 0.02
    prior: tuple[float, float, float, float] | None = None
    seed: int = 0
    n_resamples: int = N_RESAMPLES
    command: str = ""
    commit: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """The pooled report, the table it rests on, and the calibration, if one was fitted."""

    report: Report
    table: PredictionTable
    calibration: Calibration | None

    def told(self) -> str:
        """The whole in one line."""
        text = f"{len(self.table)} pictures of role {self.report.provenance.role}"
        if self.calibration is None:
            return text
        fitted = self.calibration
        error = "nothing" if fitted.accepted_error is None else f"{fitted.accepted_error:.2%} of them wrong"
        return (
            f"{text}; temperature {fitted.temperature:.3f}, accepted from {fitted.accept_threshold:.4f} on: "
            f"{fitted.accepted_share or 0:.1%} of the typed, {error}, out of fold"
        )


class _Told(BaseModel):
    """What is taken from the ``report.json`` of an evaluation."""

    provenance: Provenance
    unread: tuple[Unread, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    folder: Path
    told: _Told
    table: PredictionTable


def pool_evaluations(plan: PoolPlan) -> Pooled:
    """The report on all rows of several evaluations, which share no case, and a calibration where asked.

    With a calibration, the figures are those of calibrated readings: each case is read with a temperature
    and accepted by a threshold that were found without it, so nothing is judged by what it was fitted on. The
    calibration itself rests on all rows of known type. Without one, the figures are those of the
    evaluations. Raises ``ManifestError`` for a folder that is no evaluation, and ``SupcamError`` when a case
    is in two of them, a calibration is asked of a role kept for reporting, or an output cannot be written.
    """
    check_report_folder(plan.output)
    parts = [_read_part(folder) for folder in plan.evaluations]
    table = pool([part.table for part in parts])
    notes = [*_about_parts(parts)]
    calibration = None
    if plan.calibration is not None:
        _check_logits(parts, pooled=table)
        calibration, table = _calibrated(table, plan=plan)
        notes.insert(0, _about_calibration(calibration))
    report = make_report(
        table,
        provenance=_provenance(parts, plan=plan),
        unread=[item for part in parts for item in part.told.unread],
        notes=notes,
        n_resamples=plan.n_resamples,
    )
    write_report(report, table=table, output=plan.output)
    if plan.calibration is not None and calibration is not None:
        _write(calibration, path=plan.calibration)
    return Pooled(report=report, table=table, calibration=calibration)


def _read_part(folder: Path) -> _Part:
    path = folder / REPORT
    try:
        told = _Told.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ManifestError(
            " ".join(str(error).split()),
            expected="the folder of an evaluation",
            remedy="name folders that supcam evaluate wrote",
            where=path,
        ) from error
    return _Part(folder=folder, told=told, table=read_table(folder / TABLE))


def _check_logits(parts: Sequence[_Part], *, pooled: PredictionTable) -> None:
    """Nothing, when a calibration can read every part as its model did."""
    if any(part.table.count_logits is not None for part in parts) and pooled.count_logits is None:
        raise SupcamError(
            "evaluations of models that count differently",
            expected="models with the same heads",
            remedy="pool evaluations of models that were trained by one recipe",
        )


def _calibrated(table: PredictionTable, *, plan: PoolPlan) -> tuple[Calibration, PredictionTable]:
    """The calibration for use, and the table for the figures, in which no case is judged by itself."""
    settings = CalibrationPlan(max_error=plan.max_error, prior_ratio=plan.prior)
    roles = tuple(sorted({str(fold) for fold in table.folds}))
    fitted = calibrate(table, fitted_on=roles, rng=np.random.default_rng(plan.seed), plan=settings)
    crossed = cross_calibrate(table, rng=np.random.default_rng(plan.seed), plan=settings)
    rng = np.random.default_rng(plan.seed)
    typed = crossed.take(crossed.true_types != UNKNOWN)
    groups = deal_cases(typed, n_groups=settings.n_groups, rng=rng)
    sets = fit_sets(typed.probabilities, true_types=typed.true_types, groups=groups)
    return Calibration.model_validate(fitted.to_json() | {"type_sets": sets.to_json()}), crossed


def _provenance(parts: Sequence[_Part], *, plan: PoolPlan) -> Provenance:
    """What all parts share under one name; what differs is joined, and told apart in the notes."""
    told = [part.told.provenance for part in parts]
    hashes = sorted(each.data_sha256 for each in told)
    return Provenance(
        role=_joined(each.role for each in told),
        model=_joined(each.model for each in told),
        model_version=_joined(each.model_version for each in told),
        model_sha256=_joined(each.model_sha256 for each in told),
        data=_joined(each.data for each in told),
        data_sha256=hashlib.sha256("\n".join(hashes).encode()).hexdigest(),
        supcam_version=supcam.__version__,
        commit=plan.commit,
        command=plan.command or shlex.join(["supcam", "pool", *map(str, plan.evaluations)]),
        seed=plan.seed,
    )


def _joined(names: Iterable[str]) -> str:
    """The different names in their order, with a plus between them."""
    return "+".join(dict.fromkeys(name for name in names if name))


def _about_parts(parts: Sequence[_Part]) -> list[str]:
    notes = ["Pooled evaluations; the hash of the data is that of their hashes, sorted, one a line."]
    for part in parts:
        made = part.told.provenance
        notes.append(
            f"Role {made.role}: {len(part.table)} pictures of {made.data} (SHA-256 {made.data_sha256}), "
            f"model {made.model} {made.model_version} (SHA-256 {made.model_sha256}), seed {made.seed}, "
            f"commit {made.commit or 'not said'}, command: {made.command or 'not said'}"
        )
        notes += [f"Role {made.role}: {note}" for note in part.told.notes]
    return notes


def _about_calibration(calibration: Calibration) -> str:
    return (
        "Cross-fitted: every case was read with a temperature and accepted by a threshold that were found "
        f"on other cases. The calibration found on all of them has temperature {calibration.temperature:.4f} "
        f"and accepts from a confidence of {calibration.accept_threshold:.4f} on. {_about_sets(calibration)}"
    )


def _about_sets(calibration: Calibration) -> str:
    sets = calibration.type_sets
    assert sets is not None
    by_level = "; ".join(
        f"asked for {level:.0%}: {covered:.1%} hold the true type, {size:.2f} types in the mean"
        for level, covered, size in zip(sets.levels, sets.covered, sets.mean_size, strict=True)
    )
    few = [kind.label for kind in ClusterType if sets.pooled[kind]]
    how = f"pooled over all types for {', '.join(few)}, which have too few pictures" if few else "by type"
    return f"Sets of types (conformal, thresholds {how}), on other cases: {by_level}."


def _write(calibration: Calibration, *, path: Path) -> None:
    with WholeFile(path) as file:
        file.write(to_json(calibration.model_dump(mode="json")).decode("ascii"))
        file.keep()
