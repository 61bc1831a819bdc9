from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.drawn_chrcluster import draw_folder

from supcam.data.chrcluster import Division, check_folder, divide_as_published
from supcam.workflows.reproduction_table import Asked, published, scores_folder, write_comparison


def asked(tmp_path: Path) -> Asked:
    check = check_folder(draw_folder(tmp_path / "chr"))
    (tmp_path / "out").mkdir()
    divisions = {
        "lin": divide_as_published(check),
        "case": Division(check.manifest, rule="", roles=None, why_not="names say | nothing"),
    }
    return Asked(
        output=tmp_path / "out",
        check=check,
        divisions=divisions,
        seeds=(1, 2),
        role="report",
        recipe="r.toml",
    )


def test_published_figures_are_as_published_and_their_micro_specificity_follows_from_the_accuracy() -> None:
    lin, supcam = published()
    assert (lin.figures["accuracy"], supcam.figures["accuracy"]) == (0.9409, 0.9499)
    assert lin.figures["specificity_micro"] == pytest.approx(1 - (1 - lin.figures["accuracy"]) / 3, abs=1e-4)
    assert "specificity_macro" not in lin.figures, "nobody published it"
    assert lin.intervals["accuracy"].low < 0.9409 < lin.intervals["accuracy"].high
    assert not supcam.intervals, "how many pictures it is of is not said"


def test_runs_that_were_not_made_are_shown_as_not_run(tmp_path: Path) -> None:
    plan = asked(tmp_path)
    page = write_comparison(plan).read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("| this recipe")]
    assert [line.split(" | ")[2:5] for line in lines] == [
        ["seed 1", "report", "not run"],
        ["seed 2", "report", "not run"],
        ["–", "report", "no such split: names say \\| nothing"],
    ]
    header = next(line for line in page.splitlines() if line.startswith("| method"))
    assert {line.replace("\\|", "").count("|") for line in [header, *lines]} == {header.count("|")}
    assert "**Not ChrCluster as published**: found 60 pictures" in page
    assert "| 3 | touching_overlapping | 12 |" in page
    written = json.loads((plan.output / "table.json").read_text(encoding="utf-8"))
    assert [row["status"] for row in written["rows"]][:4] == ["", "", "not run", "not run"]
    assert written["data"]["pictures_sha256"] == plan.check.pictures_sha256
    assert written["splits"]["lin"]["n_by_role"] == {"train": 48, "select": 6, "report": 6}


def test_scores_of_roles_lie_apart(tmp_path: Path) -> None:
    roles = {scores_folder(tmp_path, split="lin", seed=1, role=role) for role in ("select", "report")}
    assert len(roles) == 2
