"""Which rows deserve further seeds: told by their results, once the first seeds are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from supcam.workflows.experiment.outcome import Outcome
from supcam.workflows.experiment.plan import Close, Plan, Row, Run, further_runs_of, runs_of

_DECIDES_BY = "macro_recall"

Found = Mapping[Run, Outcome]
"""The results that are there, by their runs."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The runs that a plan asks for by now, and those that it may ask for when more is known."""

    runs: tuple[Run, ...]
    possible: tuple[Run, ...]


def wanted_runs(plan: Plan, *, found: Found, only: Sequence[str] = ()) -> Wanted:
    """All first seeds, then further ones of rows that came near their reference; of rows ``only``, if any.

    Whether a row is near is open until all first seeds of it and of its reference have results. Raises
    ``ConfigError`` for a name that is no row.
    """
    first = runs_of(plan, only=only)
    rows = [row for row in plan.rows if not only or row.key in only]
    near = {row.key: is_near(row, plan=plan, found=found) for row in rows}
    further = {row.key: further_runs_of(row, plan=plan) for row in rows}
    return Wanted(
        runs=(*first, *(run for row in rows if near[row.key] for run in further[row.key])),
        possible=tuple(run for row in rows if near[row.key] is None for run in further[row.key]),
    )


def every_run(plan: Plan) -> tuple[Run, ...]:
    """All runs that the plan may ever ask for."""
    return (*runs_of(plan), *(run for row in plan.rows for run in further_runs_of(row, plan=plan)))


def is_near(row: Row, *, plan: Plan, found: Found) -> bool | None:
    """Whether ``row`` is not farther below its reference than ``close.within``; ``None``: not known yet."""
    if plan.close is None:
        return False
    own = _level(row, plan=plan, close=plan.close, found=found)
    other = _level(plan.reference_of(row), plan=plan, close=plan.close, found=found)
    return None if own is None or other is None else own >= other - plan.close.within - 1e-9


def _level(row: Row, *, plan: Plan, close: Close, found: Found) -> float | None:
    """The mean over the row's first runs and the scored sets that decide."""
    names = [*plan.scored] if close.scored is None else [close.scored]
    values = [
        found[run].sets[name].figures.get(_DECIDES_BY) if run in found and name in found[run].sets else None
        for run in runs_of(plan, only=[row.key])
        for name in names
    ]
    known = [value for value in values if value is not None]
    return mean(known) if len(known) == len(values) else None
