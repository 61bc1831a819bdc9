"""A new laboratory's pictures against those of known ones: what differs, how much, and whether by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from supcam.pack.reference import MEASURES, Reference
from supcam.spread.measures import Embeddings, Measured

LEAST_EFFECT = 1.0
"""Differences below this many known deviations are not told, however many pictures show them."""
STRONG_EFFECT = 3.0
FALSE_ALARMS = 0.05
"""How often as many pictures of a known laboratory may set off any alarm at all."""
_DRAWS = 2000
_LEAST_SPREAD = {"bright_field": 0.1, "background": 0.02, "unevenness": 0.02, "focus": 0.02, "contrast": 0.02}
_FLOOR = 0.02
"""A measure that hardly varies among known pictures counts as varying by so much, in its own unit."""

Values = Float64[np.ndarray, " _"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure: medians of the known pictures and of the new ones, and the effect between them.

    ``effect`` is in deviations of the known pictures (1.4826 times the median distance from their median),
    ``threshold`` what as many known pictures, drawn by case, hardly ever exceed.
    """

    measure: str
    known: float
    new: float
    effect: float
    threshold: float
    known_values: tuple[float, ...]
    new_values: tuple[float, ...]

    @property
    def is_told(self) -> bool:
        """Whether it differs beyond chance, and by enough to matter."""
        return abs(self.effect) >= max(self.threshold, LEAST_EFFECT)

    @property
    def verdict(self) -> str:
        """``as known``, ``differs`` or ``differs strongly``."""
        if not self.is_told:
            return "as known"
        return "differs strongly" if abs(self.effect) >= STRONG_EFFECT else "differs"

    def told(self) -> str:
        """The difference in words."""
        words = MEASURES[self.measure]
        more = "higher" if self.effect > 0 else "lower"
        return (
            f"{words}: {self.new:.3g}, known {self.known:.3g}; {abs(self.effect):.1f} known deviations "
            f"{more} (told from {max(self.threshold, LEAST_EFFECT):.1f})"
        )


@dataclass(frozen=True, slots=True)
class Drift:
    """All measures that could be compared, and the names of those that could not."""

    differences: tuple[Difference, ...]
    missing: tuple[str, ...]
    n_known: int
    n_new: int

    @property
    def told_ones(self) -> tuple[Difference, ...]:
        """What differs, the largest effect first."""
        found = [one for one in self.differences if one.is_told]
        return tuple(sorted(found, key=lambda one: -abs(one.effect)))

    def lines(self) -> list[str]:
        """The whole in words, one line each."""
        told = self.told_ones
        head = f"{self.n_new} new pictures against {self.n_known} known ones: "
        head += f"{len(told)} of {len(self.differences)} measures differ" if told else "nothing differs"
        lines = [head, *(f"{one.verdict} - {one.told()}" for one in told)]
        if self.missing:
            lines.append(f"not compared, for want of the pictures themselves: {', '.join(self.missing)}")
        if told:
            lines.append(
                "What was measured of the model does not carry over as it is: label some of these pictures "
                "and score the model on them (supcam evaluate), or try supcam adapt"
            )
        return lines


def embedding_distance(embeddings: Embeddings, *, reference: Reference) -> float:
    """How far a picture's objects lie from the known ones: median length in known deviations, 1 as known."""
    mean, spread = np.array(reference.embedding_mean), np.array(reference.embedding_spread)
    steps = (embeddings - mean) / np.maximum(spread, 1e-6)
    return float(np.median(np.sqrt((steps**2).mean(axis=1))))


def with_distance(measured: Measured, *, reference: Reference) -> dict[str, float]:
    """The measures of a picture, with its embeddings' distance where there are embeddings of that length."""
    seen = measured.embeddings
    if seen is None or seen.shape[1] != len(reference.embedding_mean):
        return measured.values
    return {**measured.values, "embedding_distance": embedding_distance(seen, reference=reference)}


def compare(new: Sequence[Measured], *, reference: Reference, seed: int = 0) -> Drift:
    """What differs between ``new`` pictures and the known ones of ``reference``."""
    rows = [with_distance(one, reference=reference) for one in new]
    shared = [name for name in MEASURES if all(name in row for row in rows) and _is_known(name, reference)]
    missing = tuple(MEASURES[name] for name in MEASURES if _is_known(name, reference) and name not in shared)
    cases = np.array([one.case for one in reference.pictures])
    groups = _groups(cases, n=len(rows), rng=np.random.default_rng(seed))
    level = 1 - FALSE_ALARMS / max(1, len(shared))
    differences = tuple(
        _difference(
            name,
            known=np.array([one.values[name] for one in reference.pictures]),
            new=np.array([row[name] for row in rows]),
            groups=groups,
            level=level,
        )
        for name in shared
    )
    return Drift(differences, missing, n_known=len(reference.pictures), n_new=len(rows))


def _is_known(name: str, reference: Reference) -> bool:
    return all(name in one.values for one in reference.pictures)


def _groups(cases: np.ndarray, *, n: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Rows of ``n`` known pictures, case after case as drawn, many times: what chance alone would show."""
    names = np.unique(cases)
    rows = {name: np.flatnonzero(cases == name) for name in names}
    groups = []
    for _ in range(_DRAWS):
        drawn: list[int] = []
        while len(drawn) < n:
            drawn += rows[names[int(rng.integers(len(names)))]].tolist()
        groups.append(np.array(drawn[:n]))
    return groups


def _difference(
    name: str, *, known: Values, new: Values, groups: Sequence[np.ndarray], level: float
) -> Difference:
    middle = float(np.median(known))
    spread = max(1.4826 * float(np.median(np.abs(known - middle))), _LEAST_SPREAD.get(name, _FLOOR))
    by_chance = [abs(float(np.median(known[rows])) - middle) / spread for rows in groups]
    return Difference(
        measure=name,
        known=middle,
        new=float(np.median(new)),
        effect=(float(np.median(new)) - middle) / spread,
        threshold=float(np.quantile(by_chance, level)),
        known_values=tuple(float(value) for value in known),
        new_values=tuple(float(value) for value in new),
    )
