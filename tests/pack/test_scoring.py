from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.tiny_bundle import write_tiny

from supcam.core.config import ImageConfig
from supcam.core.image import GreyImage, read_grey
from supcam.core.types import Box, ClusterType, Decision, Sample
from supcam.pack import scoring
from supcam.pack.bundle import Model, load_model
from supcam.pack.card import Calibration


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    write_tiny(folder)
    return load_model(folder, threads=1)


def draw_bar(path: Path, *, angle: float, size: int = 60) -> Path:
    """A dark body on a bright ground, written as a picture file."""
    picture = np.full((size, size), 240, np.uint8)
    tip = np.array([np.cos(angle), np.sin(angle)]) * size * 0.33
    centre = np.array([size / 2, size / 2])
    ends = [tuple(int(v) for v in np.rint(centre + sign * tip)) for sign in (-1, 1)]
    cv2.line(picture, ends[0], ends[1], 70, 9)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.GaussianBlur(picture, (5, 5), 1))
    return path


def sample_at(
    path: Path, *, kind: ClusterType | None = ClusterType.INSTANCE, box: Box | None = None
) -> Sample:
    return Sample(path=path, case="c", source="drawn", type=kind, box=box)


def test_scores_are_the_predictions_of_the_model_in_order(model: Model, tmp_path: Path) -> None:
    paths = [draw_bar(tmp_path / f"{n}.png", angle=n / 3) for n in range(9)]
    scores = scoring.score([sample_at(path) for path in paths], model=model)
    for item, prediction in zip(scores.scored, model.predict(paths), strict=True):
        assert item.prediction.label == prediction.label
        assert item.prediction.probabilities == pytest.approx(prediction.probabilities, abs=1e-4)
    assert [item.sample.path for item in scores.scored] == paths
    assert not scores.unread


def test_crops_are_scored_as_they_are_classified_and_never_rejected(model: Model, tmp_path: Path) -> None:
    strict = replace(model, calibration=Calibration(accept_threshold=0.0, chromosome_threshold=1.0))
    paths = [draw_bar(tmp_path / f"{k}.png", angle=30.0 * k) for k in range(3)]
    scored = scoring.score([sample_at(path) for path in paths], model=strict).scored
    assert [item.prediction for item in scored] == strict.predict(paths)
    assert not scoring.to_table(scored, fold="a").rejected.any()


def test_table_holds_what_was_predicted(model: Model, tmp_path: Path) -> None:
    paths = [draw_bar(tmp_path / f"{n}.png", angle=n / 3) for n in range(70)]
    table = scoring.to_table(scoring.score([sample_at(p) for p in paths], model=model).scored, fold="select")
    predictions = model.predict(paths)
    np.testing.assert_allclose(table.probabilities, [p.probabilities for p in predictions], atol=1e-4)
    np.testing.assert_array_equal(table.predicted_counts, [p.n_chromosomes for p in predictions])
    np.testing.assert_array_equal(table.accepted, [p.decision is Decision.ACCEPT for p in predictions])
    assert set(table.folds) == {"select"}
    logits = model.logits(np.stack([model.prepare(path) for path in paths])[:, None])
    assert table.type_logits is not None
    assert table.count_logits is not None
    np.testing.assert_allclose(table.type_logits, logits.type_logits, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(table.count_logits, logits.count_logits, rtol=1e-4, atol=1e-4)


def test_what_cannot_be_read_is_listed_and_the_rest_goes_on(model: Model, tmp_path: Path) -> None:
    good = [draw_bar(tmp_path / f"{n}.png", angle=n) for n in range(3)]
    (tmp_path / "text.png").write_text("no picture", encoding="utf-8")
    blank = tmp_path / "blank.png"
    cv2.imwrite(str(blank), np.full((40, 40), 255, np.uint8))
    order = [good[0], tmp_path / "text.png", good[1], tmp_path / "gone.png", blank, good[2]]
    steps: list[tuple[int, int]] = []
    scores = scoring.score(
        [sample_at(path) for path in order], model=model, on_progress=lambda done, n: steps.append((done, n))
    )
    assert [item.sample.path for item in scores.scored] == good
    assert [item.path for item in scores.unread] == ["text.png", "gone.png", "blank.png"]
    assert all(item.reason for item in scores.unread)
    assert steps[-1] == (6, 6)


def test_boxes_of_one_picture_are_read_from_one_reading(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars = [np.asarray(cv2.imread(str(draw_bar(tmp_path / f"{n}.png", angle=n)), 0)) for n in range(3)]
    cv2.imwrite(str(tmp_path / "metaphase.png"), np.hstack(bars))
    opened: list[Path] = []

    def read(path: Path, *, config: ImageConfig) -> GreyImage:
        opened.append(path)
        return read_grey(path, config=config)

    monkeypatch.setattr(scoring, "read_grey", read)
    samples = [sample_at(tmp_path / "metaphase.png", box=Box(0, 60 * n, 60, 60 * n + 60)) for n in range(3)]
    scores = scoring.score(samples, model=model)
    assert len(scores.scored) == 3
    assert opened == [tmp_path / "metaphase.png"]
    assert scoring.name_places(samples)[1] == "metaphase.png#0,60,60,120"
    assert len({item.prediction.probabilities for item in scores.scored}) == 3


def test_an_instance_has_one_chromosome_and_an_unknown_type_stays_unknown(
    model: Model, tmp_path: Path
) -> None:
    path = draw_bar(tmp_path / "a.png", angle=1)
    samples = [sample_at(path), sample_at(path, kind=ClusterType.TOUCHING), sample_at(path, kind=None)]
    table = scoring.to_table(scoring.score(samples, model=model).scored, fold="")
    assert list(table.true_types) == [0, 1, -1]
    assert list(table.true_counts) == [1, -1, -1]


def test_names_start_below_the_common_folder(tmp_path: Path) -> None:
    samples = [sample_at(tmp_path / "a" / "1.png"), sample_at(tmp_path / "b" / "c" / "1.png")]
    assert scoring.name_places(samples) == ["a/1.png", "b/c/1.png"]
    assert scoring.name_places(samples[:1]) == ["1.png"]
    assert scoring.name_places([]) == []


def test_nothing_to_score_is_an_empty_table(model: Model) -> None:
    assert len(scoring.to_table(scoring.score([], model=model).scored, fold="")) == 0
