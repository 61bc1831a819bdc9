from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.tiny_bundle import tiny_model, tiny_parts, write_tiny

from supcam.core.types import ManifestError, SupcamError
from supcam.data.manifest import Manifest, read_manifest
from supcam.data.split import CaseRole, Roles
from supcam.measure.table_csv import read_table
from supcam.pack.bundle import Model, load_model
from supcam.pack.card import Calibration, DataCard
from supcam.pack.evaluate import EvaluationPlan, evaluate
from supcam.pack.folder import write_folder

PLAN = EvaluationPlan(role="select", n_resamples=10)
TYPES = ("instance", "touching", "overlapping", "touching_overlapping")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    write_tiny(folder)
    return folder


@pytest.fixture(scope="module")
def model(bundle: Path) -> Model:
    return load_model(bundle, threads=1)


@pytest.fixture
def labels(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A folder of twelve drawn pictures of three cases with a CSV, one of them no picture."""
    folder = tmp_path / "drawn"
    folder.mkdir()
    lines = ["path,case,type,n_chromosomes"]
    for number in range(12):
        picture = np.full((50, 60), 235, np.uint8)
        for _ in range(1 + number % 4):
            start, end = rng.integers(10, 40, 2), rng.integers(10, 40, 2)
            cv2.line(picture, tuple(map(int, start)), tuple(map(int, end)), 60, 7)
        cv2.imwrite(str(folder / f"{number}.png"), cv2.GaussianBlur(picture, (5, 5), 1))
        lines.append(f"{number}.png,case{number % 3},{TYPES[number % 4]},{1 + number % 4}")
    (folder / "11.png").write_text("no picture", encoding="utf-8")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "labels.csv"


def test_an_evaluation_leaves_a_report_that_names_its_role(
    bundle: Path, labels: Path, tmp_path: Path
) -> None:
    done = evaluate(bundle, manifest=labels, output=tmp_path / "out", plan=PLAN)
    values = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert values["provenance"]["role"] == "select"
    assert values["provenance"]["model"] == "tiny"
    assert values["provenance"]["data"] == "drawn"
    assert len(values["provenance"]["data_sha256"]) == len(values["provenance"]["model_sha256"]) == 64
    assert values["n_pictures"] == len(done.table) == 11
    assert values["overall"]["n_cases"] == 3
    assert [item["path"] for item in values["unread"]] == ["11.png"]
    assert all(path.is_file() for path in done.files)
    assert {path.name for path in done.files} >= {"report.md", "confusion.png", "types_01.png"}


def test_what_is_shipped_is_what_is_scored(model: Model, labels: Path, tmp_path: Path) -> None:
    done = evaluate(model, manifest=labels, output=tmp_path / "out", plan=PLAN)
    table = read_table(tmp_path / "out" / "predictions.csv")
    predictions = model.predict([labels.parent / path for path in table.paths])
    np.testing.assert_allclose(table.probabilities, [p.probabilities for p in predictions], atol=1e-4)
    truth = {f"{n}.png": n % 4 for n in range(12)}
    assert [truth[path] for path in table.paths] == list(table.true_types)
    right = [
        p.label is not None and int(p.label) == t for p, t in zip(predictions, table.true_types, strict=True)
    ]
    assert done.report.overall.figures.accuracy == pytest.approx(np.mean(right))
    assert done.report.accuracy_unread_wrong == pytest.approx(sum(right) / 12)


def test_the_same_evaluation_twice_is_the_same(model: Model, labels: Path, tmp_path: Path) -> None:
    """Up to the last digits, which the runtime does not promise."""
    first, second = (
        evaluate(model, manifest=labels, output=tmp_path / "out", plan=PLAN).report for _ in range(2)
    )
    assert first.confusion == second.confusion
    assert first.provenance == second.provenance
    figures = [asdict(report.overall.figures) for report in (first, second)]
    assert figures[0] == pytest.approx(figures[1], abs=1e-4, nan_ok=True)


def test_only_pictures_of_the_role_are_scored(model: Model, labels: Path, tmp_path: Path) -> None:
    roles = Roles(tuple(CaseRole("drawn", f"case{n}", "select" if n == 1 else "report") for n in range(3)))
    done = evaluate(model, manifest=labels, output=tmp_path / "out", plan=replace(PLAN, roles=roles))
    assert set(done.table.cases) == {"case1"}
    assert len(done.table) == 4
    missing = Roles(roles.rows[:2])
    with pytest.raises(ManifestError, match="case2"):
        evaluate(model, manifest=labels, output=tmp_path / "b", plan=replace(PLAN, roles=missing))
    with pytest.raises(ManifestError, match="fold1"):
        evaluate(model, manifest=labels, output=tmp_path / "c", plan=replace(PLAN, role="fold1", roles=roles))


def test_pictures_without_labels_are_counted_and_left_out(model: Model, labels: Path, tmp_path: Path) -> None:
    text = labels.read_text(encoding="utf-8").replace("0.png,case0,instance,1", "0.png,case0,,")
    labels.write_text(text, encoding="utf-8")
    done = evaluate(model, manifest=labels, output=tmp_path / "out", plan=PLAN)
    assert "0.png" not in done.table.paths
    assert any("1 pictures of the manifest have no label" in note for note in done.report.notes)


def test_nothing_labelled_is_refused(model: Model, labels: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    shutil.copy(labels.parent / "0.png", folder)
    with pytest.raises(ManifestError, match="supcam classify"):
        evaluate(model, manifest=folder, output=tmp_path / "out", plan=PLAN)
    assert not (tmp_path / "out").exists()


def test_copies_are_told(model: Model, labels: Path, tmp_path: Path) -> None:
    shutil.copy(labels.parent / "0.png", labels.parent / "copy.png")
    with labels.open("a", encoding="utf-8") as stream:
        stream.write("copy.png,case0,instance,1\n")
    done = evaluate(model, manifest=labels, output=tmp_path / "out", plan=PLAN)
    assert any("1 of the pictures are exact copies" in note for note in done.report.notes)


def test_a_role_that_the_model_knows_already_is_told(labels: Path, tmp_path: Path) -> None:
    parts = tiny_parts(tiny_model(), calibration=Calibration(fitted_on=("select",)))
    data = DataCard(roles={"train": ("train", "select")})
    write_folder(tmp_path / "b", parts=replace(parts, text=parts.text.model_copy(update={"data": data})))
    done = evaluate(tmp_path / "b", manifest=labels, output=tmp_path / "out", plan=PLAN)
    page = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "trained on role select" in page
    assert "fitted on role select" in page
    assert len(done.report.notes) == 2


def test_a_folder_of_something_else_is_refused_before_anything_is_read(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(SupcamError, match="no report"):
        evaluate(bundle, manifest=tmp_path / "nowhere.csv", output=tmp_path, plan=PLAN)


def test_real_crops_of_both_sources_are_scored(model: Model, real_data: Path, tmp_path: Path) -> None:
    whole = read_manifest(real_data / "cci") + read_manifest(real_data / "tseng24", layout="csv")
    typed = [sample for sample in whole.samples if sample.type is not None]
    manifest = Manifest(samples=tuple(typed[::12]))
    done = evaluate(model, manifest=manifest, output=tmp_path / "out", plan=PLAN)
    assert not done.report.unread
    assert len(done.table) == len(manifest.samples) > 35
    assert set(done.report.by_source) == {"cci", "tseng24"}
