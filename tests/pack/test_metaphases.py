from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.tiny_bundle import tiny_model, tiny_parts, write_tiny
from typer.testing import CliRunner

from supcam import cli
from supcam.core.types import Box, ManifestError
from supcam.data.manifest import AnnotatedPicture, ManifestOptions, read_manifest
from supcam.data.split import CaseRole, Roles
from supcam.data.synthesis import DrawnMetaphase, SynthesisConfig, draw_metaphase
from supcam.measure import figures
from supcam.measure.metrics import compute_figures
from supcam.measure.table_csv import read_table
from supcam.pack.bundle import Model, load_model
from supcam.pack.card import Calibration, HeadsTrained
from supcam.pack.evaluate import EvaluationPlan, choose, evaluate
from supcam.pack.folder import write_folder
from supcam.pack.metaphases import score_metaphases

PLAN = EvaluationPlan(role="report", n_resamples=3)
OPTIONS = ManifestOptions(source="slides", case_rule="^([a-z]+)")
DRAWING = SynthesisConfig(
    picture_px=(420, 420), n_chromosomes=14, n_nuclei=(0, 0), n_debris=(4, 4), noise_grey=(0.8, 1.0)
)


@dataclass(frozen=True)
class Slides:
    """Drawn metaphases on disk as ``annotations`` and ``images``, and what was drawn."""

    folder: Path
    drawn: dict[str, DrawnMetaphase]


def write_voc(path: Path, *, boxes: Sequence[Box], name: str) -> None:
    objects = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{box.left}</xmin><ymin>{box.top}</ymin>"
        f"<xmax>{box.right}</xmax><ymax>{box.bottom}</ymax></bndbox></object>"
        for box in boxes
    )
    path.write_text(f"<annotation><filename>{path.stem}.png</filename>{objects}</annotation>")


def bodies(drawn: DrawnMetaphase) -> list[Box]:
    """A box around each chromosome."""
    boxes = []
    for one in drawn.objects:
        for mask in one.masks[: one.n_chromosomes]:
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            top, left = one.box.top, one.box.left
            place = (top + rows[0], left + columns[0], top + rows[-1] + 1, left + columns[-1] + 1)
            boxes.append(Box(*map(int, place)))
    return boxes


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Slides:
    folder = tmp_path_factory.mktemp("slides")
    drawn = {}
    for part in ("annotations", "images"):
        (folder / part).mkdir()
    for seed, stem in enumerate(("a1", "b1")):
        drawn[stem] = draw_metaphase(np.random.default_rng(seed), config=DRAWING)
        cv2.imwrite(str(folder / "images" / f"{stem}.png"), drawn[stem].grey)
        write_voc(folder / "annotations" / f"{stem}.xml", boxes=bodies(drawn[stem]), name="B4")
    return Slides(folder, drawn)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    write_tiny(folder := tmp_path_factory.mktemp("bundle") / "tiny")
    return load_model(folder, threads=1)


@pytest.fixture(autouse=True)
def _without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "save_figures", lambda *_, **__: ())


def counts_of(drawn: DrawnMetaphase) -> list[int]:
    return sorted(one.n_chromosomes for one in drawn.objects if one.n_chromosomes)


def test_objects_of_a_drawn_metaphase_are_scored_by_their_boxes(slides: Slides, model: Model) -> None:
    manifest = read_manifest(slides.folder / "annotations", options=OPTIONS)
    scores = score_metaphases(manifest.pictures, model=model)
    assert not scores.unread
    for stem, drawn in slides.drawn.items():
        own = [item.sample for item in scores.objects if item.sample.path.stem == stem]
        assert {(sample.case, sample.source) for sample in own} == {(stem[0], "slides")}
        found, true = sorted(sample.n_chromosomes or 0 for sample in own), counts_of(drawn)
        assert max(true) > 1
        assert len(set(found) & set(true)) > 1
        assert sum(found) >= 0.8 * sum(true)
        assert all((sample.n_chromosomes == 1) is (sample.type is not None) for sample in own)
    n_debris = sum(one.n_chromosomes == 0 for drawn in slides.drawn.values() for one in drawn.objects)
    assert 0 < len(scores.debris) <= n_debris + 2
    assert all(item.sample.n_chromosomes is None for item in scores.debris)


def test_an_evaluation_of_metaphases_scores_counts_and_instances(
    slides: Slides, model: Model, tmp_path: Path
) -> None:
    manifest = read_manifest(slides.folder / "annotations", options=OPTIONS)
    done = evaluate(model, manifest=manifest, output=tmp_path / "out", plan=PLAN)
    table = read_table(tmp_path / "out" / "predictions.csv")
    assert set(table.cases) == {"a", "b"}
    assert all(path.startswith(("a1.png#", "b1.png#")) for path in table.paths)
    np.testing.assert_array_equal(table.true_types, np.where(table.true_counts == 1, 0, -1))
    assert done.report.n_counted == len(table) > done.report.n_typed > 0
    scores = compute_figures(table)
    assert done.report.overall.figures.count_exact_clusters == pytest.approx(scores.count_exact_clusters)
    assert np.isfinite([scores.count_exact_clusters, scores.instance_vs_cluster]).all()
    with (tmp_path / "out" / "debris.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {(row["case"], row["source"], row["fold"]) for row in rows} <= {
        (c, "slides", "report") for c in "ab"
    }
    assert all(0 <= float(row["chromosome_probability"]) <= 1 for row in rows)
    notes = " ".join(done.report.notes)
    assert f"{len(rows)} objects hold no chromosome" in notes
    assert "AUROC" in notes
    assert "have no label" not in notes


def test_debris_that_is_rejected_is_told(slides: Slides, tmp_path: Path) -> None:
    """Every object is below a threshold of 1, debris and chromosomes alike; without the head, none is."""
    manifest = read_manifest(slides.folder / "annotations", options=OPTIONS)
    manifest = replace(manifest, pictures=manifest.pictures[:1])
    parts = tiny_parts(tiny_model(), calibration=Calibration(chromosome_threshold=1.0))
    untrained = parts.text.model_copy(update={"heads_trained": HeadsTrained()})
    pages = {}
    for name, text in (("trained", parts.text), ("untrained", untrained)):
        write_folder(tmp_path / name, parts=replace(parts, text=text))
        done = evaluate(
            load_model(tmp_path / name, threads=1), manifest=manifest, output=tmp_path / "out", plan=PLAN
        )
        pages[name] = " ".join(done.report.notes)
    assert "(100.0%) of them" in pages["trained"]
    assert "keeps them all" in pages["untrained"]


def test_cases_play_their_roles_and_the_fingerprint_is_of_the_boxes(slides: Slides) -> None:
    manifest = read_manifest(slides.folder / "annotations", options=OPTIONS)
    roles = Roles((CaseRole("slides", "a", "train"), CaseRole("slides", "b", "report")))
    chosen = choose(manifest, plan=replace(PLAN, roles=roles))
    assert [picture.path.stem for picture in chosen.pictures] == ["b1"]
    assert {sample.case for sample in chosen.samples} == {"b"}
    moved = replace(chosen, samples=chosen.samples[1:])
    assert moved.fingerprint != chosen.fingerprint
    with pytest.raises(ManifestError, match="role 'select'"):
        choose(manifest, plan=replace(PLAN, role="select", roles=roles))


def test_boxes_that_name_types_stay_pictures_of_their_own(slides: Slides, tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    place = tmp_path / "annotations" / "a1.xml"
    write_voc(place, boxes=bodies(slides.drawn["a1"])[:3], name="instance")
    options = replace(OPTIONS, pictures_folder=slides.folder / "images")
    manifest = read_manifest(tmp_path / "annotations", options=options)
    chosen = choose(manifest, plan=PLAN)
    assert not chosen.pictures
    assert len(chosen.samples) == 3


def test_a_picture_that_cannot_be_read_is_listed(slides: Slides, model: Model, tmp_path: Path) -> None:
    (tmp_path / "c1.png").write_text("no picture")
    lost = AnnotatedPicture(tmp_path / "c1.png", case="c", source="slides", boxes=(Box(1, 1, 9, 9),))
    steps: list[tuple[int, int]] = []
    scores = score_metaphases([lost], model=model, on_progress=lambda done, n: steps.append((done, n)))
    assert [item.path for item in scores.unread] == ["c1.png"]
    assert not scores.objects
    assert steps == [(1, 1)]


def test_metaphases_are_scored_from_the_terminal(slides: Slides, tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny")
    (tmp_path / "roles.csv").write_text("source,case,role\nslides,a,train\nslides,b,report\n")
    words = ["evaluate", tmp_path / "tiny", slides.folder / "annotations", "--layout", "voc"]
    words += ["--source", "slides", "--case-rule", "^([a-z]+)", "--pictures", slides.folder / "images"]
    words += ["--roles", tmp_path / "roles.csv", "--role", "report", "--output", tmp_path / "out"]
    result = CliRunner().invoke(cli.app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    assert set(read_table(tmp_path / "out" / "predictions.csv").cases) == {"b"}
