"""Rows that come back from CSV and JSON as they went in."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supcam.core.types import ClusterType, Decision, Prediction
from supcam.data.files import Unreadable
from supcam.workflows.tables import COLUMNS, CsvTable, JsonReport, prediction_row, prediction_values
from supcam.workflows.whole_file import WholeFile

SURE = Prediction(
    label=ClusterType.OVERLAPPING,
    probabilities=(0.01, 0.02, 0.9400004, 0.0299996),
    confidence=0.9400004,
    n_chromosomes=3,
    decision=Decision.ACCEPT,
    chromosome_probability=0.75,
)
REJECTED = Prediction(
    label=None,
    probabilities=(0.25, 0.25, 0.25, 0.25),
    confidence=0.25,
    n_chromosomes=0,
    decision=Decision.REVIEW,
)


def test_columns_are_in_the_agreed_order() -> None:
    assert ",".join(COLUMNS) == (
        "path,type,confidence,p_instance,p_touching,p_overlapping,p_touching_overlapping,n_chromosomes,decision"
    )


def test_a_row_says_what_the_prediction_says() -> None:
    row = ("a.png", "overlapping", "0.940000", "0.010000", "0.020000", "0.940000", "0.030000", 3, "accept")
    assert prediction_row("a.png", SURE) == row
    assert tuple(prediction_values("a.png", SURE)) == COLUMNS


def test_a_rejected_object_has_no_type_and_no_chromosome() -> None:
    values = prediction_values("a.png", REJECTED)
    assert values["type"] == "rejected"
    assert values["n_chromosomes"] == 0


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_any_name_comes_back_from_the_csv(name: str, tmp_path: Path) -> None:
    target = tmp_path / "t.csv"
    with WholeFile(target) as file:
        table = CsvTable(file, columns=COLUMNS)
        table.add(prediction_row(name, SURE))
        table.add(prediction_row("next.png", REJECTED))
        file.keep()
    with target.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["path"] for row in rows] == [name, "next.png"]
    assert rows[0]["decision"] == "accept"


@pytest.mark.parametrize("n_rows", [0, 1, 3])
def test_the_report_is_json_with_any_number_of_rows(tmp_path: Path, n_rows: int) -> None:
    target = tmp_path / "t.json"
    with WholeFile(target) as file:
        report = JsonReport(file, model={"name": "tiny"})
        for index in range(n_rows):
            report.add(f'{index}\n"\udcff.png', SURE)
        report.finish([Unreadable(Path("bad\n.png"), "no picture")] * n_rows)
        file.keep()
    document = json.loads(target.read_text(encoding="utf-8"))
    assert document["model"] == {"name": "tiny"}
    assert [row["path"] for row in document["predictions"]] == [f'{i}\n"\udcff.png' for i in range(n_rows)]
    assert document["errors"] == [{"path": "bad\n.png", "error": "no picture"}] * n_rows
    for row in document["predictions"]:
        assert tuple(row) == (*COLUMNS, "chromosome_probability", "unfamiliarity", "type_set")
        assert row["p_overlapping"] == 0.94
        assert row["n_chromosomes"] == 3
