"""scikit-learn's classifiers on features of a crop -> type and number, read jointly as a network's answer."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Float64, Int64, Shaped

from supcam.core.reading import JointReading, read_jointly
from supcam.core.types import ClusterType, ManifestError, MissingExtraError
from supcam.data.crop_set import UNKNOWN

try:
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC
except ImportError as error:
    raise MissingExtraError("scikit-learn", extra="measure", error=error) from error

ClassifierKind = Literal["majority", "logistic", "nearest", "support_vectors", "forest", "boosting"]
MAX_COUNT = 12
"""Larger clusters count as this many, as with the networks."""
_LEAST_CHANCE = 1e-4

Features = Float[np.ndarray, "batch features"]
Labels = Int64[np.ndarray, " batch"]
Chances = Float64[np.ndarray, "batch classes"]


@dataclass(frozen=True, slots=True)
class ClassifierPlan:
    """Which classifier, and how it is fitted; all settings beyond scikit-learn's own are our choice.

    ``majority`` looks at nothing and names the most frequent type. ``balanced`` lets every type weigh the
    same, however rare, and leaves numbers as frequent as they are; nearest neighbours and the majority know
    no weights. ``penalty`` is the inverse of
    ``C`` in logistic regression and support vectors.
    """

    kind: ClassifierKind = "forest"
    balanced: bool = True
    penalty: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class FeatureClassifier:
    """A fitted pair of classifiers: one for the type, one for the number of chromosomes of a cluster.

    The second is ``None`` where the training crops' clusters were all of one size, ``only_size``.
    """

    types: Any
    sizes: Any
    only_size: int = 2

    def read(self, features: Features) -> JointReading:
        """Type probabilities and numbers; a single chromosome counts one, whatever the second one says."""
        type_chances = _chances(self.types, features=features, labels=range(len(ClusterType)))
        size_chances = np.zeros((len(features), MAX_COUNT))
        if self.sizes is None:
            size_chances[:, self.only_size - 1] = 1
        else:
            size_chances = _chances(self.sizes, features=features, labels=range(1, MAX_COUNT + 1))
        size_chances[:, 0] = 1  # of a single chromosome: the number is certain given that type
        return read_jointly(_logs(type_chances), _logs(size_chances))


def fit_classifier(
    features: Features, *, types: Labels, counts: Labels, plan: ClassifierPlan | None = None
) -> FeatureClassifier:
    """Classifiers fitted on rows of known type, and on clusters of known number, typed or not.

    ``types`` are 0..3 and ``counts`` from 1 on, -1 where unknown. The same rows and seed give the same
    answers. Raises ``ManifestError`` when there are not two types to tell apart.
    """
    plan = plan or ClassifierPlan()
    typed = types != UNKNOWN
    if len(np.unique(types[typed])) < 2:
        raise ManifestError(
            f"{len(np.unique(types[typed]))} type(s) among {len(types)} crops",
            expected="two or more types to tell apart",
            remedy="add typed clusters, or compose some",
        )
    is_cluster = counts >= 2
    sizes = np.minimum(counts[is_cluster], MAX_COUNT)
    several, as_found = len(np.unique(sizes)) > 1, replace(plan, balanced=False)
    return FeatureClassifier(
        types=_fitted(features[typed], labels=types[typed], plan=plan),
        sizes=_fitted(features[is_cluster], labels=sizes, plan=as_found) if several else None,
        only_size=int(sizes[0]) if len(sizes) else 2,
    )


def _fitted(features: Features, *, labels: Shaped[np.ndarray, " batch"], plan: ClassifierPlan) -> Any:  # noqa: ANN401
    classifier = _CLASSIFIERS[plan.kind](plan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the last iterate is as good for a comparison
        return classifier.fit(features, labels)


def _chances(classifier: Any, *, features: Features, labels: range) -> Chances:  # noqa: ANN401
    """The probability of each of ``labels``; 0 for what the classifier never saw."""
    known = classifier.predict_proba(features) if hasattr(classifier, "predict_proba") else None
    if known is None:
        known = _softmax(np.asarray(classifier.decision_function(features), np.float64))
    chances = np.zeros((len(features), len(labels)))
    chances[:, [labels.index(int(label)) for label in classifier.classes_]] = known
    return chances


def _softmax(scores: Float64[np.ndarray, "batch classes"] | Float64[np.ndarray, " batch"]) -> Chances:
    """Support vectors state distances; the softmax keeps their order and makes no claim beyond it."""
    columns = scores if scores.ndim == 2 else np.stack([-scores / 2, scores / 2], axis=1)
    raised = np.exp(columns - columns.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _logs(chances: Chances) -> Chances:
    return np.asarray(np.log(np.maximum(chances, _LEAST_CHANCE)))


def _weight(plan: ClassifierPlan) -> str | None:
    return "balanced" if plan.balanced else None


def _logistic(plan: ClassifierPlan) -> Any:  # noqa: ANN401
    model = LogisticRegression(C=1 / plan.penalty, class_weight=_weight(plan), max_iter=1000)
    return make_pipeline(StandardScaler(), model)


def _support_vectors(plan: ClassifierPlan) -> Any:  # noqa: ANN401
    model = SVC(C=1 / plan.penalty, class_weight=_weight(plan), break_ties=True)
    return make_pipeline(StandardScaler(), model)


def _forest(plan: ClassifierPlan) -> Any:  # noqa: ANN401
    return RandomForestClassifier(
        n_estimators=300, min_samples_leaf=2, class_weight=_weight(plan), random_state=plan.seed
    )


def _boosting(plan: ClassifierPlan) -> Any:  # noqa: ANN401
    return HistGradientBoostingClassifier(
        max_depth=3, max_iter=150, early_stopping=False, class_weight=_weight(plan), random_state=plan.seed
    )


_CLASSIFIERS: dict[ClassifierKind, Callable[[ClassifierPlan], Any]] = {
    "majority": lambda plan: DummyClassifier(strategy="prior", random_state=plan.seed),
    "logistic": _logistic,
    "nearest": lambda _: make_pipeline(StandardScaler(), KNeighborsClassifier(weights="distance")),
    "support_vectors": _support_vectors,
    "forest": _forest,
    "boosting": _boosting,
}
