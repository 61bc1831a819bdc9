"""``supcam classify``: crops to a table of predictions; a bad file is a row of errors and stops nothing."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from supcam.core.config import ImageConfig
from supcam.core.types import SupcamError
from supcam.data.files import Unreadable
from supcam.pack.bundle import Model, ReadCrop, load_model
from supcam.pack.session import usable_cores
from supcam.pack.terms import Terms
from supcam.workflows.inputs import Inputs, find_inputs, identity
from supcam.workflows.tables import (
    COLUMNS,
    DETAIL_COLUMNS,
    ERROR_COLUMNS,
    CsvTable,
    JsonReport,
    prediction_row,
)
from supcam.workflows.whole_file import WholeFile

_MOST_READERS = 4


@dataclass(frozen=True, slots=True)
class ClassifyPlan:
    """What to classify, by which model, and where the answers go.

    ``errors=None`` stands for ``<output>.errors.csv`` beside the output, which is there only when something
    failed; ``threads=None`` for all cores this process may use. ``terms`` are the user's,
    ``details`` asks for more columns.
    """

    named: tuple[str, ...]
    output: Path
    json: Path | None = None
    errors: Path | None = None
    model: Path | None = None
    image: ImageConfig = field(default_factory=ImageConfig)
    batch_size: int = 32
    threads: int | None = None
    terms: Terms = field(default_factory=Terms)
    details: bool = False


@dataclass(frozen=True, slots=True)
class ClassifySummary:
    """What came of it.

    ``errors`` is where failures are listed, ``None`` when there is no such file. ``promise`` says in one line
    what accepting means under the user's terms; blank when there were none.
    """

    n_classified: int
    failures: tuple[Unreadable, ...]
    n_repeated: int
    model_name: str
    output: Path
    errors: Path | None
    promise: str = ""

    def told(self) -> str:
        """The whole run in one line."""
        n_tried = self.n_classified + len(self.failures)
        parts = [f"{self.n_classified} of {n_tried} classified by {self.model_name} -> {self.output}"]
        if self.n_repeated:
            parts.append(f"{self.n_repeated} named more than once, written once")
        if self.failures:
            parts.append(f"{len(self.failures)} failed" + (f" -> {self.errors}" if self.errors else ""))
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class Listener:
    """Whom to tell while it runs: ``started(n_pictures)``, ``failed(item)``, ``advanced(n_pictures)``.

    ``noted(name, note)`` tells what a reader should know of a picture, such as which of its pages was read.
    """

    started: Callable[[int], None] = lambda _total: None
    noted: Callable[[str, str], None] = lambda _name, _note: None
    failed: Callable[[Unreadable], None] = lambda _item: None
    advanced: Callable[[int], None] = lambda _count: None


@dataclass(slots=True)
class _Run:
    """A run under way: where rows go, and what was written so far."""

    listener: Listener
    table: CsvTable
    report: JsonReport | None
    details: bool = False
    failures: list[Unreadable] = field(default_factory=list)
    n_classified: int = 0

    def fail(self, item: Unreadable) -> None:
        self.failures.append(item)
        self.listener.failed(item)


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    name: str
    crop: ReadCrop


def classify(plan: ClassifyPlan, *, listener: Listener | None = None) -> ClassifySummary:
    """The number of rows written and what failed; pictures are read ahead a few at a time, in bounded memory.

    All tables appear whole, at the end; ``SupcamError`` (no picture, no model, an output that cannot be
    written) leaves none of them, and what was there before stays. One row a picture, in the order named.
    """
    listener = listener or Listener()
    inputs = find_inputs(plan.named)
    errors = _errors_path(plan)
    _check_outputs(plan, errors=errors, inputs=inputs)
    with ExitStack() as stack, _opencv_threads(1):
        file = stack.enter_context(WholeFile(plan.output))
        json_file = stack.enter_context(WholeFile(plan.json)) if plan.json else None
        errors_file = stack.enter_context(WholeFile(errors)) if errors else None
        model = load_model(plan.model, threads=plan.threads, image=plan.image, terms=plan.terms)
        run = _Run(
            listener=listener,
            table=CsvTable(file, columns=COLUMNS + DETAIL_COLUMNS if plan.details else COLUMNS),
            details=plan.details,
            report=JsonReport(json_file, model=_about(model)) if json_file else None,
        )
        _fill(run, inputs=inputs, model=model, plan=plan)
        _finish(run, errors_file=errors_file, only_if_failed=plan.errors is None)
    listed = errors if errors and (run.failures or plan.errors) else None
    return ClassifySummary(
        n_classified=run.n_classified,
        failures=tuple(run.failures),
        n_repeated=inputs.n_repeated,
        model_name=f"{model.card.name} {model.card.version}",
        output=plan.output,
        errors=listed,
        promise=model.promise.told() if plan.terms != Terms() else "",
    )


def _fill(run: _Run, *, inputs: Inputs, model: Model, plan: ClassifyPlan) -> None:
    run.listener.started(len(inputs.names))
    for item in inputs.unusable:
        run.fail(item)
    threads = plan.threads or usable_cores()
    batch: list[_Prepared] = []
    for result in _read_ahead(inputs.names, model=model, n_readers=min(threads, _MOST_READERS)):
        if isinstance(result, Unreadable):
            run.fail(result)
            run.listener.advanced(1)
            continue
        for note in result.crop.notes:
            run.listener.noted(result.name, note)
        batch.append(result)
        if len(batch) == plan.batch_size:
            _write_batch(run, batch=batch, model=model)
            batch = []
    _write_batch(run, batch=batch, model=model)


def _write_batch(run: _Run, *, batch: list[_Prepared], model: Model) -> None:
    predictions = model.predict_squares(item.crop.square for item in batch)
    for item, prediction in zip(batch, predictions, strict=True):
        run.table.add(prediction_row(item.name, prediction, details=run.details))
        if run.report:
            run.report.add(item.name, prediction)
    run.n_classified += len(batch)
    run.listener.advanced(len(batch))


def _finish(run: _Run, *, errors_file: WholeFile | None, only_if_failed: bool) -> None:
    """All files synced first, then all of them named: a full disk names none."""
    files = [run.table.file]
    if run.report:
        run.report.finish(run.failures)
        files.append(run.report.file)
    if errors_file:
        table = CsvTable(errors_file, columns=ERROR_COLUMNS)
        for item in run.failures:
            table.add((str(item.path), item.reason))
        files.append(errors_file)
    for file in files:
        file.sync()
    for file in files:
        file.keep()
    if errors_file and only_if_failed and not run.failures:
        errors_file.path.unlink(missing_ok=True)


def _read_ahead(names: Iterable[str], *, model: Model, n_readers: int) -> Iterator[_Prepared | Unreadable]:
    """The network input of each picture, or why there is none, in order; only a few wait in memory."""
    if n_readers == 1:
        yield from (_prepare(name, model=model) for name in names)
        return
    with ThreadPoolExecutor(n_readers) as pool:
        waiting: deque[Future[_Prepared | Unreadable]] = deque()
        try:
            for name in names:
                waiting.append(pool.submit(_prepare, name, model=model))
                if len(waiting) > 4 * n_readers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _prepare(name: str, *, model: Model) -> _Prepared | Unreadable:
    try:
        return _Prepared(name=name, crop=model.read_crop(name))
    except SupcamError as error:
        reason = error.reason
    except MemoryError:
        reason = "the picture needs more memory than there is"
    except Exception as error:  # one picture in a thousand may not cost the other answers
        reason = f"unexpected {type(error).__name__}: {error}"
    return Unreadable(Path(name), reason)


def _about(model: Model) -> dict[str, object]:
    card = model.card
    about: dict[str, object] = {"name": card.name, "version": card.version, "sha256": card.model_sha256}
    return about | ({"promise": model.promise.to_json()} if model.terms != Terms() else {})


def _errors_path(plan: ClassifyPlan) -> Path | None:
    """Where failures are listed: as asked, or beside an output that is an ordinary file."""
    if plan.errors:
        return plan.errors
    if plan.output.exists() and not plan.output.is_file():
        return None
    return plan.output.with_name(f"{plan.output.stem}.errors.csv")


def _check_outputs(plan: ClassifyPlan, *, errors: Path | None, inputs: Inputs) -> None:
    """Nothing, when every output has a place of its own and none is a picture that is read."""
    outputs = [path for path in (plan.output, plan.json, errors) if path]
    places = [identity(os.path.realpath(path)) for path in outputs]
    if len(set(places)) < len(places):
        raise SupcamError(
            f"one file for two outputs ({', '.join(map(str, outputs))})",
            expected="different files",
            remedy="change --output, --json or --errors",
        )
    taken = set(places) & {identity(name) for name in inputs.names}
    if taken:
        raise SupcamError(
            f"an output that is also a picture to read ({next(iter(taken))[1]})",
            expected="an output of its own",
            remedy="choose another output",
        )


@contextmanager
def _opencv_threads(count: int) -> Iterator[None]:
    """OpenCV with ``count`` threads inside each of ours."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
