from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from supcam.core.types import SupcamError
from supcam.measure.report import Provenance, Report, make_report
from supcam.measure.report_folder import check_report_folder, write_report
from supcam.measure.table import PredictionTable
from supcam.measure.table_csv import read_table

FILES = {
    "report.json", "report.md", "predictions.csv", "mistakes.csv",
    "confusion.png", "reliability.png", "risk_coverage.png", "confidence.png",
}  # fmt: skip


@pytest.fixture
def report(table: PredictionTable) -> Report:
    provenance = Provenance(role="fold1, fold2", model="drawn", data="made-up", accept_threshold=0.8)
    return make_report(table, provenance=provenance, n_resamples=5)


def test_a_report_becomes_a_folder(report: Report, table: PredictionTable, tmp_path: Path) -> None:
    paths = write_report(report, table=table, output=tmp_path / "deep" / "report")
    assert {path.name for path in paths} == FILES
    assert {path.name for path in (tmp_path / "deep" / "report").iterdir()} == FILES
    values = json.loads((tmp_path / "deep" / "report" / "report.json").read_text(encoding="utf-8"))
    assert values == json.loads(json.dumps(report.to_json()))
    page = (tmp_path / "deep" / "report" / "report.md").read_text(encoding="utf-8")
    assert "fold1, fold2" in page
    assert page.startswith(report.to_markdown())
    assert "\n\n## Most confident mistakes\n\n" in page


def test_the_table_in_the_folder_gives_the_report_again(
    report: Report, table: PredictionTable, tmp_path: Path
) -> None:
    write_report(report, table=table, output=tmp_path)
    again = make_report(read_table(tmp_path / "predictions.csv"), provenance=report.provenance, n_resamples=5)
    assert again.to_json() == report.to_json()


def test_an_earlier_report_is_replaced(report: Report, table: PredictionTable, tmp_path: Path) -> None:
    write_report(report, table=table, output=tmp_path)
    part = table.take(np.arange(30))
    smaller = make_report(part, provenance=report.provenance, n_resamples=5)
    write_report(smaller, table=part, output=tmp_path)
    assert len(read_table(tmp_path / "predictions.csv")) == 30


def test_a_folder_of_something_else_is_left_alone(
    report: Report, table: PredictionTable, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(SupcamError, match="no report"):
        write_report(report, table=table, output=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(SupcamError, match="no report"):
        check_report_folder(tmp_path / "thesis.txt")


def test_a_folder_that_cannot_be_made_is_named(
    report: Report, table: PredictionTable, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(SupcamError, match="cannot be written"):
        write_report(report, table=table, output=tmp_path / "file" / "report")


def test_a_report_without_a_threshold_has_figures_too(table: PredictionTable, tmp_path: Path) -> None:
    pooled = make_report(table, provenance=Provenance(role="folds", model="m", data="d"), n_resamples=5)
    assert len(write_report(pooled, table=table, output=tmp_path)) == len(FILES)
