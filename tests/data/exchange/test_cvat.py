from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.drawn_marks import marked, said
from tests.hostile import LAUGHS

from supcam.core.types import Box, ManifestError
from supcam.data.exchange.cvat import labels_json, read_cvat, write_cvat
from supcam.data.exchange.marked import KINDS, Marked


def read(path: Path, inside: str) -> Marked:
    path.write_text(f'<annotations><image name="a.png" width="53" height="40">{inside}</image></annotations>')
    return read_cvat(path)


def test_everything_but_the_case_comes_back(tmp_path: Path) -> None:
    pictures = [marked("a.png"), marked('b & "c".png', seed=9)]
    path = tmp_path / "annotations.xml"
    path.write_bytes(write_cvat(pictures))
    found = read_cvat(path)
    assert [said(each) for each in found.pictures] == [said(each, case=False) for each in pictures]
    assert not found.not_used


def test_shapes_that_people_draw(tmp_path: Path) -> None:
    found = read(
        tmp_path / "a.xml",
        '<tag label="good"/>'
        '<polygon label="Touching" points="2.00,3.00;5.00,3.00;5.00,6.00;2.00,6.00">'
        '<attribute name="n_chromosomes"> 2 </attribute></polygon>'
        '<box label="instance" xtl="1.50" ytl="2.00" xbr="4.00" ybr="5.20"/>'
        '<mask label="rejected" rle="1, 2, 1" left="51" top="38" width="2" height="2"/>',
    )
    objects = found.pictures[0].objects
    assert [item.box for item in objects] == [Box(3, 2, 6, 5), Box(2, 1, 6, 4), Box(38, 51, 40, 53)]
    assert [item.kind for item in objects] == ["touching", "instance", "rejected"]
    assert [item.n_chromosomes for item in objects] == [2, 1, None]
    assert objects[2].mask is not None
    assert objects[2].mask.tolist() == [[False, True], [True, False]]
    assert not found.not_used


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ('<polyline label="touching" points="1,1;2,2"/>', "outlines no area"),
        ('<box label="touching" rotation="30" xtl="1" ytl="1" xbr="9" ybr="9"/>', "turned"),
        ('<box label="touching" xtl="1"/>', "number"),
        ('<box label="cell" xtl="1" ytl="1" xbr="9" ybr="9"/>', "'cell'"),
        ('<polygon label="touching" points=""/>', "number"),
        ('<polygon label="touching" points="1,1;2;3,3"/>', "polygon"),
        ('<mask label="touching" rle="4" left="52" top="0" width="2" height="2"/>', "beyond"),
        ('<mask label="touching" rle="4" left="-1" top="0" width="2" height="2"/>', "beyond"),
        ('<mask label="touching" rle="x" left="0" top="0" width="2" height="2"/>', "no numbers"),
        ('<mask label="touching" rle="1,1" left="0" top="0" width="2" height="2"/>', "run lengths"),
        ('<mask label="touching" rle="4" left="0" top="0" width="2" height="2"/>', "single pixel"),
        ('<mask label="touching" rle="4" left="0" top="0" width="2e9" height="2"/>', "whole number"),
    ],
)
def test_shapes_that_cannot_be_used_are_left_out(tmp_path: Path, shape: str, reason: str) -> None:
    found = read(tmp_path / "a.xml", shape + '<box label="instance" xtl="1" ytl="1" xbr="9" ybr="9"/>')
    assert len(found.pictures[0].objects) == 1
    assert reason in found.not_used[0].reason


def test_pictures_that_cannot_be_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(
        '<annotations><image name="a.png" width="9" height="0"/><image width="9" height="9"/>'
        '<image name="b.png" width="999999999999999" height="9"/></annotations>'
    )
    found = read_cvat(path)
    assert not found.pictures
    assert len(found.not_used) == 3


@pytest.mark.parametrize("content", [LAUGHS, b"<annotations>", b"<annotation/>", b"", b"\xff\xfe"])
def test_what_is_no_such_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(content)
    with pytest.raises(ManifestError):
        read_cvat(path)


def test_labels_for_a_project_are_those_that_are_read() -> None:
    labels = json.loads(labels_json())
    assert tuple(each["name"] for each in labels) == KINDS
    assert {each["name"] for each in labels[0]["attributes"]} == {"n_chromosomes", "confidence", "object_id"}


def test_what_a_model_said_is_marked_so() -> None:
    picture = marked()
    by_hand = replace(picture, objects=(replace(picture.objects[0], confidence=None),))
    assert b'source="auto"' in write_cvat([picture])
    assert b'source="auto"' not in write_cvat([by_hand])
