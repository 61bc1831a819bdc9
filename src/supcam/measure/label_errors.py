"""Labels that a model out of sample contradicts: which are likely wrong, the likeliest first (cleanlab)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from jaxtyping import Bool, Float64, Int64

from supcam.core.types import SupcamError


@dataclass(frozen=True, slots=True, eq=False)
class LabelErrors:
    """Row by row of what was asked: ``quality`` 0..1, small is doubtful; ``is_likely_wrong``; and the order.

    ``quality`` is the model's probability of the label that was given. What is likely wrong follows from
    confident learning (Northcutt et al., 2021), which weighs each class by how sure the model usually is of
    it. ``order`` holds the rows, those that are likely wrong first, and the least quality first among them.
    """

    quality: Float64[np.ndarray, " batch"]
    is_likely_wrong: Bool[np.ndarray, " batch"]
    order: Int64[np.ndarray, " batch"]


def is_available() -> bool:
    """Whether cleanlab is installed."""
    return find_spec("cleanlab") is not None


def find_label_errors(
    labels: Int64[np.ndarray, " batch"], probabilities: Float64[np.ndarray, "batch classes"]
) -> LabelErrors:
    """The errors among ``labels`` (0..classes - 1) by probabilities of a model that has not seen them.

    Raises ``SupcamError`` where cleanlab is not installed.
    """
    if not is_available():
        raise SupcamError(
            "no cleanlab", expected="the extra labels", remedy='install it: pip install "supcam[labels]"'
        )
    from cleanlab.filter import find_label_issues  # noqa: PLC0415  seconds to load, and an extra

    if not len(labels):
        return LabelErrors(np.zeros(0), np.zeros(0, bool), np.zeros(0, np.int64))
    used = np.unique(labels)  # a class that nobody named has no usual sureness
    shares = probabilities[:, used] + 1e-12
    shares = shares / shares.sum(axis=1, keepdims=True)
    places = np.searchsorted(used, labels)
    quality = np.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0]
    wrong = np.zeros(len(labels), bool)
    if len(used) > 1:
        with warnings.catch_warnings():  # of a class with few examples cleanlab flags few, and says so
            warnings.filterwarnings("ignore", message="May not flag all label issues", category=UserWarning)
            found = find_label_issues(places, shares, n_jobs=1)
        wrong = np.asarray(found, bool)
    order = np.lexsort((quality, ~wrong))
    return LabelErrors(quality, is_likely_wrong=wrong, order=order.astype(np.int64))
