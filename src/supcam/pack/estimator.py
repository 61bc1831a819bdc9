"""A model as a scikit-learn classifier and transformer of crops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import Float32, Float64, Int
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils import Tags

from supcam.core.types import ClusterType, ConfigError, ImageError, Prediction
from supcam.pack.bundle import ImageLike, Model, load_model
from supcam.pack.terms import PriorLike

_LABELS = tuple(kind.label for kind in ClusterType)


class CropClassifier(ClassifierMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A model folder as a scikit-learn estimator: ``X`` are crops, paths or grey arrays, of any sizes.

    It comes trained: ``fit`` learns nothing, and need not be called. As the last step of a pipeline it names
    types; before another estimator it gives that one the network's embeddings. ``model`` is a model folder,
    the one that the package carries by default; ``prior`` and ``max_error`` are the user's terms, as in
    ``Model.under``; ``threads`` as in ``load_model``. The network is loaded with the first crop, and anew by
    a copy in another process.
    """

    _model: Model | None
    _loaded_as: tuple[object, ...] | None

    def __init__(
        self,
        model: Path | str | None = None,
        *,
        prior: PriorLike | None = None,
        max_error: float | None = None,
        threads: int | None = 1,
    ) -> None:
        self.model = model
        self.prior = prior
        self.max_error = max_error
        self.threads = threads

    @property
    def classes_(self) -> np.ndarray:
        """The four labels, in the order of the columns of ``predict_proba``."""
        return np.array(_LABELS)

    def fit(self, X: Iterable[ImageLike], y: Sequence[str] | np.ndarray | None = None) -> Self:  # noqa: ARG002, N803
        """Itself: the network was trained before, and learns nothing from ``X``.

        Raises ``BundleError`` for a model that cannot be used, ``ConfigError`` for terms that mean nothing
        and for labels in ``y`` that are no types.
        """
        unknown = sorted({str(label) for label in ([] if y is None else y)} - set(_LABELS))
        if unknown:
            raise ConfigError(
                f"labels {', '.join(unknown[:3])}",
                expected=f"the types {', '.join(_LABELS)}",
                remedy="put an estimator that learns other labels behind this one, in a pipeline",
            )
        self._network()
        return self

    def fit_transform(self, X: Iterable[ImageLike], y: object = None) -> Float32[np.ndarray, "crops dim"]:  # noqa: ARG002, N803
        """What ``transform`` gives; ``y`` is for the estimator behind it, and may hold labels of any kind."""
        return self.transform(X)

    def predict(self, X: Iterable[ImageLike]) -> np.ndarray:  # noqa: N803
        """The label of each crop. Raises ``ImageError`` for a crop that cannot be read."""
        return np.array([each.type for each in self.predictions(X)], dtype=self.classes_.dtype)

    def predict_proba(self, X: Iterable[ImageLike]) -> Float64[np.ndarray, "crops 4"]:  # noqa: N803
        """The probability of each type, columns in the order of ``classes_``. Raises ``ImageError``."""
        shares = [each.probabilities for each in self.predictions(X)]
        return np.array(shares, np.float64).reshape(-1, len(_LABELS))

    def predict_number(self, X: Iterable[ImageLike]) -> Int[np.ndarray, " crops"]:  # noqa: N803
        """The number of chromosomes of each crop. Raises ``ImageError``."""
        return np.array([each.n_chromosomes for each in self.predictions(X)], np.int64)

    def predictions(self, X: Iterable[ImageLike]) -> list[Prediction]:  # noqa: N803
        """All that ``Model.predict`` says of each crop. Raises ``ImageError``."""
        return self._network().predict(_crops(X))

    def transform(self, X: Iterable[ImageLike]) -> Float32[np.ndarray, "crops dim"]:  # noqa: N803
        """The network's embedding of each crop. Raises ``ImageError``."""
        network = self._network()
        size = network.card.crop.size_px
        squares = [network.prepare(crop) for crop in _crops(X)]
        return network.logits(np.array(squares, np.float32).reshape(-1, 1, size, size)).embedding

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:  # noqa: ARG002
        """Names of the columns of ``transform``, as scikit-learn asks for them."""
        network = self._network()
        size = network.card.crop.size_px
        dim = network.logits(np.zeros((1, 1, size, size), np.float32)).embedding.shape[1]
        return np.array([f"embedding{n}" for n in range(dim)], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.target_tags.required = False
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Its parameters: a network does not travel, and is loaded again from its folder."""
        state = dict(super().__getstate__())
        return {name: value for name, value in state.items() if name not in ("_model", "_loaded_as")}

    def _network(self) -> Model:
        """The model behind the parameters as they are now."""
        asked = (self.model, self.prior, self.max_error, self.threads)
        if getattr(self, "_model", None) is None or self._loaded_as != asked:
            loaded = load_model(self.model, threads=self.threads)
            self._model = loaded.under(prior=self.prior, max_error=self.max_error)
            self._loaded_as = asked
        assert self._model is not None
        return self._model


def _crops(given: Iterable[ImageLike]) -> list[ImageLike]:
    """The crops one by one. Raises ``ImageError`` for one picture that stands for many."""
    if isinstance(given, str | Path) or (
        isinstance(given, np.ndarray) and given.ndim != 1 and given.ndim < 3
    ):
        raise ImageError("one picture", expected="a list of pictures", remedy="put it in a list: [picture]")
    return list(given)
