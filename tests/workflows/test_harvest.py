"""``supcam harvest``: crops, tables and sheets out of drawn metaphases with boxes."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from tests.commands import supcam_
from tests.csv_rows import rows_of
from tests.drawn_metaphases import write_metaphase

from supcam.core.types import ClusterType, ManifestError, SupcamError
from supcam.data.manifest import read_manifest
from supcam.data.synthesis import SynthesisConfig
from supcam.workflows.harvest import HarvestPlan, harvest

SIXTEEN = SynthesisConfig(n_chromosomes=16, picture_px=(500, 500))


def test_single_chromosomes_come_back_as_a_manifest(tmp_path: Path) -> None:
    n = write_metaphase(tmp_path, config=SIXTEEN)
    summary = harvest(HarvestPlan(tmp_path, output=tmp_path / "out"))
    assert 0.7 * n <= summary.counts["single"] <= n
    read = read_manifest(tmp_path / "out" / "labels.csv")
    singles = [one for one in read.samples if one.type is ClusterType.INSTANCE]
    assert len(singles) == summary.counts["single"]
    assert {one.n_chromosomes for one in singles} == {1}
    assert not read.unreadable
    objects = rows_of(tmp_path / "out" / "objects.csv")
    assert len(objects) == summary.counts.total()
    assert sum(row["kind"] == "debris" for row in objects) == summary.counts["debris"]


def test_sheets_and_crops_can_be_looked_at(tmp_path: Path) -> None:
    write_metaphase(tmp_path, config=SIXTEEN)
    summary = harvest(HarvestPlan(tmp_path, output=tmp_path / "out"))
    sheet = cv2.imread(str(tmp_path / "out" / "sheet_single.png"), cv2.IMREAD_GRAYSCALE)
    assert sheet is not None
    assert sheet.min() < 120
    crops = sorted((tmp_path / "out" / "single").iterdir())
    assert len(crops) == summary.counts["single"]
    crop = cv2.imread(str(crops[0]), cv2.IMREAD_GRAYSCALE)
    assert crop is not None
    assert crop[0, 0] == 255
    assert crop.min() < 200


def test_bad_picture_is_listed_and_the_rest_goes_on(tmp_path: Path) -> None:
    write_metaphase(tmp_path, config=SIXTEEN)
    write_metaphase(tmp_path, config=SIXTEEN, name="cell2", seed=4)
    (tmp_path / "images" / "cell2.png").write_bytes(b"no picture")
    summary = harvest(HarvestPlan(tmp_path, output=tmp_path / "out"))
    assert summary.counts["single"] > 0
    assert any("cell2" in row["path"] and row["reason"] for row in rows_of(tmp_path / "out" / "left_out.csv"))


def test_only_cases_that_play_the_role_are_read(tmp_path: Path) -> None:
    write_metaphase(tmp_path, config=SIXTEEN)
    write_metaphase(tmp_path, config=SIXTEEN, name="cell2", seed=4)
    cases = sorted({picture.case for picture in read_manifest(tmp_path).pictures})
    assert len(cases) == 2
    roles = tmp_path / "roles.csv"
    table = [f"{picture.source},{picture.case}," for picture in read_manifest(tmp_path).pictures]
    roles.write_text(f"source,case,role\n{table[0]}train\n{table[1]}select\n")
    result = supcam_("harvest", tmp_path, "--output", tmp_path / "out", "--roles", roles, "--role", "select")
    assert result.exit_code == 0, result.output
    assert "1 metaphases" in result.output
    nobody = supcam_("harvest", tmp_path, "--output", tmp_path / "no", "--roles", roles, "--role", "report")
    assert nobody.exit_code == 2
    assert "no metaphase of role 'report' among 2" in nobody.output


def test_nothing_is_overwritten_and_nothing_is_left_behind(tmp_path: Path) -> None:
    write_metaphase(tmp_path, config=SIXTEEN)
    harvest(HarvestPlan(tmp_path, output=tmp_path / "out"))
    with pytest.raises(SupcamError, match="something there already"):
        harvest(HarvestPlan(tmp_path, output=tmp_path / "out"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError):
        harvest(HarvestPlan(tmp_path / "empty", output=tmp_path / "second"))
    assert not (tmp_path / "second").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_command_says_what_it_found(tmp_path: Path) -> None:
    write_metaphase(tmp_path, config=SIXTEEN)
    result = supcam_("harvest", tmp_path, "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "1 metaphases: " in result.stderr
    assert (tmp_path / "out" / "config.json").exists()
