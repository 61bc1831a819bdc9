from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.mistaken import N_ROWS, mistaken_table

from supcam.measure import mistake_table as mistakes
from supcam.measure.table import PredictionTable


@pytest.fixture
def table() -> PredictionTable:
    return mistaken_table()


def test_wrong_types_and_wrong_numbers_are_told_apart(table: PredictionTable) -> None:
    assert list(np.flatnonzero(mistakes.wrong_types(table))) == [1, 3, 5]
    assert list(np.flatnonzero(mistakes.wrong_counts(table))) == [2, 4]


def test_the_surest_mistakes_come_first(table: PredictionTable) -> None:
    assert mistakes.surest(table, rows=mistakes.wrong_types(table)) == [3, 5, 1]
    same = replace(table, probabilities=np.full((N_ROWS, 4), 0.25))
    assert mistakes.surest(same, rows=mistakes.wrong_types(same)) == [0, 1, 2, 3, 5], "ties as in the table"


def test_table_names_every_mistake_and_nothing_else(table: PredictionTable, tmp_path: Path) -> None:
    path = mistakes.write_mistake_table(table, path=tmp_path / "mistakes.csv")
    with path.open(newline="", encoding="utf-8") as stream:
        rows = [*csv.DictReader(stream)]
    assert [row["path"] for row in rows] == [f"folder/{place}.png" for place in (3, 2, 5, 1, 4)]
    assert [row["wrong"] for row in rows] == ["type", "number", "type", "type", "number"]
    assert rows[0] == {
        "wrong": "type", "path": "folder/3.png", "case": "c", "source": "s", "fold": "select",
        "true_type": "touching", "true_count": "2", "read_type": "no chromosome", "read_count": "0",
        "confidence": "0.9900",
    }  # fmt: skip
    assert (rows[4]["true_type"], rows[4]["true_count"], rows[4]["read_count"]) == ("", "4", "2")


def test_section_names_the_ten_surest_wrong_types(table: PredictionTable) -> None:
    lines = [*mistakes.told(table)]
    assert lines[0] == "## Most confident mistakes"
    assert lines[2].startswith("3 types read wrongly")
    assert lines[6:] == [
        "| folder/3.png | c | touching, 2 | no chromosome | 0.990 |",
        "| folder/5.png | c | touching_overlapping, 5 | touching, 2 | 0.850 |",
        "| folder/1.png | c | overlapping, 2 | touching, 2 | 0.800 |",
    ]
    many = table.take(np.full(25, 1))
    assert sum(line.startswith("| folder/1") for line in mistakes.told(many)) == 10


def test_bar_in_a_name_does_not_end_its_cell(table: PredictionTable) -> None:
    odd = replace(table, paths=np.full(N_ROWS, "a|b.png"))
    assert [*mistakes.told(odd)][6].startswith("| a\\|b.png | c |")


def test_no_wrong_type_no_section(table: PredictionTable) -> None:
    assert [*mistakes.told(table.take(np.array([0, 2])))] == []
