from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as pycoco
from tests.drawn_marks import SIZE, marked, said

from supcam.core.types import Box, ManifestError
from supcam.data.exchange.coco import CATEGORY_IDS, read_coco_masks, write_coco
from supcam.spread.coco import CATEGORIES


def table(**annotation: Any) -> dict[str, Any]:  # noqa: ANN401  anything that JSON holds
    item = {"id": 1, "image_id": 1, "category_id": 2, "bbox": [5, 6, 7, 8]} | annotation
    image = {"id": 1, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]}
    return {"images": [image], "annotations": [item], "categories": [{"id": 2, "name": "touching"}]}


def write(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value))
    return path


def test_everything_comes_back(tmp_path: Path) -> None:
    pictures = [marked("a.png"), replace(marked("b/c.png", seed=9), case="")]
    path = tmp_path / "coco.json"
    path.write_bytes(write_coco(pictures))
    found = read_coco_masks(path)
    assert [said(each) for each in found.pictures] == [said(each) for each in pictures]
    assert not found.not_used


def test_pycocotools_reads_the_masks_and_categories_are_those_of_an_analysis() -> None:
    picture = marked()
    value = json.loads(write_coco([picture]))
    for item, written in zip(picture.objects, value["annotations"], strict=True):
        if item.mask is not None:
            whole = pycoco.decode(written["segmentation"])
            np.testing.assert_array_equal(whole[item.box.slices], item.mask)
            assert whole.sum() == written["area"]
    assert value["categories"][:4] == CATEGORIES
    kept = replace(picture, objects=picture.objects[:1])
    assert [each["id"] for each in json.loads(write_coco([kept]))["categories"]] == [1, 2, 3, 4]
    assert CATEGORY_IDS["rejected"] == 5


def test_polygons_uncompressed_runs_and_attributes_of_others_are_read(tmp_path: Path) -> None:
    square = [[2.0, 3.0, 5.0, 3.0, 5.0, 6.0, 2.0, 6.0]]
    runs = {"size": list(SIZE), "counts": [0, 3, SIZE[0] * SIZE[1] - 3]}
    value = table(segmentation=square, attributes={"n_chromosomes": "3"})
    value["annotations"].append(table(segmentation=runs, iscrowd=1)["annotations"][0])
    found = read_coco_masks(write(tmp_path / "a.json", value)).pictures[0].objects
    assert [item.box for item in found] == [Box(3, 2, 6, 5), Box(0, 0, 3, 1)]
    assert [item.n_chromosomes for item in found] == [3, None]


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        ({"iscrowd": 1}, "crowd"),
        ({"bbox": None}, "crowd, or nothing"),
        ({"bbox": [0, 0, 0, 5]}, "box"),
        ({"segmentation": {"size": [3, 3], "counts": [9]}}, "mask of"),
        ({"segmentation": {"size": list(SIZE), "counts": [9]}}, "run lengths"),
        ({"segmentation": {"size": list(SIZE), "counts": "\x01"}}, "run lengths"),
        ({"segmentation": [[1.0, 2.0]]}, "polygon"),
        ({"n_chromosomes": "some"}, "chromosomes"),
    ],
)
def test_objects_that_cannot_be_used_are_left_out(
    tmp_path: Path, annotation: dict[str, Any], reason: str
) -> None:
    value = table(**annotation)
    value["annotations"].append(table()["annotations"][0])
    found = read_coco_masks(write(tmp_path / "a.json", value))
    assert len(found.pictures[0].objects) == 1
    assert [each.where for each in found.not_used] == ["a.png"]
    assert reason in found.not_used[0].reason


def test_labels_of_others_are_left_out_and_so_are_pictures_that_cannot_be(tmp_path: Path) -> None:
    value = table()
    value["categories"][0]["name"] = "cell"
    value["images"].append({"id": 2, "file_name": "b.png", "height": 0, "width": 5})
    found = read_coco_masks(write(tmp_path / "a.json", value))
    assert [picture.file_name for picture in found.pictures] == ["a.png"]
    assert sorted(each.where for each in found.not_used) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"images": []},
        table(category_id=7),
        table(image_id=7),
        table(segmentation="text"),
        table() | {"images": 2 * table()["images"]},
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(ManifestError):
        read_coco_masks(write(tmp_path / "a.json", value))
