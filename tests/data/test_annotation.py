from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supcam.core.types import Box, ManifestError
from supcam.data.annotation import AnnotationError, PictureSize, clip_box, read_coco, read_voc

SIZE = "<size><width>50</width><height>40</height></size>"


def write_voc(path: Path, *corners: str, head: str = "", size: str = SIZE) -> Path:
    boxes = ""
    for text in corners:
        sides = zip(("xmin", "ymin", "xmax", "ymax"), text.split(), strict=True)
        inner = "".join(f"<{name}>{value}</{name}>" for name, value in sides)
        boxes += f"<object><name> A1 </name><bndbox>{inner}</bndbox></object>"
    file_name = "<filename>C:\\pictures\\p 1.jpg</filename>"
    path.write_text(f"{head}<annotation>{file_name}{size}{boxes}</annotation>")
    return path


class TestClipBox:
    def test_corners_are_positions_between_pixels(self) -> None:
        box = clip_box((0.0, 0.0, 50.0, 40.0), size=PictureSize(height=40, width=50))
        assert box == Box(top=0, left=0, bottom=40, right=50)

    def test_fractions_grow_the_box(self) -> None:
        assert clip_box((1.2, 2.9, 3.1, 4.0), size=PictureSize()) == Box(top=2, left=1, bottom=4, right=4)

    @pytest.mark.parametrize(
        "corners",
        [
            (5.0, 5.0, 5.0, 9.0),
            (5.0, 9.0, 9.0, 9.0),
            (9.0, 5.0, 5.0, 9.0),
            (math.nan, 0.0, 5.0, 5.0),
            (0.0, 0.0, math.inf, 5.0),
            (60.0, 0.0, 70.0, 5.0),
        ],
    )
    def test_boxes_that_hold_nothing_are_refused(self, corners: tuple[float, float, float, float]) -> None:
        with pytest.raises(AnnotationError, match="box"):
            clip_box(corners, size=PictureSize(height=40, width=50))

    @given(corners=st.tuples(*[st.floats(-1e4, 1e4, allow_subnormal=False)] * 4))
    def test_what_comes_out_is_inside_and_covers_the_corners(
        self, corners: tuple[float, float, float, float]
    ) -> None:
        try:
            box = clip_box(corners, size=PictureSize(height=40, width=50))
        except AnnotationError:
            return
        left, top, right, bottom = corners
        assert 0 <= box.left < box.right <= 50
        assert 0 <= box.top < box.bottom <= 40
        assert box.left <= max(left, 0)
        assert box.right >= min(right, 50)
        assert box.top <= max(top, 0)
        assert box.bottom >= min(bottom, 40)


class TestVoc:
    def test_boxes_and_names(self, tmp_path: Path) -> None:
        found = read_voc(write_voc(tmp_path / "a.xml", "3 -1 10 20", "0 0 51 40"))
        assert found.file_name == "p 1.jpg"
        assert [each.box for each in found.objects] == [Box(0, 3, 20, 10), Box(0, 0, 40, 50)]
        assert {each.name for each in found.objects} == {"A1"}

    def test_a_picture_without_objects_is_no_failure(self, tmp_path: Path) -> None:
        assert read_voc(write_voc(tmp_path / "a.xml")).objects == ()

    def test_without_a_declared_size_only_negative_corners_are_clipped(self, tmp_path: Path) -> None:
        found = read_voc(write_voc(tmp_path / "a.xml", "-2 -2 900 800", size=""))
        assert found.objects[0].box == Box(0, 0, 800, 900)

    @pytest.mark.parametrize(
        ("corners", "reason"), [("1 2 x 4", "'x'"), ("nan 2 3 4", "nan"), ("4 4 2 2", "holds nothing")]
    )
    def test_a_wrong_box_is_named(self, tmp_path: Path, corners: str, reason: str) -> None:
        with pytest.raises(AnnotationError, match=reason):
            read_voc(write_voc(tmp_path / "a.xml", corners))

    def test_entities_are_refused_before_they_grow(self, tmp_path: Path) -> None:
        bomb = '<!DOCTYPE annotation [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
        with pytest.raises(AnnotationError, match="document type"):
            read_voc(write_voc(tmp_path / "a.xml", "1 1 5 5", head=bomb))

    def test_entities_are_refused_in_other_encodings_too(self, tmp_path: Path) -> None:
        text = (
            '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE x SYSTEM "file:///etc/hostname"><annotation/>'
        )
        (tmp_path / "a.xml").write_bytes(text.encode("utf-16"))
        with pytest.raises(AnnotationError, match="document type"):
            read_voc(tmp_path / "a.xml")

    @pytest.mark.parametrize(
        "text",
        ["", "<annotation>", "no xml", "<svg/>", '<?xml version="1.0" encoding="klingon"?><annotation/>'],
    )
    def test_what_is_no_annotation_has_a_reason(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "a.xml").write_text(text)
        with pytest.raises(AnnotationError, match="XML"):
            read_voc(tmp_path / "a.xml")


def coco_table(**changes: object) -> dict[str, object]:
    table: dict[str, object] = {
        "info": {"year": 2026},
        "images": [
            {"id": 7, "file_name": "b.png", "width": 50, "height": 40, "license": 1},
            {"id": 3, "file_name": "a.png"},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 2, "bbox": [1.5, 2, 3, 4], "area": 12, "iscrowd": 0}
        ],
        "categories": [{"id": 2, "name": "touching", "supercategory": "cluster"}],
    }
    return table | changes


def write_coco(path: Path, table: object) -> Path:
    path.write_text(json.dumps(table))
    return path


class TestCoco:
    def test_pictures_come_by_name_with_their_boxes(self, tmp_path: Path) -> None:
        first, second = read_coco(write_coco(tmp_path / "c.json", coco_table()))
        assert (first.file_name, first.objects, first.reason) == ("a.png", (), "")
        assert second.file_name == "b.png"
        assert [(each.box, each.name) for each in second.objects] == [(Box(2, 1, 6, 5), "touching")]

    @pytest.mark.parametrize(
        ("change", "reason"), [({"iscrowd": 1}, "crowd"), ({"bbox": [1, 1, 0, 3]}, "holds nothing")]
    )
    def test_an_unusable_box_takes_its_picture_out_with_the_reason(
        self, tmp_path: Path, change: dict[str, object], reason: str
    ) -> None:
        wrong: dict[str, object] = {"image_id": 7, "category_id": 2, "bbox": [1, 1, 3, 3], **change}
        first, second = read_coco(write_coco(tmp_path / "c.json", coco_table(annotations=[wrong])))
        assert first.reason == ""
        assert reason in second.reason
        assert second.objects == ()

    @pytest.mark.parametrize(
        ("changes", "found"),
        [
            ({"images": [{"id": 1, "file_name": "a"}, {"id": 2, "file_name": "a"}]}, "'a' twice"),
            ({"images": [{"id": 7, "file_name": "a"}, {"id": 7, "file_name": "b"}]}, "one id for two"),
            ({"images": [{"id": 1, "file_name": "a"}]}, "picture 7"),
            ({"categories": []}, "category 2"),
            ({"annotations": [{"image_id": 7, "category_id": 2, "bbox": [1, 2, 3]}]}, "bbox"),
            ({"images": None}, "images"),
        ],
    )
    def test_a_table_that_contradicts_itself_is_refused(
        self, tmp_path: Path, changes: dict[str, object], found: str
    ) -> None:
        with pytest.raises(ManifestError, match=found):
            read_coco(write_coco(tmp_path / "c.json", coco_table(**changes)))

    @pytest.mark.parametrize("text", ["", "[1, 2]", "{", "[" * 100_000, '"\ud800"'])
    def test_what_is_no_table_is_refused(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "c.json"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        with pytest.raises(ManifestError, match=r"c\.json"):
            read_coco(path)
