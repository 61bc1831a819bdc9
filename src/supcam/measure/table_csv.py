"""A prediction table as a CSV file and back: nothing is lost, so folds scored apart can be pooled later."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Shaped

from supcam.core.types import ClusterType, Decision, ManifestError, SupcamError
from supcam.measure.table import UNKNOWN, PredictionTable

_TYPES = tuple(kind.label for kind in ClusterType)
_PROBABILITIES = tuple(f"p_{label}" for label in _TYPES)
_TYPE_LOGITS = tuple(f"type_logit_{label}" for label in _TYPES)
_COUNT_LOGIT = "count_logit_"
_REJECTED = "rejected"
COLUMNS = (
    "path", "case", "source", "fold", "true_type", "true_count", "predicted_type", "predicted_count",
    "confidence", *_PROBABILITIES, "decision",
)  # fmt: skip
"""The columns that are always there, in order; those of the logits follow when the table holds them."""


def write_table(table: PredictionTable, *, path: Path) -> Path:
    """``path``, now holding the table as CSV (UTF-8, one line a row, unknown values blank).

    Numbers are written in full, so that ``read_table`` gives the same table. The file appears whole or not
    at all.
    """
    n_counts = 0 if table.count_logits is None else table.count_logits.shape[1]
    header = [*COLUMNS, *(_TYPE_LOGITS if table.type_logits is not None else ())]
    header += [f"{_COUNT_LOGIT}{count}" for count in range(1, n_counts + 1)]
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with unfinished.open("w", newline="", encoding="utf-8", errors="surrogateescape") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(_lines(table))
    unfinished.replace(path)
    return path


def read_table(path: Path) -> PredictionTable:
    """The table that ``write_table`` wrote; predicted type and confidence follow from the probabilities.

    Raises ``ManifestError`` when the file cannot be read, lacks a column, or holds a value of the wrong kind.
    """
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
            lines = csv.DictReader(stream)
            rows, header = list(lines), list(lines.fieldnames or ())
    except (OSError, csv.Error) as error:
        raise _wrong(str(error), path=path) from error
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise _wrong(f"no column {', '.join(missing)}", path=path)
    try:
        return _table(rows, header=header)
    except (ValueError, TypeError, SupcamError) as error:
        raise _wrong(str(error), path=path) from error


def _lines(table: PredictionTable) -> Iterator[list[object]]:
    logits = [values for values in (table.type_logits, table.count_logits) if values is not None]
    predicted, confidence = table.predicted_types, table.confidence
    for row in range(len(table)):
        decision = Decision.ACCEPT if table.accepted[row] else Decision.REVIEW
        yield [
            *(column[row] for column in (table.paths, table.cases, table.sources, table.folds)),
            _type_label(int(table.true_types[row])),
            "" if table.true_counts[row] == UNKNOWN else int(table.true_counts[row]),
            _REJECTED if table.rejected[row] else _type_label(int(predicted[row])),
            int(table.predicted_counts[row]),
            repr(float(confidence[row])),
            *(repr(float(share)) for share in table.probabilities[row]),
            decision.value,
            *(repr(float(logit)) for values in logits for logit in values[row]),
        ]


def _type_label(kind: int) -> str:
    return "" if kind == UNKNOWN else ClusterType(kind).label


def _table(rows: Sequence[Mapping[str, str]], *, header: Sequence[str]) -> PredictionTable:
    count_logits = [column for column in header if column.startswith(_COUNT_LOGIT)]
    return PredictionTable(
        paths=_words(rows, column="path"),
        cases=_words(rows, column="case"),
        sources=_words(rows, column="source"),
        folds=_words(rows, column="fold"),
        true_types=np.array(
            [ClusterType.from_label(row["true_type"]) if row["true_type"] else UNKNOWN for row in rows],
            np.int64,
        ),
        true_counts=np.array([int(row["true_count"] or UNKNOWN) for row in rows], np.int64),
        probabilities=_numbers(rows, columns=_PROBABILITIES),
        predicted_counts=np.array([int(row["predicted_count"]) for row in rows], np.int64),
        accepted=np.array([Decision(row["decision"]) is Decision.ACCEPT for row in rows], bool),
        rejected=np.array([row["predicted_type"] == _REJECTED for row in rows], bool),
        type_logits=_numbers(rows, columns=_TYPE_LOGITS) if _TYPE_LOGITS[0] in header else None,
        count_logits=_numbers(rows, columns=count_logits) if count_logits else None,
    )


def _words(rows: Sequence[Mapping[str, str]], *, column: str) -> Shaped[np.ndarray, " batch"]:
    return np.array([row[column] for row in rows], dtype=np.str_)


def _numbers(
    rows: Sequence[Mapping[str, str]], *, columns: Sequence[str]
) -> Float64[np.ndarray, "batch columns"]:
    values = [[float(row[column]) for column in columns] for row in rows]
    return np.array(values, dtype=np.float64).reshape(len(rows), len(columns))


def _wrong(found: str, *, path: Path) -> ManifestError:
    return ManifestError(
        found,
        expected="a table of predictions with the columns " + ", ".join(COLUMNS),
        remedy="give a file that an evaluation wrote",
        where=path,
    )
