"""Classifying many files: order, failures, batches, and outputs that are whole or not there."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
import tifffile
from tests.csv_rows import rows_of
from tests.drawn_crops import draw_crop, write_crop
from tests.published import require_published
from tests.tiny_bundle import write_tiny

from supcam.core.types import BundleError, SupcamError
from supcam.data.files import Unreadable
from supcam.pack.bundle import Model, ReadCrop, load_model
from supcam.pack.card import Calibration
from supcam.pack.terms import make_terms
from supcam.workflows import classify as classify_module
from supcam.workflows.classify import ClassifyPlan, ClassifySummary, Listener, classify
from supcam.workflows.tables import COLUMNS


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("models") / "tiny"
    write_tiny(output)
    return output


@pytest.fixture
def plan(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClassifyPlan:
    """Six drawn crops in a folder beside an empty output folder."""
    (tmp_path / "crops").mkdir()
    (tmp_path / "out").mkdir()
    for seed in range(6):
        write_crop(tmp_path / "crops" / f"{seed}.png", seed=seed)
    monkeypatch.chdir(tmp_path)
    return ClassifyPlan(named=("crops",), output=tmp_path / "out" / "p.csv", model=bundle, threads=1)


def with_paths(plan: ClassifyPlan, paths: dict[str, Path]) -> ClassifyPlan:
    return replace(plan, **cast("dict[str, Any]", paths))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_every_picture_is_a_row_that_says_what_the_model_says(plan: ClassifyPlan, bundle: Path) -> None:
    summary = classify(plan)
    rows = rows_of(plan.output)
    assert tuple(rows[0]) == COLUMNS
    assert [row["path"] for row in rows] == [f"crops/{seed}.png" for seed in range(6)]
    for row, prediction in zip(rows, load_model(bundle).predict([r["path"] for r in rows]), strict=True):
        assert row["type"] == (prediction.label.label if prediction.label is not None else "rejected")
        assert float(row["confidence"]) == pytest.approx(prediction.confidence, abs=1e-6)
        assert int(row["n_chromosomes"]) == prediction.n_chromosomes
        assert row["decision"] == prediction.decision
        assert sum(float(row[column]) for column in COLUMNS[3:7]) == pytest.approx(1, abs=3e-6)
        assert (row["type"] == "instance") == (row["n_chromosomes"] == "1")
    assert summary == ClassifySummary(
        n_classified=6,
        failures=(),
        n_repeated=0,
        model_name="tiny 1.2.3",
        output=plan.output,
        errors=None,
    )
    assert names_in(plan.output.parent) == ["p.csv"]


@pytest.mark.parametrize(("batch_size", "threads"), [(1, 1), (4, 2), (6, 3), (100, 16)])
def test_batches_and_threads_change_nothing(plan: ClassifyPlan, batch_size: int, threads: int) -> None:
    """Up to the last decimal: sums of floats depend on the batch they are added in."""
    classify(plan)
    plain = rows_of(plan.output)
    classify(replace(plan, batch_size=batch_size, threads=threads))
    for row, expected in zip(rows_of(plan.output), plain, strict=True):
        for column in ("path", "type", "n_chromosomes", "decision"):
            assert row[column] == expected[column]
        for column in COLUMNS[2:7]:
            assert float(row[column]) == pytest.approx(float(expected[column]), abs=1e-5)


def test_a_bad_file_costs_nothing_but_its_own_row(plan: ClassifyPlan, tmp_path: Path) -> None:
    (tmp_path / "crops" / "3.png").write_bytes(b"")
    (tmp_path / "crops" / "bad.png").write_text("no picture")
    summary = classify(replace(plan, named=("crops", "missing.png"), threads=2))
    assert [row["path"] for row in rows_of(plan.output)] == [f"crops/{n}.png" for n in (0, 1, 2, 4, 5)]
    errors = rows_of(tmp_path / "out" / "p.errors.csv")
    assert [row["path"] for row in errors] == ["crops/3.png", "crops/bad.png", "missing.png"]
    assert all(row["error"] for row in errors)
    assert [str(item.path) for item in summary.failures] == [row["path"] for row in errors]
    assert summary.errors == tmp_path / "out" / "p.errors.csv"


def test_reasons_do_not_repeat_the_path(plan: ClassifyPlan, tmp_path: Path) -> None:
    (tmp_path / "crops" / "3.png").write_bytes(b"")
    classify(plan)
    assert "3.png" not in rows_of(tmp_path / "out" / "p.errors.csv")[0]["error"]


def test_old_errors_are_gone_when_nothing_fails(plan: ClassifyPlan, tmp_path: Path) -> None:
    (tmp_path / "out" / "p.errors.csv").write_text("path,error\nold.png,gone\n")
    classify(plan)
    assert names_in(tmp_path / "out") == ["p.csv"]


def test_an_errors_file_that_was_asked_for_is_there_even_when_empty(
    plan: ClassifyPlan, tmp_path: Path
) -> None:
    asked = tmp_path / "out" / "e.csv"
    asked.write_text("path,error\nold.png,gone\n")
    assert classify(replace(plan, errors=asked)).errors == asked
    assert asked.read_text() == "path,error\n"


def test_all_pictures_bad_makes_a_table_without_rows(plan: ClassifyPlan) -> None:
    summary = classify(replace(plan, named=("missing.png",)))
    assert summary.n_classified == 0
    assert plan.output.read_text() == ",".join(COLUMNS) + "\n"


def test_json_holds_model_predictions_and_errors(plan: ClassifyPlan, tmp_path: Path) -> None:
    target = tmp_path / "out" / "p.json"
    classify(replace(plan, named=("crops", "missing.png"), json=target))
    document = json.loads(target.read_text())
    require_published(document, name="predictions")
    assert document["model"]["name"] == "tiny"
    assert len(document["model"]["sha256"]) == 64
    assert [row["path"] for row in document["predictions"]] == [r["path"] for r in rows_of(plan.output)]
    assert [row["path"] for row in document["errors"]] == ["missing.png"]


def test_a_file_named_twice_is_one_row(plan: ClassifyPlan) -> None:
    summary = classify(replace(plan, named=("crops/1.png", "./crops/1.png", "crops")))
    assert len(rows_of(plan.output)) == 6
    assert summary.n_repeated == 2


def test_the_listener_hears_of_every_picture_once(plan: ClassifyPlan, tmp_path: Path) -> None:
    (tmp_path / "crops" / "3.png").write_bytes(b"")
    totals: list[int] = []
    failed: list[Unreadable] = []
    steps: list[int] = []
    listener = Listener(started=totals.append, failed=failed.append, advanced=steps.append)
    classify(replace(plan, batch_size=2, threads=2), listener=listener)
    assert totals == [6]
    assert sum(steps) == 6
    assert [str(item.path) for item in failed] == ["crops/3.png"]


def test_the_listener_hears_which_page_was_read(plan: ClassifyPlan, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "two.tif", np.stack([draw_crop(), draw_crop(seed=1)]))
    heard: list[tuple[str, str]] = []
    listener = Listener(noted=lambda name, note: heard.append((name, note)))
    classify(replace(plan, named=("two.tif",)), listener=listener)
    assert heard == [("two.tif", "page 1 of 2 was read")]


def test_a_surprise_inside_one_picture_is_a_row_too(
    plan: ClassifyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Model.read_crop

    def read_crop(self: Model, image: str) -> ReadCrop:
        if image.endswith("2.png"):
            raise ZeroDivisionError("surprise")
        if image.endswith("4.png"):
            raise MemoryError
        return honest(self, image)

    monkeypatch.setattr(Model, "read_crop", read_crop)
    classify(plan)
    reasons = {row["path"]: row["error"] for row in rows_of(tmp_path / "out" / "p.errors.csv")}
    assert "surprise" in reasons["crops/2.png"]
    assert "memory" in reasons["crops/4.png"]
    assert len(rows_of(plan.output)) == 4


def test_few_pictures_wait_in_memory(plan: ClassifyPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many pictures there are, reading stops when a few are ahead of the network."""
    taken: list[int] = []
    model = load_model(plan.model)
    blank = ReadCrop(square=np.zeros((64, 64), np.float32), notes=())
    monkeypatch.setattr(Model, "read_crop", lambda _self, _image: blank)

    def names() -> object:
        for index in range(1000):
            taken.append(index)
            yield f"{index}.png"

    ahead = classify_module._read_ahead(names(), model=model, n_readers=2)  # type: ignore[arg-type]
    next(iter(ahead))
    assert len(taken) < 20
    ahead.close()  # type: ignore[attr-defined]


# ---- outputs


@pytest.mark.parametrize("part", ["output", "json", "errors"])
def test_an_output_in_a_missing_folder_stops_before_anything_is_written(
    plan: ClassifyPlan, tmp_path: Path, part: str
) -> None:
    asked = replace(plan, json=tmp_path / "out" / "p.json", errors=tmp_path / "out" / "e.csv")
    with pytest.raises(SupcamError, match="cannot be written"):
        classify(with_paths(asked, {part: tmp_path / "nowhere" / "x"}))
    assert names_in(tmp_path / "out") == []


def test_a_full_disk_leaves_no_half_file(
    plan: ClassifyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan.output.write_text("old")
    calls: list[int] = []

    def fill(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fill)
    with pytest.raises(SupcamError, match="No space left"):
        classify(replace(plan, json=tmp_path / "out" / "p.json"))
    assert plan.output.read_text() == "old"
    assert names_in(tmp_path / "out") == ["p.csv"]


def test_a_bad_model_leaves_what_was_there(plan: ClassifyPlan, tmp_path: Path) -> None:
    plan.output.write_text("old")
    with pytest.raises(BundleError):
        classify(replace(plan, model=tmp_path))
    assert plan.output.read_text() == "old"
    assert names_in(tmp_path / "out") == ["p.csv"]


def test_a_run_that_is_stopped_leaves_nothing(
    plan: ClassifyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        classify(replace(plan, batch_size=2, threads=2), listener=Listener(advanced=stop))
    assert names_in(tmp_path / "out") == []


def test_two_outputs_in_one_file_are_refused(plan: ClassifyPlan, tmp_path: Path) -> None:
    (tmp_path / "same").symlink_to("out")
    for clash in ({"json": plan.output}, {"errors": tmp_path / "same" / "p.csv"}):
        with pytest.raises(SupcamError, match="one file for two outputs"):
            classify(with_paths(plan, clash))


def test_an_output_may_not_be_a_picture_that_is_read(plan: ClassifyPlan, tmp_path: Path) -> None:
    before = (tmp_path / "crops" / "2.png").read_bytes()
    with pytest.raises(SupcamError, match="also a picture"):
        classify(replace(plan, output=tmp_path / "crops" / "2.png"))
    assert (tmp_path / "crops" / "2.png").read_bytes() == before


def test_opencv_keeps_its_threads(plan: ClassifyPlan) -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        classify(plan)
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)


def test_odd_names_come_back(plan: ClassifyPlan, tmp_path: Path) -> None:
    names = ['say "a",b.png', "new\nline.png", "back\rward.png", " blank .png", "染色体.png", "=1+1.png"]
    for name in names:
        write_crop(tmp_path / name)
    classify(replace(plan, named=tuple(names)))
    assert [row["path"] for row in rows_of(plan.output)] == names


def test_a_name_that_is_no_text_does_not_spoil_the_table(plan: ClassifyPlan, tmp_path: Path) -> None:
    odd = os.fsdecode(b"odd\xff.png")
    write_crop(tmp_path / odd)
    classify(replace(plan, named=(odd, "crops/1.png"), json=tmp_path / "out" / "p.json"))
    assert [row["path"] for row in rows_of(plan.output)] == ["odd\\udcff.png", "crops/1.png"]
    assert json.loads((tmp_path / "out" / "p.json").read_text())["predictions"][0]["path"] == odd


def test_a_drawn_crop_reads_alike_from_a_file_and_an_array(plan: ClassifyPlan, bundle: Path) -> None:
    classify(replace(plan, named=("crops/4.png",)))
    prediction = load_model(bundle).predict([draw_crop(seed=4)])[0]
    assert float(rows_of(plan.output)[0]["confidence"]) == pytest.approx(prediction.confidence, abs=1e-6)


def test_terms_and_details(plan: ClassifyPlan, tmp_path: Path) -> None:
    rows = [(0, 0.9 - n / 1000, 0.05 + n / 1000, 0.03, 0.02) for n in range(60)]
    rows += [(kind, *np.roll([0.9, 0.04, 0.03, 0.03], kind).tolist()) for kind in (1, 2, 3)]
    calibration = Calibration.model_validate(
        {
            "accept_threshold": 0.99,
            "calibration_prior": (0.7, 0.1, 0.1, 0.1),
            "evidence": rows,
            "type_sets": {
                "levels": (0.9,),
                "thresholds": ((1.0, 1.0, 0.0, 0.0),),
                "n_samples": (60, 1, 1, 1),
                "pooled": (False, True, True, True),
                "covered": (0.9,),
                "mean_size": (1.0,),
            },
        }
    )
    write_tiny(tmp_path / "trusted", calibration=calibration)
    asked = replace(
        plan,
        model=tmp_path / "trusted",
        terms=make_terms(prior="metaphase", max_error=0.1),
        details=True,
        json=tmp_path / "p.json",
    )
    summary = classify(asked)
    table = rows_of(plan.output)
    assert tuple(table[0]) == (*COLUMNS, "type_set", "unfamiliarity")
    assert all({"instance", "touching"} <= set(row["type_set"].split("+")) for row in table)
    assert all(row["unfamiliarity"] == "" for row in table)
    told = json.loads((tmp_path / "p.json").read_text())
    require_published(told, name="predictions")
    assert told["model"]["promise"]["is_shown"]
    assert told["predictions"][0]["type_set"][:2] == ["instance", "touching"]
    assert summary.promise.startswith("accepted from a confidence of")
