from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import pytest

from supcam.measure.metrics import compute_figures
from supcam.measure.report import Provenance, Unread, make_report
from supcam.measure.table import PredictionTable, pool

TableMaker = Callable[..., PredictionTable]
PROVENANCE = Provenance(role="select", model="drawn", data="made-up", model_version="0.1.0", seed=7)


def test_report_names_the_role_and_holds_the_figures(table: PredictionTable) -> None:
    report = make_report(table, provenance=PROVENANCE, n_resamples=20)
    assert report.overall.figures == compute_figures(table)
    page = report.to_markdown()
    assert "The data's role: **select**" in page
    assert page.startswith("# drawn 0.1.0 on made-up, role select\n")
    assert "specificity, macro" in page
    assert "specificity, micro (= 1 - (1 - accuracy) / 3)" in page
    assert f"{report.overall.figures.accuracy:.4f}" in page


def test_every_figure_has_a_line_and_an_interval(table: PredictionTable) -> None:
    report = make_report(table, provenance=PROVENANCE, n_resamples=20)
    lines = report.to_markdown().split("## By type")[0].splitlines()
    assert sum(line.startswith("| ") for line in lines) == 1 + len(asdict(report.overall.figures))
    assert sum(" to " in line for line in lines) == len(asdict(report.overall.figures))


def test_json_holds_no_nan(make_table: TableMaker) -> None:
    one_case = make_table(n_cases=1)
    report = make_report(one_case.take(one_case.true_types == 0), provenance=PROVENANCE, n_resamples=5)
    text = json.dumps(report.to_json(), allow_nan=False)
    values = json.loads(text)
    assert values["overall"]["figures"]["clusters_accuracy"] is None
    assert values["overall"]["intervals"]["accuracy"]["low"] is None
    assert values["provenance"]["role"] == "select"
    assert "nan" not in report.to_markdown()
    assert "One case allows no interval" in report.to_markdown()


def test_json_says_what_the_report_says(table: PredictionTable) -> None:
    report = make_report(table, provenance=PROVENANCE, n_resamples=20)
    values = json.loads(json.dumps(report.to_json()))
    assert values["overall"]["figures"] == asdict(report.overall.figures)
    assert values["confusion"] == [list(row) for row in report.confusion]
    assert [scores["label"] for scores in values["classes"]] == [scores.label for scores in report.classes]


def test_unreadable_pictures_are_listed_and_counted_as_wrong(table: PredictionTable) -> None:
    unread = [Unread("a|b\nc.png", "cut short"), Unread("d.png", "not a picture")]
    report = make_report(table, provenance=PROVENANCE, unread=unread, n_resamples=5)
    expected = report.overall.figures.accuracy * len(table) / (len(table) + 2)
    assert report.accuracy_unread_wrong == pytest.approx(expected)
    page = report.to_markdown()
    assert "| a\\|b c.png | cut short |" in page
    assert "2 pictures are not in the figures above" in page


def test_notes_stand_before_the_figures(table: PredictionTable) -> None:
    report = make_report(table, provenance=PROVENANCE, notes=["Two pictures are the same."], n_resamples=5)
    page = report.to_markdown()
    assert 0 < page.index("Two pictures are the same.") < page.index("| figure |")
    assert report.to_json()["notes"] == ["Two pictures are the same."]


def test_sources_are_shown_apart_when_there_are_several(make_table: TableMaker) -> None:
    north, south = make_table(source="north"), make_table(source="south", n_pictures=60)
    report = make_report(pool([north, south]), provenance=PROVENANCE, n_resamples=10)
    assert list(report.by_source) == ["north", "south"]
    assert report.by_source["south"].figures == compute_figures(south)
    assert "| south | 60 |" in report.to_markdown()
    assert not make_report(north, provenance=PROVENANCE, n_resamples=5).by_source


def test_pictures_of_unknown_type_are_counted_but_not_typed(table: PredictionTable) -> None:
    types = np.where(np.arange(len(table)) < 100, table.true_types, -1)
    report = make_report(replace(table, true_types=types), provenance=PROVENANCE, n_resamples=5)
    assert (report.n_pictures, report.n_typed, report.n_counted) == (120, 100, 120)
    assert sum(map(sum, report.confusion)) == 100


def test_the_same_seed_gives_the_same_report(table: PredictionTable) -> None:
    first, second = (make_report(table, provenance=PROVENANCE, n_resamples=10) for _ in range(2))
    assert first.to_json() == second.to_json()


def test_an_empty_table_gives_an_empty_report(table: PredictionTable) -> None:
    empty = table.take(np.zeros(len(table), bool))
    report = make_report(empty, provenance=PROVENANCE, unread=[Unread("x.png", "gone")])
    assert report.accuracy_unread_wrong == 0
    assert "not defined" in report.to_markdown()
