"""CSV tables from outside: known columns, one value a field, every line accounted for."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from supcam.core.types import ManifestError

_MAX_NAMED_PROBLEMS = 10


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a CSV: the line it ends on, and its values by column without blanks around them."""

    line: int
    values: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values.get(column, "")


@dataclass(frozen=True, slots=True)
class LineProblem:
    """What is wrong with one line of a table."""

    line: int
    text: str


def read_table(path: Path, *, required: Sequence[str], optional: Sequence[str] = ()) -> tuple[TableRow, ...]:
    """The rows of a CSV in UTF-8 whose first line names its columns, in any order.

    Raises ``ManifestError`` when the file cannot be read, when a required column is missing, one is named
    twice or is unknown (a misspelt column would be silently empty), and when a line has another number of
    fields.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            lines = [(reader.line_num, fields) for fields in reader if fields]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(
            str(error), expected="a readable CSV in UTF-8", remedy="check the file", where=path
        ) from error
    header = [name.strip() for name in lines[0][1]] if lines else []
    _check_header(header, required=required, optional=optional, path=path)
    wrong = [
        LineProblem(line, f"{len(fields)} fields") for line, fields in lines[1:] if len(fields) != len(header)
    ]
    refuse_lines(wrong, expected=f"{len(header)} fields a line", path=path)
    return tuple(
        TableRow(line, dict(zip(header, (field.strip() for field in fields), strict=True)))
        for line, fields in lines[1:]
    )


def _check_header(
    header: Sequence[str], *, required: Sequence[str], optional: Sequence[str], path: Path
) -> None:
    known = set(required) | set(optional)
    if set(required) <= set(header) <= known and len(set(header)) == len(header):
        return
    also = f", and if known {','.join(optional)}" if optional else ""
    raise ManifestError(
        f"the columns {','.join(header) or '(none)'}",
        expected=f"the columns {','.join(required)}{also}, separated by commas, each once",
        remedy="correct the first line; leave out columns of other names",
        where=path,
    )


def refuse_lines(problems: Sequence[LineProblem], *, expected: str, path: Path) -> None:
    """Nothing when there are no problems; else raises a ``ManifestError`` that names the first ten lines."""
    if not problems:
        return
    named = "; ".join(f"line {problem.line}: {problem.text}" for problem in problems[:_MAX_NAMED_PROBLEMS])
    rest = len(problems) - _MAX_NAMED_PROBLEMS
    more = f"; and {rest} more such lines" if rest > 0 else ""
    raise ManifestError(named + more, expected=expected, remedy="correct the table", where=path)
