from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tests.drawn_spreads import tiny_spread_model, write_spread

from supcam.core.types import ImageError, SupcamError
from supcam.data.manifest import read_manifest
from supcam.pack.bundle import Model
from supcam.spread import outputs as module
from supcam.spread.analyze import analyze
from supcam.spread.outputs import Task, process


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return tiny_spread_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def task(tmp_path: Path) -> Task:
    path = write_spread(tmp_path / "in" / "slide.png")
    return Task(path=path, name="slide.png", stem="slide", case="c1", output=tmp_path / "out", settings="s")


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("analysed again")

    monkeypatch.setattr(module, "analyze", never)


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_picture_leaves_its_files(task: Task, model: Model) -> None:
    record = json.loads(process(task, model=model).read_text())
    assert set(content(task.output)) == {
        "labels/slide.png",
        "overlays/slide.png",
        "records/slide.json",
        "report/slide.html",
        "report/thumbnails/slide.jpg",
    }
    analysis = analyze(task.path, model=model)
    labels = cv2.imread(str(task.output / "labels" / "slide.png"), cv2.IMREAD_UNCHANGED)
    assert labels is not None
    assert labels.dtype == np.uint16
    np.testing.assert_array_equal(labels, analysis.labels)
    assert record["image"]["n_chromosomes"] == analysis.count.n
    assert len(record["objects"]) == len(analysis.objects)
    assert record["image"]["n_objects"] + record["image"]["n_rejected"] == len(analysis.objects)


def test_what_is_done_is_not_done_again(task: Task, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    process(task, model=model)
    before = content(task.output)
    forbid(monkeypatch)
    process(task, model=model)
    assert content(task.output) == before


@pytest.mark.parametrize("change", ["settings", "picture", "file", "record", "crops", "case"])
def test_what_has_changed_is_done_again(
    task: Task, model: Model, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    record = process(task, model=model)
    if change == "picture":
        write_spread(task.path, seed=1)
    elif change == "file":
        (task.output / "overlays" / "slide.png").unlink()
    elif change == "record":
        record.write_text("{half")
    else:
        values: dict[str, Any] = {"settings": "t", "crops": True, "case": "c2"}
        task = replace(task, **{change: values[change]})
    forbid(monkeypatch)
    with pytest.raises(AssertionError, match="analysed again"):
        process(task, model=model)


def test_the_same_picture_gives_the_same_files(task: Task, model: Model) -> None:
    process(task, model=model)
    other = replace(task, output=task.output.with_name("again"))
    process(other, model=model)
    assert content(task.output) == content(other.output)


def test_crops_go_back_into_training(task: Task, model: Model) -> None:
    task = replace(task, crops=True)
    process(task, model=model)
    kept = analyze(task.path, model=model).kept
    found = {path.name for path in (task.output / "crops").rglob("*.png")}
    assert found == {f"slide_{item.object_id}.png" for item in kept}
    assert len(read_manifest(task.output / "crops", layout="folder").samples) == len(kept)


def test_a_bad_picture_leaves_nothing(task: Task, model: Model) -> None:
    task.path.write_bytes(b"no picture")
    with pytest.raises(ImageError):
        process(task, model=model)
    assert not task.output.exists()
    task.path.unlink()
    with pytest.raises(ImageError, match="no file"):
        process(task, model=model)


def test_a_folder_that_cannot_be_written_to_is_said(
    task: Task, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_whole", full)
    with pytest.raises(SupcamError, match="No space left"):
        process(task, model=model)
