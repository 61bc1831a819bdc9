"""A bundle on a manifest -> a report that names the data's role: what is shipped is what is scored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import supcam
from supcam.core.types import ManifestError, Sample
from supcam.data.manifest import Manifest, read_manifest
from supcam.data.split import Roles
from supcam.measure.intervals import N_RESAMPLES
from supcam.measure.report import Provenance, Report, Unread, make_report
from supcam.measure.report_folder import cannot_write, check_report_folder, write_report
from supcam.measure.table import PredictionTable
from supcam.pack.bundle import Model, load_model
from supcam.pack.mistakes import write_mistakes
from supcam.pack.scoring import Progress, score, to_table


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """What is scored, and what the report says of it.

    ``role`` is written into the report; with ``roles``, pictures whose case plays another role are left
    out. ``data`` names the data (by default, the sources in the manifest). ``seed`` and ``n_resamples`` are
    for the intervals. ``command`` and ``commit`` go into the report as they are.
    """

    role: str
    roles: Roles | None = None
    data: str = ""
    seed: int = 0
    n_resamples: int = N_RESAMPLES
    command: str = ""
    commit: str = ""
    on_progress: Progress | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """A finished evaluation: the report, the table it rests on, and the files that were written."""

    report: Report
    table: PredictionTable
    files: tuple[Path, ...]


def evaluate(
    bundle: Path | Model, *, manifest: Path | Manifest, output: Path, plan: EvaluationPlan
) -> Evaluation:
    """The evaluation of ``bundle`` on the pictures of ``manifest`` whose type or number is known.

    ``output`` gets ``report.json``, ``report.md``, ``predictions.csv``, four figures, and in ``mistakes``,
    a folder that version control ignores, sheets of the pictures that were read wrongly. Pictures that
    cannot be read are listed in the report and left out of its figures; the report adds the accuracy with
    them counted as wrong. Raises ``BundleError`` and ``ManifestError`` for a bundle or manifest that cannot
    be used, and ``SupcamError`` when ``output`` cannot be written.
    """
    check_report_folder(output)
    model = bundle if isinstance(bundle, Model) else load_model(bundle)
    listed = manifest if isinstance(manifest, Manifest) else read_manifest(manifest)
    samples = choose_samples(listed, plan=plan)
    scores = score(samples, model=model, on_progress=plan.on_progress)
    table = to_table(scores.scored, fold=plan.role)
    chosen = replace(listed, samples=samples, pictures=())
    report = make_report(
        table,
        provenance=_provenance(model, chosen=chosen, plan=plan),
        unread=[
            Unread(f"{item.path.parent.name}/{item.path.name}", item.reason) for item in listed.unreadable
        ]
        + list(scores.unread),
        notes=_notes(model, listed=listed, chosen=chosen, plan=plan),
        n_resamples=plan.n_resamples,
    )
    scored = [item.sample for item in scores.scored]
    files = write_report(report, table=table, output=output)
    files += _sheets(table, samples=scored, model=model, output=output, title=report.provenance.title)
    return Evaluation(report=report, table=table, files=files)


def choose_samples(manifest: Manifest, *, plan: EvaluationPlan) -> tuple[Sample, ...]:
    """The samples with a known type or number whose case plays the plan's role.

    Raises ``ManifestError`` when there is none, or when a case has no role.
    """
    samples = tuple(s for s in manifest.samples if s.type is not None or s.n_chromosomes is not None)
    if plan.roles is not None:
        samples = plan.roles.pick(samples, roles=[plan.role])
    if not samples:
        raise ManifestError(
            f"no labelled picture of role {plan.role!r} among {len(manifest.samples)}",
            expected="pictures with a type or a number of chromosomes",
            remedy="check the manifest and the role; to read pictures without labels use supcam classify",
        )
    return samples


def _provenance(model: Model, *, chosen: Manifest, plan: EvaluationPlan) -> Provenance:
    sources = sorted({sample.source for sample in chosen.samples})
    return Provenance(
        role=plan.role,
        model=model.card.name,
        model_version=model.card.version,
        model_sha256=model.card.model_sha256,
        data=plan.data or ", ".join(sources),
        data_sha256=chosen.fingerprint,
        supcam_version=supcam.__version__,
        commit=plan.commit,
        command=plan.command,
        seed=plan.seed,
        temperature=model.calibration.temperature,
        accept_threshold=model.calibration.accept_threshold,
    )


def _notes(model: Model, *, listed: Manifest, chosen: Manifest, plan: EvaluationPlan) -> list[str]:
    notes = list(listed.notes)
    n_copies = sum(len(group) - 1 for group in chosen.duplicates)
    if n_copies:
        notes.append(f"{n_copies} of the pictures are exact copies of others and count each time.")
    n_blank = sum(sample.type is None and sample.n_chromosomes is None for sample in listed.samples)
    if n_blank:
        notes.append(f"{n_blank} pictures of the manifest have no label and were not read.")
    if plan.role in model.card.data.roles.get("train", ()):
        notes.append(f"The model was trained on role {plan.role}: these figures do not say how good it is.")
    if plan.role in model.calibration.fitted_on:
        notes.append(
            f"Temperature and threshold were fitted on role {plan.role}: calibration looks better here."
        )
    return notes


def _sheets(
    table: PredictionTable, *, samples: list[Sample], model: Model, output: Path, title: str
) -> tuple[Path, ...]:
    try:
        return write_mistakes(table, samples=samples, output=output, title=title, image=model.image)
    except OSError as error:
        raise cannot_write(output, error=error) from error
