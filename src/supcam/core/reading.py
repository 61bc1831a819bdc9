"""Type and number read together from the network's logits: instance <=> one chromosome, always."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

from supcam.core.types import ClusterType

N_TYPES = len(ClusterType)


@dataclass(frozen=True, slots=True, eq=False)
class JointReading:
    """What type and count heads say together.

    ``type_probabilities`` are in ``ClusterType`` order and sum to 1. ``counts`` holds the most probable
    number of chromosomes of the most probable type: 1 exactly where that type is ``instance``, else 2 or
    more; the largest number means "that many or more".
    """

    type_probabilities: Float64[np.ndarray, "batch 4"]
    counts: Int64[np.ndarray, " batch"]

    @property
    def types(self) -> Int64[np.ndarray, " batch"]:
        """The most probable type of each row, as the integer of ``ClusterType``; the first one wins a tie."""
        return np.asarray(np.argmax(self.type_probabilities, axis=1), dtype=np.int64)


def read_jointly(
    type_logits: Float[np.ndarray, "batch 4"],
    count_logits: Float[np.ndarray, "batch counts"] | None,
    *,
    temperature: float = 1.0,
    prior_ratio: Float[np.ndarray, " 4"] | None = None,
) -> JointReading:
    """The joint reading of both heads: P(type, n) proportional to P(type) P(n), restricted to what can be.

    What can be: an instance is one chromosome, every other type two or more. Entry ``k`` of ``count_logits``
    stands for ``k + 1`` chromosomes, the last for "that many or more"; ``None`` (no such head, or an
    untrained one) leaves the type alone to decide, and every cluster counts two. Both heads' logits are
    divided by ``temperature``, which is the same as tempering their joint distribution.
    ``prior_ratio`` multiplies the type probabilities: frequency where the model is used over frequency where
    it was trained.

    Raises ``ValueError`` for logits that are not finite, or a temperature or ratio that is not positive.
    The restriction is our choice: two heads that contradict each other are never shown to a person.
    """
    _check(type_logits, count_logits, temperature=temperature, prior_ratio=prior_ratio)
    log_type = _log_softmax(type_logits.astype(np.float64) / temperature)
    if prior_ratio is not None:
        log_type = log_type + np.log(prior_ratio.astype(np.float64))
    if count_logits is None:
        count_logits = np.zeros((len(type_logits), 2))
    log_count = _log_softmax(count_logits.astype(np.float64) / temperature)
    log_one, log_more = log_count[:, :1], _log_sum(log_count[:, 1:])
    allowed = np.concatenate([log_one, np.repeat(log_more, N_TYPES - 1, axis=1)], axis=1)
    probabilities = np.exp(_log_softmax(log_type + allowed))
    cluster_counts = 2 + np.argmax(log_count[:, 1:], axis=1)
    is_instance = np.argmax(probabilities, axis=1) == ClusterType.INSTANCE
    return JointReading(
        type_probabilities=probabilities, counts=np.where(is_instance, 1, cluster_counts).astype(np.int64)
    )


def _check(
    type_logits: Float[np.ndarray, "batch 4"],
    count_logits: Float[np.ndarray, "batch counts"] | None,
    *,
    temperature: float,
    prior_ratio: Float[np.ndarray, " 4"] | None,
) -> None:
    if not (np.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature is {temperature}; expected a positive number")
    if prior_ratio is not None and not (np.isfinite(prior_ratio).all() and (prior_ratio > 0).all()):
        raise ValueError(f"prior_ratio is {prior_ratio}; expected four positive numbers")
    if not np.isfinite(type_logits).all():
        raise ValueError("type_logits hold a value that is not finite")
    if count_logits is None:
        return
    if count_logits.shape[1] < 2:
        raise ValueError(f"count_logits have {count_logits.shape[1]} columns; expected two or more")
    if len(count_logits) != len(type_logits):
        raise ValueError(f"{len(type_logits)} rows of type_logits but {len(count_logits)} of count_logits")
    if not np.isfinite(count_logits).all():
        raise ValueError("count_logits hold a value that is not finite")


def _log_sum(logs: Float64[np.ndarray, "batch columns"]) -> Float64[np.ndarray, "batch 1"]:
    """Logarithm of the sum of the exponentials along the columns, safe for large and small values."""
    largest = logs.max(axis=1, keepdims=True)
    return np.asarray(largest + np.log(np.exp(logs - largest).sum(axis=1, keepdims=True)))


def _log_softmax(logits: Float64[np.ndarray, "batch columns"]) -> Float64[np.ndarray, "batch columns"]:
    """Logarithms of the probabilities that belong to ``logits``."""
    return np.asarray(logits - _log_sum(logits))
