"""``supcam analyze``: pictures of metaphases -> a folder of tables, labels, overlays and pages."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import supcam
from supcam.core.config import ImageConfig
from supcam.core.types import SupcamError
from supcam.data.files import Unreadable
from supcam.pack.bundle import Model, load_model
from supcam.pack.session import usable_cores
from supcam.pack.terms import Terms
from supcam.spread.outputs import REPORT, Task
from supcam.spread.scale import Crew, run_all
from supcam.workflows.analysis_tables import ERRORS, read_record, write_tables
from supcam.workflows.classify import Listener
from supcam.workflows.inputs import Inputs, find_inputs
from supcam.workflows.naming import Names, name_pictures


@dataclass(frozen=True, slots=True)
class AnalyzePlan:
    """What to analyse, by which model, and where the answers go.

    ``cases`` names the case of a picture: ``parent``, ``stem``, ``path``, a regular expression with one
    group, or a CSV with the columns ``image`` and ``case``; blank: every picture is a case of its own.
    ``crops`` also cuts out the objects. ``expected`` is a number of chromosomes from which others are
    highlighted. ``terms`` are what the user asks of the answers. ``pseudonymise`` keeps the names of pictures
    and cases out of all outputs. ``processes=None`` stands for as many as there are cores.
    """

    named: tuple[str, ...]
    output: Path
    model: Path | None = None
    image: ImageConfig = field(default_factory=ImageConfig)
    cases: str = ""
    crops: bool = False
    expected: int | None = None
    pseudonymise: bool = False
    processes: int | None = None
    terms: Terms = field(default_factory=Terms)


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of a run, whichever engine made it; ``n_before`` pictures are told as an earlier run's.

    ``promise`` is what accepting means under the user's terms; blank without any.
    """

    n_pictures: int
    n_chromosomes: int
    n_to_review: int
    failures: tuple[Unreadable, ...]
    model_name: str
    n_before: int = 0
    promise: str = ""

    def told_with(self, place: object, *, errors: object) -> str:
        """The whole run in one line: results are at ``place``, failures in the file ``errors``."""
        pictures = f"{self.n_pictures} picture{'s' if self.n_pictures != 1 else ''}"
        parts = [f"{pictures} analysed by {self.model_name} -> {place}"]
        if self.n_before:
            parts.append(f"{self.n_before} of them by an earlier run")
        parts.append(f"{self.n_chromosomes} chromosomes, {self.n_to_review} of the pictures to review")
        if self.failures:
            parts.append(f"{len(self.failures)} failed -> {errors}")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzeSummary(Summary):
    """What came of it, in a folder."""

    output: Path

    def told(self) -> str:
        """The whole run in one line."""
        return self.told_with(self.output / REPORT / "index.html", errors=self.output / ERRORS)


def analyze(plan: AnalyzePlan, *, listener: Listener | None = None) -> AnalyzeSummary:
    """What was found, written to ``plan.output``; one picture after the other, on all cores.

    Stopped and started again with the same plan it goes on where it stood: a picture whose outputs are there
    and were made of the same file with the same settings is not analysed again. Tables are written at the
    end, in the order of the inputs. A picture that cannot be read is a row of ``errors.csv``. Raises
    ``SupcamError`` (no picture, no model, an output that cannot be written).
    """
    listener = listener or Listener()
    inputs = _inputs(plan)
    names = name_pictures(inputs.names, cases=plan.cases, pseudonymise=plan.pseudonymise)
    model = load_model(plan.model, threads=1, image=plan.image, terms=plan.terms)
    settings = settings_of(plan.image, model=model)
    _make_folder(plan.output)
    tasks = [_task(name, names=names, plan=plan, settings=settings) for name in inputs.names]
    failures = [*inputs.unusable]
    listener.started(len(tasks))
    for item in failures:
        listener.failed(item)
    failures += _run(tasks, plan=plan, model=model, listener=listener)
    failed = {str(item.path) for item in failures}
    records = [read_record(task) for task in tasks if str(task.path) not in failed]
    unnamed = "an input that is no picture"
    shown = [
        (names.shown.get(str(item.path), unnamed if plan.pseudonymise else str(item.path)), item.reason)
        for item in failures
    ]
    write_tables(records, failures=shown, expected=plan.expected, output=plan.output)
    return AnalyzeSummary(
        n_pictures=len(records),
        n_chromosomes=sum(record["image"]["n_chromosomes"] for record in records),
        n_to_review=sum(record["image"]["decision"] == "review" for record in records),
        failures=tuple(failures),
        model_name=f"{model.card.name} {model.card.version}",
        output=plan.output,
        promise=model.promise.told() if plan.terms != Terms() else "",
    )


def _task(path: str, *, names: Names, plan: AnalyzePlan, settings: str) -> Task:
    return Task(
        path=Path(path),
        name=names.shown[path],
        stem=names.stems[path],
        case=names.cases[path],
        output=plan.output,
        settings=settings,
        crops=plan.crops,
        expected=plan.expected,
    )


def _inputs(plan: AnalyzePlan) -> Inputs:
    """The pictures that were named; what an earlier run wrote into the output folder is none of them."""
    found = find_inputs(plan.named)
    output = Path(os.path.realpath(plan.output))
    names = tuple(name for name in found.names if output not in Path(os.path.realpath(name)).parents)
    if not names and not found.unusable:
        raise SupcamError(
            "no picture outside the output folder",
            expected="pictures to analyse",
            remedy="name them, or choose another output",
        )
    return Inputs(names=names, unusable=found.unusable, n_repeated=found.n_repeated)


def _run(tasks: Sequence[Task], *, plan: AnalyzePlan, model: Model, listener: Listener) -> list[Unreadable]:
    """What failed, in the order of the tasks."""
    crew = Crew(
        n_processes=min(plan.processes or usable_cores(), max(1, len(tasks))),
        model=plan.model,
        image=plan.image,
        terms=plan.terms,
    )
    failed: dict[str, Unreadable] = {}
    for outcome in run_all(tasks, crew=crew, model=model):
        if outcome.is_fatal:
            raise SupcamError(
                outcome.reason,
                expected="an output that can be written",
                remedy="make room or choose another output; the run can go on where it stood",
            )
        if outcome.record is None:
            item = Unreadable(outcome.task.path, outcome.reason)
            failed[outcome.task.stem] = item
            listener.failed(item)
        listener.advanced(1)
    return [failed[task.stem] for task in tasks if task.stem in failed]


def settings_of(image: ImageConfig, *, model: Model) -> str:
    """All that the outputs hang on besides the picture and its names."""
    words = {
        "supcam": supcam.__version__,
        "model": model.card.seal,
        "image": image.model_dump(mode="json"),
    }
    if model.terms != Terms():
        words["terms"] = asdict(model.terms)
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()


def _make_folder(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SupcamError(
            f"that it cannot be made ({error.strerror or error})",
            expected="a folder",
            remedy="choose another output",
            where=output,
        ) from error
