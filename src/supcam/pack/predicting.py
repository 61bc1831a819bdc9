"""What the network says, under a calibration -> predictions: type, number, confidence, decision."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from supcam.core.reading import JointReading, read_jointly
from supcam.core.types import BundleError, ClusterType, Decision, Prediction
from supcam.pack.card import Calibration, CardText
from supcam.pack.folder import Outputs


def read_outputs(outputs: Outputs, *, card: CardText, calibration: Calibration) -> list[Prediction]:
    """The predictions that belong to ``outputs``, with the heads that ``card`` calls trained.

    Raises ``BundleError`` when a trained head's output is not finite.
    """
    reading = jointly(outputs, card=card, calibration=calibration)
    chances: list[float | None] = [None] * len(reading.counts)
    if card.heads_trained.chromosome:
        chances = [float(chance) for chance in _sigmoid(outputs.chromosome_logit[:, 0])]
    return [
        _prediction(probabilities, count=int(count), chance=chance, calibration=calibration)
        for probabilities, count, chance in zip(
            reading.type_probabilities.tolist(), reading.counts, chances, strict=True
        )
    ]


def jointly(outputs: Outputs, *, card: CardText, calibration: Calibration | None = None) -> JointReading:
    """Types and numbers, with the heads that ``card`` calls trained; as they come without ``calibration``.

    Raises ``BundleError`` when a trained head's output is not finite.
    """
    calibration = calibration or Calibration()
    prior = calibration.prior
    try:
        return read_jointly(
            outputs.type_logits,
            outputs.count_logits if card.heads_trained.count else None,
            temperature=calibration.temperature,
            prior_ratio=None if prior is None else np.array(prior),
        )
    except ValueError as error:
        raise BundleError(str(error), expected="finite logits", remedy="fetch the bundle again") from error


def _prediction(
    probabilities: Sequence[float], *, count: int, chance: float | None, calibration: Calibration
) -> Prediction:
    instance, touching, overlapping, both = probabilities
    best = max(range(4), key=probabilities.__getitem__)
    reject = calibration.chromosome_threshold
    rejected = chance is not None and reject is not None and chance < reject
    accepted = not rejected and probabilities[best] >= calibration.accept_threshold
    return Prediction(
        label=None if rejected else ClusterType(best),
        probabilities=(instance, touching, overlapping, both),
        confidence=probabilities[best],
        n_chromosomes=0 if rejected else count,
        decision=Decision.ACCEPT if accepted else Decision.REVIEW,
        chromosome_probability=chance,
    )


def _sigmoid(logit: Float32[np.ndarray, " batch"]) -> Float32[np.ndarray, " batch"]:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logit)), dtype=np.float32)
