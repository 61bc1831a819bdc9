"""A bundle on a manifest -> a report that names the data's role: what is shipped is what is scored."""

from __future__ import annotations

from collections.abc import Iterator
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
from supcam.pack.looks import LOOKS_TABLE, write_looks
from supcam.pack.metaphases import (
    CHANCES_TABLE,
    DEBRIS_TABLE,
    MetaphaseScores,
    boxed_metaphases,
    metaphase_notes,
    score_metaphases,
    write_chances,
    write_debris,
)
from supcam.pack.mistakes import write_mistakes
from supcam.pack.scoring import Progress, Scored, score, to_table


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

    Metaphases with one box a chromosome are cut into their objects (``pack/metaphases.py``). ``output``
    gets ``report.json``, ``report.md``, ``predictions.csv``, ``mistakes.csv``, ``looks.csv``, four figures,
    for metaphases ``debris.csv`` and ``chromosome_or_not.csv``, and in ``mistakes``, a folder that version
    control ignores, sheets of what was read wrongly. Pictures that cannot be read are listed in the report
    and left out of its figures; the report adds the accuracy with them counted as wrong. Raises
    ``BundleError`` and ``ManifestError`` for a bundle or manifest that cannot be used, and ``SupcamError``
    when ``output`` cannot be written.
    """
    check_report_folder(output)
    model = bundle if isinstance(bundle, Model) else load_model(bundle)
    listed = manifest if isinstance(manifest, Manifest) else read_manifest(manifest)
    chosen = choose(listed, plan=plan)
    scores = score([*_labelled(chosen)], model=model, on_progress=plan.on_progress)
    found = score_metaphases(chosen.pictures, model=model, on_progress=plan.on_progress)
    scored = (*scores.scored, *found.objects)
    table = to_table(scored, fold=plan.role)
    report = make_report(
        table,
        provenance=_provenance(model, chosen=chosen, plan=plan),
        unread=[
            Unread(f"{item.path.parent.name}/{item.path.name}", item.reason) for item in listed.unreadable
        ]
        + [*scores.unread, *found.unread],
        notes=[*_notes(model, listed=listed, chosen=chosen, plan=plan), *metaphase_notes(found, model=model)],
        n_resamples=plan.n_resamples,
    )
    files = write_report(report, table=table, output=output)
    samples = [item.sample for item in scored]
    files += _sheets(table, samples=samples, model=model, output=output, title=report.provenance.title)
    files += _looks(scored, fold=plan.role, output=output)
    files += _debris(found, fold=plan.role, output=output)
    return Evaluation(report=report, table=table, files=files)


def choose(manifest: Manifest, *, plan: EvaluationPlan) -> Manifest:
    """What is scored: samples with a known type or number, and metaphases, whose case plays the plan's role.

    The metaphases' boxes are among the samples, so that the fingerprint is of all that is known. Raises
    ``ManifestError`` when there is nothing, or when a case has no role.
    """
    pictures = boxed_metaphases(manifest)
    boxed = {picture.path for picture in pictures}
    samples = tuple(s for s in manifest.samples if _is_labelled(s) or s.path in boxed)
    if plan.roles is not None:
        samples = plan.roles.pick(samples, roles=[plan.role])
        pictures = plan.roles.pick(pictures, roles=[plan.role])
    if not samples:
        raise ManifestError(
            f"no labelled picture of role {plan.role!r} among {len(manifest.samples)}",
            expected="pictures with a type or a number of chromosomes, or metaphases with boxes",
            remedy="check the manifest and the role; to read pictures without labels use supcam classify",
        )
    return replace(manifest, samples=samples, pictures=pictures)


def _is_labelled(sample: Sample) -> bool:
    return sample.type is not None or sample.n_chromosomes is not None


def _labelled(manifest: Manifest) -> Iterator[Sample]:
    """Samples that are scored as they are; boxes of metaphases are not."""
    return (sample for sample in manifest.samples if _is_labelled(sample))


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
    boxed = {picture.path for picture in boxed_metaphases(listed)}
    n_blank = sum(not _is_labelled(sample) and sample.path not in boxed for sample in listed.samples)
    if n_blank:
        notes.append(f"{n_blank} pictures of the manifest have no label and were not read.")
    if plan.role in model.card.data.roles.get("train", ()):
        notes.append(f"The model was trained on role {plan.role}: these figures do not say how good it is.")
    if plan.role in model.calibration.fitted_on:
        notes.append(
            f"Temperature and threshold were fitted on role {plan.role}: calibration looks better here."
        )
    return notes


def _looks(scored: tuple[Scored, ...], *, fold: str, output: Path) -> tuple[Path, ...]:
    try:
        return (write_looks(scored, fold=fold, path=output / LOOKS_TABLE),)
    except OSError as error:
        raise cannot_write(output, error=error) from error


def _debris(found: MetaphaseScores, *, fold: str, output: Path) -> tuple[Path, ...]:
    """Tables of objects without a chromosome, and of all objects; those of an earlier evaluation go."""
    debris, chances = output / DEBRIS_TABLE, output / CHANCES_TABLE
    try:
        debris.unlink(missing_ok=True)
        chances.unlink(missing_ok=True)
        files = (write_debris(found, fold=fold, path=debris),) if found.debris else ()
        has_any = bool(found.debris or found.objects)
        return (*files, write_chances(found, fold=fold, path=chances)) if has_any else files
    except OSError as error:
        raise cannot_write(output, error=error) from error


def _sheets(
    table: PredictionTable, *, samples: list[Sample], model: Model, output: Path, title: str
) -> tuple[Path, ...]:
    try:
        return write_mistakes(table, samples=samples, output=output, title=title, image=model.image)
    except OSError as error:
        raise cannot_write(output, error=error) from error
