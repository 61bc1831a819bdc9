"""The model among scikit-learn's estimators: cloned, searched, pickled, in pipelines."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.drawn_crops import draw_crop, write_crop
from tests.tiny_bundle import DIM, write_tiny

from supcam.core.types import BundleError, ClusterType, ConfigError, ImageError
from supcam.pack.bundle import load_model
from supcam.pack.estimator import CropClassifier

CROPS = [draw_crop(seed=seed, side_px=80 + 4 * seed) for seed in range(12)]
LABELS = [kind.label for kind in ClusterType]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models") / "tiny"
    write_tiny(place)
    return place


@pytest.fixture(scope="module")
def classifier(folder: Path) -> CropClassifier:
    return CropClassifier(folder)


def test_it_says_what_the_model_says(classifier: CropClassifier, folder: Path) -> None:
    model = load_model(folder, threads=1)
    expected = model.predict(CROPS)
    assert classifier.predict(CROPS).tolist() == [each.type for each in expected]
    np.testing.assert_array_equal(classifier.predict_proba(CROPS), [each.probabilities for each in expected])
    assert classifier.predict_number(CROPS).tolist() == [each.n_chromosomes for each in expected]
    embedding = model.logits(np.stack([model.prepare(crop) for crop in CROPS])[:, None]).embedding
    np.testing.assert_array_equal(classifier.transform(CROPS), embedding)
    assert len(set(classifier.predict(CROPS))) > 1


def test_columns_are_in_the_order_of_the_classes(classifier: CropClassifier) -> None:
    assert classifier.classes_.tolist() == LABELS
    best = classifier.classes_[classifier.predict_proba(CROPS).argmax(axis=1)]
    assert best.tolist() == classifier.predict(CROPS).tolist()
    assert classifier.get_feature_names_out().tolist() == [f"embedding{n}" for n in range(DIM)]


def test_paths_and_stacks_and_nothing_are_crops_too(classifier: CropClassifier, tmp_path: Path) -> None:
    path = write_crop(tmp_path / "a.png", seed=0)
    alone = classifier.predict_proba([path])
    np.testing.assert_array_equal(classifier.predict_proba([str(path)]), alone)
    np.testing.assert_array_equal(classifier.predict_proba(np.array([str(path)])), alone)
    stack = np.stack([draw_crop(seed=seed) for seed in range(3)])
    np.testing.assert_array_equal(classifier.predict_proba(stack), classifier.predict_proba(list(stack)))
    assert classifier.predict_proba([]).shape == (0, 4)
    assert classifier.transform([]).shape == (0, DIM)
    with pytest.raises(ImageError, match="one picture"):
        classifier.predict(CROPS[0])


def test_fit_learns_nothing_and_checks_the_labels(classifier: CropClassifier) -> None:
    before = classifier.predict_proba(CROPS)
    assert classifier.fit(CROPS, [LABELS[n % 4] for n in range(12)]) is classifier
    np.testing.assert_array_equal(classifier.predict_proba(CROPS), before)
    with pytest.raises(ConfigError, match="labels cluster"):
        classifier.fit(CROPS, ["cluster"] * 12)
    with pytest.raises(BundleError, match="no such folder"):
        CropClassifier("nowhere").fit(CROPS)


def test_parameters_are_set_cloned_and_take_effect(folder: Path, tmp_path: Path) -> None:
    write_tiny(tmp_path / "other", type_bias=1000.0)
    classifier = CropClassifier(folder, threads=1)
    assert classifier.get_params() == {"model": folder, "prior": None, "max_error": None, "threads": 1}
    first = classifier.predict(CROPS)
    other = clone(classifier).set_params(model=tmp_path / "other")
    assert classifier.model == folder
    assert set(other.predict(CROPS)) == {"instance"} != set(first)
    classifier.set_params(model=tmp_path / "other")
    assert classifier.predict(CROPS).tolist() == other.predict(CROPS).tolist()


def test_it_travels_to_other_processes_without_its_network(classifier: CropClassifier) -> None:
    said = classifier.predict_proba(CROPS)
    content = pickle.dumps(classifier)
    assert len(content) < 2000
    np.testing.assert_array_equal(pickle.loads(content).predict_proba(CROPS), said)


def test_another_estimator_learns_from_its_embeddings(folder: Path) -> None:
    """Labels of the user's own, from the embeddings: what no model here was taught."""
    first = CropClassifier(folder).transform(CROPS)[:, 0]
    labels = np.where(first > np.median(first), "bright", "faint")
    pipeline = make_pipeline(CropClassifier(folder), StandardScaler(), LogisticRegression(C=1e4))
    assert pipeline.fit(CROPS, labels).score(CROPS, labels) == 1.0
    assert pipeline.predict_proba(CROPS[:2]).shape == (2, 2)


def test_scikit_learns_own_tools_work_on_it(folder: Path, tmp_path: Path) -> None:
    write_tiny(tmp_path / "other", type_bias=1000.0)
    labels = CropClassifier(folder).predict(CROPS)
    assert cross_val_score(
        CropClassifier(folder), CROPS, labels, cv=[([0, 1], [*range(2, 12)])]
    ).tolist() == [1]
    search = GridSearchCV(
        CropClassifier(),
        {"model": [tmp_path / "other", folder]},
        cv=[([0], [*range(12)])],
        error_score="raise",
    )
    assert search.fit(CROPS, labels).best_params_ == {"model": folder}
