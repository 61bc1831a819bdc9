"""Whether the shipped network says what the trained one says: outputs, decisions, batch sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from supcam.core.types import BundleError, Prediction
from supcam.pack.card import Calibration, CardText, Comparison
from supcam.pack.folder import OUTPUT_NAMES, Outputs
from supcam.pack.predicting import read_outputs
from supcam.pack.session import Pictures, Session, relative_difference

BATCH_SIZES = (1, 3, 16)
"""Batch sizes in which the shipped network must agree with the trained one."""
TIE = 0.005
"""A decision may change only where no type's probability moved by more than this: it was a tie."""
Weights = Literal["float16", "float32", "int8"]
"""How a bundle's weights are stored; integers are computed in integers, too."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a shipped network may be from the trained one.

    ``output`` bounds the difference of any output, as a share of 1 + its largest value. Decisions may change
    where no type's probability moved by more than ``tie``, and in all on ``changed`` of the pictures.
    """

    output: float
    tie: float = TIE
    changed: float = 1.0


EXACT = Tolerance(output=1e-4)
TOLERANCES: Mapping[Weights, Tolerance] = {
    "float32": EXACT,
    "float16": Tolerance(output=5e-3),
    "int8": Tolerance(output=0.5, tie=1.0, changed=0.05),
}
"""By how the weights are stored."""


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What the trained network says about network inputs, and how its outputs are read."""

    pictures: Pictures
    outputs: Outputs
    text: CardText
    calibration: Calibration

    def predictions(self, outputs: Outputs) -> list[Prediction]:
        """The predictions that belong to ``outputs``."""
        return read_outputs(outputs, card=self.text, calibration=self.calibration)


def compare(session: Session, *, trained: Trained, tolerance: Tolerance) -> Comparison:
    """How the network in ``session`` differs from the trained one, over all of ``BATCH_SIZES``.

    Raises ``BundleError`` when an output differs by more than ``tolerance`` allows, a decision changes that
    was no tie, or too many do.
    """
    runs = [run_batches(session, pictures=trained.pictures, batch_size=size) for size in BATCH_SIZES]
    largest = max(_largest_difference(run, trained=trained, tolerance=tolerance.output) for run in runs)
    expected = trained.predictions(trained.outputs)
    moves, changed = [0.0], set[int]()
    for run in runs:
        for index, (got, wanted) in enumerate(zip(trained.predictions(run), expected, strict=True)):
            moves.append(_probability_move(got, wanted))
            if _decided(got) != _decided(wanted):
                changed.add(index)
                _refuse_unless_tie(got, wanted, tie=tolerance.tie)
    _refuse_many(len(changed), n=len(trained.pictures), most=tolerance.changed)
    return Comparison(
        n_pictures=len(trained.pictures),
        batch_sizes=BATCH_SIZES,
        largest_difference=largest,
        largest_probability_difference=max(moves),
        changed_decisions=len(changed),
    )


def run_batches(session: Session, *, pictures: Pictures, batch_size: int) -> Outputs:
    """The outputs for ``pictures``, run ``batch_size`` at a time."""
    runs = [
        session.run(OUTPUT_NAMES, {"picture": pictures[at : at + batch_size]})
        for at in range(0, len(pictures), batch_size)
    ]
    return Outputs(*(np.concatenate(parts) for parts in zip(*runs, strict=True)))


def _largest_difference(run: Outputs, *, trained: Trained, tolerance: float) -> float:
    """Over all outputs; raises ``BundleError`` for the first one beyond ``tolerance``."""
    largest = 0.0
    for name in OUTPUT_NAMES:
        difference = relative_difference(getattr(run, name), expected=getattr(trained.outputs, name))
        if not difference <= tolerance:
            raise BundleError(
                f"{name} of the exported network {difference:.2g} away from the trained one's",
                expected=f"a difference of at most {tolerance:.2g}",
                remedy="keep float32 weights, or report this with the network's configuration",
            )
        largest = max(largest, difference)
    return largest


def _refuse_many(changed: int, *, n: int, most: float) -> None:
    if changed > most * n:
        raise BundleError(
            f"{changed} of {n} decisions that changed",
            expected=f"at most {most:.0%}",
            remedy="keep float16 weights, or name more and other pictures with --compare",
        )


def _refuse_unless_tie(got: Prediction, wanted: Prediction, *, tie: float) -> None:
    if _probability_move(got, wanted) > tie:
        raise BundleError(
            f"a decision that changed from {_decided(wanted)} to {_decided(got)}",
            expected="the trained network's decisions",
            remedy="keep float32 weights, or report this with the network's configuration",
        )


def _decided(prediction: Prediction) -> str:
    return f"{prediction.type}, {prediction.n_chromosomes}, {prediction.decision.value}"


def _probability_move(got: Prediction, wanted: Prediction) -> float:
    return max(abs(a - b) for a, b in zip(got.probabilities, wanted.probabilities, strict=True))
