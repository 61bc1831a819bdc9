"""Objects read once more, in their picture: is it a chromosome, is it one, how many are they.

The network sees an object alone and at a size that fits its input. What it says, the object's outline, and
its area beside those of the picture's single chromosomes are taken together by a softmax that was fitted on
metaphases with one box a chromosome (``supcam fit-context``). All of it is our choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from supcam.core.in_context import Measures
from supcam.core.reading import LEAST_COUNTS, read_jointly
from supcam.core.types import ClusterType, Decision, Prediction
from supcam.pack.bundle import Model
from supcam.pack.folder import Outputs
from supcam.pack.session import Pictures
from supcam.pack.sides import from_all_sides
from supcam.spread.areas import LEAST_SINGLES, MOST, USUAL_AREA, cluster_chances, number_doubts
from supcam.spread.counting import Chances
from supcam.spread.objects import Reason, SpreadObject, is_near
from supcam.spread.outline import Outline

_LEAST_CHANCE = 1e-4
"""Log odds are those of chances at least so far from 0 and 1."""
_MOST_MEAN = 12.0
_N_NUMBERS = 8
_SURELY_SINGLE = 0.99
"""From this probability on, a single chromosome is not looked at from other sides."""
_KEPT_DOUBTS = (Reason.UNFAMILIAR, Reason.CUT)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What is known of an object by itself.

    ``types`` and ``numbers`` (1, 2 ...) are the network's probabilities with the mix of types that the model
    came with, ``chromosome`` that of being one. ``sides`` are those of its box and, like ``area`` (squared),
    in chromosome widths.
    """

    types: Float64[np.ndarray, " 4"]
    numbers: Chances
    chromosome: float
    outline: Outline
    area: float
    sides: tuple[float, float]

    @property
    def is_single(self) -> bool:
        """Whether the network takes it for a single chromosome."""
        return self.chromosome >= 0.5 and int(self.types.argmax()) == ClusterType.INSTANCE


def answers_in_context(pictures: Pictures, *, model: Model) -> Outputs:
    """What the network says about ``pictures``, all but sure single chromosomes seen from all sides."""
    outputs = model.logits(pictures)
    types = read_jointly(
        outputs.type_logits, outputs.count_logits, temperature=model.came.temperature
    ).type_probabilities
    unsure = types[:, ClusterType.INSTANCE] < _SURELY_SINGLE
    return from_all_sides(outputs, pictures=pictures, unsure=unsure, logits=model.logits)


def measure(evidence: Sequence[Evidence]) -> Measures:
    """A row of ``MEASURES`` for each of the objects of one picture."""
    single = _single_area(evidence)
    return np.array([_measures(each, single=single) for each in evidence], np.float64)


def _single_area(evidence: Sequence[Evidence]) -> float:
    """The mean area of single chromosomes, in squared widths; the usual one without enough of them."""
    singles = [each.area for each in evidence if each.is_single]
    return float(np.mean(singles)) if len(singles) >= LEAST_SINGLES else USUAL_AREA


def _measures(evidence: Evidence, *, single: float) -> list[float]:
    numbers = np.zeros(_N_NUMBERS)
    known = evidence.numbers[:_N_NUMBERS]
    numbers[: len(known)] = known
    mean = float(np.arange(1, len(evidence.numbers) + 1) @ evidence.numbers)
    outline, relative = evidence.outline, evidence.area / single
    return [
        *_log_odds(evidence.types),
        *_log_odds(np.array([evidence.chromosome])),
        float(np.log(evidence.area)),
        float(np.log(relative)),
        relative,
        outline.thickness,
        outline.raggedness,
        outline.solidity,
        outline.fill,
        outline.chord,
        *(float(np.log(side)) for side in sorted(evidence.sides)),
        min(mean, _MOST_MEAN),
        *_log_odds(numbers),
    ]


def _log_odds(chances: Chances) -> list[float]:
    bounded = np.clip(chances, _LEAST_CHANCE, 1 - _LEAST_CHANCE)
    return [float(each) for each in np.log(bounded / (1 - bounded))]


def read_in_context(
    items: Sequence[SpreadObject], *, evidence: Sequence[Evidence | None], model: Model
) -> list[SpreadObject]:
    """``items``, those with ``evidence`` kept or rejected, typed and counted anew.

    An object is rejected when it more likely holds no chromosome than any. It is single when one is likelier
    than any type of cluster; among these the network's own shares hold. Numbers of clusters are the mean of
    their chances, rounded. Raises ``ValueError`` for a model without a reading in context.
    """
    context = model.calibration.in_context
    if context is None:
        raise ValueError("the model has no reading in context")
    asked = [each for each in evidence if each is not None]
    if not asked:
        return list(items)
    chances = context.softmax().chances(measure(asked))
    single = _single_area(asked)
    rows = iter(zip(asked, chances, strict=True))
    return [
        item if each is None else _read(item, *next(rows), single=single, model=model)
        for item, each in zip(items, evidence, strict=True)
    ]


def _read(
    item: SpreadObject, evidence: Evidence, few: Chances, *, single: float, model: Model
) -> SpreadObject:
    before = item.prediction
    assert before is not None, "there is evidence only of what the model was asked about"
    chances = _all_numbers(few, evidence=evidence, single=single)
    read = _reading(before, chances=chances, evidence=evidence, model=model)
    near = is_near(1 - float(chances[0]), limit=0.5)
    if chances[0] > 0.5:
        return replace(
            item,
            prediction=read,
            rejection=Reason.NO_CHROMOSOME,
            number_chances=chances,
            doubts=(Reason.NEARLY_KEPT,) if near else (),
        )
    found = {
        Reason.UNSURE_TYPE: read.decision is Decision.REVIEW,
        Reason.NEARLY_REJECTED: near,
        **{each: each in item.doubts for each in _KEPT_DOUBTS},
    }
    doubts = (
        *(reason for reason, holds in found.items() if holds),
        *number_doubts(read, chance=float(chances[read.n_chromosomes]), most=len(evidence.numbers)),
    )
    return replace(item, prediction=read, rejection=None, number_chances=chances, doubts=doubts)


def _all_numbers(few: Chances, *, evidence: Evidence, single: float) -> Chances:
    """The chances of 0 to ``MOST`` chromosomes: those of the last number, or more, are shared by area."""
    last = len(few) - 1
    tail = cluster_chances(evidence.numbers, area=evidence.area / single)[last - 1 :]
    chances = np.zeros(MOST + 1)
    chances[:last] = few[:-1]
    chances[last:] = few[-1] * tail / tail.sum() if tail.sum() > 0 else few[-1] * (np.arange(len(tail)) == 0)
    return chances


def _reading(before: Prediction, *, chances: Chances, evidence: Evidence, model: Model) -> Prediction:
    probabilities = _types(chances, evidence=evidence, model=model)
    label = ClusterType(int(probabilities.argmax()))
    number = 1
    if label is not ClusterType.INSTANCE:
        of_clusters = chances[2:] / max(chances[2:].sum(), 1e-12)
        number = max(LEAST_COUNTS[label], round(float(np.arange(2, MOST + 1) @ of_clusters)))
    confidence = float(probabilities.max())
    accepted = confidence >= model.calibration.accept_threshold
    sets = before.type_set
    return replace(
        before,
        label=label,
        probabilities=(
            float(probabilities[0]),
            float(probabilities[1]),
            float(probabilities[2]),
            float(probabilities[3]),
        ),
        confidence=confidence,
        n_chromosomes=number,
        decision=Decision.ACCEPT if accepted else Decision.REVIEW,
        chromosome_probability=1 - float(chances[0]),
        type_set=None if sets is None else tuple(kind for kind in ClusterType if kind in {*sets, label}),
    )


def _types(chances: Chances, *, evidence: Evidence, model: Model) -> Float64[np.ndarray, " 4"]:
    """Single or cluster by ``chances``, the cluster's type by the network, and all by the user's mix."""
    single = float(chances[1]) / max(1e-12, 1 - float(chances[0]))
    clusters = evidence.types[1:] / max(1e-12, float(evidence.types[1:].sum()))
    mixed = np.concatenate([[single], (1 - single) * clusters]) * _mix(model)
    return np.asarray(mixed / mixed.sum(), np.float64)


def _mix(model: Model) -> Float64[np.ndarray, " 4"]:
    """Frequency of the types under the user's terms over that with which the model came."""
    asked, came = model.calibration.prior, model.came.prior
    return np.asarray(np.array(asked or (1.0,) * 4) / np.array(came or (1.0,) * 4))
