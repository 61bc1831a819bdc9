"""How many chromosomes an object holds, read from measures that know the picture around it: a softmax.

NumPy alone, so that whoever uses a model can read objects as its maker did.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

MEASURES = (
    "instance",
    "touching",
    "overlapping",
    "touching_overlapping",
    "chromosome",
    "area",
    "relative_area_log",
    "relative_area",
    "thickness",
    "raggedness",
    "solidity",
    "fill",
    "chord",
    "short_side",
    "long_side",
    "mean_number",
    *(f"number_{n}" for n in range(1, 9)),
)
"""What is measured of an object, in this order.

Probabilities that the network gives, as log odds: of each type, that it is a chromosome at all, of each
number from 1 to 8 (``mean_number`` is the mean of all numbers). Logarithms of its area in squared chromosome
widths, of its area over that of the picture's single chromosomes (plain, too), and of the sides of its box in
widths. The outline's figures are those of ``spread/outline.py``.
"""

_FAR = 4.0
"""Measures farther from their mean count as so many standard deviations."""

Measures = Float64[np.ndarray, "objects measures"]
Chances = Float64[np.ndarray, "objects numbers"]


@dataclass(frozen=True, slots=True, eq=False)
class Softmax:
    """Chances of 0, 1, 2 ... chromosomes, the last number standing for more as well.

    Logits are linear in the standardised measures and their squares, for each of which ``weights`` has a
    column: first those of the measures, then those of the squares.
    """

    mean: Float64[np.ndarray, " measures"]
    scale: Float64[np.ndarray, " measures"]
    weights: Float64[np.ndarray, "numbers columns"]
    intercepts: Float64[np.ndarray, " numbers"]

    def chances(self, measures: Measures) -> Chances:
        """A row for each object, summing to 1."""
        columns = columns_of(measures, mean=self.mean, scale=self.scale)
        logits = columns @ self.weights.T + self.intercepts
        likely = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(likely / likely.sum(axis=1, keepdims=True))


def columns_of(
    measures: Measures, *, mean: Float64[np.ndarray, " measures"], scale: Float64[np.ndarray, " measures"]
) -> Float64[np.ndarray, "objects columns"]:
    """What the softmax is linear in: standardised measures, none farther than ``_FAR``, and their squares."""
    standardised = np.clip((measures - mean) / scale, -_FAR, _FAR)
    return np.hstack([standardised, standardised**2])
