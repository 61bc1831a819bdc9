"""How often accepted answers are wrong, what can be shown of it, and the confidence from which to accept.

NumPy alone, so that whoever uses a model can ask this of the answers that came with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from supcam.core.types import ClusterType

ACCEPT_NOTHING = 1.01
"""The threshold that no confidence reaches: every answer goes to review."""
LEVEL = 0.9
"""How sure an upper bound of an error is."""
_LEAST_ACCEPTED = 20.0
"""Fewer accepted answers prove nothing."""

Rows = Bool[np.ndarray, " batch"]
Shares = Float64[np.ndarray, "4"]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Answers whose truth is known, weighted so that types are as frequent as where a model is used.

    ``predicted`` are ``ClusterType`` values; ``weights`` are 1 where the mix of types is that of the data.
    """

    confidence: Float64[np.ndarray, " batch"]
    predicted: Int[np.ndarray, " batch"]
    correct: Rows
    weights: Float64[np.ndarray, " batch"]

    @property
    def called_cluster(self) -> Rows:
        """Where a cluster of any type was read."""
        return np.asarray(self.predicted != ClusterType.INSTANCE)


@dataclass(frozen=True, slots=True)
class Risk:
    """What is known of the error of some answers.

    ``error`` is the share of wrong ones (``nan`` without any), ``bound`` what it stays below with a
    probability of ``LEVEL``.
    """

    n: int
    n_wrong: int
    error: float
    bound: float


@dataclass(frozen=True, slots=True)
class Choice:
    """A threshold of confidence, and whether it keeps what was asked; if not, it is the best there is."""

    threshold: float
    is_shown: bool


def weigh_answers(
    probabilities: Float[np.ndarray, "batch 4"],
    *,
    true_types: Int[np.ndarray, " batch"],
    shift: Shares | None,
) -> Answers:
    """The answers of a model whose ``probabilities`` are corrected by ``shift``, in the mix that it makes.

    ``shift`` is the frequency of each type in use over that in the data, ``None`` where they agree.
    """
    factors = np.ones(4) if shift is None else shift
    shifted = probabilities.astype(np.float64) * factors
    shifted /= shifted.sum(axis=1, keepdims=True)
    predicted = np.argmax(shifted, axis=1)
    return Answers(
        confidence=shifted.max(axis=1, initial=0.0),
        predicted=predicted.astype(np.int64),
        correct=np.asarray(predicted == true_types),
        weights=factors[true_types].astype(np.float64),
    )


def risk_of(answers: Answers, *, rows: Rows) -> Risk:
    """The risk of the chosen answers.

    The bound is Clopper and Pearson's (1934), one-sided. Weighted answers count as their effective number
    (Kish, 1965), rounded to the worse side: an approximation, and ours.
    """
    weights, wrong = answers.weights[rows], ~answers.correct[rows]
    total = float(weights.sum())
    if total <= 0:
        return Risk(n=0, n_wrong=0, error=float("nan"), bound=1.0)
    error = float(weights[wrong].sum()) / total
    effective = total**2 / float((weights**2).sum())
    n = math.floor(effective + 1e-9)
    return Risk(
        n=int(rows.sum()),
        n_wrong=int(wrong.sum()),
        error=error,
        bound=upper_bound(min(n, math.ceil(error * effective - 1e-9)), n=n),
    )


def upper_bound(n_wrong: int, *, n: int, level: float = LEVEL) -> float:
    """The error rate above which ``n_wrong`` or fewer of ``n`` would have a probability below 1 - ``level``.

    The upper end of Clopper and Pearson's interval (1934), one-sided; 1 for no answer at all. Found by
    bisection, since the base installation has no beta quantile.
    """
    if n_wrong >= n:
        return 1.0
    low, high = n_wrong / n, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if _chance_of_at_most(n_wrong, n=n, rate=middle) > 1 - level:
            low = middle
        else:
            high = middle
    return high


def keep_bound(answers: Answers, *, max_error: float) -> Choice:
    """The smallest confidence from which on the bound of the error lies below ``max_error``.

    Where no threshold can show that, it is the one with the lowest bound, and the choice says so.
    """
    thresholds = _thresholds(answers)
    bounds = [risk_of(answers, rows=answers.confidence >= at).bound for at in thresholds]
    shown = [at for at, bound in zip(thresholds, bounds, strict=True) if bound < max_error]
    if shown:
        return Choice(min(shown), is_shown=True)
    if not thresholds:
        return Choice(ACCEPT_NOTHING, is_shown=False)
    return Choice(thresholds[int(np.argmin(bounds))], is_shown=False)


def keep_error(answers: Answers, *, max_error: float) -> Choice:
    """The smallest confidence from which on the share of wrong answers itself is at most ``max_error``.

    With fewer accepted than weigh as much as twenty, nothing is accepted.
    """
    kept = [
        at
        for at in _thresholds(answers)
        if answers.weights[answers.confidence >= at].sum() >= _LEAST_ACCEPTED
        and risk_of(answers, rows=answers.confidence >= at).error <= max_error + 1e-9
    ]
    return Choice(min(kept), is_shown=True) if kept else Choice(ACCEPT_NOTHING, is_shown=False)


def _thresholds(answers: Answers) -> list[float]:
    return [float(value) for value in np.unique(answers.confidence)[::-1]]


def _chance_of_at_most(n_wrong: int, *, n: int, rate: float) -> float:
    """The binomial probability of ``n_wrong`` or fewer of ``n``."""
    logs = [
        math.lgamma(n + 1)
        - math.lgamma(k + 1)
        - math.lgamma(n - k + 1)
        + k * math.log(rate)
        + (n - k) * math.log1p(-rate)
        for k in range(n_wrong + 1)
    ]
    return math.fsum(math.exp(each) for each in logs)
