"""Which format lies there, and the folder of an analysis as marked pictures."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.csv_rows import rows_of
from tests.drawn_marks import marked, said
from tests.drawn_spreads import tiny_spread_model, write_spread

from supcam.core.types import ManifestError
from supcam.data.exchange.coco import write_coco
from supcam.data.exchange.cvat import write_cvat
from supcam.data.exchange.label_studio import write_label_studio
from supcam.workflows.analyze import AnalyzePlan, analyze
from supcam.workflows.marked_sources import find_format, read_marked


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn metaphase, analysed by a tiny model."""
    folder = tmp_path_factory.mktemp("analysed")
    tiny_spread_model(folder / "tiny")
    picture = write_spread(folder / "in" / "c1" / "a.png", n_nuclei=1)
    plan = AnalyzePlan(
        named=(str(picture),), output=folder / "out", model=folder / "tiny", cases="parent", processes=1
    )
    analyze(plan)
    return folder / "out"


@pytest.mark.parametrize("rejected", [False, True])
def test_an_analysis_is_read_object_by_object(results: Path, rejected: bool) -> None:
    found = read_marked(results, format="analysis", rejected=rejected)
    assert found.model.startswith("tiny ")
    (picture,) = found.pictures
    assert picture.case == "c1"
    rows = [r for r in rows_of(results / "objects.csv") if rejected or r["type"] != "rejected"]
    assert any(row["type"] == "rejected" for row in rows) is rejected
    labels = cv2.imread(str(results / "labels" / "a.png"), cv2.IMREAD_UNCHANGED)
    assert labels is not None
    by_name = {item.name: item for item in picture.objects}
    assert sorted(by_name) == sorted(row["object_id"] for row in rows)
    for row in rows:
        item = by_name[row["object_id"]]
        assert item.kind == row["type"]
        assert item.mask is not None
        np.testing.assert_array_equal(labels[item.box.slices] == int(row["object_id"]), item.mask)
        assert int(item.mask.sum()) == int(row["area_px"])
        assert (item.n_chromosomes or 0) == int(row["n_chromosomes"])


def test_formats_are_told_by_what_they_hold(results: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(write_coco([marked()]))
    (tmp_path / "b.txt").write_bytes(write_cvat([marked()]))
    (tmp_path / "c.txt").write_bytes(write_label_studio([marked()], model="", prefix=""))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "labels.json").write_bytes(write_coco([marked()]))
    found = [find_format(tmp_path / name) for name in ("a.txt", "b.txt", "c.txt", "set")]
    assert found == ["coco", "cvat", "label-studio", "fiftyone"]
    assert find_format(results) == "analysis"
    for name in ("a.txt", "set"):
        read = read_marked(tmp_path / name, format=find_format(tmp_path / name), rejected=False)
        assert said(read.pictures[0]) == said(marked())


def test_what_is_no_source_is_refused(tmp_path: Path) -> None:
    for name in (".", "none"):
        with pytest.raises(ManifestError, match="expected COCO"):
            find_format(tmp_path / name)
    (tmp_path / "records").mkdir()
    with pytest.raises(ManifestError, match="no analysed picture"):
        read_marked(tmp_path, format="analysis", rejected=False)
    (tmp_path / "records" / "a.json").write_text(json.dumps({"model": "m"}))
    with pytest.raises(ManifestError, match="does not say it all"):
        read_marked(tmp_path, format="analysis", rejected=False)
