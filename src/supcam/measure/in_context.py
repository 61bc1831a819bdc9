"""The softmax that reads objects in their picture, fitted on metaphases with one box a chromosome."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from supcam.core.in_context import Measures, Softmax, columns_of
from supcam.core.types import MissingExtraError, SupcamError

try:
    from sklearn.linear_model import LogisticRegression
except ImportError as error:
    raise MissingExtraError("scikit-learn", extra="measure", error=error) from error

MOST = 8
"""Numbers from here on are one class at the latest; earlier where there are too few such objects."""
LEAST_OBJECTS = 300
"""Fewer objects fix no softmax of some hundred weights."""
_LEAST_EACH = 5
_STRENGTH = 0.1
"""The inverse of the penalty on squared weights, chosen on the selection role."""
_STEPS = 5000


@dataclass(frozen=True, slots=True, eq=False)
class BoxedObjects:
    """Objects of metaphases, row by row: their measures, and how many boxes each owns (0: none)."""

    measures: Measures
    numbers: Int[np.ndarray, " objects"]


def fit_in_context(objects: BoxedObjects) -> Softmax:
    """Multinomial logistic regression with a quadratic penalty; the same objects give the same weights.

    Raises ``SupcamError`` for too few objects, with or without chromosomes.
    """
    numbers = objects.numbers
    n_with = [int((numbers >= n).sum()) for n in range(MOST + 1)]
    most = max(n for n, found in enumerate(n_with) if found >= _LEAST_EACH or n == 0)
    n_without = len(numbers) - n_with[1]
    if len(numbers) < LEAST_OBJECTS or most < 3 or n_without < _LEAST_EACH:
        raise SupcamError(
            f"{len(numbers)} objects, {n_without} without a chromosome and {n_with[3]} with three or more",
            expected=f"{LEAST_OBJECTS} or more, {_LEAST_EACH} of either kind",
            remedy="take more annotated metaphases",
        )
    classes = np.minimum(numbers, most)
    mean = objects.measures.mean(axis=0)
    spread = objects.measures.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    regression = LogisticRegression(C=_STRENGTH, max_iter=_STEPS)
    fitted = regression.fit(columns_of(objects.measures, mean=mean, scale=scale), classes)
    return Softmax(mean=mean, scale=scale, weights=fitted.coef_, intercepts=fitted.intercept_)
