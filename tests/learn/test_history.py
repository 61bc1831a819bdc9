from __future__ import annotations

import csv
from pathlib import Path

from supcam.learn.history import HISTORY, METRICS, StepTable, TableLogger

COLUMNS = ("step", "loss")
TERMS = ("total", "type", "count", "chromosome")
TRAINED = {
    "train/total": 1.5,
    "train/type": 1.0,
    "train/count": 0.5,
    "train/chromosome": 0.25,
    "train/learning_rate": 0.01,
    "train/pictures_per_second": 60.0,
}
SCORED = {
    "n": 7,
    "accuracy": 0.5,
    "clusters_accuracy": 0.4,
    "cluster_found": 0.9,
    "macro_recall": 0.3,
    "count_accuracy": 0.2,
    "count_2_or_3": float("nan"),
    "chromosome_accuracy": 1.0,
    "type_loss": 0.7,
}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_rows_follow_one_header(tmp_path: Path) -> None:
    table = StepTable(tmp_path / "table.csv", columns=COLUMNS)
    table.append({"step": 1, "loss": 0.5})
    StepTable(tmp_path / "table.csv", columns=COLUMNS).append({"step": 2, "loss": 0.25})
    assert rows(table.path) == [{"step": "1", "loss": "0.5"}, {"step": "2", "loss": "0.25"}]


def test_what_came_after_a_step_is_cut_and_the_rest_stays_as_it_was(tmp_path: Path) -> None:
    table = StepTable(tmp_path / "table.csv", columns=COLUMNS)
    for step in (1, 2, 3):
        table.append({"step": step, "loss": 1 / 3})
    first_two = "".join(table.path.read_text(encoding="utf-8").splitlines(keepends=True)[:3])
    table.cut_after(2)
    assert table.path.read_text(encoding="utf-8") == first_two


def test_line_that_a_kill_cut_short_goes(tmp_path: Path) -> None:
    table = StepTable(tmp_path / "table.csv", columns=COLUMNS)
    table.append({"step": 1, "loss": 0.5})
    with table.path.open("a", encoding="utf-8") as stream:
        stream.write("2")
    table.cut_after(5)
    table.append({"step": 2, "loss": 0.125})
    assert [row["step"] for row in rows(table.path)] == ["1", "2"]


def test_cutting_a_table_that_is_not_there_makes_none(tmp_path: Path) -> None:
    table = StepTable(tmp_path / "table.csv", columns=COLUMNS)
    table.cut_after(0)
    assert not table.path.exists()


def test_cut_before_the_first_row_leaves_the_header_only_once(tmp_path: Path) -> None:
    table = StepTable(tmp_path / "table.csv", columns=COLUMNS)
    table.append({"step": 5, "loss": 0.5})
    table.cut_after(0)
    table.append({"step": 1, "loss": 0.25})
    assert rows(table.path) == [{"step": "1", "loss": "0.25"}]


def test_training_and_validation_go_into_their_own_tables(tmp_path: Path) -> None:
    logger = TableLogger(tmp_path, terms=TERMS)
    logger.log_metrics({**TRAINED, "epoch": 0.0}, step=10)
    scores = {f"validation/{name}/{key}": value for name in ("near", "a/b") for key, value in SCORED.items()}
    logger.log_metrics({**scores, "epoch": 1.0}, step=20)
    (trained,) = rows(tmp_path / METRICS)
    assert (trained["step"], trained["epoch"], trained["total"]) == ("10", "0", "1.5")
    near, other = rows(tmp_path / HISTORY)
    assert (near["set"], other["set"]) == ("near", "a/b")
    assert (near["epoch"], near["n"], near["accuracy"], near["count_2_or_3"]) == ("1", "7", "0.5", "nan")


def test_other_metrics_leave_no_row(tmp_path: Path) -> None:
    TableLogger(tmp_path, terms=TERMS).log_metrics({"loss": 1.0, "epoch": 0.0}, step=3)
    assert list(tmp_path.iterdir()) == []


def test_both_tables_are_cut(tmp_path: Path) -> None:
    logger = TableLogger(tmp_path, terms=TERMS)
    for step in (10, 20):
        logger.log_metrics({**TRAINED, "epoch": 0.0}, step=step)
        logger.log_metrics({f"validation/x/{key}": value for key, value in SCORED.items()}, step=step)
    logger.cut_after(10)
    assert [row["step"] for row in rows(tmp_path / METRICS)] == ["10"]
    assert [row["step"] for row in rows(tmp_path / HISTORY)] == ["10"]
