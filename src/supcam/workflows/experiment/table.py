"""``supcam experiment table`` and ``plot``: results -> a table for people, with rows that were not run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from statistics import mean

import numpy as np

from supcam.core.disk import write_whole
from supcam.core.types import ManifestError
from supcam.measure.comparison import FIGURES, Compared, compare
from supcam.measure.table import PredictionTable, stacked
from supcam.workflows.experiment.closeness import every_run, wanted_runs
from supcam.workflows.experiment.outcome import (
    Outcome,
    read_outcome,
    read_truth,
    spent_seconds,
    table_of,
)
from supcam.workflows.experiment.plan import RESULTS, Plan, Row, Run, read_plan
from supcam.workflows.experiment.recipes import is_by, recipe_of

COMPARED_BY = "macro_recall"
"""The figure whose difference to the reference is shown: one that a common type cannot carry alone."""
_SEED = 0

RunsFound = Mapping[Run, Outcome | None]
"""Runs of one row, with their results where there are any."""
BySeed = Mapping[int, PredictionTable]
BySet = Mapping[str, BySeed]


@dataclass(frozen=True, slots=True, eq=False)
class RowResults:
    """A row with those of its runs that are finished, and its figures on each set over its whole seeds.

    ``is_current`` tells whether all finished ones came from the recipe as it is now.
    """

    row: Row
    n_runs: int
    outcomes: tuple[Outcome, ...]
    is_current: bool
    figures: Mapping[str, Mapping[str, Compared]]

    @property
    def minutes(self) -> float | None:
        """Of one run, both steps, in the mean over its runs; ``None`` where no run was timed."""
        seconds = [
            one.train_seconds + (one.pretrain_seconds or 0.0)
            for one in self.outcomes
            if one.train_seconds is not None and (one.pretrain_seconds is not None or not one.first_step)
        ]
        return mean(seconds) / 60 if seconds else None


def read_rows(folder: Path) -> tuple[RowResults, ...]:
    """Every row of the plan in ``folder`` with what is known of it.

    Raises ``ManifestError`` for a damaged result, ``ConfigError`` for a plan or recipe that cannot be used.
    """
    plan = read_plan(folder)
    there = {run: read_outcome(folder / RESULTS, name=run.name) for run in every_run(plan)}
    known = {run: outcome for run, outcome in there.items() if outcome is not None}
    found: RunsFound = {
        run: there[run] for run in there if run in known or run in wanted_runs(plan, found=known).runs
    }
    of_rows = {
        row.key: {run: outcome for run, outcome in found.items() if run.row is row} for row in plan.rows
    }
    tables = {key: _tables(runs, plan=plan, folder=folder) for key, runs in of_rows.items()}
    return tuple(
        RowResults(
            row=row,
            n_runs=len(of_rows[row.key]),
            outcomes=tuple(outcome for outcome in of_rows[row.key].values() if outcome is not None),
            is_current=_are_current(of_rows[row.key], plan=plan, folder=folder),
            figures=_figures(row, tables=tables, reference=plan.reference_of(row)),
        )
        for row in plan.rows
    )


def _are_current(runs: RunsFound, *, plan: Plan, folder: Path) -> bool:
    return all(
        outcome is None or is_by(outcome, recipe=recipe_of(run, plan=plan, folder=folder))
        for run, outcome in runs.items()
    )


def _figures(row: Row, *, tables: Mapping[str, BySet], reference: Row) -> dict[str, Mapping[str, Compared]]:
    own, theirs = tables[row.key], tables[reference.key]
    return {
        name: _compared(by_seed, reference={} if row is reference else theirs[name])
        for name, by_seed in own.items()
        if by_seed
    }


def _compared(own: BySeed, *, reference: BySeed) -> Mapping[str, Compared]:
    """Figures over all whole seeds; differences over those that both have, or all where they share none."""
    whole = compare(stacked([*own.values()]), rng=np.random.default_rng(_SEED))
    if not reference:
        return whole
    shared = [seed for seed in own if seed in reference]
    ours = [own[seed] for seed in shared] or [*own.values()]
    theirs = [reference[seed] for seed in shared] or [*reference.values()]
    paired = compare(stacked(ours), reference=stacked(theirs), rng=np.random.default_rng(_SEED))
    return {
        name: replace(paired[name], value=one.value, low=one.low, high=one.high)
        for name, one in whole.items()
    }


def _tables(runs: RunsFound, *, plan: Plan, folder: Path) -> BySet:
    """A row's answers on each set by seed, folds below each other; whole seeds alone."""
    seeds = dict.fromkeys(run.seed for run in runs)
    return {
        name: {
            seed: stacked([_table(run, outcome, name=name, folder=folder) for run, outcome in of_seed])
            for seed in seeds
            if (of_seed := _whole(runs, seed=seed, name=name))
        }
        for name in plan.scored
    }


def _whole(runs: RunsFound, *, seed: int, name: str) -> list[tuple[Run, Outcome]]:
    """All runs of the seed with their results on the set ``name``; none unless all are there."""
    of_seed = [(run, outcome) for run, outcome in runs.items() if run.seed == seed]
    there = [(run, one) for run, one in of_seed if one is not None and name in one.sets]
    return there if len(there) == len(of_seed) else []


def _table(run: Run, outcome: Outcome, *, name: str, folder: Path) -> PredictionTable:
    answered = outcome.sets[name]
    truth = read_truth(folder / RESULTS, named=answered.truth)
    return table_of(answered, truth=truth, fold=run.fold or name)


def told(folder: Path) -> str:
    """The plan's table as Markdown: a heading, what was run, and one table a scored set."""
    plan, rows = read_plan(folder), read_rows(folder)
    lines = [f"### {plan.title}", "", plan.note.strip(), "", *_run_lines(rows), ""]
    for name in plan.scored:
        lines += [
            f"`{name}` ({', '.join(plan.scored[name])}):",
            "",
            *_table_lines(name, rows=rows, plan=plan),
            "",
            *_verdict(name, rows=rows, plan=plan),
        ]
    return "\n".join(lines)


def _run_lines(rows: Sequence[RowResults]) -> Iterator[str]:
    done = [one for row in rows for one in row.outcomes]
    commits = ", ".join(sorted({one.commit[:7] for one in done if one.commit}))
    yield (
        f"{len(done)} of {sum(row.n_runs for row in rows)} runs are finished; they took "
        f"{spent_seconds(done) / 3600:.1f} machine hours{f' at commit {commits}' if commits else ''}. "
        "Intervals are 95 %, by case. Figures are means over seeds; behind the accuracy stand the lowest and "
        "the highest seed's. A bold difference is one whose interval leaves 0 out."
    )


def _verdict(name: str, *, rows: Sequence[RowResults], plan: Plan) -> Iterator[str]:
    """Plainly, which rows are worse, better, or neither; nothing before the first comparison."""
    told_of: dict[str, list[str]] = {"worse": [], "better": [], "neither": []}
    for row in rows:
        figure = row.figures[name][COMPARED_BY] if name in row.figures else None
        if figure is not None and isfinite(figure.difference_low):
            verdict = ("better" if figure.difference > 0 else "worse") if figure.differs else "neither"
            reference = plan.reference_of(row.row)
            to = "" if reference.key == plan.reference else f" (to {_named(reference)})"
            told_of[verdict].append(_named(row.row) + to)
    if any(told_of.values()):
        parts = {what: "; ".join(names) or "no row" for what, names in told_of.items()}
        yield (
            f"By {FIGURES[COMPARED_BY]} on `{name}`, against the reference. **Worse**: {parts['worse']}. "
            f"**Better**: {parts['better']}. **Not shown to differ**, so that what is special about "
            f"them is not shown to help or to harm: {parts['neither']}."
        )
        yield ""


def _table_lines(name: str, *, rows: Sequence[RowResults], plan: Plan) -> Iterator[str]:
    shown = [key for key in FIGURES if any(_is_defined(row, name=name, key=key) for row in rows)] or [
        *FIGURES
    ]
    heads = [
        "row",
        "runs",
        *(FIGURES[key] for key in shown),
        f"{FIGURES[COMPARED_BY]} against reference",
        "min",
    ]
    yield line_of(heads)
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield line_of(_cells(row, name=name, shown=shown, plan=plan))


def _cells(row: RowResults, *, name: str, shown: Sequence[str], plan: Plan) -> Iterator[str]:
    yield _named(row.row)
    yield f"{len(row.outcomes)}/{row.n_runs}{'' if row.is_current else ' by an earlier recipe'}"
    figures = row.figures.get(name)
    if figures is None:
        yield from ["not finished" if row.outcomes else "not run"] * len(shown)
        yield ""
    else:
        yield from (
            figure_cell(figures[key]) + (_spread(row, name=name) if key == "accuracy" else "")
            for key in shown
        )
        yield _comparison(row.row, figure=figures[COMPARED_BY], plan=plan)
    yield "" if row.minutes is None else f"{row.minutes:.1f}"


def _is_defined(row: RowResults, *, name: str, key: str) -> bool:
    return name in row.figures and isfinite(row.figures[name][key].value)


def figure_cell(figure: Compared) -> str:
    """The value with its interval, as a cell of a table."""
    if not isfinite(figure.value):
        return "–"
    ends = f"{figure.low:.3f}-{figure.high:.3f}" if isfinite(figure.low) else "–"
    return f"{figure.value:.3f} ({ends})"


def _spread(row: RowResults, *, name: str) -> str:
    """The lowest and highest seed's accuracy, where there are several whole runs."""
    values = [
        value
        for one in row.outcomes
        if name in one.sets and (value := one.sets[name].figures.get("accuracy")) is not None
    ]
    return f" {min(values):.3f}..{max(values):.3f}" if len(values) > 1 and not row.row.folds else ""


def _comparison(row: Row, *, figure: Compared, plan: Plan) -> str:
    """The difference, and to whom where that is another row than most are compared with."""
    reference = plan.reference_of(row)
    if row.key == reference.key:
        return "reference"
    return difference_cell(figure) + (f" to {_named(reference)}" if reference.key != plan.reference else "")


def _named(row: Row) -> str:
    return row.name.replace("|", "\\|")


def difference_cell(figure: Compared) -> str:
    """The difference against the reference with its interval, bold where that leaves 0 out."""
    if not isfinite(figure.difference):
        return "–"
    low, high = figure.difference_low, figure.difference_high
    ends = f"{low:+.3f} to {high:+.3f}" if isfinite(low) else "–"
    text = f"{figure.difference:+.3f} ({ends})"
    return f"**{text}**" if figure.differs else text


def line_of(cells: Iterator[str] | Sequence[str]) -> str:
    """A row of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def put_into(document: Path, *, folder: Path) -> Path:
    """``document`` with the plan's table in its place, between the two comments that name ``folder``.

    Raises ``ManifestError`` when they are not there.
    """
    name, table = folder.resolve().name, told(folder)
    begin, end = f"<!-- table of {name} -->", f"<!-- end of {name} -->"
    text = document.read_text(encoding="utf-8") if document.is_file() else ""
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ManifestError(
            "no place for the table",
            expected=f"the lines {begin} and {end}",
            remedy="write both lines where the table shall stand",
            where=document,
        )
    return write_whole(document, [f"{before}{begin}\n\n{table}\n{end}{after}".encode()])


def plot(folder: Path, *, output: Path, scored: str | None = None, figure: str = COMPARED_BY) -> Path:
    """``output``, now a PNG of the finished rows on the set ``scored`` (default: the first).

    Raises ``ManifestError`` when no row is finished or the set is unknown.
    """
    from supcam.measure.figures import save_figure  # noqa: PLC0415  matplotlib takes its time
    from supcam.measure.rows_figure import Dot, rows_figure  # noqa: PLC0415

    plan = read_plan(folder)
    name = scored or next(iter(plan.scored))
    rows = [row for row in read_rows(folder) if name in row.figures]
    if not rows:
        raise ManifestError(
            f"no row that is finished on a set {name!r}",
            expected=f"a set among {', '.join(plan.scored)}, and a row whose runs are all finished",
            remedy="correct the set, or run supcam experiment run first",
            where=folder,
        )
    dots = [Dot(row.row.name, row.figures[name][figure], row.minutes) for row in rows]
    reference = next(row.name for row in plan.rows if row.key == plan.reference)
    picture = rows_figure(
        dots, title=f"{plan.title}: {name}", figure_name=FIGURES[figure], reference=reference
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    return save_figure(picture, path=output)
