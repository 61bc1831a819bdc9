"""Two models on the same held-out decisions: tables, figures with intervals by case, and the paired test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from supcam.core.types import Sample
from supcam.data.decided import DecidedSet
from supcam.measure.comparison import FIGURES, Compared, compare
from supcam.measure.metrics import compute_figures
from supcam.measure.paired import paired_test
from supcam.measure.table import PredictionTable
from supcam.pack.before_after import Change, PairedFacts
from supcam.pack.bundle import Model
from supcam.pack.scoring import score, to_table

FOLD = "held_out"
_PLAIN = {
    "accepted_share": "share accepted without review",
    "accepted_accuracy": "accuracy of the accepted",
    "nll": "negative log-likelihood of the type, nats",
}
_ACCURACY = "accuracy of the four types"


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What both models said of the held-out objects, row by row the same ones, and what follows from it."""

    before: PredictionTable
    after: PredictionTable
    figures: tuple[Change, ...]
    test: PairedFacts
    n_unread: int


def judge(before: Model, after: Model, *, held_out: DecidedSet, seed: int) -> Judged:
    """Both models on ``held_out``; draws for intervals and test follow from ``seed``."""
    first, second = (score(held_out.typed, model=model) for model in (before, after))
    old, new = to_table(first.scored, fold=FOLD), to_table(second.scored, fold=FOLD)
    test = paired_test(old, new, rng=np.random.default_rng([seed, 1]))
    rejected = _rejections(before, after, samples=held_out.rejected)
    return Judged(
        old,
        new,
        figures=(*_changes(old, new, seed=seed), *_plain_changes(old, new), *rejected),
        test=PairedFacts(**asdict(test)),
        n_unread=len(first.unread),
    )


def _changes(before: PredictionTable, after: PredictionTable, *, seed: int) -> list[Change]:
    old = compare(before, rng=np.random.default_rng(seed))
    new = compare(after, reference=before, rng=np.random.default_rng(seed))
    names = FIGURES | {"accuracy": _ACCURACY}
    return [_change(names[key], old=old[key], new=new[key]) for key in FIGURES]


def _change(name: str, *, old: Compared, new: Compared) -> Change:
    return Change(
        name=name,
        before=_known(old.value),
        before_low=_known(old.low),
        before_high=_known(old.high),
        after=_known(new.value),
        after_low=_known(new.low),
        after_high=_known(new.high),
        difference=_known(new.difference),
        difference_low=_known(new.difference_low),
        difference_high=_known(new.difference_high),
    )


def _plain_changes(before: PredictionTable, after: PredictionTable) -> list[Change]:
    """Figures without an interval: what becomes of the threshold that both models share."""
    old, new = compute_figures(before), compute_figures(after)
    return [
        _plain(told, before=getattr(old, name), after=getattr(new, name)) for name, told in _PLAIN.items()
    ]


def _rejections(before: Model, after: Model, *, samples: Sequence[Sample]) -> list[Change]:
    """How many of the objects that people rejected each model takes for no chromosome."""
    threshold = before.calibration.chromosome_threshold
    if not samples or threshold is None:
        return []
    shares = []
    for model in (before, after):
        chances = [item.prediction.chromosome_probability for item in score(samples, model=model).scored]
        known = [chance < threshold for chance in chances if chance is not None]
        shares.append(sum(known) / len(known) if known else math.nan)
    return [_plain(f"rejected of {len(samples)} that people rejected", before=shares[0], after=shares[1])]


def _plain(name: str, *, before: float, after: float) -> Change:
    return Change(name=name, before=_known(before), after=_known(after), difference=_known(after - before))


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
