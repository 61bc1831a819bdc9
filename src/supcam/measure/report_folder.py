"""A report as a folder: JSON, Markdown, the table it rests on, and its figures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from supcam.core.types import SupcamError
from supcam.measure import figures
from supcam.measure.mistake_table import told, write_mistake_table
from supcam.measure.report import Report
from supcam.measure.table import PredictionTable
from supcam.measure.table_csv import write_table

REPORT, PAGE, TABLE, MISTAKES = "report.json", "report.md", "predictions.csv", "mistakes.csv"


def write_report(report: Report, *, table: PredictionTable, output: Path) -> tuple[Path, ...]:
    """The files now in ``output``: report, page, table, mistakes, and four figures.

    Figures are of the rows of known type; the page ends with the surest mistakes, and ``mistakes.csv`` has
    them all. An earlier report in the same folder is replaced. Raises ``SupcamError`` when it cannot be
    written, or when the folder holds something other than a report.
    """
    check_report_folder(output)
    try:
        output.mkdir(parents=True, exist_ok=True)
        return tuple(_write(report, table=table, output=output))
    except OSError as error:
        raise cannot_write(output, error=error) from error


def cannot_write(output: Path, *, error: OSError) -> SupcamError:
    """The error to raise when ``output`` could not be written: full, read-only, or no folder."""
    return SupcamError(
        f"that it cannot be written ({error.strerror or error})",
        expected="a folder with room in it",
        remedy="choose another output folder",
        where=output,
    )


def check_report_folder(output: Path) -> None:
    """Nothing, when a report may be written to ``output``; ``SupcamError`` when other things lie there."""
    occupied = output.exists() and (not output.is_dir() or any(output.iterdir()))
    if occupied and not (output / REPORT).is_file():
        raise SupcamError(
            "something that is no report",
            expected="a new or empty folder, or that of an earlier report",
            remedy="choose another output folder",
            where=output,
        )


def _write(report: Report, *, table: PredictionTable, output: Path) -> Iterator[Path]:
    values = json.dumps(report.to_json(), indent=2, ensure_ascii=True, allow_nan=False)
    page = "\n".join([report.to_markdown(), *told(table), ""])
    for name, text in ((REPORT, values + "\n"), (PAGE, page)):
        (output / name).write_text(text, encoding="utf-8", errors="surrogateescape")
        yield output / name
    yield write_table(table, path=output / TABLE)
    yield write_mistake_table(table, path=output / MISTAKES)
    known = report.provenance.accept_threshold
    yield from figures.save_figures(
        table,
        title=report.provenance.title,
        threshold=figures.NO_THRESHOLD if known is None else known,
        output=output,
    )
