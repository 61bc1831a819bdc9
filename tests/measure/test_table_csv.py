from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from supcam.core.types import ManifestError
from supcam.measure.table import PredictionTable
from supcam.measure.table_csv import COLUMNS, read_table, write_table


def assert_same(first: PredictionTable, second: PredictionTable) -> None:
    for field in fields(PredictionTable):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name), field.name)


def test_a_table_comes_back_exactly(table: PredictionTable, tmp_path: Path) -> None:
    assert_same(read_table(write_table(table, path=tmp_path / "predictions.csv")), table)
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]


def test_unknown_rejected_and_float32_come_back(table: PredictionTable, tmp_path: Path) -> None:
    assert table.type_logits is not None
    unusual = replace(
        table,
        true_types=np.full(len(table), -1),
        true_counts=np.full(len(table), -1),
        rejected=np.arange(len(table)) % 3 == 0,
        type_logits=table.type_logits.astype(np.float32),
        count_logits=None,
    )
    assert_same(read_table(write_table(unusual, path=tmp_path / "t.csv")), unusual)


def test_awkward_names_come_back(table: PredictionTable, tmp_path: Path) -> None:
    names = np.array(["a b.png", 'quo"te,.png', "line\nbreak.png", "染色体.png", "latin\udce9.png"])
    named = replace(table.take(np.arange(5)), paths=names)
    assert list(read_table(write_table(named, path=tmp_path / "t.csv")).paths) == list(names)


def test_an_empty_table_comes_back(table: PredictionTable, tmp_path: Path) -> None:
    empty = table.take(np.zeros(len(table), bool))
    assert len(read_table(write_table(empty, path=tmp_path / "t.csv"))) == 0


def test_columns_start_as_promised(table: PredictionTable, tmp_path: Path) -> None:
    first = write_table(table, path=tmp_path / "t.csv").read_text(encoding="utf-8").splitlines()[0]
    assert first.split(",")[: len(COLUMNS)] == list(COLUMNS)
    assert first.split(",")[len(COLUMNS) :][-1] == "count_logit_6"


@pytest.mark.parametrize(
    ("before", "after"),
    [("confidence", "confidenze"), ("touching", "tuching"), ("review", "maybe"), ("accept", "")],
)
def test_what_is_no_table_is_refused(table: PredictionTable, tmp_path: Path, before: str, after: str) -> None:
    path = write_table(table, path=tmp_path / "t.csv")
    path.write_text(path.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
    with pytest.raises(ManifestError, match=r"t\.csv"):
        read_table(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="nowhere"):
        read_table(tmp_path / "nowhere.csv")


def test_a_short_line_is_refused(table: PredictionTable, tmp_path: Path) -> None:
    path = write_table(table, path=tmp_path / "t.csv")
    path.write_text(path.read_text(encoding="utf-8") + "only,three,cells\n", encoding="utf-8")
    with pytest.raises(ManifestError):
        read_table(path)
