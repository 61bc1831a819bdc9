from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.drawn_spreads import drawn, tiny_spread_model

from supcam.data.annotation import read_coco
from supcam.spread.analyze import analyze
from supcam.spread.result import Analysis


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    return analyze(drawn(0).grey, model=tiny_spread_model(tmp_path_factory.mktemp("models") / "tiny"))


def test_pycocotools_reads_the_same_masks(analysis: Analysis, tmp_path: Path) -> None:
    coco_module = pytest.importorskip("pycocotools.coco")
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(analysis.to_coco()))
    coco = coco_module.COCO(str(path))
    assert sorted(coco.getImgIds()) == [1]
    by_id = {item["object_id"]: item for item in coco.loadAnns(coco.getAnnIds())}
    assert set(by_id) == {item.object_id for item in analysis.kept}
    for number, item in by_id.items():
        mask = coco.annToMask(item).astype(bool)
        np.testing.assert_array_equal(mask, analysis.labels == number)
        assert item["area"] == mask.sum()
        assert coco.loadCats(item["category_id"])[0]["name"] == analysis.objects[number - 1].type


def test_our_own_reader_reads_it_back(analysis: Analysis, tmp_path: Path) -> None:
    (tmp_path / "coco.json").write_text(json.dumps(analysis.to_coco()))
    (read,) = read_coco(tmp_path / "coco.json")
    assert not read.reason
    assert [(each.box, each.name) for each in read.objects] == [
        (item.box, item.type) for item in analysis.kept
    ]
