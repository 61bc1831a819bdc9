from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.drawn_marks import SIZE, marked, said

from supcam.core.types import Box, ManifestError
from supcam.data.exchange.label_studio import labelling_interface, read_label_studio, write_label_studio
from supcam.data.exchange.marked import KINDS, Marked, MarkedPicture

PREFIX = "/data/local-files/?d=images/"


def annotated(*pictures: MarkedPicture) -> list[dict[str, Any]]:
    """Tasks as Label Studio exports them when a person accepts the prediction as it is."""
    written = write_label_studio(pictures, model="supcam 2.1.0", prefix=PREFIX)
    tasks: list[dict[str, Any]] = json.loads(written)
    for number, task in enumerate(tasks, start=1):
        result = task.pop("predictions")[0]["result"]
        task |= {"id": number, "annotations": [{"id": 1, "completed_by": 3, "result": result}]}
    return tasks


def read(path: Path, tasks: object) -> Marked:
    path.write_text(json.dumps(tasks))
    return read_label_studio(path)


def region(kind: str, **value: object) -> dict[str, Any]:
    return {
        "id": "x", "type": kind, "from_name": "type", "original_width": SIZE[1], "original_height": SIZE[0],
        "value": value,
    }  # fmt: skip


def of_regions(*regions: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"data": {"image": PREFIX + "a.png"}, "annotations": [{"id": 1, "result": regions}]}]


def test_what_a_person_accepts_comes_back(tmp_path: Path) -> None:
    pictures = [marked("a.png"), replace(marked("b.png", seed=9), case="")]
    found = read(tmp_path / "export.json", annotated(*pictures))
    assert [said(each) for each in found.pictures] == [said(each, confidence=False) for each in pictures]
    assert not found.not_used


def test_predictions_hold_the_model_and_its_confidence() -> None:
    task = json.loads(write_label_studio([marked()], model="supcam 2.1.0", prefix=PREFIX))[0]
    said_ = task["predictions"][0]
    assert said_["model_version"] == "supcam 2.1.0"
    assert said_["score"] == pytest.approx(0.52)
    assert [part["score"] for part in said_["result"] if part["type"] == "brushlabels"] == [
        0.5, 0.51, 0.52, 0.53, 0.54,
    ]  # fmt: skip
    assert task["data"] == {"image": PREFIX + "a.png", "picture": "a.png", "case": "K-1"}


def test_a_corrected_type_and_number_are_read(tmp_path: Path) -> None:
    tasks = annotated(marked())
    regions = tasks[0]["annotations"][0]["result"]
    shapes = [part for part in regions if part["type"] == "brushlabels"]
    shapes[1]["value"]["brushlabels"] = ["instance"]  # its number stays 2 in the file
    shapes[0]["value"]["brushlabels"] = ["overlapping"]  # its number stays 1
    numbers = [part for part in regions if part["type"] == "number"]
    next(part for part in numbers if part["id"] == shapes[3]["id"])["value"]["number"] = 5
    objects = read(tmp_path / "export.json", tasks).pictures[0].objects
    assert [(item.kind, item.n_chromosomes) for item in objects[:4]] == [
        ("overlapping", None),
        ("instance", 1),
        ("overlapping", None),
        ("touching_overlapping", 5),
    ]


def test_the_newest_annotation_that_was_not_cancelled_counts(tmp_path: Path) -> None:
    tasks = annotated(marked())
    first = tasks[0]["annotations"][0] | {"updated_at": "2026-01-01T00:00:00Z"}
    second = {"id": 2, "updated_at": "2026-01-02T00:00:00Z", "result": first["result"][:1]}
    third = {"id": 3, "updated_at": "2026-01-03T00:00:00Z", "result": [], "was_cancelled": True}
    tasks[0]["annotations"] = [second, third, first]
    assert len(read(tmp_path / "export.json", tasks).pictures[0].objects) == 1


def test_what_nobody_annotated_is_left_out(tmp_path: Path) -> None:
    tasks = json.loads(write_label_studio([marked()], model="m", prefix=PREFIX))
    found = read(tmp_path / "export.json", tasks)
    assert not found.pictures
    assert found.not_used[0].reason == "nobody has annotated it"


def test_shapes_that_people_draw(tmp_path: Path) -> None:
    square = [[10, 20], [20, 20], [20, 30], [10, 30]]
    found = read(
        tmp_path / "a.json",
        of_regions(
            region("polygonlabels", points=square, polygonlabels=["touching"]),
            region(
                "rectanglelabels", x=0, y=0, width=50, height=50, rotation=0, rectanglelabels=["instance"]
            ),
            region("ellipselabels", x=50, y=50, radiusX=10, radiusY=10, ellipselabels=["rejected"]),
        ),
    )
    assert not found.not_used
    assert found.pictures[0].file_name == "a.png"
    boxes = [item.box for item in found.pictures[0].objects]
    assert boxes[:2] == [Box(8, 5, 12, 11), Box(0, 0, 20, 27)]
    assert found.pictures[0].objects[1].mask is None


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (region("brushlabels", brushlabels=["touching"]), "run lengths"),
        (region("brushlabels", brushlabels=["touching"], format="rle", rle=[1, 2]), "brush"),
        (region("rectanglelabels", rectanglelabels=["touching"], x=1, y=1, width=5), "'height'"),
        (region("rectanglelabels", rectanglelabels=["touching"], rotation=4), "turned"),
        (region("rectanglelabels", rectanglelabels=[]), "no label"),
        (region("rectanglelabels", rectanglelabels=["a", "b"]), "several"),
        (region("polygonlabels", polygonlabels=["touching"], points=[[1, 2], "x"]), "corner"),
        (region("polygonlabels", polygonlabels=["touching"], points=5), "points"),
        (region("polygonlabels", polygonlabels=["A1"], points=[]), "'A1'"),
    ],
)
def test_regions_that_cannot_be_used_are_left_out(tmp_path: Path, part: dict[str, Any], reason: str) -> None:
    good = region("rectanglelabels", x=0, y=0, width=50, height=50, rectanglelabels=["instance"])
    found = read(tmp_path / "a.json", of_regions(part, good))
    assert len(found.pictures[0].objects) == 1
    assert reason in found.not_used[0].reason


def test_tasks_that_cannot_be_used_are_left_out(tmp_path: Path) -> None:
    other = region("rectanglelabels", x=0, y=0, width=5, height=5, rectanglelabels=["instance"])
    tasks = [
        {"data": 5},
        of_regions(other, other | {"original_width": 9})[0],
        of_regions(other | {"original_width": 10**9})[0],
        {"data": {}, "annotations": [{"result": []}]},
    ]
    found = read(tmp_path / "a.json", tasks)
    assert not found.pictures
    assert len(found.not_used) == 4


@pytest.mark.parametrize("value", [{}, 5, None])
def test_what_is_no_export_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(ManifestError):
        read(tmp_path / "a.json", value)


def test_the_labelling_interface_offers_what_is_read() -> None:
    view = ET.fromstring(labelling_interface())
    for name in ("BrushLabels", "RectangleLabels"):
        found = view.find(name)
        assert found is not None
        assert tuple(label.get("value") for label in found) == KINDS
