"""The command that passes annotations on: what it says, and its exit codes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.commands import supcam_
from tests.drawn_marks import marked

from supcam.data.exchange.coco import write_coco
from supcam.workflows.terminal import SOME_FAILED, UNUSABLE


def test_convert_says_what_it_wrote(tmp_path: Path) -> None:
    source = tmp_path / "coco.json"
    source.write_bytes(write_coco([marked()]))
    result = supcam_("convert", source, "--to", "cvat", "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "1 pictures" in result.stderr
    assert "2 instance, 1 overlapping, 1 rejected" in result.stderr


def test_convert_tells_what_was_left_out_by_its_exit_code(tmp_path: Path) -> None:
    source = tmp_path / "coco.json"
    broken = replace(marked("b.png"), height=0)
    source.write_bytes(write_coco([marked(), replace(broken, objects=())]))
    result = supcam_("convert", source, "--to", "coco", "--output", tmp_path / "out")
    assert result.exit_code == SOME_FAILED
    assert "left_out.csv" in result.stderr


def test_convert_of_what_is_no_annotation_is_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    result = supcam_("convert", tmp_path / "a.json", "--to", "cvat", "--output", tmp_path / "out")
    assert result.exit_code == UNUSABLE
    assert "supcam: error: " in result.stderr
    assert not (tmp_path / "out").exists()
