"""Scores of several splits and seeds -> a table beside the published figures, as Markdown and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

import supcam
from supcam.core.disk import write_whole
from supcam.core.types import SupcamError
from supcam.data.chrcluster import N_PICTURES, Division, FolderCheck
from supcam.measure.intervals import N_RESAMPLES, Interval, exact_interval, rows_by_case
from supcam.measure.repeats import Repeats, over_runs
from supcam.measure.report import jsonable
from supcam.measure.report_folder import REPORT, TABLE
from supcam.measure.table import PredictionTable
from supcam.measure.table_csv import read_table

PAGE, VALUES = "table.md", "table.json"
_SEED = 0
_NAMES = {"lin": "by picture (Lin et al.)", "case": "by case"}
_FIGURES = {
    "accuracy": "accuracy",
    "macro_recall": "sensitivity (macro recall)",
    "macro_f1": "F1, macro",
    "specificity_macro": "specificity, macro",
    "specificity_micro": "specificity, micro",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: figures as shares of 1, with an interval where one can be said.

    ``run`` is a seed, a mean of seeds, or ``published``; ``status`` is blank for a row with figures. ``role``
    is that of the data, ``n_unread`` the pictures of it that could not be read and are in no figure.
    """

    method: str
    split: str
    run: str
    role: str
    status: str = ""
    n_pictures: int | None = None
    n_cases: int | None = None
    n_unread: int = 0
    figures: Mapping[str, float] = field(default_factory=dict)
    deviations: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    model_sha256: str = ""


_LIN_RIGHT, _LIN_PICTURES = 621, 660


def published() -> tuple[Row, ...]:
    """The published figures; the one interval is ours, from 621 right answers of 660."""
    return (
        Row(
            method="Lin et al. (2021)",
            split=_NAMES["lin"],
            run="published",
            role="their test",
            n_pictures=_LIN_PICTURES,
            figures={"accuracy": 0.9409, "macro_recall": 0.9279, "specificity_micro": 0.9803},
            intervals={"accuracy": exact_interval(_LIN_RIGHT, n=_LIN_PICTURES)},
        ),
        Row(
            method="SupCAM (Luo et al., 2023)",
            split="not said in the abstract",
            run="published",
            role="not said",
            figures={"accuracy": 0.9499},
        ),
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """What the table is of: the folder's check, divisions by name, seeds, and how it was asked for."""

    output: Path
    check: FolderCheck
    divisions: Mapping[str, Division]
    seeds: tuple[int, ...]
    role: str
    recipe: str
    command: str = ""
    commit: str = ""


def scores_folder(output: Path, *, split: str, seed: int, role: str) -> Path:
    """Where the scores of one run lie."""
    return output / split / f"seed{seed}" / "scores" / role


def write_comparison(asked: Asked) -> Path:
    """The page with the table as far as there are scores, with the same as JSON beside it."""
    rows = [*published()]
    for split, division in asked.divisions.items():
        rows += _rows_of(split, division=division, asked=asked)
    told = _told(asked, rows=rows)
    try:
        write_whole(asked.output / VALUES, [json.dumps(jsonable(told), indent=2).encode() + b"\n"])
        return write_whole(asked.output / PAGE, ["\n".join(_page(asked, rows=rows)).encode() + b"\n"])
    except OSError as error:
        raise SupcamError(
            str(error), expected="a folder to write to", remedy="choose another output", where=asked.output
        ) from error


# Rows -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    table: PredictionTable
    model_sha256: str
    n_unread: int


def _rows_of(split: str, *, division: Division, asked: Asked) -> Iterator[Row]:
    if division.roles is None:
        yield _empty(split, run="–", role=asked.role, status=_told_why(division))
        return
    done: list[_Scored] = []
    for seed in asked.seeds:
        scored = _read(scores_folder(asked.output, split=split, seed=seed, role=asked.role))
        if scored is None:
            yield _empty(split, run=f"seed {seed}", role=asked.role, status="not run")
        else:
            yield _row(split, run=f"seed {seed}", scored=[scored], role=asked.role)
            done.append(scored)
    if len(done) > 1:
        yield _row(split, run=f"mean of {len(done)} seeds", scored=done, role=asked.role)


def _told_why(division: Division) -> str:
    return "no such split: " + division.why_not.replace("|", "\\|")


def _empty(split: str, *, run: str, role: str, status: str) -> Row:
    return Row(method="this recipe", split=_NAMES[split], run=run, role=role, status=status)


def _read(folder: Path) -> _Scored | None:
    if not folder.exists():
        return None
    report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    return _Scored(
        table=read_table(folder / TABLE),
        model_sha256=str(report["provenance"]["model_sha256"]),
        n_unread=len(report["unread"]),
    )


def _row(split: str, *, run: str, scored: Sequence[_Scored], role: str) -> Row:
    """The figures of one run or the mean of several.

    One run's accuracy has the exact interval where every picture is its own case; all else is bootstrapped by
    case.
    """
    table = scored[0].table
    found = over_runs(
        [one.table for one in scored], rng=np.random.default_rng(_SEED), n_resamples=N_RESAMPLES
    )
    alone = len(scored) == 1
    return Row(
        method="this recipe",
        split=_NAMES[split],
        run=run,
        role=role,
        n_pictures=len(table),
        n_cases=len(rows_by_case(table)),
        n_unread=scored[0].n_unread,
        figures=found.means,
        deviations={} if alone else found.deviations,
        intervals=_intervals(found, table=table),
        model_sha256=scored[0].model_sha256 if alone else "",
    )


def _intervals(found: Repeats, *, table: PredictionTable) -> dict[str, Interval]:
    intervals = dict(found.intervals)
    if found.n_runs == 1 and len(rows_by_case(table)) == len(table):
        intervals["accuracy"] = exact_interval(int(table.correct.sum()), n=len(table))
    return intervals


# Page -------------------------------------------------------------------------------------------------------


def _page(asked: Asked, *, rows: Sequence[Row]) -> Iterator[str]:
    yield "# ChrCluster: four types\n"
    yield f"Per cent, with 95 % intervals in brackets; the data's role is **{asked.role}**.\n"
    yield "| method | split | run | role | pictures | " + " | ".join(_FIGURES.values()) + " |"
    yield "|---" * (5 + len(_FIGURES)) + "|"
    yield from (_line(row) for row in rows)
    yield ""
    yield from (f"- {note}" for note in _notes(asked, rows=rows))
    yield "\n## The pictures\n"
    types = asked.check.manifest.label_map
    yield "| folder | read as | pictures |\n|---|---|---|"
    yield from (
        f"| {number} | {types[number].label} | {n} |" for number, n in asked.check.n_by_folder.items()
    )
    yield ""
    yield from (f"- {note}" for note in (*asked.check.problems, *asked.check.notes))
    yield f"- SHA-256 of all pictures and their folders: {asked.check.pictures_sha256}"
    for split, division in asked.divisions.items():
        sides = ", ".join(f"{n} {role}" for role, n in division.n_by_role.items())
        yield f"- Split {_NAMES[split]}: {sides or division.why_not}"
    yield f"\nRecipe {asked.recipe}, seeds {', '.join(map(str, asked.seeds))}; SupCAM {supcam.__version__}"
    yield f"(commit {asked.commit or 'not said'}); command: `{asked.command or 'not said'}`"


def _line(row: Row) -> str:
    cells = [row.method, row.split, row.run, row.role]
    if row.status:
        return "| " + " | ".join([*cells, f"{row.status} |" + " |" * len(_FIGURES)])
    pictures = "not said" if row.n_pictures is None else str(row.n_pictures)
    pictures += f" ({row.n_cases} cases)" if row.n_cases not in (None, row.n_pictures) else ""
    return "| " + " | ".join([*cells, pictures, *(_cell(row, name=name) for name in _FIGURES)]) + " |"


def _cell(row: Row, *, name: str) -> str:
    value = row.figures.get(name, math.nan)
    if not math.isfinite(value):
        return "–"
    text = f"{100 * value:.2f}"
    if math.isfinite(row.deviations.get(name, math.nan)):
        text += f" ± {100 * row.deviations[name]:.2f}"
    interval = row.intervals.get(name)
    if interval is not None and math.isfinite(interval.low):
        text += f" ({100 * interval.low:.2f}-{100 * interval.high:.2f})"
    return text


def _notes(asked: Asked, *, rows: Sequence[Row]) -> Iterator[str]:
    yield (
        "Two specificities: macro is the mean of the four one-against-rest specificities; micro, which Lin "
        "et al. publish, pools their tables and is just 1 - (1 - accuracy) / 3."
    )
    yield (
        "Accuracy of one run by picture: exact interval (Clopper and Pearson, 1934), for Lin et al. computed "
        f"here from {_LIN_RIGHT} of {_LIN_PICTURES}. All other intervals are bootstrapped by case. A split "
        "by picture may have pictures of one patient on two sides, and its intervals do not know it."
    )
    yield (
        "A mean of seeds is followed by their standard deviation; its interval is of the mean, over other "
        "pictures with the same networks."
    )
    yield (
        "The published split needs the authors' order of files: here it is by folder, then by name. In "
        "another order the same sides hold other pictures."
    )
    if len(asked.check.manifest.samples) != N_PICTURES:
        yield f"**Not ChrCluster as published**: {asked.check.problems[0]}."
    if any(row.n_unread for row in rows):
        n_unread = max(row.n_unread for row in rows)
        yield f"{n_unread} pictures of the role could not be read; they are in no figure."


# JSON -------------------------------------------------------------------------------------------------------


def _told(asked: Asked, *, rows: Sequence[Row]) -> dict[str, object]:
    types = asked.check.manifest.label_map
    return {
        "rows": [asdict(row) for row in rows],
        "data": {
            "n_pictures": len(asked.check.manifest.samples),
            "n_by_folder": {str(number): n for number, n in asked.check.n_by_folder.items()},
            "label_map": {str(number): kind.label for number, kind in types.items()},
            "pictures_sha256": asked.check.pictures_sha256,
            "problems": asked.check.problems,
            "notes": asked.check.notes,
        },
        "splits": {
            split: {"n_by_role": division.n_by_role, "case_rule": division.rule, "why_not": division.why_not}
            for split, division in asked.divisions.items()
        },
        "role": asked.role,
        "recipe": asked.recipe,
        "seeds": asked.seeds,
        "command": asked.command,
        "commit": asked.commit,
        "supcam_version": supcam.__version__,
    }
