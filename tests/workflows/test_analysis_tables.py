from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.drawn_spreads import drawn, tiny_spread_model
from tests.published import require_published

from supcam.core.types import SupcamError
from supcam.data.annotation import read_coco
from supcam.spread.analyze import analyze
from supcam.spread.outputs import Task, make_record, write_json
from supcam.workflows.analysis_tables import Record, read_record, write_tables


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    model = tiny_spread_model(tmp_path_factory.mktemp("models") / "tiny")
    found = [analyze(drawn(seed).grey, model=model) for seed in range(2)]
    records = [make_record(one, case=f"c{n}", stem=f"s{n}") for n, one in enumerate(found)]
    for n, record in enumerate(records):
        record["image"]["image"] = f"s{n}.png"  # type: ignore[index]
    return list(records)


def test_tables_are_whole_or_the_old_ones_stay(
    records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    write_tables(records, failures=[], expected=None, output=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.*")}
    assert set(before) == {"objects.csv", "images.csv", "cases.csv", "coco.json", "analysis.json"}

    def fill(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fill)
    with pytest.raises(SupcamError, match="No space left"):
        write_tables(records[:1], failures=[("x", "y")], expected=None, output=tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.*")} == before


def test_failures_come_and_go(records: list[Record], tmp_path: Path) -> None:
    write_tables(records, failures=[("x.png", "it is bad")], expected=None, output=tmp_path)
    assert (tmp_path / "errors.csv").read_text() == "image,error\nx.png,it is bad\n"
    write_tables(records, failures=[], expected=None, output=tmp_path)
    assert not (tmp_path / "errors.csv").exists()


def test_all_pictures_are_in_one_coco_table(records: list[Record], tmp_path: Path) -> None:
    write_tables(records, failures=[], expected=None, output=tmp_path)
    read = read_coco(tmp_path / "coco.json")
    assert [each.file_name for each in read] == ["s0.png", "s1.png"]
    assert [len(each.objects) for each in read] == [len(record["coco"]) for record in records]
    ids = [item["id"] for item in json.loads((tmp_path / "coco.json").read_text())["annotations"]]
    assert ids == list(range(1, len(ids) + 1))


def test_the_document_for_other_programs_is_what_its_schema_says(
    records: list[Record], tmp_path: Path
) -> None:
    write_tables(records, failures=[("x.png", "it is bad")], expected=None, output=tmp_path)
    document = json.loads((tmp_path / "analysis.json").read_text())
    require_published(document, name="analysis")
    assert [each["image"] for each in document["pictures"]] == ["s0.png", "s1.png"]
    assert document["errors"] == [{"image": "x.png", "error": "it is bad"}]


def test_a_record_that_is_gone_is_said(records: list[Record], tmp_path: Path) -> None:
    task = Task(path=tmp_path / "s0.png", name="s0.png", stem="s0", case="c", output=tmp_path, settings="")
    with pytest.raises(SupcamError, match="one run at a time"):
        read_record(task)
    write_json(tmp_path / "records" / "s0.json", records[0])
    assert read_record(task) == json.loads(json.dumps(records[0]))
