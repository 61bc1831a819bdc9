"""``supcam monitor`` and ``supcam reference``: the same words from pictures and from an analysed folder."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from tests.drawn_spreads import drawn, tiny_spread_model

from supcam.core.types import BundleError, SupcamError
from supcam.pack.folder import read_folder
from supcam.spread.outputs import RECORDS, make_record, write_json
from supcam.workflows.monitor import JSON, PAGE, TEXT, MonitorPlan, ReferencePlan, make_reference, monitor


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three known pictures, the same at twice the scale, and a bundle with their reference."""
    folder = tmp_path_factory.mktemp("monitor")
    for seed in range(3):
        grey = drawn(seed).grey
        for name, factor in (("known", 1), ("large", 2)):
            place = folder / name
            place.mkdir(exist_ok=True)
            cv2.imwrite(str(place / f"{seed}.png"), cv2.resize(grey, None, fx=factor, fy=factor))
    tiny_spread_model(folder / "bare")
    plan = ReferencePlan(bundle=folder / "bare", output=folder / "bundle", named=(str(folder / "known"),))
    make_reference(replace(plan, table=folder / "reference.json", role="train"))
    return folder


def test_what_differs_is_told_as_text_json_and_page(folder: Path, tmp_path: Path) -> None:
    plan = MonitorPlan((str(folder / "large"),), output=tmp_path / "drift", model=folder / "bundle")
    told = {one.measure for one in monitor(plan).drift.told_ones}
    assert "width_px" in told
    assert "width of a chromosome" in (plan.output / TEXT).read_text()
    values = json.loads((plan.output / JSON).read_text())
    assert set(values["differs"]) == told
    assert values["known"]["role"] == "train"
    assert "<svg" in (plan.output / PAGE).read_text()


def test_the_known_pictures_differ_in_nothing(folder: Path, tmp_path: Path) -> None:
    plan = MonitorPlan(
        (str(folder / "known"),),
        output=tmp_path / "drift",
        model=folder / "bare",
        reference=folder / "reference.json",
    )
    assert not monitor(plan).drift.told_ones


def test_an_analysed_folder_is_compared_as_far_as_it_goes(folder: Path, tmp_path: Path) -> None:
    from supcam.pack.bundle import load_model
    from supcam.spread.analyze import analyze

    model = load_model(folder / "bundle", threads=1)
    for path in sorted((folder / "large").iterdir()):
        record = make_record(analyze(path, model=model), case=path.stem, stem=path.stem)
        write_json(tmp_path / "analysed" / RECORDS / f"{path.stem}.json", record)
    plan = MonitorPlan((str(tmp_path / "analysed"),), output=tmp_path / "drift", model=folder / "bundle")
    drift = monitor(plan).drift
    assert "width_px" in {one.measure for one in drift.told_ones}
    assert "level of the background, as a share of white" in drift.missing


def test_a_reference_changes_nothing_else(folder: Path) -> None:
    bare, known = read_folder(folder / "bare"), read_folder(folder / "bundle")
    assert bare.model == known.model
    assert bare.calibration == known.calibration
    assert known.reference is not None
    assert {one.case for one in known.reference.pictures} == {0, 1, 2}


def test_what_cannot_be_compared_is_refused(folder: Path, tmp_path: Path) -> None:
    one = str(folder / "known" / "0.png")
    with pytest.raises(BundleError, match="supcam reference"):
        monitor(MonitorPlan((one,), output=tmp_path / "a", model=folder / "bare"))
    with pytest.raises(SupcamError, match="3 or more"):
        monitor(MonitorPlan((one,), output=tmp_path / "b", model=folder / "bundle"))
    assert not (tmp_path / "b").exists()
