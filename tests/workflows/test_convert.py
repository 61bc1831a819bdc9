"""Results to annotators and back: every way round, pictures that are not there, names that lead out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tests.csv_rows import rows_of
from tests.drawn_marks import SIZE, marked, said
from tests.drawn_spreads import drawn, tiny_spread_model, write_spread

from supcam.core.types import ConfigError, ManifestError, SupcamError
from supcam.data.decided import read_decided
from supcam.data.exchange.coco import write_coco
from supcam.data.exchange.marked import MarkedPicture
from supcam.data.manifest import read_manifest
from supcam.workflows.analyze import AnalyzePlan, analyze
from supcam.workflows.convert import ConvertPlan, TargetFormat, convert
from supcam.workflows.marked_sources import find_format, read_marked

ANNOTATIONS = {
    "coco": "coco.json", "label-studio": "tasks.json", "cvat": "annotations.xml", "fiftyone": ".",
}  # fmt: skip


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a drawn metaphase in ``in/c1``, and in ``out`` what a tiny model says, crops too."""
    folder = tmp_path_factory.mktemp("analysed")
    tiny_spread_model(folder / "tiny")
    write_spread(folder / "in" / "c1" / "a.png")
    named = (str(folder / "in"),)
    plan = AnalyzePlan(
        named=named, output=folder / "out", model=folder / "tiny", cases="parent", crops=True, processes=1
    )
    analyze(plan)
    return folder


def accept(tasks: Path) -> Path:
    """Tasks as Label Studio exports them when a person accepts every prediction."""
    found = json.loads(tasks.read_text())
    for task in found:
        task["annotations"] = [{"id": 1, "result": task.pop("predictions")[0]["result"]}]
    tasks.write_text(json.dumps(found))
    return tasks


def coco(folder: Path, *pictures: MarkedPicture) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "coco.json").write_bytes(write_coco(pictures))
    return folder / "coco.json"


@pytest.mark.parametrize("target", ["coco", "label-studio", "cvat", "fiftyone"])
def test_there_and_back_gives_the_crops_of_the_analysis(
    analysed: Path, tmp_path: Path, target: TargetFormat
) -> None:
    there = ConvertPlan(analysed / "out", output=tmp_path / "there", target=target, pictures=analysed / "in")
    assert not convert(there).not_used
    shown = tmp_path / "there" / ("data" if target == "fiftyone" else "images") / "a.png"
    np.testing.assert_array_equal(cv2.imread(str(shown), cv2.IMREAD_UNCHANGED), drawn(0).grey)
    source = tmp_path / "there" / ANNOTATIONS[target]
    if target == "label-studio":
        accept(source)
    cases = "stem" if target == "cvat" else ""
    summary = convert(ConvertPlan(source, output=tmp_path / "back", target="training", cases=cases))
    assert not summary.not_used
    decided = read_decided(tmp_path / "back")
    assert {sample.case for sample in decided.samples} == {"a" if target == "cvat" else "c1"}
    assert {sample.source for sample in decided.typed} == {"decisions"}
    made = {path.read_bytes() for path in (tmp_path / "back").rglob("*.png")}
    cut = {path.read_bytes() for path in (analysed / "out" / "crops").rglob("*.png")}
    assert made == cut
    theirs = sorted((r["type"], r["n_chromosomes"]) for r in rows_of(analysed / "out/crops/labels.csv"))
    ours = sorted((r["type"], r["n_chromosomes"]) for r in rows_of(tmp_path / "back/labels.csv"))
    assert [kind for kind, _ in ours] == [kind for kind, _ in theirs]
    assert all(ours_n in ("", theirs_n) for (_, ours_n), (_, theirs_n) in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("target", ["coco", "label-studio", "cvat"])
def test_annotations_without_pictures_go_from_any_format_to_any(tmp_path: Path, target: TargetFormat) -> None:
    source = coco(tmp_path / "in", marked("a.png"), marked("c1/b.png", seed=3))
    convert(ConvertPlan(source, output=tmp_path / "a", target=target))
    there = tmp_path / "a" / ANNOTATIONS[target]
    if target == "label-studio":
        accept(there)
    convert(ConvertPlan(there, output=tmp_path / "b", target="coco", cases="stem"))
    found = read_marked(tmp_path / "b" / "coco.json", format="coco", rejected=False)
    has_confidence = target != "label-studio"
    assert [said(each, case=False, confidence=has_confidence) for each in found.pictures] == [
        said(each, case=False, confidence=has_confidence)
        for each in (marked("a.png"), marked("c1/b.png", seed=3))
    ]
    assert [each.case for each in found.pictures] == ["a", "b"]
    assert not (tmp_path / "a" / "images").exists()


def with_files(folder: Path, *names: str, size: tuple[int, int] = SIZE) -> None:
    """Pictures in which something is stained."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        grey = np.full(size, 220, np.uint8)
        grey[8:16, 10:30] = 90
        assert cv2.imwrite(str(folder / name), grey)


def test_a_training_set_holds_types_numbers_and_what_is_no_chromosome(tmp_path: Path) -> None:
    picture = marked("p.png")
    only = replace(picture, objects=tuple(replace(item, mask=None) for item in picture.objects))
    source = coco(tmp_path / "in", only)
    with_files(tmp_path / "in", "p.png")
    summary = convert(ConvertPlan(source, output=tmp_path / "out", target="training"))
    assert summary.counts == {
        "instance": 2, "touching": 1, "overlapping": 1, "touching_overlapping": 1, "rejected": 1,
    }  # fmt: skip
    manifest = read_manifest(tmp_path / "out")
    read = [(s.type.label, s.n_chromosomes) for s in manifest.samples if s.type is not None]
    assert sorted(read, key=str) == [
        ("instance", 1),
        ("instance", 1),
        ("overlapping", None),
        ("touching", 2),
        ("touching_overlapping", 4),
    ]
    assert len(read_decided(tmp_path / "out").rejected) == 1
    crop = cv2.imread(str(tmp_path / "out" / "instance" / "p_6.png"), cv2.IMREAD_UNCHANGED)
    assert crop is not None
    assert crop.shape == (33, 27)  # the box of 9 x 10 and its rim, as far as the picture reaches


def test_pictures_that_are_not_there_or_of_another_size_are_left_out(tmp_path: Path) -> None:
    source = coco(tmp_path / "in", marked("a.png"), marked("b.png"), marked("c.png"))
    with_files(tmp_path / "in", "a.png")
    with_files(tmp_path / "in", "b.png", size=(50, 50))
    summary = convert(ConvertPlan(source, output=tmp_path / "out", target="fiftyone"))
    assert summary.n_pictures == 1
    rows = rows_of(tmp_path / "out" / "left_out.csv")
    assert [row["picture"] for row in rows] == ["b.png", "c.png"]
    assert "50 x 50 pixels where 53 x 40" in rows[0]["reason"]
    assert "no file" in rows[1]["reason"]
    assert "2 left out" in summary.told()


@pytest.mark.parametrize("name", ["../secret.png", "{0}/secret.png", "link.png", "a\0.png", "x" * 5000])
def test_names_do_not_lead_out_of_the_folder_of_the_pictures(tmp_path: Path, name: str) -> None:
    with_files(tmp_path, "secret.png")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "secret.png")
    source = coco(tmp_path / "in", marked(name.format(tmp_path)))
    with pytest.raises(ManifestError, match="no picture that can be used"):
        convert(ConvertPlan(source, output=tmp_path / "out", target="training"))
    assert not (tmp_path / "out").exists()


def test_pictures_of_one_name_in_two_folders_stay_apart(tmp_path: Path) -> None:
    source = coco(tmp_path / "in", marked("c1/a.png"), marked("c2/a.png", seed=5))
    with_files(tmp_path / "in", "c1/a.png", "c2/a.png", "a.png")
    convert(ConvertPlan(source, output=tmp_path / "out", target="fiftyone"))
    assert sorted(path.name for path in (tmp_path / "out" / "data").iterdir()) == ["c1_a.png", "c2_a.png"]
    assert find_format(tmp_path / "out") == "fiftyone"


def test_what_nobody_has_checked_is_not_learnt_from(analysed: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the model's own word"):
        convert(ConvertPlan(analysed / "out", output=tmp_path / "out", target="training"))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    source = coco(tmp_path / "in", marked())
    with pytest.raises(SupcamError, match="nothing is overwritten"):
        convert(ConvertPlan(source, output=tmp_path / "in", target="cvat"))


def test_a_task_without_a_region_has_the_size_of_its_picture(tmp_path: Path) -> None:
    task: dict[str, Any] = {"data": {"image": "x/a.png"}, "annotations": [{"id": 1, "result": []}]}
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "export.json").write_text(json.dumps([task]))
    with_files(tmp_path / "in", "a.png")
    plan = ConvertPlan(tmp_path / "in" / "export.json", output=tmp_path / "a", target="coco")
    with pytest.raises(ManifestError, match="no region on it"):
        convert(plan)
    convert(replace(plan, pictures=tmp_path / "in"))
    image = json.loads((tmp_path / "a" / "coco.json").read_text())["images"][0]
    assert (image["height"], image["width"]) == SIZE
