"""Analysing folders: order, failures, resuming, names, and what the folder holds."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
import tifffile
from tests.csv_rows import rows_of
from tests.drawn_spreads import drawn, tiny_spread_model, write_spread

from supcam.core.types import SupcamError
from supcam.data.files import Unreadable
from supcam.pack.bundle import Model
from supcam.spread import outputs as outputs_module
from supcam.spread import scale as scale_module
from supcam.spread.outputs import Task
from supcam.spread.rows import IMAGE_COLUMNS, OBJECT_COLUMNS
from supcam.workflows.analyze import AnalyzePlan, analyze
from supcam.workflows.classify import Listener


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_spread_model(folder)
    return folder


@pytest.fixture
def plan(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AnalyzePlan:
    """Three drawn metaphases of two cases in two folders."""
    for seed, place in enumerate(("in/c1/a.png", "in/c1/b.png", "in/c2/a.png")):
        write_spread(tmp_path / place, seed=seed)
    monkeypatch.chdir(tmp_path)
    return AnalyzePlan(named=("in",), output=tmp_path / "out", model=bundle, cases="parent", processes=1)


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def with_(plan: AnalyzePlan, **changes: object) -> AnalyzePlan:
    return replace(plan, **cast("dict[str, Any]", changes))


def test_tables_labels_and_coco_say_the_same(plan: AnalyzePlan) -> None:
    summary = analyze(plan)
    objects, images = rows_of(plan.output / "objects.csv"), rows_of(plan.output / "images.csv")
    assert tuple(objects[0]) == OBJECT_COLUMNS
    assert tuple(images[0]) == IMAGE_COLUMNS
    assert [row["image"] for row in images] == ["in/c1/a.png", "in/c1/b.png", "in/c2/a.png"]
    coco = json.loads((plan.output / "coco.json").read_text())
    for image_id, (image, stem) in enumerate(zip(images, ("c1_a", "b", "c2_a"), strict=True), start=1):
        own = [row for row in objects if row["image"] == image["image"]]
        kept = [row for row in own if row["type"] != "rejected"]
        assert int(image["n_objects"]) == len(kept)
        assert int(image["n_rejected"]) == len(own) - len(kept)
        assert int(image["n_chromosomes"]) == sum(int(row["n_chromosomes"]) for row in own)
        assert int(image["n_chromosomes_low"]) <= int(image["n_chromosomes"])
        assert int(image["n_chromosomes"]) <= int(image["n_chromosomes_high"])
        labels = cv2.imread(str(plan.output / "labels" / f"{stem}.png"), cv2.IMREAD_UNCHANGED)
        assert labels is not None
        assert labels.dtype == np.uint16
        for row in own:
            assert int((labels == int(row["object_id"])).sum()) == int(row["area_px"])
        assert sum(item["image_id"] == image_id for item in coco["annotations"]) == len(kept)
    assert summary.n_pictures == 3
    assert summary.n_chromosomes == sum(int(row["n_chromosomes"]) for row in images)
    assert not (plan.output / "errors.csv").exists()


def test_cases_are_summed_up(plan: AnalyzePlan) -> None:
    analyze(plan)
    images = rows_of(plan.output / "images.csv")
    cases = rows_of(plan.output / "cases.csv")
    assert [(row["case"], row["n_metaphases"]) for row in cases] == [("c1", "2"), ("c2", "1")]
    assert cases[1]["modal_count"] == images[2]["n_chromosomes"]
    counts = sorted(int(row["n_chromosomes"]) for row in images[:2])
    assert [int(cases[0]["lowest_count"]), int(cases[0]["highest_count"])] == counts


def test_pages_exist_for_every_picture(plan: AnalyzePlan) -> None:
    analyze(with_(plan, expected=12))
    index = (plan.output / "report" / "index.html").read_text()
    for stem in ("c1_a", "b", "c2_a"):
        assert f'href="{stem}.html"' in index
        assert (plan.output / "report" / f"{stem}.html").stat().st_size < 5_000_000
        assert (plan.output / "report" / "thumbnails" / f"{stem}.jpg").is_file()
        assert (plan.output / "overlays" / f"{stem}.png").is_file()


def test_the_same_run_gives_the_same_bytes(plan: AnalyzePlan, tmp_path: Path) -> None:
    analyze(plan)
    again = with_(plan, output=tmp_path / "again", processes=2)
    analyze(again)
    assert content(plan.output) == content(again.output)


def test_a_stopped_run_goes_on_where_it_stood(
    plan: AnalyzePlan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = with_(plan, output=tmp_path / "whole")
    analyze(whole)
    process = outputs_module.process
    seen: list[str] = []

    def stop_at_the_third(task: Task, *, model: Model) -> Path:
        seen.append(task.stem)
        if task.stem == "c2_a":
            raise KeyboardInterrupt
        return process(task, model=model)

    monkeypatch.setattr(scale_module, "process", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        analyze(plan)
    assert not (plan.output / "objects.csv").exists()
    before = {p: p.stat().st_mtime_ns for p in (plan.output / "labels").iterdir()}
    assert len(before) == 2
    monkeypatch.setattr(scale_module, "process", process)
    analyze(plan)
    assert content(plan.output) == content(whole.output)
    assert all(p.stat().st_mtime_ns == time for p, time in before.items())


def test_bad_files_are_rows_and_the_rest_goes_on(plan: AnalyzePlan, tmp_path: Path) -> None:
    (tmp_path / "in" / "c1" / "bad.png").write_bytes(b"no picture")
    assert cv2.imwrite(str(tmp_path / "in" / "c1" / "blank.png"), np.full((80, 80), 220, np.uint8))
    told: list[Unreadable] = []
    advanced: list[int] = []
    listener = Listener(failed=told.append, advanced=advanced.append)
    summary = analyze(with_(plan, named=("in", "none.png"), cases=""), listener=listener)
    errors = rows_of(plan.output / "errors.csv")
    assert [row["image"] for row in errors] == ["in/c1/bad.png", "in/c1/blank.png", "none.png"]
    assert sum(advanced) == 6
    assert len(told) == 3
    assert summary.n_pictures == 3
    assert len(rows_of(plan.output / "images.csv")) == 3
    assert "3 failed" in summary.told()
    (tmp_path / "in" / "c1" / "bad.png").unlink()
    (tmp_path / "in" / "c1" / "blank.png").unlink()
    analyze(plan)
    assert not (plan.output / "errors.csv").exists()


def test_pseudonyms_hide_every_name(plan: AnalyzePlan, tmp_path: Path) -> None:
    secret = tmp_path / "in" / "Doe-Family"
    write_spread(secret / "Jane-Doe-1.png", seed=4)
    (secret / "Jane-Doe-2.png").write_bytes(b"no picture")
    analyze(with_(plan, pseudonymise=True, crops=True))
    for name, data in content(plan.output).items():
        assert b"Jane-Doe" not in data, name
        assert b"Doe-Family" not in data, name
        assert b"c1" not in name.encode()
    assert not any("Doe" in str(path) for path in plan.output.rglob("*"))
    assert rows_of(plan.output / "images.csv")[0]["image"] == "picture-001"
    assert rows_of(plan.output / "errors.csv")[0]["image"].startswith("picture-")


def test_crops_are_a_manifest(plan: AnalyzePlan) -> None:
    from supcam.data.manifest import read_manifest

    analyze(with_(plan, crops=True))
    manifest = read_manifest(plan.output / "crops")
    kept = [row for row in rows_of(plan.output / "objects.csv") if row["type"] != "rejected"]
    assert manifest.layout == "csv"
    assert len(manifest.samples) == len(kept)
    assert {sample.case for sample in manifest.samples} == {"c1", "c2"}


def test_outputs_within_the_inputs_are_no_inputs(plan: AnalyzePlan, tmp_path: Path) -> None:
    inside = with_(plan, output=tmp_path / "in" / "out", cases="")
    analyze(inside)
    assert analyze(inside).n_pictures == 3
    with pytest.raises(SupcamError, match="no picture outside"):
        analyze(with_(inside, named=("in/out",)))


def test_an_output_that_is_a_file_is_refused(plan: AnalyzePlan, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SupcamError, match="cannot be made"):
        analyze(with_(plan, output=tmp_path / "file"))


def test_a_disk_that_fills_up_stops_the_run(plan: AnalyzePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(task: Task, **_: object) -> Path:
        raise SupcamError("no room", expected="room", remedy="make room", where=task.output)

    monkeypatch.setattr(scale_module, "process", full)
    with pytest.raises(SupcamError, match="can go on where it stood"):
        analyze(plan)


def test_analysing_loads_no_heavy_package(plan: AnalyzePlan) -> None:
    code = f"""
import sys
from supcam.cli import main
sys.argv = ["supcam", "analyze", "in/c1/a.png", "--output", "out", "--model", {str(plan.model)!r}]
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
heavy = "torch torchvision timm lightning onnx scipy sklearn pandas matplotlib beartype".split()
heavy += ["ray", "pyarrow", "fsspec"]
assert not set(heavy) & set(sys.modules), set(heavy) & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 picture analysed by tiny 1.2.3" in done.stderr


def test_areas_are_told_where_a_picture_says_how_large_its_pixels_are(plan: AnalyzePlan) -> None:
    sides = {"PhysicalSizeX": 0.1, "PhysicalSizeY": 0.2}
    path = Path("in/c2/z.ome.tif")
    tifffile.imwrite(path, drawn(0).grey, photometric="minisblack", metadata={"axes": "YX", **sides})
    analyze(plan)
    areas = rows_of(plan.output / "areas.csv")
    objects = [row for row in rows_of(plan.output / "objects.csv") if row["image"] == "in/c2/z.ome.tif"]
    assert [(row["object_id"], row["area_px"]) for row in areas] == [
        (row["object_id"], row["area_px"]) for row in objects
    ]
    for row in areas:
        assert float(row["area_um2"]) == pytest.approx(0.02 * int(row["area_px"]))
    assert {row["pixel_size_said_by"] for row in areas} == {"OME-XML"}
    record = json.loads((plan.output / "records" / "z.ome.json").read_text())
    assert record["pixel_size"] == {"width_um": 0.1, "height_um": 0.2, "said_by": "OME-XML"}
    assert "0.1 x 0.2 µm" in (plan.output / "report" / "z.ome.html").read_text()
    path.unlink()
    analyze(plan)
    assert not (plan.output / "areas.csv").exists()
