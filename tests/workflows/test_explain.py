"""``supcam explain``: sheets and table of what could be read, lines for what could not."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.tiny_bundle import write_tiny

from supcam.core.types import ConfigError, SupcamError
from supcam.workflows.explain import COLUMNS, TABLE, ExplainPlan, explain_crops


@pytest.fixture
def plan(tmp_path: Path) -> ExplainPlan:
    crops = tmp_path / "crops"
    crops.mkdir()
    for n in range(3):
        grey = np.full((50, 60), 240, np.uint8)
        cv2.line(grey, (15, 12 + 5 * n), (40, 36), 60, 6)
        cv2.imwrite(str(crops / f"crop {n}.png"), grey)
    (crops / "broken.png").write_bytes(b"no picture")
    write_tiny(tmp_path / "bundle")
    return ExplainPlan(named=(str(crops),), output=tmp_path / "shown", model=tmp_path / "bundle")


def test_every_crop_has_a_row_with_a_peak_inside_it_and_a_place_on_a_sheet(plan: ExplainPlan) -> None:
    summary = explain_crops(plan)
    assert summary.n_explained == 3
    assert [item.path.name for item in summary.failures] == ["broken.png"]
    with (plan.output / TABLE).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == COLUMNS
    for row in rows:
        assert 0 <= float(row["peak_row_px"]) < 50
        assert 0 <= float(row["peak_column_px"]) < 60
        assert cv2.imread(str(plan.output / row["sheet"])) is not None
    record = json.loads((plan.output / "explanations.json").read_text())
    assert [len(record[key]) for key in ("crops", "errors")] == [3, 1]


def test_nothing_is_overwritten_and_limits_are_told(plan: ExplainPlan) -> None:
    plan.output.mkdir()
    (plan.output / "mine.txt").touch()
    with pytest.raises(SupcamError, match="something there already"):
        explain_crops(plan)
    with pytest.raises(ConfigError, match="1 to 8"):
        explain_crops(ExplainPlan(named=plan.named, output=plan.output, looks=9))
