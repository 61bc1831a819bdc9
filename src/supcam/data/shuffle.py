"""Rows drawn class by class, number for number as scikit-learn's ``StratifiedShuffleSplit`` draws them.

scikit-learn is no part of the base install, and a published split must not change with its version. The
generator is NumPy's legacy one, whose stream is frozen for good.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64

from supcam.core.types import ManifestError

Rows = Int64[np.ndarray, " rows"]
"""One whole number for each row."""
FirstRows = Int64[np.ndarray, " first"]
SecondRows = Int64[np.ndarray, " second"]
Counts = Int64[np.ndarray, " classes"]


def shuffle_in_classes(labels: Rows, *, n_first: int, seed: int) -> tuple[FirstRows, SecondRows]:
    """The numbers of ``n_first`` rows and of all others, shuffled, every class on both sides by its share.

    ``labels`` may be any whole numbers. Raises ``ManifestError`` when a class has less than two rows, or a
    side less rows than there are classes, as scikit-learn does.
    """
    classes, counts = _number_classes(labels)
    n_second = len(labels) - n_first
    if len(counts) == 0 or counts.min() < 2 or min(n_first, n_second) < len(counts):
        raise ManifestError(
            f"{len(labels)} rows to divide, in classes of {counts.tolist()}",
            expected="at least two rows in each class, and on each side as many rows as classes",
            remedy="split by case, or gather more pictures of the small class",
        )
    rng = np.random.RandomState(seed)
    n_of_first = _allot(counts, n_draws=n_first, rng=rng)
    n_of_second = _allot(counts - n_of_first, n_draws=n_second, rng=rng)
    first, second = [], []
    for label, (n_one, n_two) in enumerate(zip(n_of_first, n_of_second, strict=True)):
        rows = np.flatnonzero(classes == label)[rng.permutation(int(counts[label]))]
        first.append(rows[:n_one])
        second.append(rows[n_one : n_one + n_two])
    return rng.permutation(np.concatenate(first)), rng.permutation(np.concatenate(second))


def _number_classes(labels: Rows) -> tuple[Rows, Counts]:
    _, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return classes.astype(np.int64), counts.astype(np.int64)


def _allot(counts: Counts, *, n_draws: int, rng: np.random.RandomState) -> Counts:
    """How many of ``n_draws`` fall to each class: its share rounded down, the rest by largest remainders."""
    shares = counts / counts.sum() * n_draws
    allotted = np.floor(shares)
    remainders = shares - allotted
    missing = int(n_draws - allotted.sum())
    for value in np.unique(remainders)[::-1]:
        if missing <= 0:
            break
        tied = np.flatnonzero(remainders == value)
        chosen = rng.choice(tied, size=min(len(tied), missing), replace=False)
        allotted[chosen] += 1
        missing -= len(chosen)
    whole: Counts = allotted.astype(np.int64)
    return whole
