"""``supcam experiment run``: what is still to be run, for how long, and the runs themselves, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from supcam.core.types import ManifestError, SupcamError, TrainingError
from supcam.learn.kept_batches import make_room
from supcam.learn.recipe import Recipe
from supcam.learn.sources import PartsReader
from supcam.workflows.experiment.claim import HeldElsewhereError, held
from supcam.workflows.experiment.closeness import every_run, wanted_runs
from supcam.workflows.experiment.outcome import Outcome, read_outcome, read_truth, spent_seconds
from supcam.workflows.experiment.plan import RESULTS, Plan, Rates, Run, read_plan, runs_of
from supcam.workflows.experiment.recipes import first_step_of, is_by, recipe_of
from supcam.workflows.experiment.run import Bench, carry_out

_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plan has cost and will cost, in machine hours of one process each."""

    n_runs: int
    n_to_do: int
    spent_hours: float
    hours_to_do: float
    n_possible: int = 0
    possible_hours: float = 0.0

    @property
    def most_hours(self) -> float:
        """If every row turns out to deserve its further seeds."""
        return self.spent_hours + self.hours_to_do + self.possible_hours

    def told(self) -> str:
        """In one line."""
        possible = (
            f"; up to {self.n_possible} more of rows near the reference, {self.possible_hours:.1f} hours"
            if self.n_possible
            else ""
        )
        return (
            f"{self.n_to_do} of {self.n_runs} runs to do, about {self.hours_to_do:.1f} machine hours; "
            f"{self.spent_hours:.1f} were spent{possible}"
        )


@dataclass(frozen=True, slots=True)
class Failed:
    """A run that could not be carried out, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Work:
    """What is asked for: the rows named (none: all), so many processes, and who is told of progress."""

    only: Sequence[str] = ()
    processes: int = 1
    tell: Callable[[str], None] = lambda _: None
    dry: bool = False


def run_plan(bench: Bench, *, work: Work) -> tuple[Failed, ...]:
    """What failed, once every run of the plan has its result; those that have one are left alone.

    Raises ``ConfigError`` for a plan or a recipe that cannot be used, ``ManifestError`` for a result that is
    damaged or of another recipe, ``TrainingError`` when all runs would take more than the plan's budget, or
    a process was ended from outside.
    """
    plan = read_plan(bench.folder)
    chosen = runs_of(plan, only=work.only)
    found = _all_found(plan, bench=bench)
    estimate = _estimate(plan, found=found, bench=bench)
    work.tell(estimate.told())
    _require_within(plan, estimate)
    _require_short(plan, runs=chosen, found=found, bench=bench)
    if work.dry:
        return ()
    failed = _all_carried_out(plan, found=found, bench=bench, work=work)
    if bench.kept_in is not None:
        make_room(bench.kept_in, most_bytes=0)
    return failed


def _all_carried_out(
    plan: Plan, *, found: Mapping[Run, Outcome], bench: Bench, work: Work
) -> tuple[Failed, ...]:
    """What failed. Results decide which further runs are asked for, until they ask for no more."""
    failed: list[Failed] = []
    tried: set[Run] = set()
    while to_do := [
        run
        for run in wanted_runs(plan, found=found, only=work.only).runs
        if run not in found and run not in tried
    ]:
        for done, (name, told) in enumerate(_carried_out(to_do, plan=plan, bench=bench, work=work), start=1):
            work.tell(f"{done} of {len(to_do)}: {name}: {told.reason if isinstance(told, Failed) else told}")
            failed += [told] if isinstance(told, Failed) else []
        tried |= {*to_do}
        found = _all_found(plan, bench=bench)
    return tuple(failed)


def estimate_of(plan: Plan, *, bench: Bench) -> Estimate:
    """Time spent and time to come: at the pace of the plan's finished runs, else at the rates it states."""
    return _estimate(plan, found=_all_found(plan, bench=bench), bench=bench)


def _all_found(plan: Plan, *, bench: Bench) -> dict[Run, Outcome]:
    """The results that are there, by their runs."""
    runs = every_run(plan)
    return {run: outcome for run in runs if (outcome := _found(run, plan=plan, bench=bench)) is not None}


def _estimate(plan: Plan, *, found: Mapping[Run, Outcome], bench: Bench) -> Estimate:
    wanted = wanted_runs(plan, found=found)
    paces = paces_of(found.values(), rates=plan.rates)
    begun = {outcome.first_step for outcome in found.values()}
    to_do = [run for run in wanted.runs if run not in found]
    possible = [run for run in wanted.possible if run not in found]
    seconds = [
        sum(_seconds_of_all(runs, plan=plan, bench=bench, paces=paces, begun=begun))
        for runs in (to_do, possible)
    ]
    return Estimate(
        n_runs=len({*wanted.runs, *found}),
        n_to_do=len(to_do),
        spent_hours=spent_seconds(found.values()) / _HOUR,
        hours_to_do=seconds[0] / _HOUR,
        n_possible=len(possible),
        possible_hours=seconds[1] / _HOUR,
    )


def _seconds_of_all(
    runs: Iterable[Run], *, plan: Plan, bench: Bench, paces: Rates, begun: set[str]
) -> Iterator[float]:
    """Of each run; a step 1 that was ``begun``, or that an earlier one of them shares, counts no more."""
    shared = {*begun}
    for run in runs:
        recipe = recipe_of(run, plan=plan, folder=bench.folder)
        first = first_step_of(recipe)
        yield _seconds_of(recipe, paces=paces, is_begun=first in shared)
        shared.add(first)


def paces_of(outcomes: Iterable[Outcome], *, rates: Rates) -> Rates:
    """Pictures a second of each step: the median of ``outcomes``, or of ``rates`` where there are none."""
    known = [*outcomes]
    first = [one.pretrain_pictures / one.pretrain_seconds for one in known if one.pretrain_seconds]
    second = [one.train_pictures / one.train_seconds for one in known if one.train_seconds]
    return Rates(
        pretrain=median(first) if first else rates.pretrain, train=median(second) if second else rates.train
    )


def _seconds_of(recipe: Recipe, *, paces: Rates, is_begun: bool) -> float:
    first = 0 if recipe.pretrain is None or is_begun else recipe.pretrain.total_pictures
    return first / paces.pretrain + recipe.train.total_pictures / paces.train


def _require_within(plan: Plan, estimate: Estimate) -> None:
    if estimate.most_hours > plan.budget_hours:
        raise TrainingError(
            f"a plan of about {estimate.most_hours:.1f} machine hours",
            expected=f"at most its budget of {plan.budget_hours:g}",
            remedy="take rows or seeds out, shorten the recipes, or raise budget_hours",
        )


def _require_short(plan: Plan, *, runs: Sequence[Run], found: Mapping[Run, Outcome], bench: Bench) -> None:
    """Nothing, when every run that is still to be done ends within ``minutes_a_run``, by the plan's rates."""
    if plan.minutes_a_run is None:
        return
    for run in runs:
        recipe = recipe_of(run, plan=plan, folder=bench.folder)
        minutes = _seconds_of(recipe, paces=plan.rates, is_begun=False) / 60
        if run not in found and minutes > plan.minutes_a_run:
            raise TrainingError(
                f"a run {run.name} of about {minutes:.1f} minutes",
                expected=f"at most {plan.minutes_a_run:g} a run",
                remedy="shorten its recipe, or raise minutes_a_run",
            )


def _found(run: Run, *, plan: Plan, bench: Bench) -> Outcome | None:
    """The run's result, if it is there and what the plan asks for now."""
    results = bench.folder / RESULTS
    outcome = read_outcome(results, name=run.name)
    if outcome is None:
        return None
    scored = {name: read_truth(results, named=one.truth).parts for name, one in outcome.sets.items()}
    recipe = recipe_of(run, plan=plan, folder=bench.folder)
    if scored != run.scored_parts(plan) or not is_by(outcome, recipe=recipe):
        raise ManifestError(
            "a result of another recipe, or scored on other parts",
            expected="what the plan says now",
            remedy="delete it to have it run again, or go back to that recipe and plan",
            where=results / f"{run.name}.json",
        )
    return outcome


def _carried_out(
    runs: Sequence[Run], *, plan: Plan, bench: Bench, work: Work
) -> Iterator[tuple[str, str | Failed]]:
    """Each run's name and what to tell of it, as they finish; runs that share step 1 stay together."""
    groups = _by_first_step(runs, plan=plan, folder=bench.folder)
    if work.processes == 1:
        reader = PartsReader(folder=bench.folder)
        for group in groups:
            for run in group:
                yield run.name, _tried(run, plan=plan, bench=bench, reader=reader)
        return
    with ProcessPoolExecutor(work.processes, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(_group, group, plan, bench) for group in groups]
        try:
            for finished in as_completed(waiting):
                yield from finished.result()
        except BrokenProcessPool as error:
            raise TrainingError(
                "a process that was ended from outside",
                expected="processes that finish",
                remedy="see that memory suffices for so many, and start again: what is finished is kept",
            ) from error


def _by_first_step(runs: Sequence[Run], *, plan: Plan, folder: Path) -> list[list[Run]]:
    """Those that share step 1 side by side, in the order in which each group first comes."""
    order: dict[str, int] = {}
    keys = [first_step_of(recipe_of(run, plan=plan, folder=folder)) or run.name for run in runs]
    for key in keys:
        order.setdefault(key, len(order))
    ranked = sorted(zip((order[key] for key in keys), runs, strict=True), key=lambda pair: pair[0])
    return [[run for _, run in group] for _, group in groupby(ranked, key=lambda pair: pair[0])]


@cache
def _reader(folder: Path) -> PartsReader:
    """A worker process's own: what was harvested for one group serves the next."""
    return PartsReader(folder=folder)


def _group(runs: Sequence[Run], plan: Plan, bench: Bench) -> list[tuple[str, str | Failed]]:
    reader = _reader(bench.folder)
    return [(run.name, _tried(run, plan=plan, bench=bench, reader=reader)) for run in runs]


def _tried(run: Run, *, plan: Plan, bench: Bench, reader: PartsReader) -> str | Failed:
    """What to tell of the run: its scores, or why there are none.

    A run that another command is at is left to it, and one that another command finished meanwhile is kept.
    """
    try:
        with held(bench.runs / run.name, wait=False):
            done = _found(run, plan=plan, bench=bench)
            outcome = done or carry_out(run, plan=plan, bench=bench, reader=reader)
    except HeldElsewhereError:
        return "left to another command, which is at it"
    except SupcamError as error:
        return Failed(run.name, str(error))
    told = [
        f"{name} {answered.figures['accuracy']}, clusters {answered.figures['clusters_accuracy']}"
        for name, answered in outcome.sets.items()
    ]
    return "; ".join(told)
