from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from pycocotools import mask as coco_masks
from tests.drawn_spreads import drawn, tiny_spread_model, write_spread
from tests.published import require_published

from supcam.pack.bundle import Model
from supcam.spread.analyze import analyze
from supcam.spread.document import picture_entry
from supcam.spread.outputs import Task, make_record, process
from supcam.spread.result import Analysis


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return tiny_spread_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def analysis(model: Model) -> Analysis:
    return analyze(drawn(3, n_nuclei=2).grey, model=model)


def test_the_document_says_what_the_analysis_says(analysis: Analysis) -> None:
    document: dict[str, Any] = json.loads(json.dumps(analysis.to_json()))
    require_published(document, name="analysis")
    (picture,) = document["pictures"]
    count = analysis.count
    assert picture["n_chromosomes"] == {"n": count.n, "low": count.low, "high": count.high}
    assert (picture["reasons"], picture["decision"]) == ([*analysis.reasons], analysis.decision.value)
    assert len(picture["objects"]) == len(analysis.objects) > len(analysis.kept)
    for told, item in zip(picture["objects"], analysis.objects, strict=True):
        assert (told["object_id"], told["type"], told["area_px"]) == (item.object_id, item.type, item.area_px)
        assert told["rejection"] == (item.rejection.value if item.rejection else None)
        assert told["doubts"] == [doubt.value for doubt in item.doubts]
        assert (told["confidence"] is None) == (item.prediction is None)
        if item.prediction:
            assert list(told["probabilities"].values()) == pytest.approx(
                item.prediction.probabilities, abs=1e-6
            )
        if item.is_kept:
            whole = coco_masks.decode(told["mask"])
            np.testing.assert_array_equal(whole, analysis.labels == item.object_id)
        else:
            assert told["mask"] is None


def test_files_are_named_where_they_are(model: Model, tmp_path: Path) -> None:
    picture = write_spread(tmp_path / "a.png", seed=1)
    task = Task(
        path=picture, name="a.png", stem="a", case="k", output=tmp_path / "out", settings="s", crops=True
    )
    record = json.loads(process(task, model=model).read_bytes())
    entry = picture_entry(record, output=task.output)
    assert entry["labels"] == "labels/a.png"
    assert entry["case"] == "k"
    crops = {each["crop"] for each in entry["objects"] if each["type"] != "rejected"}
    found = {path.relative_to(task.output).as_posix() for path in (task.output / "crops").rglob("*.png")}
    assert crops == found
    assert {each["crop"] for each in entry["objects"] if each["type"] == "rejected"} <= {None}
    assert picture_entry(record, output=None)["labels"] is None


@pytest.mark.parametrize(
    "change", [{"type": "chromosome"}, {"confidence": 1.5}, {"box": [1, 2, 3, 4]}, {"object_id": 0}]
)
def test_the_schema_refuses_what_it_does_not_say(analysis: Analysis, change: dict[str, object]) -> None:
    document: dict[str, Any] = copy.deepcopy(analysis.to_json())
    document["pictures"][0]["objects"][-1] |= change
    with pytest.raises(jsonschema.ValidationError):
        require_published(document, name="analysis")


@pytest.mark.parametrize("part", ["document", "picture", "object"])
def test_a_key_that_is_not_published_is_found(analysis: Analysis, part: str) -> None:
    document: dict[str, Any] = copy.deepcopy(analysis.to_json())
    picture = document["pictures"][0]
    {"document": document, "picture": picture, "object": picture["objects"][0]}[part]["new"] = 1
    with pytest.raises(jsonschema.ValidationError, match="'new' was unexpected"):
        require_published(document, name="analysis")


def test_records_of_other_pictures_do_not_mix(analysis: Analysis) -> None:
    record = make_record(analysis, case="c", stem="s")
    before = copy.deepcopy(record)
    picture_entry(record, output=None)
    assert record == before
