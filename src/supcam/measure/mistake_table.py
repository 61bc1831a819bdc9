"""Answers that were wrong, the surest first: named, so that they can be told without showing a picture."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from supcam.core.types import ClusterType
from supcam.measure.table import UNKNOWN, PredictionTable

COLUMNS = (
    "wrong", "path", "case", "source", "fold", "true_type", "true_count", "read_type", "read_count",
    "confidence",
)  # fmt: skip
MOST_NAMED = 10
NO_CHROMOSOME = "no chromosome"

Flags = Bool[np.ndarray, " batch"]


def wrong_types(table: PredictionTable) -> Flags:
    """Rows of known type that were read as another, or rejected."""
    wrong: Flags = (table.true_types != UNKNOWN) & ~table.correct
    return wrong


def wrong_counts(table: PredictionTable) -> Flags:
    """Rows of known number that was read as another, where the type is not wrong as well."""
    wrong: Flags = (
        (table.true_counts != UNKNOWN) & (table.predicted_counts != table.true_counts) & ~wrong_types(table)
    )
    return wrong


def surest(table: PredictionTable, *, rows: Flags) -> list[int]:
    """The chosen rows from the most confident on."""
    chosen = np.flatnonzero(rows)
    return [int(row) for row in chosen[np.argsort(-table.confidence[chosen], kind="stable")]]


def write_mistake_table(table: PredictionTable, *, path: Path) -> Path:
    """``path``, now a CSV of all mistakes, the surest first; unknown values are blank.

    ``wrong`` says whether the type was read wrongly, or the number alone.
    """
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        writer.writerows(_lines(table))
    return path


def told(table: PredictionTable) -> Iterator[str]:
    """The ten surest wrong types as a section in Markdown; nothing where no type was read wrongly."""
    wrong = wrong_types(table)
    if not wrong.any():
        return
    yield "## Most confident mistakes"
    yield ""
    yield f"{int(wrong.sum())} types read wrongly; the surest (at most {MOST_NAMED}), by path and case."
    yield ""
    yield "| picture | case | true | read | confidence |"
    yield "|---|---|---|---|---|"
    for row in surest(table, rows=wrong)[:MOST_NAMED]:
        said = true_words(table, row=row), read_words(table, row=row)
        cells = [str(table.paths[row]), str(table.cases[row]), *said]
        yield f"| {' | '.join(_safe(cell) for cell in cells)} | {table.confidence[row]:.3f} |"


def true_words(table: PredictionTable, *, row: int) -> str:
    """What is known of the row: its type and number."""
    return _words(int(table.true_types[row]), count=int(table.true_counts[row]))


def read_words(table: PredictionTable, *, row: int) -> str:
    """What was read in the row."""
    if table.rejected[row]:
        return NO_CHROMOSOME
    return _words(int(table.predicted_types[row]), count=int(table.predicted_counts[row]))


def _lines(table: PredictionTable) -> Iterator[Sequence[object]]:
    types, counts = wrong_types(table), wrong_counts(table)
    for row in surest(table, rows=types | counts):
        count = int(table.true_counts[row])
        kind = int(table.true_types[row])
        yield [
            "type" if types[row] else "number",
            *(column[row] for column in (table.paths, table.cases, table.sources, table.folds)),
            "" if kind == UNKNOWN else ClusterType(kind).label,
            "" if count == UNKNOWN else count,
            NO_CHROMOSOME if table.rejected[row] else ClusterType(int(table.predicted_types[row])).label,
            int(table.predicted_counts[row]),
            f"{table.confidence[row]:.4f}",
        ]


def _words(kind: int, *, count: int) -> str:
    number = "" if count == UNKNOWN else f", {count}"
    return ("type unknown" if kind == UNKNOWN else ClusterType(kind).label) + number


def _safe(cell: str) -> str:
    return cell.replace("|", "\\|")
