"""Outputs written by hand -> predictions that can be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from supcam.core.types import BundleError, ClusterType, Decision
from supcam.pack.card import Calibration, CardText, HeadsTrained
from supcam.pack.folder import Outputs
from supcam.pack.predicting import jointly, read_outputs

ALL = CardText(heads_trained=HeadsTrained(count=True, chromosome=True))
TYPES_ALONE = CardText(heads_trained=HeadsTrained(count=False, chromosome=False))


def outputs(
    types: list[float], *, counts: tuple[float, ...] = (0.0, 0.0, 0.0), chance: float = 0.9
) -> Outputs:
    """One picture: logits are the logarithms of ``types`` and ``counts``, and the odds of ``chance``."""
    return Outputs(
        type_logits=np.log(np.array([types], np.float32)),
        count_logits=np.array([counts], np.float32),
        chromosome_logit=np.array([[math.log(chance / (1 - chance))]], np.float32),
        embedding=np.zeros((1, 2), np.float32),
        type_map=np.zeros((1, 4, 1, 1), np.float32),
    )


def test_without_a_number_head_types_are_the_softmax_and_numbers_the_least() -> None:
    (read,) = read_outputs(
        outputs([0.1, 0.2, 0.3, 0.4]), card=TYPES_ALONE, calibration=Calibration(accept_threshold=0.4)
    )
    assert read.probabilities == pytest.approx((0.1, 0.2, 0.3, 0.4), abs=1e-6)
    assert read.label is ClusterType.TOUCHING_OVERLAPPING
    assert read.n_chromosomes == 3
    assert read.chromosome_probability is None


def test_temperature_and_mix_of_types_act_on_the_softmax() -> None:
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    tempered = shares ** (1 / 2) * [1, 4, 1, 1]
    reading = jointly(
        outputs(shares.tolist()), card=TYPES_ALONE, calibration=Calibration(temperature=2, prior=(1, 4, 1, 1))
    )
    np.testing.assert_allclose(reading.type_probabilities[0], tempered / tempered.sum(), rtol=1e-5)
    plain = jointly(outputs(shares.tolist()), card=TYPES_ALONE)
    np.testing.assert_allclose(plain.type_probabilities[0], shares, rtol=1e-5)


def test_the_threshold_splits_accepted_from_reviewed() -> None:
    said = outputs([0.7, 0.1, 0.1, 0.1])
    decisions = [
        read_outputs(said, card=TYPES_ALONE, calibration=Calibration(accept_threshold=limit))[0].decision
        for limit in (0.69, 0.71)
    ]
    assert decisions == [Decision.ACCEPT, Decision.REVIEW]


def test_what_is_no_chromosome_is_rejected_and_never_accepted() -> None:
    said = outputs([0.97, 0.01, 0.01, 0.01], counts=(5.0, 0.0, 0.0), chance=0.2)
    lenient = Calibration(accept_threshold=0.0)
    (kept,) = read_outputs(said, card=ALL, calibration=lenient)
    assert (kept.label, kept.decision) == (ClusterType.INSTANCE, Decision.ACCEPT)
    assert kept.chromosome_probability == pytest.approx(0.2, abs=1e-6)
    strict = lenient.model_copy(update={"chromosome_threshold": 0.5})
    (rejected,) = read_outputs(said, card=ALL, calibration=strict)
    assert (rejected.label, rejected.n_chromosomes) == (None, 0)
    assert rejected.decision is Decision.REVIEW


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_an_error_for_a_trained_head_alone(value: float) -> None:
    said = outputs([0.25] * 4, counts=(value, 0.0, 0.0))
    with pytest.raises(BundleError, match="not finite"):
        read_outputs(said, card=ALL, calibration=Calibration())
    assert read_outputs(said, card=TYPES_ALONE, calibration=Calibration())
