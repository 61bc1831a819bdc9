"""``supcam analyze --engine ray``: pictures on many machines -> tables in Parquet, documents in JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import supcam
from supcam.core.types import ConfigError, SupcamError
from supcam.data.files import Unreadable
from supcam.pack.bundle import DEFAULT_MODEL, Model, load_model
from supcam.pack.terms import Terms
from supcam.spread.parts import (
    CASES,
    ERRORS,
    IMAGES,
    as_text,
    keep_only,
    read_entries,
    read_rows,
    sweep,
    write_failures,
    write_table,
)
from supcam.spread.places import Folder, fingerprint, open_folder
from supcam.spread.rows import Counted, Row, case_rows
from supcam.spread.scale_ray import LOCAL, Job, Wanted, analyze_parts, cluster
from supcam.workflows.analyze import AnalyzePlan, Summary, settings_of
from supcam.workflows.classify import Listener
from supcam.workflows.far_inputs import FarInputs, failure, find_far_inputs
from supcam.workflows.naming import Names, name_pictures


@dataclass(frozen=True, slots=True)
class RayPlan:
    """What to analyse where.

    ``work`` says what, its names being paths or URLs that every machine of the cluster can reach, as is
    ``output``. ``address`` is that of a Ray cluster; ``local``: one is made for the run.
    """

    work: AnalyzePlan
    output: str
    address: str = LOCAL


@dataclass(frozen=True, slots=True, kw_only=True)
class RaySummary(Summary):
    """What came of it, at a path or URL. ``n_before`` of the pictures were there from an earlier run."""

    output: str

    def told(self) -> str:
        """The whole run in one line."""
        return self.told_with(self.output, errors=f"{self.output.rstrip('/')}/{ERRORS}")


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """The pictures of a run and what the tables call them and their cases, and where the tables go."""

    plan: RayPlan
    inputs: FarInputs
    wanted: tuple[Wanted, ...]
    cases: Mapping[str, str]
    model: Model
    folder: Folder
    about: str

    def name_of(self, item: Unreadable) -> str:
        """What the tables call an input that is no picture."""
        return "an input that is no picture" if self.plan.work.pseudonymise else item.name


def analyze_on_ray(plan: RayPlan, *, listener: Listener | None = None) -> RaySummary:
    """What was found, in the folder ``plan.output`` as parts of Parquet tables.

    Stopped and started again with the same plan it goes on where it stood: what was entered as done is not
    analysed again. Raises ``SupcamError`` (no picture, no model, no cluster, an output that cannot be
    written).
    """
    listener = listener or Listener()
    run = _prepare(plan)
    listener.started(len(run.wanted))
    for item in run.inputs.unusable:
        listener.failed(item)
    run.folder.make()
    run.folder.delete([CASES, ERRORS])
    kept = keep_only({each.fingerprint for each in run.wanted}, folder=run.folder)
    listener.advanced(len(kept))
    todo = [each for each in run.wanted if each.fingerprint not in kept]
    failed = _analyze(todo, run=run, listener=listener)
    counted = _finish(run, failed=failed)
    return RaySummary(
        n_pictures=len(counted),
        n_before=len(kept),
        n_chromosomes=sum(each.n_chromosomes for each in counted),
        n_to_review=sum(each.to_review for each in counted),
        failures=(*run.inputs.unusable, *failed.values()),
        model_name=f"{run.model.card.name} {run.model.card.version}",
        output=plan.output,
        promise=run.model.promise.told() if plan.work.terms != Terms() else "",
    )


def _prepare(plan: RayPlan) -> _Run:
    """Everything that can be wrong before a cluster is asked for."""
    work = plan.work
    _refuse_pictures(work)
    folder = open_folder(plan.output)
    inputs = find_far_inputs(work.named, output=folder)
    names = name_pictures(tuple(inputs.places), cases=work.cases, pseudonymise=work.pseudonymise)
    model = load_model(work.model, threads=1, image=work.image, terms=work.terms)
    about: dict[str, object] = {
        "supcam": supcam.__version__,
        "model": f"{model.card.name} {model.card.version}",
        "model_seal": model.card.seal,
        "image": work.image.model_dump(mode="json"),
    }
    if work.terms != Terms():
        about["promise"] = model.promise.to_json()
    return _Run(
        plan=plan,
        inputs=inputs,
        wanted=_wanted(inputs, names=names, settings=settings_of(work.image, model=model)),
        cases={as_text(names.shown[name]): names.cases[name] for name in inputs.places},
        model=model,
        folder=folder,
        about=json.dumps(about),
    )


def _refuse_pictures(work: AnalyzePlan) -> None:
    """Nothing, when tables are all that is asked for. Raises ``ConfigError``."""
    asked = "--crops" if work.crops else "--expected-count" if work.expected is not None else ""
    if asked:
        raise ConfigError(
            f"{asked} with --engine ray",
            expected="no more than tables, which is what Ray's workers write",
            remedy="leave it out, or analyse the pictures you want to see without --engine",
        )


def _wanted(inputs: FarInputs, *, names: Names, settings: str) -> tuple[Wanted, ...]:
    """The pictures in their order, each with a fingerprint of all that its outputs hang on."""
    return tuple(
        Wanted(
            as_text(names.shown[name]),
            name=name,
            fingerprint=fingerprint(settings, names.shown[name], names.cases[name], place.stamp),
            place=place,
            case=as_text(names.cases[name]),
        )
        for name, place in inputs.places.items()
    )


def _analyze(todo: Sequence[Wanted], *, run: _Run, listener: Listener) -> dict[str, Unreadable]:
    """What failed, by its name in the tables. Without anything to do no cluster is asked for."""
    if not todo:
        return {}
    plan = run.plan
    job = Job(
        run.folder.url,
        image=plan.work.image,
        about=run.about,
        version=supcam.__version__,
        terms=plan.work.terms,
    )
    own = {each.image: each.name for each in todo}
    failed: dict[str, Unreadable] = {}
    model = plan.work.model or DEFAULT_MODEL
    with (
        cluster(plan.address, n_workers=plan.work.processes) as n_workers,
        closing(analyze_parts(todo, job=job, model=model, n_workers=n_workers)) as answers,
    ):
        for told in answers:
            if told.is_fatal:
                raise SupcamError(
                    f"a worker that stopped ({told.error})",
                    expected="workers that can write to the output",
                    remedy="mend that; the run can go on where it stood",
                )
            if told.error:
                failed[told.image] = failure(own[told.image], told.error)
                listener.failed(failed[told.image])
            listener.advanced(1)
    return failed


def _finish(run: _Run, *, failed: Mapping[str, Unreadable]) -> list[Counted]:
    """The analysed pictures, each of which was found once in the tables; cases and failures are written."""
    entries = [entry for part in read_entries(run.folder).values() for entry in part]
    sweep(run.folder, parts={entry.part for entry in entries})
    counted, seen = [], Counter[str]()
    for row in read_rows(IMAGES, folder=run.folder, columns=("image", "n_chromosomes", "decision")):
        seen[row["image"]] += 1
        case = run.cases.get(row["image"], "")
        counted.append(Counted(case, row["n_chromosomes"], to_review=row["decision"] == "review"))
    _check_once(seen, expected={each.image for each in run.wanted} - set(failed), folder=run.folder)
    reasons = [(run.name_of(item), item.reason) for item in run.inputs.unusable]
    reasons += [(each.image, failed[each.image].reason) for each in run.wanted if each.image in failed]
    if reasons:
        rows: list[Row] = [{"image": name, "error": reason} for name, reason in reasons]
        write_failures(rows, folder=run.folder, about=run.about)
    write_table(CASES, rows=case_rows(counted), folder=run.folder, about=run.about)
    return counted


def _check_once(seen: Counter[str], *, expected: set[str], folder: Folder) -> None:
    """Nothing, when the tables hold every picture once. Raises ``SupcamError``."""
    missing = len(expected - set(seen))
    others = sum(n - (image in expected) for image, n in seen.items())
    if missing or others:
        raise SupcamError(
            f"{missing} pictures without a row and {others} rows too many",
            expected="one row for every picture",
            remedy="let one run at a time write to a folder, and start again: it goes on where it stood",
            where=folder.url,
        )
