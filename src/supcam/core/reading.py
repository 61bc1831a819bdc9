"""Type and number read together from the network's logits: instance <=> one chromosome, always."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

from supcam.core.types import ClusterType

N_TYPES = len(ClusterType)
LEAST_COUNTS = {
    ClusterType.TOUCHING: 2,
    ClusterType.OVERLAPPING: 2,
    ClusterType.TOUCHING_OVERLAPPING: 3,
}
"""The fewest chromosomes of each cluster type: a pair meets in one relation, for both a third is needed.

Our choice: a pair that touches in one place and overlaps in another is left out here and in composition.
"""


@dataclass(frozen=True, slots=True, eq=False)
class JointReading:
    """What type and count heads say together.

    ``type_probabilities`` are in ``ClusterType`` order and sum to 1. ``counts`` holds the most probable
    number of chromosomes of the most probable type: 1 exactly where that type is ``instance``, else at least
    that of ``LEAST_COUNTS``; the largest number means "that many or more".
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

    What can be: an instance is one chromosome, touching and overlapping are two or more, and
    touching-overlapping is three or more (``LEAST_COUNTS``). Entry ``k`` of ``count_logits`` stands for
    ``k + 1`` chromosomes, the last for "that many or more"; ``None`` (no such head, or an untrained one)
    leaves the type alone to decide, and every cluster counts its least number. Both heads' logits are divided
    by ``temperature``, which is the same as tempering their joint distribution.
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
        least = np.array([1, *LEAST_COUNTS.values()])
        probabilities = np.exp(log_type - _log_sum(log_type))
        return JointReading(probabilities, least[np.argmax(probabilities, axis=1)].astype(np.int64))
    log_count = _log_softmax(count_logits.astype(np.float64) / temperature)
    starts = [min(least, log_count.shape[1]) - 1 for least in LEAST_COUNTS.values()]
    allowed = [log_count[:, :1], *(_log_sum(log_count[:, start:]) for start in starts)]
    probabilities = np.exp(_log_softmax(log_type + np.concatenate(allowed, axis=1)))
    likeliest = [start + 1 + np.argmax(log_count[:, start:], axis=1) for start in starts]
    counts = np.stack([np.ones(len(log_count), np.int64), *likeliest], axis=1)
    types = np.argmax(probabilities, axis=1)
    return JointReading(probabilities, counts[np.arange(len(types)), types].astype(np.int64))


def read_numbers(
    type_logits: Float[np.ndarray, "batch 4"],
    count_logits: Float[np.ndarray, "batch counts"],
    *,
    temperature: float = 1.0,
    prior_ratio: Float[np.ndarray, " 4"] | None = None,
) -> Float64[np.ndarray, "batch counts"]:
    """The probability of each number of chromosomes, 1 first, in the joint reading; rows sum to 1.

    The type is summed over, so that instance <=> one holds here, too. Raises as ``read_jointly`` does.
    """
    _check(type_logits, count_logits, temperature=temperature, prior_ratio=prior_ratio)
    log_type = _log_softmax(type_logits.astype(np.float64) / temperature)
    if prior_ratio is not None:
        log_type = log_type + np.log(prior_ratio.astype(np.float64))
    log_count = _log_softmax(count_logits.astype(np.float64) / temperature)
    least = np.minimum([1, *LEAST_COUNTS.values()], log_count.shape[1])
    numbers = np.arange(1, log_count.shape[1] + 1)
    allowed = numbers[None, :] >= least[:, None]
    allowed[0] = numbers == 1
    with np.errstate(divide="ignore"):
        log_allowed = np.log(allowed.astype(np.float64))
    by_type = log_type[:, :, None] + log_count[:, None, :] + log_allowed[None]
    joint = np.exp(by_type - by_type.max(axis=(1, 2), keepdims=True)).sum(axis=1)
    return np.asarray(joint / joint.sum(axis=1, keepdims=True))


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
