"""A table of predictions as a report that names its data's role: JSON for programs, Markdown for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from supcam.core.types import ClusterType
from supcam.measure.intervals import N_RESAMPLES, Interval, bootstrap_by_case, rows_by_case
from supcam.measure.metrics import ClassScores, Figures, class_scores, compute_figures, confusion, mean_of
from supcam.measure.table import UNKNOWN, PredictionTable

_MEANINGS = {
    "accuracy": "accuracy of the four types",
    "clusters_accuracy": "accuracy on true clusters alone",
    "instance_vs_cluster": "instance against cluster",
    "macro_precision": "precision, macro",
    "macro_recall": "recall, macro",
    "macro_f1": "F1, macro",
    "specificity_macro": "specificity, macro",
    "specificity_micro": "specificity, micro (= 1 - (1 - accuracy) / 3)",
    "kappa": "Cohen's kappa",
    "auroc_macro": "AUROC, one against rest, macro",
    "count_error": "count: mean absolute error, chromosomes",
    "count_exact": "count exact, all pictures",
    "count_exact_clusters": "count exact, true clusters",
    "count_exact_2_3": "count exact, true clusters of 2 or 3",
    "calibration_error": "expected calibration error, 15 bins of equal mass",
    "calibration_error_debiased": "root mean square calibration error, debiased",
    "brier": "Brier score (0..2)",
    "nll": "negative log-likelihood, nats",
    "accepted_share": "share accepted without review",
    "accepted_accuracy": "accuracy of the accepted",
    "accepted_clusters_accuracy": "accuracy of the accepted that were called a cluster",
}


@dataclass(frozen=True, slots=True)
class Provenance:
    """What was scored on what: enough to do it again.

    ``role`` is the role of the data (``fold1``, ``select``, ``report`` ...), ``data_sha256`` a hash over
    the content hashes of all pictures, ``seed`` that of the resampling. ``accept_threshold`` is ``None``
    where several models with their own thresholds were pooled.
    """

    role: str
    model: str
    data: str
    model_version: str = ""
    model_sha256: str = ""
    data_sha256: str = ""
    supcam_version: str = ""
    commit: str = ""
    command: str = ""
    seed: int = 0
    temperature: float | None = None
    accept_threshold: float | None = None

    @property
    def title(self) -> str:
        """Model, data and role in one line, for the head of a page or a figure."""
        return f"{self.model} {self.model_version}".rstrip() + f" on {self.data}, role {self.role}"


@dataclass(frozen=True, slots=True)
class Unread:
    """A picture that could not be scored, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """The figures of one group of rows (all, or one source), with intervals by case.

    ``intervals`` also holds ``recall_<type>`` and ``f1_<type>``.
    """

    n_pictures: int
    n_cases: int
    figures: Figures
    intervals: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one evaluation found.

    ``overall`` leaves unreadable pictures out; ``accuracy_unread_wrong`` counts each of them as a wrong
    answer. ``confusion`` has true types in rows, predicted types in columns. ``n_typed`` and ``n_counted``
    pictures have a known type and a known count; ``n_rejected`` were read as no chromosome. ``notes`` are
    what a reader of the figures must know besides.
    """

    provenance: Provenance
    n_pictures: int
    n_typed: int
    n_counted: int
    n_rejected: int
    accuracy_unread_wrong: float
    overall: GroupFigures
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]
    by_source: Mapping[str, GroupFigures] = field(default_factory=dict)
    unread: tuple[Unread, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """The report as JSON-able values; what the data cannot say is ``None``."""
        return {name: jsonable(value) for name, value in asdict(self).items()}

    def to_markdown(self) -> str:
        """The report as one Markdown page."""
        return "\n".join(_markdown(self)) + "\n"


def make_report(
    table: PredictionTable,
    *,
    provenance: Provenance,
    unread: Sequence[Unread] = (),
    notes: Sequence[str] = (),
    n_resamples: int = N_RESAMPLES,
) -> Report:
    """The report on ``table``; its intervals come from draws of cases seeded by ``provenance.seed``."""
    typed = table.take(table.true_types != UNKNOWN)
    sources = sorted({str(source) for source in table.sources})
    parts = {source: table.take(table.sources == source) for source in sources} if len(sources) > 1 else {}
    matrix = confusion(typed.true_types, predicted=typed.predicted_types)
    return Report(
        provenance=provenance,
        n_pictures=len(table),
        n_typed=len(typed),
        n_counted=int(np.sum(table.true_counts != UNKNOWN)),
        n_rejected=int(np.sum(table.rejected)),
        accuracy_unread_wrong=mean_of(np.append(typed.correct, np.zeros(len(unread), bool))),
        overall=_group(table, seed=provenance.seed, n_resamples=n_resamples),
        classes=class_scores(table),
        confusion=tuple(tuple(int(count) for count in row) for row in matrix),
        by_source={
            name: _group(part, seed=provenance.seed, n_resamples=n_resamples) for name, part in parts.items()
        },
        unread=tuple(unread),
        notes=tuple(notes),
    )


def _group(table: PredictionTable, *, seed: int, n_resamples: int) -> GroupFigures:
    rng = np.random.default_rng(seed)
    return GroupFigures(
        n_pictures=len(table),
        n_cases=len(rows_by_case(table)),
        figures=compute_figures(table),
        intervals=bootstrap_by_case(table, rng=rng, n_resamples=n_resamples),
    )


def jsonable(value: object) -> object:
    """``value`` as JSON has it: what is not defined is ``None``, names are text, sequences lists."""
    if isinstance(value, dict):
        return {str(name): jsonable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _markdown(report: Report) -> Iterator[str]:
    source = report.provenance
    yield f"# {source.title}"
    yield f"\nThe data's role: **{source.role}**. {_extent(report)}"
    yield from (f"\n{_cell(note)}" for note in report.notes)
    yield "\n| figure | value | 95 % interval by case |\n|---|---|---|"
    for name, value in asdict(report.overall.figures).items():
        yield f"| {_MEANINGS[name]} | {_number(value)} | {_span(report.overall.intervals[name])} |"
    yield from _class_lines(report)
    yield from _confusion_lines(report.confusion)
    yield from _source_lines(report.by_source)
    yield from _unread_lines(report)
    yield "\n## How it was made\n\n| | |\n|---|---|"
    yield from (
        f"| {name.replace('_', ' ')} | {_cell(str(value))} |" for name, value in asdict(source).items()
    )


def _extent(report: Report) -> str:
    text = (
        f"{report.n_pictures} pictures of {report.overall.n_cases} cases were scored; {report.n_typed} "
        f"have a known type and {report.n_counted} a known number of chromosomes."
    )
    if report.n_rejected:
        text += f" {report.n_rejected} were read as no chromosome and count as wrong."
    if report.overall.n_cases < 2:
        text += " One case allows no interval by case."
    return text


def _class_lines(report: Report) -> Iterator[str]:
    yield "\n## By type\n"
    yield "| type | pictures | called so | precision | recall | 95 % interval | F1 | specificity | AUROC |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for scores in report.classes:
        span = _span(report.overall.intervals[f"recall_{scores.label}"])
        yield (
            f"| {scores.label} | {scores.support} | {scores.predicted} | {_number(scores.precision)} "
            f"| {_number(scores.recall)} | {span} | {_number(scores.f1)} | {_number(scores.specificity)} "
            f"| {_number(scores.auroc)} |"
        )


def _confusion_lines(matrix: tuple[tuple[int, ...], ...]) -> Iterator[str]:
    labels = [kind.label for kind in ClusterType]
    yield "\n## Confusion\n\n| true \\ read as | " + " | ".join(labels) + " |\n|---|---|---|---|---|"
    yield from (
        f"| {label} | {' | '.join(map(str, row))} |" for label, row in zip(labels, matrix, strict=True)
    )


def _source_lines(groups: Mapping[str, GroupFigures]) -> Iterator[str]:
    if not groups:
        return
    names = ("accuracy", "clusters_accuracy", "instance_vs_cluster", "macro_f1", "count_exact_2_3")
    yield "\n## By source\n\n| source | pictures | cases | " + " | ".join(_MEANINGS[n] for n in names) + " |"
    yield "|---" * (3 + len(names)) + "|"
    for source, group in groups.items():
        values = [f"{_number(getattr(group.figures, n))} ({_span(group.intervals[n])})" for n in names]
        yield f"| {_cell(source)} | {group.n_pictures} | {group.n_cases} | " + " | ".join(values) + " |"


def _unread_lines(report: Report) -> Iterator[str]:
    if not report.unread:
        return
    yield (
        f"\n## Could not be read\n\n{len(report.unread)} pictures are not in the figures above. "
        f"Counted as wrong, they make the accuracy {_number(report.accuracy_unread_wrong)}."
    )
    yield "\n| picture | reason |\n|---|---|"
    yield from (f"| {_cell(item.path)} | {_cell(item.reason)} |" for item in report.unread)


def _number(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "not defined"


def _span(interval: Interval) -> str:
    if not math.isfinite(interval.low):
        return "–"
    return f"{interval.low:.3f} to {interval.high:.3f}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
