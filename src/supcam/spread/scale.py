"""Many pictures on all cores: processes of their own, a few pictures ahead, in bounded memory."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2

from supcam.core.config import ImageConfig
from supcam.core.types import ImageError, SupcamError
from supcam.pack.bundle import Model, load_model
from supcam.pack.terms import Terms
from supcam.spread.outputs import Task, process

_AHEAD = 2
"""Pictures handed out for each process: one at work, one waiting."""
_FEW = 2
"""So few pictures are done sooner without further processes."""
ENDED = "the process that read it was ended; it may need more memory than there is"
"""Why a picture has no result that no process outlived."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a picture: its record, or why there is none. ``is_fatal`` stops the whole run."""

    task: Task
    record: Path | None = None
    reason: str = ""
    is_fatal: bool = False


@dataclass(frozen=True, slots=True)
class Crew:
    """How many processes work, with which model folder, which reader, and on which terms."""

    n_processes: int
    model: Path | None
    image: ImageConfig
    terms: Terms = field(default_factory=Terms)


def run_all(tasks: Sequence[Task], *, crew: Crew, model: Model) -> Iterator[Outcome]:
    """The outcome of every task, in the order in which they end.

    ``model`` is that of ``crew``, loaded with one thread: this process works with it, others load their own
    once, so that results hang neither on the number of processes nor on their order. A process that is ended
    from outside (out of memory, say) takes no other picture along: those at work with it are tried again,
    each alone.
    """
    if crew.n_processes == 1 or len(tasks) <= _FEW:
        yield from (_outcome(task, model=model) for task in tasks)
        return
    waiting = list(reversed(tasks))
    while waiting:
        lost: list[Task] = []
        yield from _run(waiting, lost=lost, crew=crew)
        for task in lost:
            yield _alone(task, crew=crew)


def _run(waiting: list[Task], *, lost: list[Task], crew: Crew) -> Iterator[Outcome]:
    """Outcomes until all is done or a process is lost; then ``lost`` are the tasks that were at work."""
    at_work: dict[Future[Outcome], Task] = {}
    pool = _pool(crew.n_processes)
    try:
        while waiting or at_work:
            while waiting and len(at_work) < _AHEAD * crew.n_processes:
                future = pool.submit(_at_work, waiting[-1], crew=crew)
                at_work[future] = waiting.pop()
            done, _ = wait(at_work, return_when=FIRST_COMPLETED)
            for future in done:
                outcome = future.result()
                del at_work[future]
                yield outcome
    except BrokenProcessPool:
        lost += at_work.values()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _alone(task: Task, *, crew: Crew) -> Outcome:
    with _pool(1) as pool:
        try:
            return pool.submit(_at_work, task, crew=crew).result()
        except BrokenProcessPool:
            return Outcome(task, reason=ENDED)


def _pool(n_processes: int) -> ProcessPoolExecutor:
    """New processes start afresh: threads of this one are not copied."""
    return ProcessPoolExecutor(
        n_processes, mp_context=multiprocessing.get_context("spawn"), initializer=_begin
    )


def _begin() -> None:
    """A process leaves being stopped by hand to the one that started it, and uses one thread."""
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _at_work(task: Task, *, crew: Crew) -> Outcome:
    return _outcome(task, model=_model(crew.model, crew.image, crew.terms))


@lru_cache(maxsize=1)
def _model(path: Path | None, image: ImageConfig, terms: Terms) -> Model:
    return load_model(path, threads=1, image=image, terms=terms)


def _outcome(task: Task, *, model: Model) -> Outcome:
    try:
        return Outcome(task, record=process(task, model=model))
    except Exception as error:  # one picture in a thousand may not cost the other answers
        is_fatal = isinstance(error, SupcamError) and not isinstance(error, ImageError)
        return Outcome(task, reason=failure_reason(error), is_fatal=is_fatal)


def failure_reason(error: Exception) -> str:
    """What to say of a picture that ``error`` stopped, without naming it."""
    if isinstance(error, ImageError):
        return error.reason
    if isinstance(error, SupcamError):
        return str(error)
    if isinstance(error, MemoryError):
        return "the picture needs more memory than there is"
    return f"unexpected {type(error).__name__}: {error}"
